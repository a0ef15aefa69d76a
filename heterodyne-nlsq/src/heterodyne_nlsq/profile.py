"""The profile likelihood of one parameter, walked outward from the minimum on both sides.

On each side the parameter is held at one value after another, further and further out, while all others are
fitted again (contrast and offset with them) from where the previous values point, until Δχ² has passed the
threshold of the widest interval or a bound is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtri

from heterodyne.errors import ParameterError
from heterodyne.problem.normal_equations import NormalEquations
from heterodyne.problem.objective import Objective
from heterodyne.problem.problem import Problem
from heterodyne.problem.spectrum import independent_covariance, spectrum_of
from heterodyne.result.fit import Fit
from heterodyne.result.profile import Interval, Profile
from heterodyne.solution.covariance import quantile
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.minimise import Minimum, Tolerances, minimise
from heterodyne_nlsq.trust_region.refine import continued
from heterodyne_nlsq.trust_region.stationarity import Box

_LEVELS = (0.95, 0.68)

_PART = 0.2  # of the way to the threshold, in √Δχ², that a step shall make

_TOO_FAR = 0.5  # of that way: such a step is halved

_GROWTH = 3.0  # at most, from one step to the next

_SHRINK = 1e-3  # of the first step: a jump that remains below it is a jump of the profile

_MOST = 60  # points on one side

_LOWER = 1e-2  # Δχ² below minus this, times the scale, is a lower minimum and no rounding


class Stop(NamedTuple):
    """One stop of the walk along a profile: all coordinates u, the cost, and Δχ²."""

    u: np.ndarray
    cost: float
    delta: float


@dataclass(frozen=True)
class Thresholds:
    """The scale of Δχ², whether it is the parameter's own, and the intervals' (errors, level, Δχ²)."""

    scale: float
    own: bool
    rows: tuple[tuple[str, float, float], ...]

    @property
    def highest(self) -> float:
        """The threshold of the widest interval."""
        return max(threshold for _, _, threshold in self.rows)


@dataclass(frozen=True, eq=False)
class Profiled:
    """A parameter that is profiled, ``error`` being that of its coordinate by the curvature of the cost.

    ``best`` (p,) is the minimum in u, of an ``objective`` whose cost is half of χ².
    """

    name: str
    objective: Objective
    best: np.ndarray
    error: float
    thresholds: Thresholds

    @property
    def index(self) -> int:
        """Which of the coordinates it is."""
        return self.objective.problem.varying.index(self.name)

    def value(self, u: np.ndarray) -> float:
        """Its value at u."""
        return float(self.objective.to_values(u)[self.index])


def check_profiled(problem: Problem, names: Sequence[str]) -> None:
    """Raise `ParameterError` for the first name without a profile: unknown, tied or held."""
    for name in names:
        row = problem.parameters[name]
        if name in problem.ties:
            source = problem.ties[name]
            raise ParameterError(f"parameter {name!r} is tied to {source!r} and has no profile of its own")
        if not row.vary:
            raise ParameterError(f"parameter {name!r} is fixed at {row.start:g} and has no profile: free it")


def fit_with_profiles(
    solution: Solution, conclude: Callable[[Solution], Fit], names: Sequence[str], search: Search
) -> Fit:
    """The result that ``conclude`` makes of a solution, with the profiles of these parameters.

    A lower minimum that a profile meets takes the solution's place.
    """
    search.progress("errors")
    fit, objective = conclude(solution), solution.objective
    if not fit.success:
        return replace(fit, message="; ".join(filter(None, (fit.message, "no profile without convergence"))))
    best, profiles = objective.point(fit.values), {}
    for name in names:
        outcome = profile(objective, best, fit, name, search)
        if not isinstance(outcome, Profile):
            search.progress(f"the profile of {name} met a lower minimum, where the fit goes on")
            lower = continued(objective, replace(solution, x=outcome), search.tolerances)
            return fit_with_profiles(lower, conclude, names, search)
        profiles[name] = outcome
    return replace(fit, profiles=profiles)


def profile(
    objective: Objective, best: np.ndarray, fit: Fit, name: str, search: Search
) -> Profile | np.ndarray:
    """The profile of one parameter from the minimum ``best`` in u, or u of a lower one where its walk meets one."""
    profiled = _profiled(unit_noise(objective, best), best, fit, name)
    sides = []
    for side in (-1.0, 1.0):
        sides.append(_walk(profiled, side, search))
        if sides[-1][-1].delta < 0.0:
            return sides[-1][-1].u
    return _profile(profiled, sides)


def unit_noise(objective: Objective, best: np.ndarray) -> Objective:
    """The objective with all weights scaled so that twice its cost is χ², its number of degrees of freedom."""
    fitted = len(best) + objective.contrast.matrix.shape[1] + objective.offset.matrix.shape[1]
    equations = objective(best)
    square = 2.0 * equations.cost / max(equations.n_pairs - fitted, 1)
    return objective.weighted(objective.sigma * np.sqrt(max(square, np.finfo(float).tiny)))


def _profiled(objective: Objective, best: np.ndarray, fit: Fit, name: str) -> Profiled:
    varying = objective.problem.varying
    variances = _variances(objective, best)
    of_values = variances * objective.slopes(best) ** 2
    thresholds = thresholds_of(dict(zip(varying, of_values, strict=True)), fit, name)
    return Profiled(name, objective, best, float(np.sqrt(variances[varying.index(name)])), thresholds)


def thresholds_of(variances: Mapping[str, float], fit: Fit, name: str) -> Thresholds:
    """The thresholds of Δχ²: t² times the scale for robust errors, the normal quantile for independent ones.

    ``variances`` are those of the parameters that go with the curvature of the cost, so that a quadratic
    profile gives back the robust errors.
    """
    normal = tuple(("independent", level, float(ndtri(0.5 * (1.0 + level)) ** 2)) for level in _LEVELS)
    dof = fit.statistics.dof
    if dof is None:  # of errors that take elements for independent
        return Thresholds(1.0, True, normal)
    known = {key: error for key, error in fit.errors.items() if np.isfinite(error) and variances[key] > 0}
    ratios = {key: error**2 / variances[key] for key, error in known.items()}
    scale = ratios.get(name, max(ratios.values(), default=1.0))
    robust = tuple(("robust", level, float(scale * quantile(dof, level) ** 2)) for level in _LEVELS)
    return Thresholds(scale, name in ratios, (*robust, *normal))


def _variances(objective: Objective, u: np.ndarray) -> np.ndarray:
    """The variances of u (p,) from the inverse Gauss-Newton matrix over all directions but flat ones.

    0 for a coordinate at its bound.
    """
    equations = objective(u)
    free = (u > objective.low) & (u < objective.high)
    spectrum = spectrum_of(equations.gram[np.ix_(free, free)], objective.width[free])
    variances = np.zeros(len(u))
    variances[free] = np.diag(independent_covariance(spectrum))
    return variances


def _walk(profiled: Profiled, side: float, search: Search) -> list[Stop]:
    """The stops from the minimum outward to one side, -1 or 1.

    The last one has a negative Δχ² where a lower minimum was met.
    """
    objective, best, index = profiled.objective, profiled.best, profiled.index
    limit, least, first = _limit(profiled, side), objective.cost(best), _first_step(profiled)
    goal = np.sqrt(profiled.thresholds.highest)
    stops, step = [Stop(best, least, 0.0)], first
    while stops[-1].delta < goal**2 and stops[-1].u[index] != limit and len(stops) <= _MOST:
        here = stops[-1]
        value = here.u[index] + side * step
        value = float(limit if (limit - value) * side <= 0 else value)
        minimum = _others_fitted(objective, _extrapolated(stops, index, value), index, search.tolerances)
        delta = 2.0 * (minimum.equations.cost - least)
        if delta < -_LOWER * profiled.thresholds.scale:
            return [*stops, Stop(minimum.x, minimum.equations.cost, delta)]
        gained = (np.sqrt(max(delta, 0.0)) - np.sqrt(here.delta)) / goal
        if gained > _TOO_FAR and step > _SHRINK * first:
            step *= 0.5
            continue
        stops.append(Stop(minimum.x, minimum.equations.cost, max(delta, 0.0)))
        shown = f"{profiled.value(minimum.x):.6g}, delta chi2 {delta:.4g}"
        search.progress(f"profile of {profiled.name}: {shown}")
        step *= float(np.clip(_PART / max(gained, 1e-9), 0.5, _GROWTH))
    return stops


def _limit(profiled: Profiled, side: float) -> float:
    """The bound on one side of the coordinate; half a period away where the bounds are no walls."""
    objective, index = profiled.objective, profiled.index
    row = objective.problem.parameters[profiled.name]
    if row.period and row.is_periodic:
        return float(profiled.best[index] + side * 0.5 * row.period)
    return float((objective.high if side > 0 else objective.low)[index])


def _first_step(profiled: Profiled) -> float:
    """The step in u that a quadratic profile asks for, never more than a tenth of the range."""
    width = float(profiled.objective.width[profiled.index])
    expected = _PART * np.sqrt(profiled.thresholds.highest) * profiled.error
    return min(expected, 0.1 * width) if expected > 0 else 0.01 * width


def _extrapolated(stops: Sequence[Stop], index: int, value: float) -> np.ndarray:
    """All coordinates at a value of one of them, along the line through the last two stops."""
    here = stops[-1].u
    before = stops[-2].u if len(stops) > 1 else here
    way = here[index] - before[index]
    u = here + (here - before) * ((value - here[index]) / way if way else 0.0)
    u[index] = value
    return u


def _others_fitted(objective: Objective, start: np.ndarray, index: int, tolerances: Tolerances) -> Minimum:
    """The minimum over all coordinates but one, which stays where ``start`` has it."""
    keep = np.arange(len(start)) != index
    box = Box(objective.low[keep], objective.high[keep])

    def whole(rest: np.ndarray) -> np.ndarray:
        u = start.copy()
        u[keep] = rest
        return u

    def evaluate(rest: np.ndarray) -> NormalEquations:
        equations = objective(whole(rest))
        gram = equations.gram[np.ix_(keep, keep)]
        return replace(equations, gradient=equations.gradient[keep], gram=gram)

    minimum = minimise(evaluate, np.clip(start[keep], *box), box, tolerances, floor=objective.floor)
    return minimum._replace(x=whole(minimum.x))


def _profile(profiled: Profiled, sides: Sequence[Sequence[Stop]]) -> Profile:
    """The record of a walk to both sides."""
    problem, thresholds, index = profiled.objective.problem, profiled.thresholds, profiled.index
    row, stops = problem.parameters[profiled.name], [*reversed(sides[0][1:]), *sides[1]]
    values = np.array([profiled.objective.to_values(stop.u) for stop in stops])
    lows, highs = (
        _crossings(profiled, stops, end) for stops, end in zip(sides, (-np.inf, np.inf), strict=True)
    )
    return Profile(
        name=profiled.name,
        unit=row.unit,
        best=profiled.value(profiled.best),
        low=row.low,
        high=row.high,
        scale=thresholds.scale,
        own_scale=thresholds.own,
        intervals=tuple(
            Interval(*kind, low=low, high=high)
            for kind, low, high in zip(thresholds.rows, lows, highs, strict=True)
        ),
        values=values[:, index],
        delta_chi2=np.array([stop.delta for stop in stops]),
        cost=np.array([stop.cost for stop in stops]),
        others={other: values[:, k] for k, other in enumerate(problem.varying) if k != index},
    )


def _crossings(profiled: Profiled, stops: Sequence[Stop], nowhere: float) -> list[float]:
    """Where Δχ² first passes each threshold on one side, ``nowhere`` if it does not.

    √Δχ² is nearly linear in u, so its inverse is interpolated (monotone cubic).
    """
    index, root = profiled.index, np.sqrt([stop.delta for stop in stops])
    u = np.array([stop.u[index] for stop in stops])
    rising = root > np.concatenate([[-1.0], np.maximum.accumulate(root)[:-1]])
    ends = []
    for _, _, threshold in profiled.thresholds.rows:
        if root.max() < np.sqrt(threshold):
            ends.append(nowhere)
            continue
        at = profiled.best.copy()
        at[index] = PchipInterpolator(root[rising], u[rising])(np.sqrt(threshold))
        ends.append(profiled.value(at))
    return ends
