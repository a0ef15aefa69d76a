"""From many starting points to one minimum: screen by cost, try the better ones, finish the best.

The exchange of reference and sample (f → 1 - f) is exact for a constant fraction and nearly so else: with such
twins of a model each minimum has another beside it, a little worse or better, to which descent does not lead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from heterodyne.problem.objective import Objective
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.starts.excerpts import on_excerpts
from heterodyne_nlsq.starts.minima import Minima, lowest
from heterodyne_nlsq.starts.points import data_points, start_points, twin_points
from heterodyne_nlsq.trust_region.minimise import Tolerances, Watch
from heterodyne_nlsq.trust_region.refine import continued, refined

_EXCERPT = 50  # iterations on excerpts, whose solution is only a start
_ROUGH = 1e-4  # gtol: the cost is then known to 1e-4 of a χ²
_IDLE = 1e-3  # half of χ²: steps that promise no more tell minima apart no better
_EARLY = 0.1, 5  # χ² and iterations, within which a minimum has settled that is only a start
_TRIAL = 12  # iterations, after which the best of the screened starts go on
_TRIED = 5  # screened starts that are tried, for every one that is fitted to the end


@dataclass(frozen=True)
class Search:
    """How minima are sought: when to stop, ``starts`` points to try, of which the ``polish`` best are fitted to the
    end, the ``seed`` of the points, and who is told of it."""

    tolerances: Tolerances
    starts: int
    polish: int
    seed: int
    progress: Callable[[str], None]

    def rough(self, objective: Objective) -> Tolerances:
        """The tolerances for as long as minima of an objective are compared."""
        pairs, own = sum(bin.moments.pairs for bin in objective.bins), self.tolerances
        return replace(
            own,
            gtol=max(own.gtol, _ROUGH),
            ftol=max(own.ftol, 2.0 * _IDLE / max(pairs, 1)),
            settled=max(own.settled, _EARLY[0]),
            window=min(own.window, _EARLY[1]),
        )

    def early(self) -> Search:
        """The same for minima of which others will be made: ended where they have settled, if roughly."""
        settled, window = _EARLY
        return replace(self, tolerances=replace(self.tolerances, settled=settled, window=window))

    def at_most(self, iterations: int) -> Search:
        """The same with no more than so many iterations per start."""
        return replace(self, tolerances=self.tolerances.at_most(iterations))


def create_search(options: Mapping[str, Any], progress: Callable[[str], None]) -> Search:
    """The search that the options ask for."""
    tolerances = Tolerances(*(options[name] for name in ("ftol", "xtol", "gtol", "max_iterations")))
    return Search(tolerances, options["starts"], options["polish"], options["seed"], progress)


def search_points(objective: Objective, search: Search, anew: bool = False) -> np.ndarray:
    """Where to start, (points, p): without start values and with c2 left in files, where excerpts of it lead.

    Start values that were given count unless the search is made ``anew``.
    """
    points = data_points if anew else start_points
    is_searched = anew or objective.problem.needs_start
    if not is_searched or all(bin.values.in_memory for bin in objective.bins):
        return points(objective, search.starts, search.seed)
    *parts, both = on_excerpts(objective)
    search.progress(f"start from {len(both.bins)} excerpts of the data")
    short = search.at_most(_EXCERPT)
    found = [minima_of(part, points(part, search.starts, search.seed), short)[0].x for part in parts]
    return np.array([solution.x for solution in minima_of(both, np.array(found), short)])


def minima_of(objective: Objective, points: np.ndarray, search: Search) -> Minima:
    """The lowest minima over these starting points (points, p) and the twins of the best.

    The lowest is descended to the end, the others as `Search.rough` has it. Beside a single point, where the fit is to
    begin, nothing else is looked for.
    """
    if len(points) == 1:
        return (refined(objective, points[0], search.tolerances, _watch(search)),)
    if len(points) > search.polish:
        points = _promising(objective, points, search)
    found = lowest(_descended(objective, search, point) for point in points)
    twins = [_descended(objective, search, x) for x in twin_points(objective, found[0].x)]
    best, *others = lowest((*found, *twins))
    return (continued(objective, best, search.tolerances), *others)


def _promising(objective: Objective, points: np.ndarray, search: Search) -> np.ndarray:
    """The points (polish, p) to which the best of these lead in a few iterations."""
    search.progress(f"screening {len(points)} starts")
    order = np.argsort([screened_cost(objective, point) for point in points])
    short = search.at_most(_TRIAL)
    trials = [_descended(objective, short, points[k]) for k in order[: _TRIED * search.polish]]
    return np.array([trial.x for trial in sorted(trials, key=_cost)[: search.polish]])


def _descended(objective: Objective, search: Search, x: np.ndarray) -> Solution:
    return refined(objective, x, search.rough(objective), _watch(search))


def _watch(search: Search) -> Watch:
    def watch(iteration: int, cost: float) -> None:
        search.progress(f"iteration {iteration}: cost {cost:.8g}")

    return watch


def screened_cost(objective: Objective, point: np.ndarray) -> float:
    """The cost at a point, infinite where it is not a number."""
    cost = objective.cost(point)
    return cost if np.isfinite(cost) else np.inf


def _cost(solution: Solution) -> float:
    return solution.equations.cost
