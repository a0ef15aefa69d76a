"""Shards put together: exact for normal posteriors, corrected for others, in agreement with one shard."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.special import logsumexp

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.parameters import Prior
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne.solution import standard_errors
from heterodyne.solution.robust import Meat
from heterodyne_cmc.consensus import combined, refined
from heterodyne_cmc.coordinates import create_space, form_of, values_of, whitened
from heterodyne_cmc.density import Code, create_targets, log_density
from heterodyne_cmc.joint import joint_columns
from heterodyne_cmc.likelihood import scaling_prior
from heterodyne_cmc.nuts import SamplerSettings, sample
from heterodyne_cmc.prepare import prepare, with_own_scaling
from heterodyne_cmc.shards import pair_shards, whole_shard
from tolerances import REORDERED, SIGMAS

pytestmark = pytest.mark.slow

COUNT = 40_000
SHORT = {"chains": 2, "warmup": 100, "draws": 500, "block": 100, "ess": 100.0, "divergences": 0.05}


def normal_shards(seed, owned, n=4):
    """Normal densities over the coordinates in ``owned``: means, precisions, draws."""
    rng = np.random.default_rng(seed)
    shards = []
    for own in owned:
        a = rng.normal(size=(len(own), 2 * len(own)))
        precision, mean = a @ a.T, rng.normal(size=len(own))
        draws = rng.multivariate_normal(mean, np.linalg.inv(precision), COUNT)
        shards.append((mean, precision, draws))
    return shards


@pytest.mark.parametrize(
    "owned",
    [
        [np.arange(4)] * 3,
        [np.array([0, 1, 2]), np.array([0, 1, 3]), np.array([0, 1])],  # 2 and 3 are known to one shard each
    ],
    ids=["all", "some"],
)
def test_the_product_of_normal_densities_is_found(owned):
    shards = normal_shards(0, owned)
    total, weighted = np.zeros((4, 4)), np.zeros(4)
    for (mean, precision, _), own in zip(shards, owned, strict=True):
        total[np.ix_(own, own)] += precision
        weighted[own] += precision @ mean
    found = combined([draws for _, _, draws in shards], owned)
    cov = np.linalg.inv(total)
    sd = np.sqrt(np.diag(cov))
    assert found.shape == (COUNT, 4)
    np.testing.assert_allclose(
        found.mean(axis=0), cov @ weighted, atol=4.0 * sd.max() / np.sqrt(COUNT) + 0.03
    )
    np.testing.assert_allclose(np.cov(found.T), cov, atol=0.03 * sd.max() ** 2)


def test_a_coordinate_that_is_held_fixed_stays_where_it_is():
    shards = [
        np.column_stack([draws, np.full(COUNT, 0.3)]) for _, _, draws in normal_shards(0, [np.arange(2)] * 2)
    ]
    found = combined(shards, [np.arange(3)] * 2)
    np.testing.assert_allclose(found[:, 2], 0.3, rtol=REORDERED)
    assert found[:, 0].std() > 0


def test_the_shortest_shard_says_how_many_draws_there_are():
    shards = [draws for _, _, draws in normal_shards(0, [np.arange(2)] * 2)]
    assert len(combined([shards[0], shards[1][:700]], [np.arange(2)] * 2)) == 700


def test_the_columns_of_a_shard_are_those_of_its_bins():
    """ψ = u, then contrast and offset of every bin, then log σ of every bin."""
    assert joint_columns(2, 3, np.array([0, 2])).tolist() == [0, 1, 2, 3, 6, 7, 8, 10]
    assert joint_columns(2, 3, np.arange(3)).tolist() == list(range(11))


def test_refinement_finds_a_density_that_is_not_normal():
    """Two independent Gamma(6, 1) in place of the normal around which it is proposed."""

    def log_density(u):
        inside = np.all(u > 0, axis=1)
        return np.where(inside, np.sum(5.0 * np.log(np.maximum(u, 1e-300)) - u, axis=1), -np.inf)

    around = np.random.default_rng(0).normal([5.0, 7.0], [2.0, 3.0], (8000, 2))
    found = refined(log_density, around, 4, 0)
    assert found.u.shape == (4, 2000, 2)
    assert 0.5 < found.acceptance < 1.0
    flat = found.u.reshape(-1, 2)
    assert flat.min() > 0
    np.testing.assert_allclose(flat.mean(axis=0), 6.0, atol=0.15)
    np.testing.assert_allclose(flat.var(axis=0), 6.0, rtol=0.1)
    np.testing.assert_allclose(np.mean((flat - 6.0) ** 3, axis=0), 12.0, rtol=0.5)


def test_with_the_likelihood_off_shards_together_reproduce_the_prior():
    """Normal in u, because the bounds are far; a prior counted four times would halve the sds."""
    data = het.simulate("static", params={"D0": 3e3}, frames=64, phi=0.0)
    problem = create_problem(
        data,
        het.create_model("static"),
        Choices(
            fix={"D_offset": 0.0},
            start={"D0": 3e3, "alpha": 0.0},
            prior={"D0": Prior("log-normal", 8.0, 0.3), "alpha": Prior("normal", 0.02, 0.1)},
        ),
    )
    bins, form = read_bins(problem.data), form_of(problem)
    space = whitened(create_space(problem, problem.column("start")), form, np.zeros((2, 2)))
    code = Code(problem.model, form)
    targets = create_targets(code, space, pair_shards(bins, 4, 0), scaling_prior(np.array([0.02])), np.eye(2))
    settings = SamplerSettings(chains=2, warmup=300, draws=1500, block=300)
    drawn = []
    for k, target in enumerate(targets):
        starts = np.random.default_rng(k).normal(size=(2, 2))
        own = SamplerSettings(**{**vars(settings), "seed": k})
        drawn.append(sample(code, target._replace(likelihood=0.0), starts, own, None, lambda *_: None).u)
    u = combined([draws.reshape(-1, 2) for draws in drawn], [np.arange(2)] * 4)
    x = np.log(np.asarray(jax.vmap(lambda each: values_of(space, form, each))(u))[:, 0])
    alpha = np.asarray(jax.vmap(lambda each: values_of(space, form, each))(u))[:, 1]
    assert x.mean() == pytest.approx(8.0, abs=0.1 * 0.3)
    assert x.std() == pytest.approx(0.3, rel=0.08)
    assert alpha.mean() == pytest.approx(0.02, abs=0.1 * 0.1)
    assert alpha.std() == pytest.approx(0.1, rel=0.08)


@pytest.fixture(scope="module")
def five_bins(static_problem):
    """Five bins of 192 frames: 15 tiles on the diagonal and 15 others."""
    return static_problem(frames=192, phi=[0.0, 20.0, 40.0, 60.0, 80.0], noise=0.15)


@pytest.fixture(scope="module")
def grid(five_bins):
    """Mean, sd and correlation of (log D0, alpha) by summing the exact posterior over a grid."""
    problem = with_own_scaling(five_bins)
    bins, form = read_bins(problem.data), form_of(problem)
    prepared = prepare(problem, bins, True, False, "noise", lambda line: None)
    space = whitened(create_space(problem, prepared.values), form, prepared.calibration.precision)
    code = Code(problem.model, form)
    whole = [whole_shard(problem.model, bins)]
    (target,) = create_targets(code, space, whole, scaling_prior(prepared.noise), np.eye(2))
    axis = np.linspace(-6.0, 6.0, 61)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density = jax.jit(lambda target, u: jax.lax.map(lambda each: log_density(code, target, each), u))
    log_p = np.asarray(density(target, points))
    p = np.exp(log_p - logsumexp(log_p))
    edge = np.abs(points).max(axis=1) > 5.9
    assert p[edge].sum() < 1e-4
    values = np.asarray(jax.vmap(lambda each: values_of(space, form, each))(points))
    return moments(values, p)


def moments(values, weight=None):
    """Means, sds and correlation of (log D0, alpha)."""
    x = np.column_stack([np.log(values[:, 0]), values[:, 1]])
    mean = np.average(x, axis=0, weights=weight)
    cov = np.cov(x.T, aweights=weight)
    sd = np.sqrt(np.diag(cov))
    return mean, sd, cov[0, 1] / np.prod(sd)


def assert_agree(fit, grid):
    mean, sd, correlation = moments(fit.posterior.flat)
    assert np.max(np.abs(mean - grid[0]) / grid[1]) < 0.1
    np.testing.assert_allclose(sd, grid[1], rtol=0.1)
    assert correlation == pytest.approx(grid[2], abs=0.1)


def test_one_shard_is_the_posterior_on_a_grid(five_bins, grid, sampled):
    fit = sampled(five_bins, draws=750)
    assert fit.verdict == "converged"
    assert_agree(fit, grid)
    # three times finer than what shards have to keep
    np.testing.assert_allclose(moments(fit.posterior.flat)[1], grid[1], rtol=0.06)


@pytest.mark.parametrize(("partition", "shards"), [("tiles", 4), ("tiles", 12), ("pairs", 12), ("bins", 5)])
def test_shards_agree_with_the_posterior_on_a_grid(
    in_this_process, five_bins, grid, sampled, partition, shards
):
    fit = sampled(five_bins, **SHORT, shards=shards, partition=partition, executor="serial")
    assert fit.statistics["shards"] == shards
    assert fit.statistics["acceptance"] > 0.5
    assert_agree(fit, grid)
    assert np.isfinite(fit.posterior.noise).all()
    for row in fit.scaling:
        assert row.noise == pytest.approx(0.15, rel=0.05)
        assert row.contrast == pytest.approx(0.15, abs=SIGMAS * row.contrast_error)


def test_shards_that_are_not_refined_agree_where_their_posteriors_are_normal(
    in_this_process, five_bins, grid, sampled
):
    fit = sampled(five_bins, **SHORT, shards=4, partition="pairs", executor="serial", refine=False)
    assert "acceptance" not in fit.statistics
    assert fit.posterior.values.shape[0] == 1
    mean, sd, correlation = moments(fit.posterior.flat)
    assert np.max(np.abs(mean - grid[0]) / grid[1]) < 0.3
    np.testing.assert_allclose(sd, grid[1], rtol=0.15)
    assert correlation == pytest.approx(grid[2], abs=0.1)


def test_a_robust_covariance_four_times_as_large_doubles_every_sd(static_problem, sampled, monkeypatch):
    problem = static_problem()
    independent = sampled(problem, draws=3000)

    def four_times(objective, x, free, frames):
        equations, scaling = objective.solve(x)
        matrix = 4.0 * block_diag(equations.gram, scaling.hessian)
        return Meat(matrix, bandwidth=7, dof=1e6, shared=None, model=matrix)

    monkeypatch.setattr(standard_errors, "robust_meat", four_times)
    calibrated = sampled(problem, draws=3000, likelihood="calibrated", weights="noise")
    assert calibrated.statistics["likelihood"] == "calibrated"
    assert calibrated.statistics["bandwidth"] == 7
    one, two = (moments(fit.posterior.flat) for fit in (independent, calibrated))
    np.testing.assert_allclose(two[1] / one[1], 2.0, rtol=0.1)
    assert two[2] == pytest.approx(one[2], abs=0.05)
    for before, after in zip(independent.scaling, calibrated.scaling, strict=True):
        assert after.contrast_error / before.contrast_error == pytest.approx(2.0, rel=0.1)
        assert after.offset_error / before.offset_error == pytest.approx(2.0, rel=0.1)
        assert after.noise == pytest.approx(before.noise, rel=0.01)
