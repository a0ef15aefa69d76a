"""The lowest minima of one cost: which points belong to one, and how far one is above another, in

    half of χ² = n/2 ln(cost),      n pairs,

up to a constant: the cost in units of the noise that it implies itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from heterodyne.problem.objective import Objective
from heterodyne.solution.solution import Solution

Minima = tuple[Solution, ...]
"""Solutions of one objective, each in a basin of its own, the lowest first."""

_MOST = 3
_OVERTURNED = 50.0  # half of χ²: by as much averages and weights can change which minimum is the lower
_BARRIER = 0.1  # half of χ² between two points: less makes them one minimum
_BETWEEN = np.arange(1, 6) / 6  # where on the way from one point to another a barrier is sought


def lowest(solutions: Iterable[Solution]) -> Minima:
    """The best of these solutions of one objective, and the next ones that lie in other basins, not far above."""
    ranked = sorted(solutions, key=lambda solution: solution.equations.cost)
    kept = ranked[:1]
    for solution in ranked[1:]:
        if len(kept) == _MOST or is_far_above(solution, kept[0]):
            break
        if not any(_one_basin(other, solution) for other in kept):
            kept.append(solution)
    return tuple(kept)


def above(solution: Solution, best: Solution) -> float:
    """By how much half of χ² is higher."""
    floor = max(best.objective.floor, np.finfo(float).tiny)
    costs = [max(at.equations.cost, floor) for at in (solution, best)]
    return 0.5 * best.equations.n_pairs * float(np.log(costs[0] / costs[1]))


def is_far_above(solution: Solution, best: Solution) -> bool:
    """Whether it is so much higher that averages and weights cannot change which is the lower."""
    return above(solution, best) > _OVERTURNED


def _one_basin(here: Solution, there: Solution) -> bool:
    """Whether no barrier lies on the straight way between two solutions."""
    objective = here.objective
    way = _shortest(objective, there.x - here.x)
    higher = max(here.equations.cost, there.equations.cost, objective.floor)
    allowed = higher * np.exp(2.0 * _BARRIER / here.equations.n_pairs)
    return all(objective(here.x + part * way).cost <= allowed for part in _BETWEEN)


def _shortest(objective: Objective, way: np.ndarray) -> np.ndarray:
    """The way to the nearest of the points that mean the same: by less than half a period of an axis."""
    period = 0.5 * (objective.high - objective.low - objective.width)
    turns = np.divide(way, period, out=np.zeros_like(way), where=period > 0.0)
    return way - period * np.round(turns)
