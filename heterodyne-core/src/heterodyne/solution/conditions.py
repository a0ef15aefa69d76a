"""On what standard errors are conditional: parameters at bounds, one of several minima, a parabola for the cost.

A standard error knows the curvature of the cost at one point, over the coordinates that are off their bounds. With
the Gram matrix G over all coordinates, those at bounds included, a coordinate at its bound moves inward by
1/√(G + g²), g being the slope that draws it there (a cost that rises as g x is an exponential density of width 1/g).
The variances with and without those coordinates tell what an error owes to the bounds. Whether the cost is a
parabola is asked of the cost itself, at two errors to either side along the line on which the others follow. These
tests are cheap, and decide of which parameters a profile is due; a profile, where there is one, has the last word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from heterodyne.parameters import Parameter
from heterodyne.problem.problem import Problem
from heterodyne.problem.spectrum import independent_covariance, spectrum_of
from heterodyne.result.identifiability import Finding
from heterodyne.result.profile import Profile
from heterodyne.solution.other_solutions import twins
from heterodyne.solution.solution import AtSolution, Rival
from heterodyne.solution.standard_errors import StandardErrors
from heterodyne.words import listed

_RELATED = 0.5  # correlation with a coordinate at its bound from which that is named

_ERRORS = 2.0  # so many errors to either side the cost shall be a parabola
_LEAST = 0.5  # of that way, where bounds end it: less tells nothing
_PARABOLA = (0.5, 2.0)  # what the cost may rise by there, of what the parabola does

_NEARLY = 4.0  # χ² over the variance ratio up to which another minimum is nearly as good
_APART = 2.0  # errors from which a parameter differs in it
_FAR = 10.0  # errors beyond which one is as far as another

_AT_BOUND = 1e-6  # of the range
_CARRIED = 0.25  # of its range: a parameter that has moved so far along a profile goes with it
_OPEN = (
    0.5  # of the range: a parameter that is limited to one side only and may be anywhere in so much is open
)

LARGER = 1.2
"""The ratio of errors from which one is conditional on what stands at a bound."""
WIDER = 1.5
"""Times the half width of an interval: a way so far within the limits of a profile contradicts it."""

BOUND, MINIMUM, CURVED = "bound", "minimum", "curved"

NO_PARABOLA = "the cost is no parabola there"

BOUNDS = {-1: "at low", 1: "at high"}
"""The status of a parameter that is drawn to a bound."""


class Condition(NamedTuple):
    """What the error of a parameter is conditional on: its ``kind``, in words, and how much it matters."""

    kind: str
    on: str
    weight: float


@dataclass(frozen=True, eq=False)
class Errors:
    """The errors at a solution over its free coordinates ``names`` (p,), in use and independent ones."""

    here: AtSolution
    names: tuple[str, ...]
    covariance: np.ndarray
    independent: np.ndarray

    @property
    def sd(self) -> np.ndarray:
        """The errors in use, (p,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def ratio(self) -> np.ndarray:
        """Variance in use over the independent one, (p,), 1 where there is none."""
        own, alone = np.diag(self.covariance), np.diag(self.independent)
        return np.divide(own, alone, out=np.ones(len(own)), where=alone > 0.0)


def errors_at(here: AtSolution, errors: StandardErrors) -> Errors:
    """The errors at a solution with the names of their coordinates."""
    varying = here.weighted.problem.varying
    names = tuple(name for name, is_free in zip(varying, here.free, strict=True) if is_free)
    return Errors(here, names, errors.covariance, errors.independent)


def conditions(
    at: Errors, known: np.ndarray, active: np.ndarray, rivals: Sequence[Rival]
) -> dict[str, Condition]:
    """By parameter, what its error is conditional on: bounds before minima before the parabola.

    ``known`` (p,) marks the free coordinates that have an error, ``active`` (all,) the bounds as in `Solution`.
    """
    found = dict(_on_minimum(at, rivals)) | dict(_on_bounds(at, active))
    with_error = {name for name, has in zip(at.names, known, strict=True) if has}
    found = {name: condition for name, condition in found.items() if name in with_error}
    return found | dict(_on_parabola(at, known & ~np.isin(at.names, list(found))))


def _on_bounds(at: Errors, active: np.ndarray) -> Iterator[tuple[str, Condition]]:
    """The parameters whose errors would be considerably larger with those at bounds free to move inward."""
    here, free = at.here, at.here.free
    held = np.flatnonzero(~free)
    if not len(held):
        return
    unit, width = _units(here)
    gram, slope = here.equations.gram * np.outer(unit, unit), here.equations.gradient * unit
    gram[held, held] += slope[held] ** 2 / max(float(at.ratio.max(initial=1.0)), 1.0)
    spectrum = spectrum_of(gram, width)
    moving = independent_covariance(spectrum)
    variance, alone = np.diag(moving), np.diag(at.independent)
    bounds = {int(k): f"{here.weighted.problem.varying[k]} {BOUNDS[int(active[k])]}" for k in held}
    for row, (k, name) in enumerate(zip(np.flatnonzero(free), at.names, strict=True)):
        larger = np.sqrt(variance[k] / alone[row]) if alone[row] > 0.0 else 1.0
        lost = bool(spectrum.undetermined[k])
        if larger < LARGER and not lost:
            continue
        sizes = np.abs(moving[k, held]) / np.sqrt(np.maximum(variance[k] * variance[held], 1e-300))
        on = [
            bounds[int(a)] for a, size in zip(held, sizes, strict=True) if size >= min(_RELATED, sizes.max())
        ]
        yield name, Condition(BOUND, listed(on), np.inf if lost else float(larger))


def _units(here: AtSolution) -> tuple[np.ndarray, np.ndarray]:
    """What every coordinate is counted in at a solution, and its range: a logarithm at its low bound by the value.

    Next to 0 the cost is flat in the logarithm, however much the value matters.
    """
    objective = here.weighted
    vanishing = ~here.free & objective.log & (here.x <= objective.low)
    low, high = (objective.to_values(x) for x in (objective.low, objective.high))
    unit = np.where(vanishing, 1.0 / np.where(vanishing, objective.to_values(here.x), 1.0), 1.0)
    return unit, np.where(vanishing, high - low, objective.width)


def _on_minimum(at: Errors, rivals: Sequence[Rival]) -> Iterator[tuple[str, Condition]]:
    """The parameters that another minimum of nearly the same cost has elsewhere."""
    for rival in rivals:
        more, away = _rise(at, rival), _errors_away(at, _nearest(at, rival))
        for name, errors, ratio in zip(at.names, away, at.ratio, strict=True):
            if errors > _APART and more / ratio < _NEARLY:
                yield name, Condition(MINIMUM, "this minimum, beside which there is another", float(errors))


def _rise(at: Errors, rival: Rival) -> float:
    """By how much χ² is larger at another minimum."""
    return 2.0 * (at.here.weighted(rival.x).cost - at.here.equations.cost)


def minima_beside(at: Errors, rivals: Sequence[Rival]) -> list[dict[str, float]]:
    """All parameters of other minima of nearly the same cost, components named as here."""
    most = _NEARLY * float(at.ratio.max(initial=1.0))
    return [at.here.weighted.parameters(_nearest(at, rival)) for rival in rivals if _rise(at, rival) < most]


def _nearest(at: Errors, rival: Rival) -> np.ndarray:
    """Another minimum, or its twin that is the nearest: these differ by the names of their components alone."""
    objective = at.here.weighted
    others = twins(objective.problem, objective.parameters(rival.x))
    points = [rival.x, *(objective.point(other) for _, other in others)]
    return min(points, key=lambda point: float(np.sum(np.minimum(_errors_away(at, point), _FAR) ** 2)))


def _errors_away(at: Errors, point: np.ndarray) -> np.ndarray:
    """How many errors away every free coordinate (p,) is at a point."""
    objective = at.here.weighted
    apart = np.abs(point - at.here.x)
    for k, name in enumerate(objective.problem.varying):
        row = objective.problem.parameters[name]
        if row.period and row.is_periodic:
            apart[k] = abs((apart[k] + 0.5 * row.period) % row.period - 0.5 * row.period)
    return np.divide(apart[at.here.free], at.sd, out=np.zeros(len(at.sd)), where=at.sd > 0.0)


def _on_parabola(at: Errors, sound: np.ndarray) -> Iterator[tuple[str, Condition]]:
    """The parameters along whose way the cost is no parabola at two errors, to one side at least."""
    for k in np.flatnonzero(sound & (np.diag(at.independent) > 0.0)):
        rises = [_relative_rise(at, int(k), side) for side in (-1.0, 1.0)]
        worst = max((max(one, 1.0 / max(one, 1e-3)) for one in rises if np.isfinite(one)), default=1.0)
        if any(not _PARABOLA[0] <= one <= _PARABOLA[1] for one in rises if np.isfinite(one)):
            yield at.names[k], Condition(CURVED, NO_PARABOLA, float(worst))


def _relative_rise(at: Errors, k: int, side: float) -> float:
    """What the cost rises by at two errors of the free coordinate k, over what the parabola does.

    The others follow on the way on which curves move straight (`heterodyne.problem.curve_steps`): that their valley
    is bent says nothing of the errors. NaN where the bound of the coordinate ends the way early.
    """
    here, objective = at.here, at.here.weighted
    tangent, index = np.zeros(len(here.x)), int(np.flatnonzero(here.free)[k])
    tangent[here.free] = at.independent[:, k] / at.independent[k, k]
    room = (objective.high if side > 0.0 else objective.low)[index] - here.x[index]
    change = side * min(_ERRORS * at.sd[k], abs(room))
    if abs(change) < _LEAST * _ERRORS * at.sd[k]:
        return np.nan
    slope, curvature = tangent @ here.equations.gradient, tangent @ here.equations.gram @ tangent
    expected = change * float(slope + 0.5 * change * curvature)
    x = objective.at_value(here.x, tangent, index, here.x[index] + change)
    there = objective.cost(np.clip(x, objective.low, objective.high))
    return (there - here.equations.cost) / expected if expected > 0.0 else np.nan


def settled(
    at: Errors, found: Mapping[str, Condition], profiles: Mapping[str, Profile], quantile: float
) -> tuple[dict[str, Condition], list[Finding]]:
    """The conditions that remain after profiles, and what these leave open.

    A profile within ``quantile`` errors of its estimate confirms the error, but for another minimum, which it need not
    have met. One that goes on farther contradicts it, and one without limits leaves the parameter undetermined; a
    limit at which another parameter has been carried to its bound is one of that bound.
    """
    remaining, findings = dict(found), []
    is_log = dict(zip(at.here.weighted.problem.varying, at.here.weighted.log, strict=True))
    for name, error in zip(at.names, at.sd, strict=True):
        if name not in profiles:
            continue
        profile, was = profiles[name], remaining.pop(name, None)
        carried = _carried(profile, at.here.weighted.problem)
        if words := _open(profile, is_log[name], carried):
            findings.append(Finding("open", f"{name} is open: {words}", (name,), True))
        elif any(carried):
            on = f"the bounds of {listed(sorted({*carried[0], *carried[1]}))}, where a limit of its profile lies"
            remaining[name] = Condition(BOUND, on, np.inf)
        elif _contradicts(profile, quantile * error, is_log[name]):
            remaining[name] = was or Condition(CURVED, NO_PARABOLA, np.inf)
        elif was and was.kind == MINIMUM:
            remaining[name] = was
    return remaining, findings


def _carried(profile: Profile, problem: Problem) -> tuple[list[str], list[str]]:
    """The parameters that are carried to a bound, over much of their range, at the lower and at the upper limit."""
    ends, best = profile.interval(), int(np.argmin(np.abs(profile.values - profile.best)))
    inside = np.flatnonzero((profile.values >= ends.low) & (profile.values <= ends.high))

    def carried(end: float, place: int) -> list[str]:
        """Those that are, at this place of the profile, which has a limit there unless ``end`` is infinite."""
        return [
            name
            for name, values in profile.others.items()
            if np.isfinite(end)
            and _is_carried(problem.parameters[name], float(values[best]), float(values[place]))
        ]

    last = len(profile.values) - 1
    return carried(ends.low, max(int(inside[0]) - 1, 0)), carried(ends.high, min(int(inside[-1]) + 1, last))


def _is_carried(row: Parameter, start: float, end: float) -> bool:
    if row.is_periodic or row.scale == "log":
        return False
    whole = row.high - row.low
    at_bound = min(end - row.low, row.high - end) <= _AT_BOUND * whole
    return at_bound and abs(end - start) > _CARRIED * whole


def _open(profile: Profile, is_log: bool, carried: tuple[list[str], list[str]]) -> str:
    """Why a profile leaves its parameter open; empty where it does not."""
    ends = profile.interval()
    if _is_open(profile, is_log):
        return _limits(profile)
    if all(carried):
        bounds = listed(sorted({*carried[0], *carried[1]}))
        return f"both limits of its profile, {ends.low:.6g} and {ends.high:.6g}, are those of the bounds of {bounds}"
    return ""


def _is_open(profile: Profile, is_log: bool) -> bool:
    """Whether a profile leaves its parameter open: without limits, with none towards 0, or over half of its range."""
    ends = profile.interval()
    low, high = np.isinf(ends.low), np.isinf(ends.high)
    if (low and high) or (low and is_log):
        return True
    reach = (profile.low if low else ends.low, profile.high if high else ends.high)
    whole = (profile.low, profile.high)
    span, most = (np.diff(np.log(ends) if is_log else ends)[0] for ends in (reach, whole))
    return bool((low or high) and span > _OPEN * most)


def _contradicts(profile: Profile, half: float, is_log: bool) -> bool:
    """Whether an end of the interval is open, or considerably farther out than ``half`` in the coordinate."""
    ends = profile.interval()
    if np.isinf(ends.low) or np.isinf(ends.high):
        return True
    low, best, high = (
        np.log([ends.low, profile.best, ends.high]) if is_log else (ends.low, profile.best, ends.high)
    )
    return bool(max(best - low, high - best) > WIDER * half)


def _limits(profile: Profile) -> str:
    ends = profile.interval()
    if np.isinf(ends.low) and np.isinf(ends.high):
        return "no value within its bounds is excluded"
    return f"its profile has no {'lower' if np.isinf(ends.low) else 'upper'} limit, and reaches to " + (
        f"{ends.high:.6g}" if np.isinf(ends.low) else f"{ends.low:.6g}"
    )


def condition_findings(found: Mapping[str, Condition]) -> list[Finding]:
    """The conditions in words, parameters with the same one together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, condition in found.items():
        groups.setdefault((condition.kind, condition.on), []).append(name)
    return [
        Finding("conditional", f"{listed(names)}: {_in_words(kind, on)}", tuple(names))
        for (kind, on), names in groups.items()
    ]


def _in_words(kind: str, on: str) -> str:
    if kind == CURVED:
        return f"no error bar, as {on}; the interval of a profile holds"
    return f"an error bar would be conditional on {on}"
