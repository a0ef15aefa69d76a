"""A race of descents: many starts are screened by their cost, the better ones go a few iterations, a few are left."""

from __future__ import annotations

import numpy as np

from heterodyne.device.cores import side_by_side
from heterodyne.problem.objective import Objective
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.trust_region.minimise import Tolerances
from heterodyne_nlsq.trust_region.refine import refined

_TRIED = 5  # screened starts that are tried, for every one that is left at the end
_TRIAL = 12  # iterations in one go: begun anew half-way, with another trust region, descents end elsewhere


def winners(objective: Objective, points: np.ndarray, left: int, tolerances: Tolerances) -> np.ndarray:
    """Where the best of these points (points, p) lead in a few iterations, (left, p) at most, the best first."""
    costs = side_by_side(lambda point: screened_cost(objective, point), list(points), objective.at_once)
    tried = points[np.argsort(costs)[: _TRIED * left]]
    trials = descended(objective, tried, tolerances.at_most(_TRIAL))
    return np.array([at.x for at in sorted(trials, key=_cost)[:left]])


def descended(objective: Objective, points: np.ndarray, tolerances: Tolerances) -> list[Solution]:
    """Where descents from these points (points, p) end, side by side on the cores unless each reads files."""
    return side_by_side(lambda point: refined(objective, point, tolerances), list(points), objective.at_once)


def screened_cost(objective: Objective, point: np.ndarray) -> float:
    """The cost at a point, infinite where it is not a number."""
    cost = objective.cost(point)
    return cost if np.isfinite(cost) else np.inf


def _cost(solution: Solution) -> float:
    cost = solution.equations.cost
    return cost if np.isfinite(cost) else np.inf
