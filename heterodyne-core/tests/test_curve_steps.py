"""Steps along curves: their tangent, what goes straight, what happens at bounds."""

import numpy as np
import pytest

from heterodyne import create_model, simulate
from heterodyne.problem import Choices, create_objective, create_problem
from heterodyne.problem.curve_steps import at_value, moved, trades
from tolerances import REORDERED, SOLVED

MODEL = create_model("two-component")
DATA = simulate(frames=40, seed=2)
TRUTH = DATA.provenance["truth"]["params"]


@pytest.fixture(scope="module")
def objective():
    start = {name: value for name, value in TRUTH.items() if name != "f2"}
    return create_objective(create_problem(DATA, MODEL, Choices(start={**start, "alpha_sample": -0.4})))


def places(objective, *names):
    return [objective.problem.varying.index(name) for name in names]


def heights(objective, u, name="J_ref"):
    values = objective.parameters(u)
    curve = MODEL.curve(name)
    s = np.quantile(np.concatenate([data.t for data in objective.problem.data]), (0.1, 0.9))
    return np.asarray(curve.free(s, *(values[part] for part in curve.parts)))


def random_step(objective, size, seed=0):
    rng = np.random.default_rng(seed)
    return size * rng.normal(size=len(objective.start)) * np.maximum(np.abs(objective.start), 0.1)


@pytest.mark.parametrize("seed", range(6))
def test_a_way_is_tangent_to_its_step(objective, seed):
    u, step = objective.start, random_step(objective, 1.0, seed)
    held = np.random.default_rng(seed).random(len(u)) < 0.3
    step[held] = 0.0
    away = [np.max(np.abs((objective.moved(u, size * step) - u) / size - step)) for size in (1e-3, 1e-4)]
    assert away[1] < 0.2 * away[0] + 1e-6
    assert np.array_equal(objective.moved(u, step)[held], u[held])


def test_the_curves_of_which_all_parameters_vary_are_followed(objective):
    names = [[objective.problem.varying[k] for k in trade.places] for trade in trades(objective.problem)]
    assert names == [
        ["D0_ref", "alpha_ref", "D_offset_ref"],
        ["D0_sample", "alpha_sample", "D_offset_sample"],
        ["v0", "beta", "v_offset"],
        ["f0", "f1", "f3"],
    ]
    held = create_problem(DATA, MODEL, Choices(fix={"D_offset_ref": 0.0}, tie={"alpha_sample": "beta"}))
    assert len(trades(held)) == 2


def test_rates_go_straight_in_their_logarithms(objective):
    u, step = objective.start, np.zeros(len(objective.start))
    step[places(objective, "D0_ref", "alpha_ref", "D_offset_ref")] = 0.3, 0.05, -2e3
    ways = [np.log(heights(objective, objective.moved(u, part * step))) for part in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(ways[1] - ways[0], ways[2] - ways[1], rtol=SOLVED)


def test_velocities_go_straight_themselves(objective):
    u, step = objective.start, np.zeros(len(objective.start))
    step[places(objective, "v0", "beta", "v_offset")] = 0.2, -0.05, -300.0
    ways = [heights(objective, objective.moved(u, part * step), "v") for part in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(ways[1] - ways[0], ways[2] - ways[1], rtol=SOLVED)


def test_an_offset_stops_at_its_bound_and_the_heights_stay_right(objective):
    u, step = objective.start, np.zeros(len(objective.start))
    a, b, o = places(objective, "D0_ref", "alpha_ref", "D_offset_ref")
    step[[a, b, o]] = 0.7, 0.05, -2e4
    free = objective.moved(u, step)
    low = objective.low.copy()
    low[o] = u[o] - 5e3
    assert free[o] < low[o]
    held = moved(trades(objective.problem), u, step, low, objective.high)
    assert held[o] == low[o]
    np.testing.assert_allclose(heights(objective, held), heights(objective, free), rtol=SOLVED)


def test_an_exponent_stops_at_its_bound_and_the_heights_stay_right(objective):
    u, step = objective.start, np.zeros(len(objective.start))
    a, b, o = places(objective, "D0_ref", "alpha_ref", "D_offset_ref")
    step[[a, b, o]] = 0.1, -0.2, 500.0
    free, low = objective.moved(u, step), objective.low.copy()
    low[b] = 0.5 * (u[b] + free[b])
    held = moved(trades(objective.problem), u, step, low, objective.high)
    assert held[b] == low[b]
    np.testing.assert_allclose(heights(objective, held), heights(objective, free), rtol=SOLVED)


@pytest.mark.parametrize("still", ["alpha_ref", "D0_ref"])
def test_where_one_parameter_stands_still_the_middle_height_goes_straight(objective, still):
    u, step = objective.start, np.zeros(len(objective.start))
    a, b, o = places(objective, "D0_ref", "alpha_ref", "D_offset_ref")
    step[[a, b, o]] = 0.3, 0.05, -4e3
    step[places(objective, still)] = 0.0
    trade = trades(objective.problem)[0]
    middle = np.exp(trade.ends.mean())

    def height(x):
        return np.log(np.exp(x[a]) * middle ** x[b] + x[o])

    ways = [height(objective.moved(u, part * step)) for part in (0.0, 0.5, 1.0)]
    assert ways[1] - ways[0] == pytest.approx(ways[2] - ways[1], rel=SOLVED)
    assert objective.moved(u, step)[places(objective, still)] == u[places(objective, still)]


@pytest.mark.parametrize(("f0", "f1"), [(0.0, 0.01), (1e-6, -0.02), (0.3, 3.0)])
def test_a_factor_next_to_0_and_a_spike_move_as_they_are(objective, f0, f1):
    u = objective.point({**TRUTH, "f0": f0, "f1": f1})
    step = np.zeros(len(u))
    step[places(objective, "f0", "f1", "f3")] = -0.1, 0.02, 0.1
    np.testing.assert_array_equal(objective.moved(u, step), u + step)


def test_a_growth_whose_origin_moves_goes_as_it_is():
    problem = create_problem(DATA, MODEL, Choices(start={**TRUTH, "f2": 4.0}))
    assert not any("f0" in [problem.varying[k] for k in trade.places] for trade in trades(problem))


@pytest.mark.parametrize("change", [0.05, -0.05, 0.5, -0.5])
def test_a_way_meets_a_value(objective, change):
    u, index = objective.start, places(objective, "alpha_ref")[0]
    tangent = random_step(objective, 0.1, 3)
    tangent[index] = 1.0
    x = objective.at_value(u, tangent, index, u[index] + change)
    assert x[index] == u[index] + change
    if abs(change) < 0.1:
        near = objective.at_value(u, tangent, index, u[index] + 1e-6 * change)
        np.testing.assert_allclose((near - u) / (1e-6 * change), tangent, rtol=1e-3, atol=1e-3)


def test_a_straight_way_meets_a_value_at_once():
    u, tangent = np.array([1.0, 2.0]), np.array([1.0, -3.0])
    np.testing.assert_allclose(at_value(np.add, u, tangent, 0, 1.5), [1.5, 0.5], atol=REORDERED)
