"""What the data do not need: a flow, or one of two components, without which the fit is hardly worse.

The local curvature says how well a flow is known if there is one. Whether there is one is asked of the cost: the curve
is held at what makes it vanish, everything else is fitted again, and χ² must rise by more than curves through noise
gain. A model states its flow and its mixture; which other parameters then mean nothing is read off the Gram matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from heterodyne.device.cores import side_by_side
from heterodyne.kernels.curves import Constant, Curve, Growth, PowerLaw
from heterodyne.parameters import ParameterTable
from heterodyne.problem.objective import Objective
from heterodyne.problem.problem import Problem
from heterodyne.problem.spectrum import independent_covariance, spectrum_of
from heterodyne.result.identifiability import Finding
from heterodyne.solution.claims import KIND, NOT_SEEN, rise_needed
from heterodyne.solution.conditions import LARGER
from heterodyne.solution.outcome import Known
from heterodyne.solution.solution import Solution
from heterodyne.words import listed
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.minimise import Tolerances
from heterodyne_nlsq.trust_region.refine import continued, refined
from heterodyne_nlsq.walks import WalkBase, walk_base

_FRINGES = 100  # that noise holds: flows of other speeds and directions, as independent trials
_DEPENDENT = 2.0  # errors by which a parameter moves without something, on which it then depends
_ENOUGH = 0.1  # of what χ² must rise by: so exactly its rise is known
_LOWER = 1.0  # χ² over the variance ratio: what lies lower without something is another minimum
_LEG, _SLOW = 5, 0.3  # iterations, and the part of what is missing that they shall bring
_DESCENT = 30, 2  # iterations, and those over which it has settled


class Absence(NamedTuple):
    """Something that may be absent, in words, the parameters' values that make it so, and the share f without it."""

    what: str
    held: Mapping[str, float]
    share: float | None = None
    trials: int = 1


@dataclass(frozen=True)
class Without:
    """A fit without something: by how much χ² over the variance ratio is larger, and what then means nothing.

    ``elsewhere`` are parameters that it has at other values, ``less_known`` those with larger errors. ``away`` is how
    far the fit is from being without it, ``u`` the point of that fit in the coordinates of this one.
    """

    what: str
    names: tuple[str, ...]
    elsewhere: tuple[str, ...]
    less_known: tuple[str, ...]
    worse: float
    away: float
    u: np.ndarray

    @property
    def finding(self) -> Finding:
        """In words."""
        more = f"{self.worse:.2g}" if self.worse > 0.0 else "nothing"
        words = f"no {self.what} is seen: without it the fit gets worse by {more} (chi2)"
        others = tuple(
            name for name in dict.fromkeys((*self.elsewhere, *self.less_known)) if name not in self.names
        )
        if others:
            words += f", and {listed(others)} are others or less known"
        return Finding(NOT_SEEN, words, (*self.names, *others), True)


def without_what_is_not_needed(known: Known, search: Search) -> Known | np.ndarray:
    """What is known where the data do not need a component or the flow; or u of a lower minimum without one of them."""
    if any(finding.kind == KIND for finding in known.unknown.findings):
        return known
    problem = known.around.problem
    absences, flows = [*component_absences(problem)], [*flow_absences(problem)]
    base = walk_base(known)
    tried = side_by_side(
        lambda absence: _without(known, base, absence, search), [*absences, *flows], base.objective.at_once
    )
    components, flows = (
        list(filter(None, some)) for some in (tried[: len(absences)], tried[len(absences) :])
    )
    found = [*components, *flows]
    # what describes the data by one component does so by either: the minor one is the one that is not there, and no
    # flow is seen beside it
    minor = [_together(one, flows) for one in sorted(components, key=lambda one: one.away)[:1]] or flows
    if lower := [one for one in found if one.worse < -_LOWER]:
        return min(lower, key=lambda one: one.worse).u
    return known.joined(one.finding for one in minor)


def _together(component: Without, flows: Sequence[Without]) -> Without:
    """A component and the flows that are not seen, as one."""
    more = (name for flow in flows for name in (*flow.names, *flow.elsewhere))
    return replace(component, elsewhere=(*component.elsewhere, *more))


def flow_absences(problem: Problem) -> Iterator[Absence]:
    """The flow at rest, where nobody has said otherwise."""
    velocity = problem.model.velocity
    if velocity is not None:
        for held in _held_at(problem, velocity, 0.0):
            yield Absence("flow" + _offset_that_stays(problem, velocity), held, trials=_FRINGES)


def _offset_that_stays(problem: Problem, velocity: Curve) -> str:
    """The offset of the velocity that is held at another value than 0, in words."""
    row = problem.parameters[velocity.offset] if isinstance(velocity, PowerLaw) else None
    return "" if row is None or row.vary or row.start == 0.0 else f" beyond {row.name}"


def component_absences(problem: Problem) -> Iterator[Absence]:
    """Either of two components without a share."""
    mixture = problem.model.mixture
    if mixture is not None:
        for name, level in zip(mixture.names, (0.0, 1.0), strict=True):
            for held in _held_at(problem, problem.model.curve(mixture.share), level):
                yield Absence(name, held, level)


def _held_at(problem: Problem, curve: Curve, level: float) -> Iterator[Mapping[str, float]]:
    """The values that hold a curve at a level at all times, those that vary among them; none where ties forbid it."""
    for values in _constant(curve, level):
        free = {name: value for name, value in values.items() if problem.parameters[name].vary}
        tied = {*problem.ties, *problem.ties.values()} & {*values}
        fixed = [problem.parameters[name].start == values[name] for name in values if name not in free]
        if free and not tied and all(fixed):
            yield free
            return


def _constant(curve: Curve, level: float) -> Iterator[Mapping[str, float]]:
    """The ways to make a curve a constant."""
    match curve:
        case Constant(value=value, factor=factor):
            yield {value: level / factor}
        case PowerLaw(prefactor=prefactor, offset=offset):
            yield {prefactor: 0.0, offset: level}
            yield {prefactor: level}  # beside an offset that is held
        case Growth(prefactor=prefactor, rate=rate, offset=offset):
            yield {prefactor: 0.0, offset: level}
            yield {prefactor: level, rate: 0.0, offset: 0.0}
        case _:
            return


def _without(known: Known, base: WalkBase, absence: Absence, search: Search) -> Without | None:
    """The fit without something; None where the data need it, or where the model has no value there."""
    objective = holding(base.objective, absence.held)
    before = base.objective.problem.varying
    kept = [before.index(name) for name in objective.problem.varying]
    if not kept or not np.isfinite(objective.cost(base.best[kept])):
        return None
    inert = _inert(objective, base.best[kept])
    names = tuple(name for name in before if name in absence.held or name in inert)
    scale = _scale(known, base, names)
    needed = rise_needed(len(names), absence.trials)
    level = base.least + 0.5 * scale * needed
    there = _below(objective, base.best[kept], level, _roughly(search.tolerances, _ENOUGH * scale * needed))
    if there is None:
        return None
    there = continued(objective, there, _roughly(search.tolerances, _ENOUGH * scale))
    worse = 2.0 * (there.equations.cost - base.least) / scale
    moved, less_known = _others(base, kept, there, scale)
    rest = [name not in names for name in objective.problem.varying]
    elsewhere, lesser = (
        tuple(np.array(objective.problem.varying)[which & rest].tolist()) for which in (moved, less_known)
    )
    u = _whole(base, absence, kept, there.x)
    return Without(absence.what, names, elsewhere, lesser, worse, _away(known, absence.share), u)


def _below(objective: Objective, x: np.ndarray, level: float, tolerances: Tolerances) -> Solution | None:
    """Where a descent from x ends with a cost below a level; None where it does not, or would not soon."""
    before, leg = objective.cost(x), tolerances.at_most(_LEG)
    there = refined(objective, x, leg)
    while there.iterations < tolerances.max_iterations and there.equations.cost >= level:
        fall, before = before - there.equations.cost, there.equations.cost
        if fall < _SLOW * (there.equations.cost - level):
            break
        there = continued(objective, there, leg)
    return there if there.equations.cost < level else None


def _scale(known: Known, base: WalkBase, names: Sequence[str]) -> float:
    """What a χ² of 1 is, for the noise that speckle and photons make.

    A misfit shall not hide what is there behind the larger errors that it makes.
    """
    ratios = [base.ratios[name] for name in names if name in base.ratios]
    ratio = max(ratios or base.ratios.values(), default=1.0)
    return ratio / max(known.errors.statistics.noise_ratio or 1.0, 1.0)


def _others(
    base: WalkBase, kept: Sequence[int], there: Solution, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Which of the parameters ``kept`` (n,) are elsewhere without something, and which are less known."""
    own, free = np.diag(base.covariance)[kept], there.active == 0
    spectrum = spectrum_of(there.equations.gram[np.ix_(free, free)], there.objective.width[free])
    alone = np.where(free, 0.0, np.inf)
    alone[free] = np.diag(independent_covariance(spectrum))
    errors = np.sqrt(own * [base.ratios.get(name, scale) for name in there.objective.problem.varying])
    moved = np.abs(there.x - base.best[kept]) > _DEPENDENT * errors
    return moved & (own > 0.0), (alone > LARGER**2 * own) & (own > 0.0)


def _whole(base: WalkBase, absence: Absence, kept: Sequence[int], x: np.ndarray) -> np.ndarray:
    """All coordinates of a fit without something, within the bounds."""
    rows = base.objective.problem.parameters
    within = {name: float(np.clip(at, rows[name].low, rows[name].high)) for name, at in absence.held.items()}
    u = base.objective.point({**base.objective.parameters(base.best), **within})
    u[kept] = x
    return u


def _away(known: Known, share: float | None) -> float:
    """How far the mean share of the fit is from this one; 0 where it is asked for none."""
    mixture = known.around.problem.model.mixture
    if share is None or mixture is None:
        return 0.0
    curve = known.around.problem.model.curve(mixture.share)
    return float(np.mean(np.abs(known.around.curve(curve)[0] - share)))


def holding(objective: Objective, held: Mapping[str, float]) -> Objective:
    """The objective with parameters held at values, whatever their bounds."""
    problem = objective.problem
    rows = [
        replace(row, start=held[name], vary=False) if name in held else row
        for name, row in problem.parameters.items()
    ]
    return replace(objective, problem=replace(problem, parameters=ParameterTable(rows)))


def _inert(objective: Objective, u: np.ndarray) -> Sequence[str]:
    """The varying parameters that do not enter S."""
    gram = np.diag(objective(u).gram)
    return [name for name, square in zip(objective.problem.varying, gram, strict=True) if not square > 0.0]


def _roughly(tolerances: Tolerances, enough: float) -> Tolerances:
    iterations, window = _DESCENT
    return replace(tolerances.at_most(iterations), settled=enough, window=window)
