"""The log density: two evaluators, its gradient, the shares of shards, the adjustment."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.stats import gamma

import heterodyne as het
from heterodyne.bins.bin import Moments
from heterodyne.bins.reading import read_bins
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.evaluators.whitened import dense_sums
from heterodyne.model import Model
from heterodyne.problem.averaging import BinOrders, with_orders
from heterodyne.problem.choices import Choices
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from heterodyne_cmc.calibration import uncalibrated
from heterodyne_cmc.coordinates import create_space, form_of, log_prior_density, theta_of, whitened
from heterodyne_cmc.density import Code, create_targets, log_density, log_likelihoods, potential, with_tail
from heterodyne_cmc.likelihood import conditional, log_marginal, scaling_prior
from heterodyne_cmc.shards import pair_shards, tile_shards, whole_shard
from tolerances import REORDERED

FREE = ("D0_ref", "alpha_ref", "D0_sample", "v0", "beta", "v_offset", "f0", "f1", "phi0")
FRAMES = 100


def problem_of(kind):
    """Two bins of different length, with masks and skipped lags, or with weights and finite widths."""
    data = het.simulate(frames=FRAMES, phi=0.0, seed=2, dphi=12.0)
    other = het.simulate(frames=60, phi=50.0, seed=3, dphi=12.0)
    if kind == "masked":
        mask = np.ones((1, FRAMES), dtype=bool)
        mask[0, 20:50] = False
        data = replace(data, mask=mask)
    else:
        data = replace(data, weight=np.random.default_rng(0).uniform(0.5, 1.0, (1, FRAMES)))
    truth = data.provenance["truth"]["params"]
    fix = {name: value for name, value in truth.items() if name not in FREE}
    start = {name: truth[name] for name in FREE}
    skip = 2 if kind == "masked" else 0
    model = het.create_model("two-component")
    problem = create_problem((data, other), model, Choices(fix=fix, start=start, skip_lags=skip))
    bins = read_bins(problem.data, skip)
    return problem, bins if kind == "masked" else tuple(with_orders(one, BinOrders(1, 3)) for one in bins)


def coordinates(problem, bins):
    """Form and space, whitened by the normal equations at the truth."""
    form, space = form_of(problem), create_space(problem, problem.column("start"))
    objective = create_objective(problem, bins).weighted(np.full(len(bins), 0.02))
    x = objective.to_coordinates(problem.column("start"))
    return form, whitened(space, form, objective.solve(x)[0].gram)


def targets_of(problem, bins, shards, model=None, held=(None, None), adjustment=None):
    form, space = coordinates(problem, bins)
    code = Code(model or problem.model, form, (held[0] is None, held[1] is None))
    scaling = scaling_prior(np.full(len(bins), 0.02), held)
    c = np.eye(len(form.log)) if adjustment is None else adjustment
    return code, create_targets(code, space, shards, scaling, c)


VALUE = jax.jit(log_density, static_argnums=0)
SLOPE = jax.jit(jax.value_and_grad(log_density, argnums=2), static_argnums=0)
LIKELIHOODS = jax.jit(log_likelihoods, static_argnums=0)
POINTS = np.random.default_rng(1).normal(size=(3, len(FREE)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masked", "weighted"])
def test_structured_and_elementwise_densities_are_equal(kind):
    problem, bins = problem_of(kind)
    dense = Model("dense", problem.model.parameters, problem.model.profiles, problem.model.pair)
    fast = targets_of(problem, bins, [whole_shard(problem.model, bins)])
    slow = targets_of(problem, bins, [whole_shard(dense, bins)], dense)
    for u in POINTS:
        one, slope = SLOPE(fast[0], fast[1][0], u)
        other, exact = SLOPE(slow[0], slow[1][0], u)
        terms = np.abs(np.asarray(LIKELIHOODS(slow[0], slow[1][0], u))).sum()
        assert abs(float(one - other)) < 1e-10 * terms
        np.testing.assert_allclose(slope, exact, rtol=1e-7, atol=1e-7 * np.abs(exact).max())


@pytest.mark.slow
def test_a_density_with_weights_of_frames_is_that_of_dense_matrices():
    problem, bins = problem_of("weighted")
    objective = create_objective(problem, bins)
    x = objective.to_coordinates(problem.column("start"))
    objective = objective.whitened(x, np.array([2.0, 3.0]))
    shards = [whole_shard(problem.model, objective.bins)]
    code, (target,) = targets_of(problem, objective.bins, shards)
    np.testing.assert_array_equal(target.shard.pairs, [bin.moments.pairs for bin in bins])
    for u in POINTS:
        theta = np.asarray(theta_of(target.space, code.form, u))
        sums = [dense_sums(problem.model, theta, bin, jacobian=False) for bin in objective.bins]
        stacked = Sums(*map(np.stack, zip(*sums, strict=True)))
        given = conditional(stacked, target.shard.moments, target.shard.pairs, target.scaling)
        exact = np.asarray(log_marginal(given))
        np.testing.assert_allclose(LIKELIHOODS(code, target, u), exact, rtol=1e-10)


@pytest.mark.slow
def test_an_open_scale_makes_a_t_of_the_likelihood():
    problem, bins = problem_of("masked")
    code, (target,) = targets_of(problem, bins, [whole_shard(problem.model, bins)])
    p, dof = len(FREE), 9.0
    calibration = uncalibrated(p, 2)._replace(dof=np.array(dof), rank=np.array(p), rise=np.array(100.0))
    open_scale = with_tail(code, target, calibration)
    top = float(LIKELIHOODS(code, target, np.zeros(p)).sum()) + 100.0
    for u in POINTS:
        prior = float(log_prior_density(target.space, code.form, u))
        chi2 = 2.0 * (top - float(LIKELIHOODS(code, target, u).sum()))
        scales = np.linspace(1e-6, 8.0, 200_001)
        log = gamma.logpdf(scales, dof / 2, scale=2 / dof) + 0.5 * p * np.log(scales) - 0.5 * scales * chi2
        expected = np.log(np.trapezoid(np.exp(log), scales))
        at_top = np.exp(gamma.logpdf(scales, dof / 2, scale=2 / dof) + 0.5 * p * np.log(scales))
        expected -= np.log(np.trapezoid(at_top, scales))
        assert float(VALUE(code, open_scale, u)) - prior == pytest.approx(expected, abs=1e-3 * abs(expected))
    assert with_tail(code, target, uncalibrated(p, 2)) is target


@pytest.mark.slow
@pytest.mark.parametrize("which", ["whole", "tiles"])
def test_the_gradient_is_that_of_finite_differences(which):
    problem, bins = problem_of("masked")
    shards = [whole_shard(problem.model, bins)] if which == "whole" else tile_shards(bins, 2, 0)
    code, targets = targets_of(problem, bins, shards)
    for u in POINTS[:2]:
        _, slope = SLOPE(code, targets[0], u)
        step = 1e-5
        for k, each in enumerate(step * np.eye(len(u))):
            ahead, back = (float(VALUE(code, targets[0], u + sign * each)) for sign in (1, -1))
            tolerance = 1e-5 * max(1.0, float(np.abs(slope).max()))
            assert float(slope[k]) == pytest.approx((ahead - back) / (2 * step), abs=tolerance)


@pytest.mark.slow
def test_every_shard_has_its_part_of_the_prior():
    problem, bins = problem_of("masked")
    shards = pair_shards(bins, 4, 0)
    code, targets = targets_of(problem, bins, shards)
    whole_code, (whole,) = targets_of(problem, bins, [whole_shard(problem.model, bins)])
    for u in POINTS:
        parts = [float(VALUE(code, one._replace(likelihood=0.0), u)) for one in targets]
        prior = float(log_prior_density(whole.space, whole_code.form, u))
        assert sum(parts) == pytest.approx(prior, rel=REORDERED)
        assert np.ptp(parts) < REORDERED * abs(prior)
        assert float(VALUE(whole_code, whole._replace(likelihood=0.0), u)) == pytest.approx(prior)


def test_the_prior_of_a_bins_scaling_is_shared_by_the_shards_that_hold_the_bin():
    problem, bins = problem_of("masked")
    data = whole_shard(problem.model, bins)
    first, second = (np.array([0]), np.array([0, 1]))
    shards = [
        data._replace(
            bins=own,
            portions=tuple(data.portions[k] for k in own),
            moments=Moments(*(column[own] for column in data.moments)),
            pairs=data.pairs[own],
        )
        for own in (first, second)
    ]
    _, targets = targets_of(problem, bins, shards)
    rates = [np.asarray(target.scaling.rate) / 0.02**2 for target in targets]
    np.testing.assert_allclose(rates[0], [0.5])
    np.testing.assert_allclose(rates[1], [0.5, 1.0])
    assert [target.share for target in targets] == [0.5, 0.5]


def test_the_adjustment_stretches_the_likelihood_about_the_solution_and_not_the_prior():
    problem, bins = problem_of("masked")
    shards = [whole_shard(problem.model, bins)]
    p = len(FREE)
    code, (plain,) = targets_of(problem, bins, shards)
    _, (half,) = targets_of(problem, bins, shards, adjustment=0.5 * np.eye(p))
    for u in POINTS:
        own = float(LIKELIHOODS(code, half, u).sum())
        assert own == pytest.approx(float(LIKELIHOODS(code, plain, 0.5 * u).sum()), rel=REORDERED)
        prior = float(log_prior_density(plain.space, code.form, u))
        assert float(VALUE(code, half, u)) == pytest.approx(own + prior, rel=REORDERED)


@pytest.mark.slow
def test_a_density_that_is_no_number_counts_as_impossible():
    problem, bins = problem_of("masked")
    code, (target,) = targets_of(problem, bins, [whole_shard(problem.model, bins)])
    assert float(potential(code, target, np.full(len(FREE), np.nan))) == np.inf
    u = POINTS[0]
    assert float(potential(code, target, u)) == pytest.approx(-float(VALUE(code, target, u)))
