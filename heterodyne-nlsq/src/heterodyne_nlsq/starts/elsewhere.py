"""What a fit is told whose residuals exceed the noise: whether a search from other starts ends far lower.

A model that does not hold leaves residuals as large. A wrong minimum does too, and the cost next to it cannot tell.
"""

from __future__ import annotations

from dataclasses import replace

from heterodyne.solution.claims import EXCESS
from heterodyne.solution.outcome import chi2_of
from heterodyne.solution.residuals import noise_of_frames, residuals_at
from heterodyne.solution.solution import Solution, at_solution
from heterodyne_nlsq.starts.minima import Minima, is_far_above
from heterodyne_nlsq.starts.search import Search, minima_of, search_points
from heterodyne_nlsq.trust_region.refine import continued

_MORE = 2  # times as many starts, and as many of them fitted to the end, as the search had


def lower_elsewhere(solution: Solution, search: Search) -> Minima:
    """Minima far below a solution whose residuals exceed the noise, where a search from data alone finds any."""
    if solution.objective.problem.one_time or not _exceeds_noise(solution):
        return ()
    search.progress("the residuals exceed the noise: searching again")
    objective = solution.objective.plain()
    more = replace(search, starts=_MORE * search.starts, polish=_MORE * search.polish, seed=search.seed + 1)
    found = minima_of(objective, search_points(objective, more, anew=True), more)
    return found if is_far_above(continued(objective, solution, more.tolerances), found[0]) else ()


def _exceeds_noise(solution: Solution) -> bool:
    """Whether χ² is more than twice what the noise between neighbours lets expect."""
    here = at_solution(solution)
    if here.equations.cost <= here.weighted.floor:
        return False
    residuals = residuals_at(here)
    square = chi2_of(here.weighted, residuals, noise_of_frames(here, residuals))
    return square > EXCESS * here.equations.n_pairs
