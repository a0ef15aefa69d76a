"""Reduced likelihoods: as far from the exact one as they say, and refused where that is too far."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.kernels._jax import jax
from heterodyne.problem.choices import Choices
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from heterodyne_cmc import reduction
from heterodyne_cmc.calibration import not_adjusted
from heterodyne_cmc.centre import space_at
from heterodyne_cmc.density import create_targets, log_density
from heterodyne_cmc.nuts import Draws
from heterodyne_cmc.prepare import code_of, prior_of_scaling, with_own_scaling
from heterodyne_cmc.reduced import can_be_reduced, rank_of
from heterodyne_cmc.reduction import (
    REDUCED,
    TOLERANCE,
    checked,
    checked_draws,
    first_points,
    log_likelihoods_at,
    reduced_draws,
    reduced_target,
)
from heterodyne_cmc.shards import whole_shard

HELD = ("D_offset_ref", "D_offset_sample", "v_offset", "f2", "f3", "f1", "alpha_ref", "alpha_sample")


@pytest.fixture(scope="module", params=["frames", "skipped", "covariance"])
def posed(request, solved):
    """The code and the target of six parameters of 3 × 64²: weighted alike, without some pairs, or whitened."""
    data = het.simulate("two-component", frames=64, noise=0.02)
    if request.param == "skipped":
        data = replace(data, bad_pairs=np.array([[0, 10, 40], [1, 11, 12]]))
    truth = data.provenance["truth"]["params"]
    start = {name: value for name, value in truth.items() if name not in HELD}
    choices = Choices(fix={name: truth[name] for name in HELD}, start=start)
    weights = "speckle" if request.param == "covariance" else "noise"
    problem = solved(
        with_own_scaling(create_problem(data, het.create_model("two-component"), choices)), "noise"
    )
    return target_of(problem, weights)


def target_of(problem, weights):
    """Code and target at the start values of a problem."""
    objective = create_objective(problem, read_bins(problem.data))
    x = objective.to_coordinates(problem.column("start"))
    pairs = np.array([bin.moments.pairs for bin in objective.bins])
    if weights == "speckle":
        objective = objective.whitened(x, np.full(len(pairs), 0.3))
    objective = objective.weighted(np.sqrt(objective.solve(x)[1].ssr / pairs))
    calibration = not_adjusted(objective, x)
    space, adjustment, tilt = space_at(problem, problem.column("start"), calibration)
    code, shard = code_of(problem), whole_shard(problem.model, objective.bins)
    (target,) = create_targets(
        code, space, [shard], prior_of_scaling(problem, objective.sigma), adjustment, tilt
    )
    return code, target


def points(target, count=40, spread=1.0):
    return spread * np.random.default_rng(3).normal(size=(count, len(target.adjustment)))


def test_the_error_is_far_below_one(posed):
    code, target = posed
    reduced = reduced_target(code, target, first_points(len(target.adjustment), 0))
    exact, found = log_likelihoods_at(code, target, reduced, points(target))
    assert np.max(np.abs(found - exact)) < TOLERANCE
    assert np.ptp(exact) > 3.0
    assert 6 < rank_of(reduced.shard) < 80


def test_the_exact_likelihood_of_a_check_is_that_of_the_density(posed):
    code, target = posed
    at = points(target, 4)
    exact, _ = log_likelihoods_at(code, target, target, at)
    slow = [float(reduction._of_reduced(code, target, u[None])[0]) for u in at]
    np.testing.assert_allclose(exact, slow, rtol=1e-11)


def test_gradients_are_those_of_the_exact_density_and_of_differences(posed):
    code, target = posed
    reduced = reduced_target(code, target, first_points(len(target.adjustment), 0))
    value = jax.jit(partial(log_density, code))
    slope = jax.jit(jax.grad(partial(log_density, code), argnums=1))
    step = 1e-4
    for u in points(target, 3):
        steps = step * np.eye(len(u))
        differences = [(value(reduced, u + e) - value(reduced, u - e)) / (2 * step) for e in steps]
        np.testing.assert_allclose(slope(reduced, u), differences, atol=1e-4)
        np.testing.assert_allclose(slope(reduced, u), slope(target, u), atol=0.01)


def test_snapshots_too_near_are_found_out(posed):
    code, target = posed
    near = 1e-3 * first_points(len(target.adjustment), 0)[:12]
    error, _ = checked(code, target, reduced_target(code, target, near), points(target, 100))
    assert error > TOLERANCE


def test_a_likelihood_that_keeps_chains_away_is_found_out_beyond_them(posed):
    code, target = posed
    near = 0.2 * first_points(len(target.adjustment), 0)[:30]
    inside = points(target, 100, 0.3)
    inside = inside[np.argsort(-np.sum(inside**2, axis=1))]
    reduced = reduced_target(code, target, near)
    error, beyond = checked(code, target, reduced, inside)
    assert beyond > 0.2 * error


def drawn(spread, told=None):
    """A sampler that draws from a normal density."""

    def sample(target, folder):
        if told is not None:
            told.append((target, folder))
        u = spread * np.random.default_rng(1).normal(size=(2, 150, len(target.adjustment)))
        return Draws(u, {})

    return sample


def test_chains_begin_anew_with_draws_as_snapshots(posed, monkeypatch):
    code, target = posed
    few = first_points(len(target.adjustment), 0)[:12]
    monkeypatch.setattr(reduction, "first_points", lambda p, seed: 0.01 * few)
    asked, said = [], []
    found = reduced_draws(code, target, None, 0, drawn(1.0, asked), said.append)
    assert len(asked) == 2
    assert "again with more snapshots" in said[0]
    assert found.check is not None
    assert found.check.error <= TOLERANCE
    assert found.target is asked[-1][0]


def test_the_exact_likelihood_is_what_remains(posed, monkeypatch, tmp_path):
    code, target = posed
    monkeypatch.setattr(reduction, "TOLERANCE", 0.0)
    asked = []
    found = reduced_draws(code, target, tmp_path, 0, drawn(1.0, asked), lambda line: None)
    assert found.check is None
    assert found.target is target
    assert asked[-1] == (target, tmp_path / "exact")


def test_a_resumed_run_has_the_reduced_likelihood_to_the_last_bit(posed, tmp_path):
    code, target = posed
    first, second = [], []
    reduced_draws(code, target, tmp_path, 0, drawn(1.0, first), lambda line: None)
    assert list(tmp_path.rglob(REDUCED))
    reduced_draws(code, target, tmp_path, 0, drawn(1.0, second), lambda line: None)
    for one, other in zip(jax.tree.leaves(first[0][0]), jax.tree.leaves(second[0][0]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_checks_take_the_farthest_draws_of_all_chains():
    u = np.random.default_rng(0).normal(size=(4, 300, 3))
    at = checked_draws(u, 0)
    distance = np.sort(np.sum(u.reshape(-1, 3) ** 2, axis=1))[::-1]
    assert len(at) == len(np.unique(at, axis=0)) == 200
    np.testing.assert_array_equal(np.sum(at[:40] ** 2, axis=1), distance[:40])


def test_what_is_not_separable_is_not_reduced(posed):
    code, target = posed
    assert can_be_reduced(code.model, target.shard)
    assert not can_be_reduced(replace(code.model, components=None), target.shard)
