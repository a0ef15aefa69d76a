"""The centre of the coordinates: the posterior's mode, and an adjustment that holds there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.problem.choices import Choices
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from heterodyne.problem.spectrum import spectrum_of
from heterodyne_cmc.calibration import adjustment, calibrate, tilt_of, with_noise_about
from heterodyne_cmc.centre import posterior_mode
from heterodyne_cmc.likelihood import scaling_prior
from heterodyne_cmc.prepare import code_of, with_own_scaling
from tolerances import REORDERED

NOISE = 0.02


def objective_of(problem):
    own = with_own_scaling(problem)
    return create_objective(own, read_bins(own.data)).weighted(np.full(len(own.data[0].q), NOISE))


def mode(problem, calibrated=False):
    objective, values = objective_of(problem), problem.column("start")
    scaling = scaling_prior(objective.sigma)
    return posterior_mode(objective, values, code_of(objective.problem), scaling, calibrated)


def test_with_the_tilt_a_quadratic_likelihood_has_the_gradient_and_curvature_of_its_robust_covariance():
    rng = np.random.default_rng(0)
    root, other = rng.normal(size=(2, 3, 9))
    h, best, at = root @ root.T, rng.normal(size=3), rng.normal(size=3)
    meat = h @ np.linalg.inv(other @ other.T) @ h + 9.0 * h
    found = spectrum_of(h, np.full(3, 1e6))
    c, tilt = adjustment(found, meat), tilt_of(found, meat, h @ (best - at))
    inverse = h @ np.linalg.solve(meat, h)
    np.testing.assert_allclose(c.T @ h @ c, inverse, rtol=1e-8)
    np.testing.assert_allclose(c.T @ h @ (best - at) + tilt, inverse @ (best - at), rtol=1e-8)


def test_a_likelihood_that_says_nothing_is_not_tilted():
    found = spectrum_of(np.zeros((2, 2)), np.ones(2))
    np.testing.assert_allclose(tilt_of(found, np.zeros((2, 2)), np.array([1.0, -2.0])), 0.0, atol=REORDERED)


@pytest.mark.slow
def test_priors_lead_the_centre_along_a_valley_that_the_data_leave_open():
    """Only the mean rate is known: D0 and D_offset from the far end of the bounds come to where the prior is."""
    data = het.simulate("static", params={"D0": 4e3, "alpha": 0.0}, frames=64, phi=[0.0, 60.0], noise=NOISE)
    start = {"D0": 9.4e4, "alpha": 0.0, "D_offset": -9e4}
    problem = create_problem(data, het.create_model("static"), Choices(start=start))
    values, found = mode(problem, calibrated=True)
    assert values[0] + values[2] == pytest.approx(4e3, rel=0.1)
    assert abs(values[2]) < 1.5e3  # 1.5 widths of its prior
    objective = objective_of(problem)
    square = objective.solve(objective.to_coordinates(values))[1].ssr.sum() / NOISE**2
    assert square == pytest.approx(2 * 64 * 63 / 2, rel=0.05)
    assert found.bandwidth > 0


@pytest.mark.slow
def test_a_prior_against_the_data_gives_their_weighted_mean(static_problem):
    """The adjusted mode lies where a likelihood with the robust covariance and the prior balance."""
    solved = static_problem(phi=[0.0, 60.0])
    objective = objective_of(solved)
    best = objective.to_coordinates(solved.column("start"))
    calibrated = calibrate(objective, best)
    inverse = calibrated.adjustment.T @ calibrated.precision @ calibrated.adjustment
    width = np.sqrt(np.linalg.inv(inverse)[1, 1])
    rows = solved.parameters.updated(
        "alpha", prior=replace(solved.parameters["alpha"].prior, location=best[1] - 6 * width, width=width)
    )
    values, found = mode(replace(solved, parameters=rows), calibrated=True)
    assert values[1] == pytest.approx(best[1] - 3 * width, abs=0.4 * width)
    moved = found.adjustment.T @ found.precision @ found.adjustment
    assert np.linalg.inv(moved)[1, 1] == pytest.approx(width**2, rel=0.4)


def test_noise_moved_to_another_model_is_the_noise_that_was_left(static_problem):
    problem = static_problem(phi=[0.0, 60.0])
    objective = objective_of(problem)
    best = objective.to_coordinates(problem.column("start"))
    away = best + np.array([0.3, -0.2])
    ssr = objective.solve(best)[1].ssr
    moved = with_noise_about(objective, best, away).solve(away)
    np.testing.assert_allclose(moved[1].ssr, ssr, rtol=2e-3)
    assert objective.solve(away)[1].ssr.sum() > 1.03 * ssr.sum()
    np.testing.assert_allclose(
        with_noise_about(objective, best, best).solve(best)[1].ssr, ssr, rtol=REORDERED
    )
