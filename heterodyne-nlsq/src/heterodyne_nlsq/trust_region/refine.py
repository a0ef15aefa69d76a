"""The trust region on an objective: from a point, or from the solution of another objective, to its minimum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from heterodyne.problem.objective import Objective
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.trust_region.minimise import Minimum, Tolerances, Watch, minimise
from heterodyne_nlsq.trust_region.stationarity import Box


def refined(
    objective: Objective,
    start: np.ndarray,
    tolerances: Tolerances,
    watch: Watch = lambda iteration, cost: None,
) -> Solution:
    """The minimum of an objective that is reached from ``start`` (p,)."""
    box = Box(objective.low, objective.high)
    return Solution(
        objective, *minimise(objective, start, box, tolerances, watch, objective.floor, objective.moved)
    )


def continued(objective: Objective, solution: Solution, tolerances: Tolerances) -> Solution:
    """The minimum of an objective next to the solution of another; iterations are added up.

    What else the other solution has to say goes along.
    """
    box = Box(objective.low, objective.high)
    minimum = minimise(objective, solution.x, box, tolerances, floor=objective.floor, move=objective.moved)
    return moved(solution, minimum, objective=objective)


def moved(solution: Solution, minimum: Minimum, **changes: Any) -> Solution:
    """A solution that has gone on to a minimum; iterations are added up."""
    total = minimum._replace(iterations=solution.iterations + minimum.iterations)
    return replace(solution, **total._asdict() | changes)
