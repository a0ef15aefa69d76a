"""The lowest minima of a fit, side by side: what changes the cost later decides which of them wins.

Averages over bins, shared contrasts and weights change a cost by more than two minima may differ, as those of
exchanged components do. So the few lowest go through all of them together. They are compared by

    half of χ² = n/2 ln(cost),      n pairs,

up to a constant: the cost in units of the noise that it implies itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from heterodyne.problem.objective import Objective
from heterodyne.solution.solution import Rival, Solution
from heterodyne_nlsq.trust_region.minimise import Tolerances
from heterodyne_nlsq.trust_region.refine import continued

Minima = tuple[Solution, ...]
"""Solutions of one objective, each in a basin of its own, the lowest first."""

_MOST = 3
_OVERTURNED = 50.0  # half of χ²: by as much averages and weights can change which minimum is the lower
_STATED = 10.0  # half of χ²: elements share noise, so that as much may mean nothing
_BARRIER = 0.1  # half of χ² between two points: less makes them one minimum
_BETWEEN = np.arange(1, 6) / 6  # where on the way from one point to another a barrier is sought


def lowest(solutions: Iterable[Solution]) -> Minima:
    """The best of these solutions of one objective, and the next ones that lie in other basins, not far above."""
    ranked = sorted(solutions, key=lambda solution: solution.equations.cost)
    kept = ranked[:1]
    for solution in ranked[1:]:
        if len(kept) == _MOST or _above(solution, kept[0]) > _OVERTURNED:
            break
        if not any(_one_basin(other, solution) for other in kept):
            kept.append(solution)
    return tuple(kept)


def carried(
    minima: Minima, stage: Callable[[Solution], Solution], rough: Callable[[Objective], Tolerances]
) -> Minima:
    """The minima of the objective to which ``stage`` takes the best of them; it is asked again where another wins."""
    best = stage(minima[0])
    if best is minima[0]:
        return minima
    after = on_objective(best.objective, (best, *minima[1:]), rough)
    return after if after[0].x is best.x else carried(after, stage, rough)


def on_objective(objective: Objective, minima: Minima, rough: Callable[[Objective], Tolerances]) -> Minima:
    """The minima of another objective next to these."""
    return lowest(
        at if at.objective is objective else continued(objective, at, rough(objective)) for at in minima
    )


def concluded(minima: Minima, tolerances: Tolerances) -> Solution:
    """The best of the minima, descended to within ``tolerances``, with those as its rivals that are nearly as low."""
    best = continued(minima[0].objective, minima[0], tolerances)
    others = [other for other in minima[1:] if other.verdict in ("converged", "stalled")]
    rivals = tuple(Rival(other.x, _above(other, best)) for other in others)
    return replace(best, rivals=tuple(rival for rival in rivals if rival.more <= _STATED))


def _above(solution: Solution, best: Solution) -> float:
    """By how much half of χ² is higher."""
    floor = max(best.objective.floor, np.finfo(float).tiny)
    costs = [max(at.equations.cost, floor) for at in (solution, best)]
    return 0.5 * best.equations.n_pairs * float(np.log(costs[0] / costs[1]))


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
