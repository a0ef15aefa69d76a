"""From many starting points to one minimum: screen by cost, try the better ones, finish the best.

The exchange of reference and sample (f → 1 - f) is exact for a constant fraction and nearly so else: with such
twins of a model each minimum has another beside it, a little worse or better, to which descent does not lead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from heterodyne.problem.objective import Objective
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.starts.excerpts import on_excerpts
from heterodyne_nlsq.starts.points import start_points, twin_points
from heterodyne_nlsq.trust_region.minimise import Tolerances
from heterodyne_nlsq.trust_region.refine import refined

_EXCERPT = 50  # iterations on excerpts, whose solution is only a start
_TRIAL = 12  # iterations after which the better half of the screened starts goes on


@dataclass(frozen=True)
class Search:
    """How minima are sought: when to stop, ``starts`` points to try, of which the ``polish`` best are fitted to the
    end, the ``seed`` of the points, and who is told of it."""

    tolerances: Tolerances
    starts: int
    polish: int
    seed: int
    progress: Callable[[str], None]

    def at_most(self, iterations: int) -> Search:
        """The same with no more than so many iterations per start."""
        return replace(self, tolerances=self.tolerances.at_most(iterations))


def create_search(options: Mapping[str, Any], progress: Callable[[str], None]) -> Search:
    """The search that the options ask for."""
    tolerances = Tolerances(*(options[name] for name in ("ftol", "xtol", "gtol", "max_iterations")))
    return Search(tolerances, options["starts"], options["polish"], options["seed"], progress)


def search_points(objective: Objective, search: Search) -> np.ndarray:
    """Where to start, (points, p): without start values and with c2 left in files, where excerpts of it lead."""
    if not objective.problem.needs_start or all(bin.values.in_memory for bin in objective.bins):
        return start_points(objective, search.starts, search.seed)
    *parts, both = on_excerpts(objective)
    search.progress(f"start from {len(both.bins)} excerpts of the data")
    short = search.at_most(_EXCERPT)
    solutions = [best_of(part, start_points(part, search.starts, search.seed), short) for part in parts]
    return best_of(both, np.array([solution.x for solution in solutions]), short).x[None]


def best_of(objective: Objective, points: np.ndarray, search: Search) -> Solution:
    """The solution of least cost over these starting points (points, p) and the twins of the solutions."""

    def watch(iteration: int, cost: float) -> None:
        search.progress(f"iteration {iteration}: cost {cost:.8g}")

    def run(x: np.ndarray, tolerances: Tolerances = search.tolerances) -> Solution:
        return refined(objective, x, tolerances, watch)

    if len(points) == 1:
        return run(points[0])
    search.progress(f"screening {len(points)} starts")
    order = np.argsort([screened_cost(objective, point) for point in points])
    short = partial(run, tolerances=search.tolerances.at_most(_TRIAL))
    trials = sorted((short(points[k]) for k in order[: 2 * search.polish]), key=_cost)
    best = min((run(trial.x) for trial in trials[: search.polish]), key=_cost)
    return min((best, *map(run, twin_points(objective, best.x))), key=_cost)


def screened_cost(objective: Objective, point: np.ndarray) -> float:
    """The cost at a point, infinite where it is not a number."""
    cost = objective.cost(point)
    return cost if np.isfinite(cost) else np.inf


def _cost(solution: Solution) -> float:
    return solution.equations.cost
