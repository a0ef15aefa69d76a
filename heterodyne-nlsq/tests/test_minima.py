"""Minima side by side: which are one, which wins when the cost changes, and what is said of the others."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.problem.normal_equations import NormalEquations
from heterodyne_nlsq.carried import carried, on_objective, with_rivals
from heterodyne_nlsq.starts.minima import lowest
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.minimise import Tolerances
from heterodyne_nlsq.trust_region.refine import continued, refined

SEARCH = Search(Tolerances(), 64, 3, 0, lambda line: None)
PAIRS = 1000
HELD = dict.fromkeys(("D_offset_ref", "D_offset_sample", "v_offset", "f2", "f3"), 0.0)
TRUTH = {"D0_ref": 2e4, "alpha_ref": -0.1, "D0_sample": 6e3, "alpha_sample": 0.1, "v0": 1500.0, "beta": 0.0}
TRUTH |= {"f0": 0.45, "f1": -0.03, "phi0": 10.0}


@dataclass(frozen=True, eq=False)
class Wells:
    """Half of χ² of two wells about x = -1 and 1, of 1000 pairs with residuals of 1, the right one ``tilt`` deeper."""

    tilt: float
    period: float = 0.0
    floor: float = 0.0
    bins = (SimpleNamespace(moments=SimpleNamespace(pairs=PAIRS)),)
    problem = None

    @property
    def low(self):
        return np.array([-5.0 - self.period])

    @property
    def high(self):
        return np.array([5.0 + self.period])

    @property
    def width(self):
        return np.array([10.0])

    def moved(self, x, step):
        return x + step

    def __call__(self, x):
        t = (x[0] + 5.0) % 10.0 - 5.0
        level = PAIRS + 100.0
        parts = np.array([8.0 * (t * t - 1.0), np.sqrt(level - self.tilt * np.tanh(2.0 * t))])
        slopes = np.array([[16.0 * t], [-self.tilt * (1.0 - np.tanh(2.0 * t) ** 2) / parts[1]]])
        return NormalEquations(0.5 * float(parts @ parts), slopes.T @ parts, slopes.T @ slopes, PAIRS)


def both(objective):
    return lowest([refined(objective, np.array([x]), Tolerances()) for x in (-0.9, 0.9)])


def sides(minima):
    return [float(np.sign(at.x[0])) for at in minima]


def test_the_cost_decides_which_minimum_wins():
    right, left = Wells(5.0), Wells(-3.0)
    minima = both(right)
    assert sides(minima) == [1.0, -1.0]
    after = on_objective(left, minima, SEARCH)
    assert sides(after) == [-1.0, 1.0]
    assert after[0].verdict == "converged"
    assert all(at.objective is left for at in after)


def test_a_phase_is_asked_again_for_the_one_that_wins():
    right, left, asked = Wells(5.0), Wells(-3.0), []

    def stage(at):
        asked.append(float(np.sign(at.x[0])))
        return at if at.objective is left else continued(left, at, Tolerances())

    assert sides(carried(both(right), stage, SEARCH)) == [-1.0, 1.0]
    assert asked == [1.0, -1.0]


def test_a_phase_that_changes_nothing_leaves_the_minima_alone():
    minima = both(Wells(5.0))
    assert carried(minima, lambda at: at, SEARCH) is minima


@pytest.mark.parametrize(("tilt", "stated"), [(5.0, True), (30.0, False)])
def test_a_rival_is_stated_where_half_of_chi2_differs_little(tilt, stated):
    minima = both(Wells(tilt))
    rivals = with_rivals(minima).rivals
    assert len(rivals) == stated
    if stated:
        # 1100 pairs' worth of residuals for 1000: χ² counts in the noise that the residual implies
        assert rivals[0].more == pytest.approx(tilt * np.tanh(2.0) * PAIRS / (PAIRS + 100.0), rel=0.01)
        assert rivals[0].x[0] == pytest.approx(-1.0, abs=0.01)


def test_minima_far_above_are_dropped():
    assert sides(both(Wells(80.0))) == [1.0]


def test_points_without_a_barrier_between_them_are_one_minimum():
    objective = Wells(5.0)
    ends = [refined(objective, np.array([x]), Tolerances()) for x in (0.9, 1.5)]
    rough = refined(objective, np.array([0.97]), Tolerances(max_iterations=1))
    assert sides(lowest([*ends, rough])) == [1.0]


def test_an_axis_turned_by_its_period_is_one_minimum():
    objective = Wells(5.0, period=10.0)
    ends = [refined(objective, np.array([x]), Tolerances()) for x in (0.9, 10.9, -9.1)]
    assert len(lowest(ends)) == 1


@pytest.mark.slow
def test_the_exchanged_minimum_is_named_with_its_difference():
    data = het.simulate(params={**TRUTH, **HELD}, q=0.008, phi=[0.0, 40.0, 80.0], frames=40, noise=0.02)
    fit = het.fit(data, fix=HELD)
    (found,) = (one for one in fit.identifiability.findings if "exchanged" in one.words)
    other = het.fit(data, fix=HELD, start={**{n: fit.values[n] for n in TRUTH}, **found.values})
    more = other.statistics["deviance"] - fit.statistics["deviance"]
    assert 0.0 <= more < 20.0
    assert f"χ² {more:+.2g}" in found.words
    apart = [at["D0_ref"] - at["D0_sample"] for at in (fit.values, found.values)]
    assert apart[0] * apart[1] < 0.0
