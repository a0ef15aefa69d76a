"""Minima side by side through the phases of a fit, which decide among them.

Averages over bins, shared contrasts and weights change a cost by more than two minima may differ, as those of
exchanged components do. So the few lowest go through all phases together. The first of them is always descended to
the end, the others as far as it takes to tell which is the lowest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from heterodyne.problem.objective import Objective
from heterodyne.solution.solution import Rival, Solution
from heterodyne_nlsq.starts.minima import Minima, above, lowest
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.refine import continued

STATED = 10.0
"""Half of χ² up to which another minimum is nearly as good: elements share noise, so that as much may mean nothing."""


def carried(minima: Minima, stage: Callable[[Solution], Solution], search: Search) -> Minima:
    """The minima of the objective to which ``stage`` takes the first of them; it is asked again where another wins."""
    best = stage(minima[0])
    if best is minima[0]:
        return minima
    after = _ranked(best, minima[1:], search)
    return after if after[0] is best else carried(after, stage, search)


def on_objective(objective: Objective, minima: Minima, search: Search) -> Minima:
    """The minima of another objective next to these."""
    return _ranked(continued(objective, minima[0], search.tolerances), minima[1:], search)


def _ranked(best: Solution, others: Minima, search: Search) -> Minima:
    """The minima next to ``others`` of the objective of the ``best``, which another may turn out to be."""
    objective = best.objective
    first, *rest = lowest((best, *(continued(objective, at, search.rough(objective)) for at in others)))
    return (first if first is best else continued(objective, first, search.tolerances), *rest)


def with_rivals(minima: Minima) -> Solution:
    """The first of the minima, with those as its rivals whose cost is nearly the same."""
    best = minima[0]
    ended = [other for other in minima[1:] if other.verdict in ("converged", "stalled")]
    rivals = (Rival(other.x, above(other, best)) for other in ended)
    return replace(best, rivals=tuple(rival for rival in rivals if rival.more <= STATED))
