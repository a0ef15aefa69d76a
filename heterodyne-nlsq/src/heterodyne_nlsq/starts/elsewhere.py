"""What a fit is told whose residuals are no noise: whether a search from other starts ends far lower.

A model that does not hold leaves such residuals. A wrong minimum does too, and the cost next to it cannot tell.
"""

from __future__ import annotations

from dataclasses import replace

from heterodyne.result.fit import Fit
from heterodyne.solution.claims import EXCESS
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.starts.minima import Minima, is_far_above
from heterodyne_nlsq.starts.search import Search, minima_of, search_points
from heterodyne_nlsq.trust_region.refine import continued

_MORE = 2  # times as many starts, and as many of them fitted to the end, as the search had


def is_doubtful(fit: Fit) -> bool:
    """Whether the residuals of a fit have structure, or exceed by far what the noise between neighbours lets expect."""
    found, structure = fit.statistics, fit.statistics.structure or ""
    if structure.startswith("not asked") or (fit.problem is not None and fit.problem.one_time):
        return False
    return structure.startswith("structure over") or (found.reduced_chi2 or 0.0) > EXCESS


def lower_elsewhere(solution: Solution, search: Search) -> Minima:
    """Minima far below a solution, where a search from data alone finds any."""
    search.progress("the residuals are not noise: searching again")
    objective = solution.objective.plain()
    more = replace(search, starts=_MORE * search.starts, polish=_MORE * search.polish, seed=search.seed + 1)
    found = minima_of(objective, search_points(objective, more, anew=True), more)
    return found if is_far_above(continued(objective, solution, more.tolerances), found[0]) else ()
