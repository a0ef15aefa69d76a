"""What follows a solution whose errors are conditional: profiles that nobody asked for, and what to do at bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from heterodyne.parameters import Parameter
from heterodyne.result.fit import CONVERGED, Fit
from heterodyne.result.identifiability import Finding
from heterodyne.result.profile import Profile
from heterodyne.solution.conditions import BOUND, BOUNDS, MINIMUM, errors_at
from heterodyne.solution.followers import on_profiles
from heterodyne.solution.outcome import Known
from heterodyne.solution.solution import Rival, Solution
from heterodyne.words import listed
from heterodyne_nlsq.absent import holding, without_what_is_not_needed
from heterodyne_nlsq.carried import STATED
from heterodyne_nlsq.profile import profiled
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.refine import continued, refined
from heterodyne_nlsq.walks import Thresholds, WalkBase, Way, walk, walk_base

_LARGE = 0.3  # of a value on a log scale: an error beyond it is no error of the value

_MOST = 6  # profiles that nobody asked for

_MOVES = 3  # to lower minima

_DESCENTS = 2  # at most, each with all iterations

_NOTHING = (
    0.5  # half of χ²: what a rate that goes from its bound to 0 gains at most, the slope in its logarithm
)

_LITTLE = 4.0  # χ² over the variance ratio by which holding a parameter may make the fit worse

Finish = Callable[[Known, Mapping[str, Profile], Sequence[Finding]], Fit]


def fit_with_profiles(
    solution: Solution,
    conclude: Callable[[Solution], Known],
    finish: Finish,
    asked: Sequence[str],
    unasked: bool,
    search: Search,
    moves: int = _MOVES,
) -> Fit:
    """The result that ``finish`` makes of what ``conclude`` knows at a solution, with profiles.

    These are of the parameters ``asked`` for and, if ``unasked``, of those whose errors need one. A lower minimum
    that a walk meets takes the solution's place, so many ``moves`` at most; one to which the descent does not
    converge is a rival.
    """
    search.progress("errors")
    known = conclude(solution)
    if solution.verdict != CONVERGED:
        fit = finish(known, {}, ())
        note = "no profile without convergence" if asked else ""
        return replace(fit, message="; ".join(filter(None, (fit.message, note))))

    def moved(u: np.ndarray) -> Fit:
        lower, left = _lower(solution, u, search, moves)
        return fit_with_profiles(lower, conclude, finish, asked, unasked, search, left)

    needed = without_what_is_not_needed(known, search)
    if isinstance(needed, np.ndarray):
        if moves > 0:
            return moved(needed)
        needed = known
    known = needed
    due, left = _due(known, asked) if unasked else ([], [])
    if not (asked or due or (unasked and solution.active.any())):
        return finish(known, {}, ())
    outcome = _walked(known, walk_base(known, moves > 0), asked, due, unasked, search)
    if isinstance(outcome, np.ndarray):
        return moved(outcome)
    profiles, remedies = outcome
    left = [name for name in (*due, *left) if name not in profiles]
    return finish(known, profiles, (*remedies, *_left_out(left)))


def _lower(solution: Solution, u: np.ndarray, search: Search, moves: int) -> tuple[Solution, int]:
    """The minimum below u, lower than a solution, and how many moves are left; the solution where none converges."""
    lower = _continued(solution, u, search)
    if lower.verdict != CONVERGED or lower.equations.cost >= solution.equations.cost:
        rival = Rival(lower.x, lower.equations.cost - solution.equations.cost)
        return replace(solution, rivals=(*solution.rivals, rival)), 0
    return _with_rival(lower, solution), max(moves - 1, 0)


def _walked(
    known: Known, base: WalkBase, asked: Sequence[str], due: Sequence[str], unasked: bool, search: Search
) -> tuple[dict[str, Profile], list[Finding]] | np.ndarray:
    """The profiles and what to do at bounds, or u of a lower minimum that was met on the way."""

    def contradicted(profiles: Mapping[str, Profile]) -> Iterable[str]:
        if not unasked:
            return ()
        return on_profiles(errors_at(known.here, known.errors), known.known, profiles, known.quantile)

    profiles = profiled(base, asked, due, contradicted, search)
    if isinstance(profiles, np.ndarray):
        return profiles
    remedies = _remedies(known, base, profiles, search) if unasked else []
    return remedies if isinstance(remedies, np.ndarray) else (profiles, remedies)


def _continued(solution: Solution, lower: np.ndarray, search: Search) -> Solution:
    """The minimum below u of a lower one, to which valleys may be long."""
    at = replace(solution, x=lower)
    for _ in range(_DESCENTS):
        at = continued(solution.objective, at, search.tolerances)
        if at.verdict == CONVERGED:
            break
    return at


def _with_rival(lower: Solution, left: Solution) -> Solution:
    """A lower minimum, with the one that was ``left`` for it among its rivals if it is nearly as good."""
    gained = left.equations.cost - lower.equations.cost
    others = (Rival(rival.x, rival.more + gained) for rival in left.rivals)
    near = (rival for rival in (Rival(left.x, gained), *others) if rival.more <= STATED)
    return replace(lower, rivals=tuple(near))


def _due(known: Known, asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """The parameters that need a profile and are not ``asked`` for, the most serious first, and those left out."""
    orders = (BOUND, MINIMUM)
    conditional = sorted(
        known.conditional,
        key=lambda name: (
            orders.index(kind) if (kind := known.conditional[name].kind) in orders else len(orders),
            -known.conditional[name].weight,
        ),
    )
    due = [name for name in (*_vanishing(known), *conditional, *_wide(known)) if name not in asked]
    return due[:_MOST], due[_MOST:]


def _vanishing(known: Known) -> list[str]:
    """The parameters on a log scale that the data draw to 0, and of which an upper limit may be had."""
    names, slope = known.around.problem.varying, known.here.equations.gradient
    active, log = known.solution.active, known.here.weighted.log
    drawn = (active < 0) & log & (slope < _NOTHING)
    unseen = _unseen(known)
    return [name for name, is_drawn in zip(names, drawn, strict=True) if is_drawn and name not in unseen]


def _unseen(known: Known) -> set[str]:
    """The parameters that are said to be undetermined, those at bounds included."""
    findings = (finding for finding in known.unknown.findings if finding.undetermined)
    return {name for finding in findings for name in finding.parameters}


def _wide(known: Known) -> list[str]:
    """The parameters whose error is large: 30 % of a value on a log scale, or beyond a bound of another."""
    around, sd = known.around, np.sqrt(np.diag(known.errors.covariance))
    rows = (around.problem.parameters[name] for name in around.names)
    return [
        row.name
        for row, error, is_known in zip(rows, sd, known.known, strict=True)
        if is_known and error > (_LARGE if row.scale == "log" else _room(row, around.values[row.name]))
    ]


def _room(row: Parameter, value: float) -> float:
    """How far the nearer bound is, infinite where the bounds are no walls."""
    return np.inf if row.is_periodic else min(value - row.low, row.high - value)


def _left_out(names: Sequence[str]) -> list[Finding]:
    if not names:
        return []
    words = f"no profile was computed of {listed(names)}, as others took as long as is allowed: ask for it (profile)"
    return [Finding("conditional", words, tuple(names))]


def _remedies(
    known: Known, base: WalkBase, profiles: Mapping[str, Profile], search: Search
) -> list[Finding] | np.ndarray:
    """For every parameter at its bound what to do, or u of a lower minimum that was met."""
    findings, together = [], _zeros_together(known, base, search)
    scale = max(base.ratios.values(), default=1.0)
    unseen, vanishing = _unseen(known), _vanishing(known)
    for name, side in zip(base.objective.problem.varying, known.solution.active, strict=True):
        if not side or name in unseen or (together and name in together.parameters):
            continue
        row, head = base.objective.problem.parameters[name], f"{name} {BOUNDS[int(side)]}"
        words = f"{head}: {_beyond(known, name, scale)}"
        if row.scale == "linear" and row.low <= 0.0 <= row.high:
            way = Way(base, name, Thresholds(scale, False, (("robust", 0.95, scale * _LITTLE),)))
            last = walk(way, -float(side), 0.0, search)[-1]
            if last.delta < 0.0:
                return last.u
            if last.u[way.index] == 0.0 and last.delta < scale * _LITTLE:
                more = f"{last.delta / scale:.2g}" if last.delta > 0.0 else "nothing"
                words = f"{head}: hold {name} = 0: the fit gets worse by {more} (chi2)"
            else:
                words += f" ({name} = 0 makes the fit worse by more than {_LITTLE:g} in chi2)"
        elif name in vanishing:
            words = f"{head}: {_smallness(row, profiles)}"
        findings.append(Finding("at bound", words, (name,)))
    return [*findings, together] if together else findings


def _beyond(known: Known, name: str, scale: float) -> str:
    """What a parameter at its bound would gain beyond it, as slope and curvature tell."""
    equations, k = known.here.equations, known.around.problem.varying.index(name)
    kept = known.here.free.copy()
    kept[k] = True
    size = np.sqrt(np.maximum(np.diag(equations.gram), 1e-300))
    inverse = np.linalg.pinv((equations.gram / np.outer(size, size))[np.ix_(kept, kept)], hermitian=True)
    place = int(np.sum(kept[:k]))
    gain = float(equations.gradient[k] / size[k]) ** 2 * inverse[place, place] / scale
    if gain < _LITTLE:
        return f"beyond its bound the fit would get better by {gain:.2g} (chi2) only"
    return "the data ask for it beyond its bound: widen its bounds, or use another model"


def _zeros_together(known: Known, base: WalkBase, search: Search) -> Finding | None:
    """That several parameters at their bounds may all be held at 0, where the fit gets hardly worse by that."""
    problem, scale = base.objective.problem, max(base.ratios.values(), default=1.0)
    rows = [problem.parameters[name] for name in problem.varying]
    names = [
        row.name
        for row, side in zip(rows, known.solution.active, strict=True)
        if side and row.scale == "linear" and row.low <= 0.0 <= row.high
    ]
    if len(names) < 2:
        return None
    objective = holding(base.objective, dict.fromkeys(names, 0.0))
    kept = [problem.varying.index(name) for name in objective.problem.varying]
    held = refined(objective, base.best[kept], replace(search.tolerances, settled=scale, window=2))
    worse = 2.0 * (held.equations.cost - base.least) / scale
    if not worse < _LITTLE * len(names):
        return None
    words = (
        f"{listed(names)} at bounds: hold them at 0, all together: the fit gets worse by {worse:.2g} (chi2)"
    )
    return Finding("at bound", words, tuple(names))


def _smallness(row: Parameter, profiles: Mapping[str, Profile]) -> str:
    """What is known of a parameter that is drawn to 0, and what to do."""
    if row.name in profiles and (high := profiles[row.name].interval().high) < row.high:
        return f"it is below {high:.3g} (95 %)"
    return f"nothing is seen of it: hold {row.name} = {row.low:g}, which changes nothing"
