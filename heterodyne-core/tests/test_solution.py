"""What an optimizer hands over, a `Solution`, and what core makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import least_squares

import heterodyne as het
from heterodyne.errors import PluginError
from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import OptimizerRecord
from heterodyne.problem import Choices, Objective, create_objective, create_problem
from heterodyne.solution import create_solution
from tolerances import REORDERED, SIGMAS, SOLVED

TRUTH = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}


@pytest.fixture(scope="module")
def data() -> het.TwoTime:
    return het.simulate("static", params=TRUTH, phi=[0.0, 90.0], frames=48, noise=0.02, seed=1)


@pytest.fixture(scope="module")
def objective(data) -> Objective:
    return create_objective(create_problem(data, het.create_model("static"), Choices(fix={"D_offset": 0.0})))


def stranger(problem, options, progress):
    """Least squares of SciPy on the objective."""
    objective = create_objective(problem)
    found = least_squares(
        lambda u: objective(u).residuals,
        objective.start,
        lambda u: objective(u).jacobian,
        (objective.low, objective.high),
        x_scale="jac",
        ftol=1e-12,
    )
    return create_solution(objective, found.x, "converged", "so", found.nfev, statistics={"calls": 7})


@pytest.fixture
def registered(only_plugins) -> Callable[..., None]:
    """A function that registers an optimizer under the name `stranger`."""

    @hookimpl
    def heterodyne_optimizers() -> Iterator[OptimizerRecord]:
        yield OptimizerRecord("stranger", "somebody's", "strange_plugin:fit")

    def register(fit) -> None:
        only_plugins("core", strange=SimpleNamespace(heterodyne_optimizers=heterodyne_optimizers, fit=fit))

    return register


@pytest.mark.slow
def test_residuals_and_jacobian_say_what_the_normal_equations_say(objective):
    equations = objective(objective.start)
    r, j = equations.residuals, equations.jacobian
    assert 0.5 * r @ r == pytest.approx(equations.cost, rel=REORDERED)
    np.testing.assert_allclose(j.T @ r, equations.gradient, rtol=SOLVED)
    np.testing.assert_allclose(j.T @ j, equations.gram, rtol=SOLVED)
    flat = replace(equations, gram=np.diag([4.0, 0.0]), gradient=np.array([2.0, 0.0]), cost=1.0)
    np.testing.assert_allclose(flat.residuals, [1.0, 0.0, 1.0])


def test_points_are_parameters_by_name(objective):
    u = objective.start + 0.1
    parameters = objective.parameters(u)
    assert list(parameters) == list(TRUTH)
    np.testing.assert_allclose(objective.point(parameters), u)
    np.testing.assert_array_equal(objective.theta(u), list(parameters.values()))


def test_columns_are_the_derivatives_of_all_parameters_ties_included():
    tie = {"D_offset_ref": "D_offset_sample"}
    model = het.create_model("two-component")
    objective = create_objective(create_problem(het.simulate(frames=20), model, Choices(tie=tie)))
    u = objective.start
    steps = 1e-6 * np.eye(len(u))
    slopes = [(objective.theta(u + step) - objective.theta(u - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(objective.columns(u), np.transpose(slopes), rtol=1e-7, atol=1e-7)


def test_a_coordinate_that_ends_next_to_a_bound_which_holds_it_is_on_it(data):
    model = het.create_model("static")
    above, below = (
        create_objective(
            create_problem(data, model, Choices(fix={"D_offset": 0.0}, bounds={"alpha": bounds}))
        )
        for bounds in ((0.3, 2.0), (-2.0, 0.3))
    )
    near, off = (np.array([np.log(3e3), 0.3 + away]) for away in (1e-7, 1e-3))
    held = create_solution(above, near)
    assert (held.x[1], held.active.tolist()) == (0.3, [0, -1])
    assert held.equations.cost == above(held.x).cost
    assert not create_solution(above, off).active.any()
    inside = create_solution(below, np.array([np.log(3e3), 0.3 - 1e-7]))  # the cost falls on this side
    assert (inside.x[1], inside.active.tolist()) == (0.3 - 1e-7, [0, 0])


@pytest.mark.slow
def test_an_axis_is_folded_into_its_bounds():
    data = het.simulate(frames=20)
    objective = create_objective(create_problem(data, het.create_model("two-component")))
    x = objective.point({**objective.parameters(objective.start), "phi0": 95.0})
    solution = create_solution(objective, x)
    assert solution.values["phi0"] == pytest.approx(-85.0)
    assert solution.values == solution.folded().values


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([8.0], r"has the shape \(1,\), not one coordinate for each of D0, alpha"),
        ([8.0, 99.0], "lies outside the bounds of alpha"),
        ([np.nan, np.nan], "lies outside the bounds of D0, alpha"),
    ],
)
def test_a_point_that_is_none_is_refused(objective, x, words):
    with pytest.raises(PluginError, match=words):
        create_solution(objective, np.array(x))


def test_a_strangers_solution_becomes_a_whole_fit(registered, data, tmp_path):
    registered(stranger)
    lines = []
    fit = het.fit(data, "static", "stranger", fix={"D_offset": 0.0}, progress=lines.append)
    assert (fit.optimizer, fit.verdict, lines) == ("stranger", "converged", ["errors"])
    assert fit.message.startswith("so")
    for name in ("D0", "alpha"):
        assert 0.8 < fit.errors[name] / fit.errors_independent[name] < 1.5
        assert abs(fit.values[name] - TRUTH[name]) < SIGMAS * fit.errors[name]
    assert fit.statistics["errors"] == "robust"
    assert fit.statistics["structure"] == "no structure found"
    assert fit.statistics["calls"] == 7
    assert fit.identifiability["rank"] == 2
    assert [band.name for band in fit.curves] == ["J"]
    assert np.isfinite(fit.curves[0].error).all()
    fit.save(tmp_path)
    assert json.loads((tmp_path / "fit.json").read_text())["statistics"]["calls"] == 7
    assert "fitting method   = stranger" in fit.report()


def test_errors_as_if_all_elements_were_independent_are_had_on_request(registered, data):
    registered(lambda *given: replace(stranger(*given), robust=False, doubts=("a doubt",)))
    fit = het.fit(data, "static", "stranger", fix={"D_offset": 0.0})
    assert fit.errors == fit.errors_independent
    assert fit.message.endswith("a doubt")


def test_a_fit_bears_the_name_of_its_record(registered, data):
    registered(stranger)
    whole = het.fit(data, "static", "stranger", fix={"D_offset": 0.0})
    registered(lambda *given: replace(whole, optimizer="something else"))
    assert het.fit(data, "static", "stranger").optimizer == "stranger"


def test_what_is_neither_a_solution_nor_a_fit_is_refused(registered, data):
    registered(lambda *given: {"D0": 1.0})
    with pytest.raises(PluginError, match="optimizer 'stranger' returned dict, not a Solution or a Fit"):
        het.fit(data, "static", "stranger")
