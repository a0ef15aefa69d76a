"""The race of starts: who is tried, who is left, and that threads change nothing."""

import numpy as np
import pytest

import heterodyne as het
from heterodyne.problem import create_objective, create_problem
from heterodyne_nlsq.starts import race
from heterodyne_nlsq.starts.points import start_points
from heterodyne_nlsq.starts.race import screened_cost, winners
from heterodyne_nlsq.trust_region.minimise import Tolerances


@pytest.fixture(scope="module")
def objective():
    data = het.simulate(model="static", frames=50, noise=0.02, phi=[0.0, 60.0], seed=3)
    return create_objective(create_problem(data, het.create_model("static")))


@pytest.fixture(scope="module")
def points(objective):
    return start_points(objective, 40, 0)


def test_the_best_are_left_in_their_order(objective, points):
    left = winners(objective, points, 3, Tolerances())
    costs = [objective.cost(x) for x in left]
    assert left.shape == (3, len(objective.low))
    assert np.all(np.diff(costs) > -1e-12)
    assert costs[0] < min(objective.cost(x) for x in points)


def test_only_the_better_ones_are_tried(objective, points, monkeypatch):
    tried = []

    def seen(objective, points, tolerances):
        tried.extend(points)
        return original(objective, points, tolerances)

    original = race.descended
    monkeypatch.setattr(race, "descended", seen)
    winners(objective, points, 2, Tolerances())
    order = np.argsort([screened_cost(objective, x) for x in points])
    np.testing.assert_array_equal(tried, points[order[:10]])


def test_threads_change_nothing(objective, points, monkeypatch):
    together = winners(objective, points, 3, Tolerances())
    monkeypatch.setenv("NPROC", "1")
    np.testing.assert_array_equal(together, winners(objective, points, 3, Tolerances()))


def test_a_cost_that_is_no_number_comes_last(objective, monkeypatch):
    monkeypatch.setattr(type(objective), "cost", lambda self, u: np.nan)
    assert screened_cost(objective, objective.start) == np.inf
