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
from heterodyne_nlsq.starts.excerpts import on_excerpts
from heterodyne_nlsq.starts.minima import Minima, lowest
from heterodyne_nlsq.starts.points import data_points, start_points, twin_points
from heterodyne_nlsq.starts.race import descended, winners
from heterodyne_nlsq.trust_region.minimise import Tolerances, Watch
from heterodyne_nlsq.trust_region.refine import continued, refined

_EXCERPT = 50  # iterations on excerpts, whose solution is only a start
_ROUGH = 1e-4  # gtol: the cost is then known to 1e-4 of a χ²
_IDLE = 1e-3  # half of χ²: steps that promise no more tell minima apart no better
_EARLY = 0.1, 5  # χ² and iterations, within which a minimum has settled that is only a start
_FEW = 400  # frames, up to which starts are sought on all data
_SHORT = 2, 64, 128  # windows of longer series, their frames, and those of the thinned matrix


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
    """Where to start, (points, p): without start values and with many frames, where excerpts of the data lead.

    Start values that were given count unless the search is made ``anew``.
    """
    points = data_points if anew else start_points
    in_memory = all(bin.values.in_memory for bin in objective.bins)
    is_small = in_memory and all(bin.frames <= _FEW for bin in objective.bins)
    if is_small or not (anew or objective.problem.needs_start):
        return points(objective, search.starts, search.seed)
    short = search.at_most(_EXCERPT)
    if in_memory:
        both = on_excerpts(objective, *_SHORT)[-1]
        found = points(objective, search.starts, search.seed)
    else:
        *parts, both = on_excerpts(objective)
        found = np.array(
            [minima_of(part, points(part, search.starts, search.seed), short)[0].x for part in parts]
        )
    search.progress(f"start from {len(both.bins)} excerpts of the data")
    return np.array([solution.x for solution in minima_of(both, found, short)])


def minima_of(objective: Objective, points: np.ndarray, search: Search) -> Minima:
    """The lowest minima over these starting points (points, p) and the twins of the best.

    The lowest is descended to the end, the others as `Search.rough` has it. Beside a single point, where the fit is to
    begin, nothing else is looked for.
    """
    if len(points) == 1:
        return (refined(objective, points[0], search.tolerances, _watch(search)),)
    rough = search.rough(objective)
    if len(points) > search.polish:
        search.progress(f"screening {len(points)} starts")
        points = winners(objective, points, search.polish, rough)
    found = lowest(descended(objective, points, rough))
    search.progress(f"{len(found)} minima, the lowest at cost {found[0].equations.cost:.8g}")
    best, *others = lowest((*found, *descended(objective, twin_points(objective, found[0].x), rough)))
    return (continued(objective, best, search.tolerances), *others)


def _watch(search: Search) -> Watch:
    def watch(iteration: int, cost: float) -> None:
        search.progress(f"iteration {iteration}: cost {cost:.8g}")

    return watch
