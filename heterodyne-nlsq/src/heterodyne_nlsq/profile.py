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
from heterodyne.problem.spectrum import independent_covariance, spectrum
from heterodyne.result.fit import Fit
from heterodyne.result.profile import Interval, Profile
from heterodyne.solution.covariance import quantile
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.trust_region.minimise import Tolerances, minimise

_LEVELS = (0.95, 0.68)

_PART = 0.2  # of the way to the threshold, in √Δχ², that a step shall make

_TOO_FAR = 0.5  # of that way: such a step is halved

_GROWTH = 3.0  # at most, from one step to the next

_SHRINK = 1e-3  # of the first step: a jump that remains below it is a jump of the profile

_MOST = 60  # points on one side

_LOWER = 1e-2  # Δχ² below minus this, times the scale, is a lower minimum and no rounding


class Point(NamedTuple):
    """One point of a profile: all coordinates u, the cost, and Δχ²."""

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
    objective: Objective,
    solution: Solution,
    conclude: Callable[[Solution], Fit],
    names: Sequence[str],
    tolerances: Tolerances,
    progress: Callable[[str], None],
) -> Fit:
    """The result that ``conclude`` makes of a solution, with the profiles of these parameters.

    A lower minimum that a profile meets takes the solution's place.
    """
    fit, found = conclude(solution), {}
    if names and not fit.success:
        return replace(fit, message="; ".join(filter(None, (fit.message, "no profile without convergence"))))
    best = objective.to_coordinates(np.array([fit.values[name] for name in objective.problem.varying]))
    for name in names:
        one = profile(objective, best, fit, name, tolerances, progress)
        if not isinstance(one, Profile):
            progress(f"the profile of {name} met a lower minimum, where the fit goes on")
            low, high = objective.low, objective.high
            lower = minimise(objective, one, low, high, tolerances, floor=objective.floor)
            lower = replace(lower, iterations=solution.iterations + lower.iterations)
            return fit_with_profiles(objective, lower, conclude, names, tolerances, progress)
        found[name] = one
    return replace(fit, profiles=found)


def profile(
    objective: Objective,
    best: np.ndarray,
    fit: Fit,
    name: str,
    tolerances: Tolerances,
    progress: Callable[[str], None],
) -> Profile | np.ndarray:
    """The profile of one parameter from the minimum ``best`` in u, or u of a lower one where its walk meets one."""
    objective = unit_noise(objective, best)
    variances = _variances(objective, best)
    thresholds = thresholds_of(dict(zip(objective.problem.varying, variances, strict=True)), fit, name)
    first = _first_step(objective, best, variances, name, thresholds)
    sides = []
    for side in (-1, 1):
        sides.append(_walk(objective, best, name, side * first, thresholds, tolerances, progress))
        if sides[-1][-1].delta < 0.0:
            return sides[-1][-1].u
    return _profile(objective, name, thresholds, sides)


def unit_noise(objective: Objective, best: np.ndarray) -> Objective:
    """The objective with all weights scaled so that twice its cost is χ², its number of degrees of freedom."""
    fitted = len(best) + objective.contrast.matrix.shape[1] + objective.offset.matrix.shape[1]
    equations = objective(best)
    square = 2.0 * equations.cost / max(equations.n_pairs - fitted, 1)
    return objective.weighted(objective.sigma * np.sqrt(max(square, np.finfo(float).tiny)))


def thresholds_of(variances: Mapping[str, float], fit: Fit, name: str) -> Thresholds:
    """The thresholds of Δχ²: t² times the scale for robust errors, the normal quantile for independent ones.

    ``variances`` are those of the parameters that go with the curvature of the cost, so that a quadratic
    profile gives back the robust errors.
    """
    normal = tuple(("independent", level, float(ndtri(0.5 * (1.0 + level)) ** 2)) for level in _LEVELS)
    dof = fit.statistics.dof
    if dof is None:  # of errors that take elements for independent
        return Thresholds(1.0, True, normal)
    known = {one: error for one, error in fit.errors.items() if np.isfinite(error) and variances[one] > 0}
    ratios = {one: error**2 / variances[one] for one, error in known.items()}
    scale = ratios.get(name, max(ratios.values(), default=1.0))
    robust = tuple(("robust", level, float(scale * quantile(dof, level) ** 2)) for level in _LEVELS)
    return Thresholds(scale, name in ratios, (*robust, *normal))


def _variances(objective: Objective, u: np.ndarray) -> np.ndarray:
    """The parameters' variances from the inverse Gauss-Newton matrix over all directions but flat ones.

    0 for a parameter at its bound.
    """
    equations = objective(u)
    free = (u > objective.low) & (u < objective.high)
    found = spectrum(equations.gram[np.ix_(free, free)], objective.width[free])
    variances = np.zeros(len(u))
    variances[free] = np.diag(independent_covariance(found))
    return variances * objective.slopes(u) ** 2


def _walk(
    objective: Objective,
    best: np.ndarray,
    name: str,
    first: float,
    thresholds: Thresholds,
    tolerances: Tolerances,
    progress: Callable[[str], None],
) -> list[Point]:
    """The points from the minimum outward, the first after a step ``first``.

    The last one has a negative Δχ² where a lower minimum was met.
    """
    index = objective.problem.varying.index(name)
    side, limit = np.sign(first), _limit(objective, best, index, first)
    least = objective.cost(best)
    goal = np.sqrt(thresholds.highest)
    points, step = [Point(best, least, 0.0)], abs(first)
    while points[-1].delta < goal**2 and points[-1].u[index] != limit and len(points) <= _MOST:
        here = points[-1]
        value = here.u[index] + side * step
        value = float(limit if (limit - value) * side <= 0 else value)
        found = _held(objective, _extrapolated(points, index, value), index, tolerances)
        delta = 2.0 * (found.equations.cost - least)
        if delta < -_LOWER * thresholds.scale:
            return [*points, Point(found.x, found.equations.cost, delta)]
        gained = (np.sqrt(max(delta, 0.0)) - np.sqrt(here.delta)) / goal
        if gained > _TOO_FAR and step > _SHRINK * abs(first):
            step *= 0.5
            continue
        points.append(Point(found.x, found.equations.cost, max(delta, 0.0)))
        progress(f"profile of {name}: {_value(objective, found.x, index):.6g}, delta chi2 {delta:.4g}")
        step *= float(np.clip(_PART / max(gained, 1e-9), 0.5, _GROWTH))
    return points


def _limit(objective: Objective, best: np.ndarray, index: int, side: float) -> float:
    """The bound on one side of a coordinate; half a period away where the bounds are no walls."""
    row = objective.problem.parameters[objective.problem.varying[index]]
    if row.period and row.is_periodic:
        return float(best[index] + np.copysign(0.5 * row.period, side))
    return float((objective.high if side > 0 else objective.low)[index])


def _first_step(
    objective: Objective, u: np.ndarray, variances: np.ndarray, name: str, thresholds: Thresholds
) -> float:
    """The step in u that a quadratic profile asks for, never more than a tenth of the range."""
    index = objective.problem.varying.index(name)
    width = float(objective.width[index])
    error = float(np.sqrt(variances[index])) / objective.slopes(u)[index]
    expected = _PART * np.sqrt(thresholds.highest) * error
    return min(expected, 0.1 * width) if expected > 0 else 0.01 * width


def _extrapolated(points: Sequence[Point], index: int, value: float) -> np.ndarray:
    """All coordinates at a value of one of them, along the line through the last two points."""
    here = points[-1].u
    before = points[-2].u if len(points) > 1 else here
    way = here[index] - before[index]
    u = here + (here - before) * ((value - here[index]) / way if way else 0.0)
    u[index] = value
    return u


def _held(objective: Objective, start: np.ndarray, index: int, tolerances: Tolerances) -> Solution:
    """The minimum over all coordinates but one, which stays where ``start`` has it."""
    keep = np.arange(len(start)) != index
    low, high = objective.low[keep], objective.high[keep]

    def whole(rest: np.ndarray) -> np.ndarray:
        u = start.copy()
        u[keep] = rest
        return u

    def evaluate(rest: np.ndarray) -> NormalEquations:
        all_of = objective(whole(rest))
        return replace(all_of, gradient=all_of.gradient[keep], gram=all_of.gram[np.ix_(keep, keep)])

    begin = np.clip(start[keep], low, high)
    found = minimise(evaluate, begin, low, high, tolerances, floor=objective.floor)
    return replace(found, x=whole(found.x))


def _profile(
    objective: Objective, name: str, thresholds: Thresholds, sides: Sequence[Sequence[Point]]
) -> Profile:
    """The record of a walk to both sides."""
    problem = objective.problem
    row, index = problem.parameters[name], problem.varying.index(name)
    points = [*reversed(sides[0][1:]), *sides[1]]
    values = np.array([objective.to_values(point.u) for point in points])
    ends = [
        _crossings(objective, side, index, thresholds, sign * np.inf)
        for sign, side in zip((-1, 1), sides, strict=True)
    ]
    return Profile(
        name=name,
        unit=row.unit,
        best=_value(objective, sides[0][0].u, index),
        low=row.low,
        high=row.high,
        scale=thresholds.scale,
        own_scale=thresholds.own,
        intervals=tuple(
            Interval(*kind, low=low, high=high)
            for kind, low, high in zip(thresholds.rows, *ends, strict=True)
        ),
        values=values[:, index],
        delta_chi2=np.array([point.delta for point in points]),
        cost=np.array([point.cost for point in points]),
        others={other: values[:, k] for k, other in enumerate(problem.varying) if k != index},
    )


def _crossings(
    objective: Objective, side: Sequence[Point], index: int, thresholds: Thresholds, nowhere: float
) -> list[float]:
    """Where Δχ² first passes each threshold, ``nowhere`` if it does not.

    √Δχ² is nearly linear in u, so its inverse is interpolated (monotone cubic).
    """
    root = np.sqrt([point.delta for point in side])
    u = np.array([point.u[index] for point in side])
    rising = root > np.concatenate([[-1.0], np.maximum.accumulate(root)[:-1]])
    found = []
    for _, _, threshold in thresholds.rows:
        if root.max() < np.sqrt(threshold):
            found.append(nowhere)
            continue
        at = side[0].u.copy()
        at[index] = PchipInterpolator(root[rising], u[rising])(np.sqrt(threshold))
        found.append(_value(objective, at, index))
    return found


def _value(objective: Objective, u: np.ndarray, index: int) -> float:
    return float(objective.to_values(u)[index])
