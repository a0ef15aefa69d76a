"""Heats of descents: many starts go a few iterations, the better ones go on, until a few are left."""

from __future__ import annotations

import numpy as np

from heterodyne.device.cores import side_by_side
from heterodyne.problem.objective import Objective
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.trust_region.minimise import Tolerances
from heterodyne_nlsq.trust_region.refine import refined

_HEATS = ((5, 4), (2, 8))
"""How many descents there are for every one that is left at the end, and their iterations, heat by heat."""


def winners(objective: Objective, points: np.ndarray, left: int, tolerances: Tolerances) -> np.ndarray:
    """Where the best of these points (points, p) lead in a few iterations, (left, p) at most, the best first."""
    costs = side_by_side(lambda point: screened_cost(objective, point), list(points))
    racing = points[np.argsort(costs)]
    for share, iterations in _HEATS:
        heat = descended(objective, racing[: share * left], tolerances.at_most(iterations))
        racing = np.array([at.x for at in sorted(heat, key=_cost)])
    return racing[:left]


def descended(objective: Objective, points: np.ndarray, tolerances: Tolerances) -> list[Solution]:
    """Where descents from these points (points, p) end, side by side on the cores unless each reads files."""
    return side_by_side(lambda point: refined(objective, point, tolerances), list(points), objective.at_once)


def screened_cost(objective: Objective, point: np.ndarray) -> float:
    """The cost at a point, infinite where it is not a number."""
    # with derivatives, whose code the descents compile anyway
    cost = objective(point).cost
    return cost if np.isfinite(cost) else np.inf


def _cost(solution: Solution) -> float:
    cost = solution.equations.cost
    return cost if np.isfinite(cost) else np.inf
