"""The curvature adjustment, and which start values may stand for a solution."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.errors import ConfigError, PluginError
from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import OptimizerRecord, Option
from heterodyne.problem.choices import Choices
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from heterodyne.problem.spectrum import spectrum_of
from heterodyne.solution.residuals import residuals_at
from heterodyne.solution.standard_errors import standard_errors
from heterodyne_cmc.calibration import adjustment, at_point, calibrate
from heterodyne_cmc.prepare import prepare, resolved_weights, with_own_scaling
from tolerances import REORDERED


def positive(rng, p):
    a = rng.normal(size=(p, 2 * p))
    return a @ a.T


def narrow(p):
    """Bounds so wide that every direction is determined."""
    return np.full(p, 1e6)


@pytest.mark.parametrize("p", [1, 2, 6])
def test_the_adjusted_precision_is_the_inverse_of_the_robust_covariance(p):
    rng = np.random.default_rng(p)
    scale = np.diag(10.0 ** rng.uniform(-3, 3, p))
    h = scale @ positive(rng, p) @ scale
    meat = 9.0 * h + scale @ positive(rng, p) @ scale
    c = adjustment(spectrum_of(h, narrow(p)), meat)
    v = np.linalg.inv(h) @ meat @ np.linalg.inv(h)
    np.testing.assert_allclose(c.T @ h @ c @ v, np.eye(p), atol=1e-7)


def test_a_covariance_four_times_as_large_halves_all_distances():
    h = positive(np.random.default_rng(0), 3)
    np.testing.assert_allclose(adjustment(spectrum_of(h, narrow(3)), 4.0 * h), 0.5 * np.eye(3), atol=1e-9)


def test_a_covariance_below_the_independent_one_is_taken_as_it_is():
    h = positive(np.random.default_rng(0), 3)
    np.testing.assert_allclose(adjustment(spectrum_of(h, narrow(3)), 0.25 * h), 2.0 * np.eye(3), atol=1e-9)


def test_directions_that_the_data_do_not_determine_are_left_as_they_are():
    rng = np.random.default_rng(1)
    known = rng.normal(size=(2, 3))
    h = known.T @ known  # nothing along the third direction
    c = adjustment(spectrum_of(h, np.full(3, 10.0)), 4.0 * h)
    lost = np.linalg.svd(h)[2][2]
    np.testing.assert_allclose(c @ lost, lost, atol=1e-6)
    v_inverse = c.T @ h @ c
    np.testing.assert_allclose(v_inverse, 0.25 * h, atol=1e-6 * np.abs(h).max())


def test_nothing_determined_is_nothing_adjusted():
    np.testing.assert_allclose(
        adjustment(spectrum_of(np.zeros((2, 2)), np.ones(2)), np.zeros((2, 2))), np.eye(2)
    )


def prepared(problem, calibrated=True, warm=True, weights="noise"):
    bins = read_bins(problem.data)
    return prepare(with_own_scaling(problem), bins, warm, calibrated, weights, lambda line: None)


@pytest.mark.slow
def test_calibration_takes_precision_and_robust_covariance_from_the_solution(static_problem):
    problem = static_problem()
    mode = prepared(problem)
    objective = create_objective(problem, read_bins(problem.data)).weighted(mode.noise)
    x = objective.to_coordinates(mode.values)
    best = objective.to_coordinates(problem.column("start"))
    at_best = calibrate(objective, best)
    assert (x - best) @ mode.calibration.precision @ (
        x - best
    ) < 0.01  # next to these data the priors do nothing
    np.testing.assert_allclose(mode.calibration.precision, objective.solve(best)[0].gram, rtol=0.01)
    np.testing.assert_allclose(mode.calibration.adjustment, at_best.adjustment, atol=0.01)
    np.testing.assert_allclose(
        mode.calibration.adjustment, calibrate(objective, x, best).adjustment, atol=REORDERED
    )
    assert mode.calibration.bandwidth > 1
    assert mode.noise == pytest.approx(0.02, rel=0.1)
    assert not np.allclose(mode.calibration.adjustment, np.eye(2))


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["speckle", "noise"])
def test_the_calibrated_covariance_is_that_of_the_standard_errors(weights, solved):
    data = het.simulate_speckle(
        "static", {"D0": 1e4, "alpha": 0.2, "D_offset": 0.0}, frames=64, phi=[0.0, 90.0]
    )
    start = {"D0": 1e4, "alpha": 0.2}
    choices = Choices(fix={"D_offset": 0.0}, start=start)
    problem = solved(create_problem(data, het.create_model("static"), choices))
    objective = create_objective(problem, read_bins(problem.data))
    x = objective.to_coordinates(problem.column("start"))
    objective = objective.weighted(np.sqrt(objective.solve(x)[1].ssr / 2016))
    if weights == "speckle":
        objective = objective.whitened(x, np.array([2.0, 2.0]))
        objective = objective.weighted(np.sqrt(objective.solve(x)[1].ssr / 2016))
    found, here = calibrate(objective, x), at_point(objective, x)
    errors = standard_errors(here, residuals_at(here), True)
    covariance = np.linalg.inv(found.adjustment.T @ found.precision @ found.adjustment)
    np.testing.assert_allclose(covariance, errors.covariance, rtol=1e-6)
    assert found.dof == errors.statistics.dof
    # contrast and offset move along with the parameters, and besides
    along = here.scaling.design @ np.linalg.solve(here.scaling.hessian, here.scaling.coupling)
    slope = np.concatenate([found.slope[:, 0], found.slope[:, 1]]) - along
    own = np.concatenate([found.scaling[:, 0, 0], found.scaling[:, 1, 1]])
    variance = np.diag(slope @ covariance @ slope.T) + own
    np.testing.assert_allclose(np.sqrt(variance), np.concatenate([errors.contrast, errors.offset]), rtol=1e-6)


@pytest.mark.slow
def test_an_independent_likelihood_is_not_adjusted(static_problem):
    mode = prepared(static_problem(), calibrated=False)
    np.testing.assert_array_equal(mode.calibration.adjustment, np.eye(2))
    assert mode.calibration.bandwidth == 0
    assert not mode.calibration.scaling.any()
    assert mode.calibration.precision[0, 0] > 0


def test_without_a_warm_start_there_is_neither_precision_nor_solution():
    data = het.simulate("static", params={"D0": 3e3}, frames=64, phi=0.0)
    problem = het.problem.create_problem(
        data, het.create_model("static"), het.problem.Choices(fix={"D_offset": 0.0})
    )
    mode = prepared(problem, calibrated=False, warm=False)
    np.testing.assert_array_equal(mode.values, problem.column("start"))
    assert not mode.calibration.precision.any()
    # neighbouring elements differ by noise alone
    assert mode.noise == pytest.approx(0.02, rel=0.05)


def moved(problem, steps):
    """The problem with start values so many standard errors of the slowest parameter away."""
    objective = create_objective(problem, read_bins(problem.data)).weighted(np.array([0.02]))
    x = objective.to_coordinates(problem.column("start"))
    h = objective.solve(x)[0].gram
    away = x + steps * np.linalg.inv(np.linalg.cholesky(h)).T @ np.array([1.0, 0.0])
    table = problem.parameters
    for name, value in zip(problem.varying, objective.to_values(away), strict=True):
        table = table.updated(name, start=float(value))
    return replace(problem, parameters=table)


@pytest.fixture
def least_squares(only_plugins):
    """An optimizer `nlsq` that counts its calls and returns the values it is told to."""

    class Spy:
        calls = 0
        values = ()

        def fit(self, problem, options, progress):
            self.calls += 1
            return SimpleNamespace(values=dict(zip(problem.varying, self.values, strict=True)))

        @hookimpl
        def heterodyne_optimizers(self):
            options = (Option("weights", str, "speckle", ""), Option("profiles", str, "auto", ""))
            yield OptimizerRecord("nlsq", "a spy", "spying_plugin:fit", options)

    spy = Spy()
    only_plugins("core", spying=spy)
    return spy


@pytest.mark.slow
def test_a_solution_that_is_given_is_taken_and_another_start_is_not(static_problem, least_squares):
    problem = static_problem()
    least_squares.values = problem.column("start")
    prepared(problem)
    prepared(moved(problem, 0.01))
    assert least_squares.calls == 0
    mode = prepared(moved(problem, 0.5))
    assert least_squares.calls == 1
    np.testing.assert_allclose(mode.values, prepared(problem).values, rtol=0.02)


@pytest.mark.slow
def test_an_independent_likelihood_needs_no_solution(static_problem, least_squares):
    prepared(moved(static_problem(), 0.5), calibrated=False)
    assert least_squares.calls == 0


def test_starts_that_are_not_all_given_are_found_by_least_squares(static_problem, least_squares):
    problem = static_problem()
    least_squares.values = problem.column("start")
    prepared(replace(problem, started=frozenset({"D0"})), calibrated=False)
    assert least_squares.calls == 1


def test_without_the_least_squares_optimizer_the_line_says_what_to_install(static_problem, only_plugins):
    only_plugins("core")
    with pytest.raises(PluginError, match=r"no optimizer named 'nlsq'.*pip install heterodyne-nlsq"):
        prepared(replace(static_problem(), started=frozenset()))


def test_weights_that_cannot_be_are_refused_and_left_out_where_nobody_asks(static_problem):
    problem = static_problem()
    assert resolved_weights("auto", problem, "calibrated", 1) == "speckle"
    assert resolved_weights("noise", problem, "calibrated", 1) == "noise"
    for likelihood, shards in (("independent", 1), ("calibrated", 2)):
        assert resolved_weights("auto", problem, likelihood, shards) == "noise"
        with pytest.raises(ConfigError, match="cannot be weighted by the covariance"):
            resolved_weights("speckle", problem, likelihood, shards)
