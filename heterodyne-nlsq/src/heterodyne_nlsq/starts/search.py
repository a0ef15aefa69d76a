"""From many starting points to one minimum: screen by cost, try the better ones, finish the best.

The exchange of reference and sample (f → 1 - f) is exact for a constant fraction and nearly so else: with such
twins of a model each minimum has another beside it, a little worse or better, to which descent does not lead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from heterodyne.problem.objective import Objective
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.starts.excerpts import on_excerpts
from heterodyne_nlsq.starts.points import start_points, twin_points
from heterodyne_nlsq.trust_region.minimise import Tolerances, minimise

_EXCERPT = 50  # iterations on excerpts, whose solution is only a start
_TRIAL = 12  # iterations after which the better half of the screened starts goes on


def search_points(
    objective: Objective, options: Mapping[str, Any], tolerances: Tolerances, progress: Callable[[str], None]
) -> np.ndarray:
    """Where to start, (points, p): without start values and with c2 left in files, where excerpts of it lead."""
    if not objective.problem.needs_start or all(bin.values.in_memory for bin in objective.bins):
        return start_points(objective, options["starts"], options["seed"])
    *parts, both = on_excerpts(objective)
    progress(f"start from {len(both.bins)} excerpts of the data")
    limits = replace(tolerances, max_iterations=min(_EXCERPT, tolerances.max_iterations))
    found = [
        best_of(part, start_points(part, options["starts"], options["seed"]), options, limits, progress).x
        for part in parts
    ]
    return best_of(both, np.array(found), options, limits, progress).x[None]


def best_of(
    objective: Objective,
    points: np.ndarray,
    options: Mapping[str, Any],
    tolerances: Tolerances,
    progress: Callable[[str], None],
) -> Solution:
    """The solution of least cost over these starting points (points, p) and the twins of the solutions."""

    def watch(iteration: int, cost: float) -> None:
        progress(f"iteration {iteration}: cost {cost:.8g}")

    def run(x: np.ndarray, limits: Tolerances) -> Solution:
        return minimise(objective, x, objective.low, objective.high, limits, watch, objective.floor)

    if len(points) == 1:
        return run(points[0], tolerances)
    progress(f"screening {len(points)} starts")
    order = np.argsort([screened_cost(objective, point) for point in points])
    short = replace(tolerances, max_iterations=min(_TRIAL, tolerances.max_iterations))
    trials = sorted((run(points[k], short) for k in order[: 2 * options["polish"]]), key=_cost)
    best = min((run(one.x, tolerances) for one in trials[: options["polish"]]), key=_cost)
    others = [run(twin, tolerances) for twin in twin_points(objective, best.x)]
    return min((best, *others), key=_cost)


def screened_cost(objective: Objective, point: np.ndarray) -> float:
    """The cost at a point, infinite where it is not a number."""
    cost = objective.cost(point)
    return cost if np.isfinite(cost) else np.inf


def _cost(solution: Solution) -> float:
    return solution.equations.cost
