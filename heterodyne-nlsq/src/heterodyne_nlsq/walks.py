"""Walks along the profile of one parameter, from the minimum outward to one side.

The parameter is held at one value after another while all others are fitted again (contrast and offset with them) from
where the tangent of the profile points, on the way on which curves move straight. A walk ends where Δχ² has passed the
threshold, at a bound, or at a lower minimum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from heterodyne.device.cores import side_by_side
from heterodyne.problem.normal_equations import NormalEquations
from heterodyne.problem.objective import Objective
from heterodyne.problem.spectrum import FLAT, independent_covariance, spectrum_of
from heterodyne.solution.covariance import quantile
from heterodyne.solution.outcome import Known
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.minimise import Minimum, Tolerances, minimise
from heterodyne_nlsq.trust_region.stationarity import Box, Point, column_size, whitening

_LEVELS = (0.95, 0.68)

_PART = 0.45  # of the way to the threshold, in √Δχ², that a step shall make

_TOO_FAR = 0.8  # of that way: such a step is halved

_GROWTH = 3.0  # at most, from one step to the next

_SHRINK = 0.02  # of the first step: a jump that remains below it is a jump of the profile

_MOST = 40  # points on one side

_ACCURACY = 0.02  # of the threshold: what a stop may still have to gain, as the parabola there tells

_SETTLED = 3e-3, 8  # of the threshold, and iterations, within which a stop has settled

_ITERATIONS = 40  # at each stop, which begins next to its minimum

_NO_NOISE = 1e-24  # of Σ data²: less of Σ residual² is rounding

_LOWER = 0.1  # Δχ² below minus this, times the scale, is a lower minimum: a fit that has settled is as near


_HOPELESS = 30.0  # times the threshold: where a stop is sought from no such Δχ² while a shorter step is left


class Stop(NamedTuple):
    """One stop of the walk along a profile: all coordinates u, the cost, Δχ², and the tangent of the profile there,
    after so many iterations."""

    u: np.ndarray
    cost: float
    delta: float
    tangent: np.ndarray
    iterations: int = 0


@dataclass(frozen=True, eq=False)
class _Held(NormalEquations):
    """Normal equations of all coordinates but one, and those of all."""

    whole: NormalEquations


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
class WalkBase:
    """The minimum ``best`` (p,) in u of an ``objective`` whose cost, there ``least``, is half of χ².

    ``covariance`` (p, p) of the coordinates goes with the curvature of the cost, ``ratios`` are the variances in use
    over independent ones, where there are any, so that a quadratic profile gives back the errors in use, with ``dof``
    degrees of freedom unless they take elements for independent. Walks end at lower minima where ``ends_lower``.
    ``awake`` are points at which no logarithm is lost at its low bound, where nothing draws it back.
    """

    objective: Objective
    best: np.ndarray
    least: float
    covariance: np.ndarray
    ratios: Mapping[str, float]
    dof: float | None
    ends_lower: bool
    awake: tuple[np.ndarray, ...] = ()

    def thresholds(self, name: str) -> Thresholds:
        """The thresholds of Δχ²: t² times the scale for robust errors, the normal quantile for independent ones."""
        normal = tuple(("independent", level, float(ndtri(0.5 * (1.0 + level)) ** 2)) for level in _LEVELS)
        if self.dof is None:
            return Thresholds(1.0, True, normal)
        scale = self.ratios.get(name, max(self.ratios.values(), default=1.0))
        robust = tuple(("robust", level, float(scale * quantile(self.dof, level) ** 2)) for level in _LEVELS)
        return Thresholds(scale, name in self.ratios, (*robust, *normal))


@dataclass(frozen=True, eq=False)
class Way:
    """One parameter whose value is moved away from the minimum, all others following."""

    base: WalkBase
    name: str
    thresholds: Thresholds

    @property
    def objective(self) -> Objective:
        """The objective, in units of the noise."""
        return self.base.objective

    @property
    def best(self) -> np.ndarray:
        """The minimum in u."""
        return self.base.best

    @property
    def index(self) -> int:
        """Which of the coordinates it is."""
        return self.objective.problem.varying.index(self.name)

    def value(self, u: np.ndarray) -> float:
        """Its value at u."""
        return float(self.objective.to_values(u)[self.index])

    def limit(self, side: float) -> float:
        """The bound on one side of the coordinate; half a period away where the bounds are no walls."""
        row = self.objective.problem.parameters[self.name]
        if row.period and row.is_periodic:
            return float(self.best[self.index] + side * 0.5 * row.period)
        return float((self.objective.high if side > 0 else self.objective.low)[self.index])


def walk_base(known: Known, ends_lower: bool = True) -> WalkBase:
    """Where all walks from a solution begin, which end at lower minima or, if not, go on through them."""
    best = known.solution.x
    objective = unit_noise(known.solution.objective, best)
    covariance = _covariance(objective, best)
    ratios = {
        name: float(in_use / alone)
        for name, in_use, alone in zip(
            known.around.names,
            np.diag(known.errors.covariance),
            np.diag(known.errors.independent),
            strict=True,
        )
        if name not in known.lost and alone > 0.0
    }
    return WalkBase(
        objective, best, objective(best).cost, covariance, ratios, known.errors.statistics.dof, ends_lower
    )


def walked(base: WalkBase, name: str, search: Search) -> list[list[Stop]]:
    """The walks of one parameter to both sides, or those up to one that met a lower minimum."""
    way = Way(base, name, base.thresholds(name))
    ends = [(side, way.limit(side)) for side in (-1.0, 1.0)]
    sides = side_by_side(lambda end: walk(way, *end, search), ends, base.objective.at_once)
    below = [k for k, stops in enumerate(sides) if stops[-1].delta < 0.0]
    return sides[: below[0] + 1] if below else sides


def unit_noise(objective: Objective, best: np.ndarray) -> Objective:
    """The objective with all weights scaled so that twice its cost is χ², its number of degrees of freedom."""
    fitted = len(best) + objective.contrast.matrix.shape[1] + objective.offset.matrix.shape[1]
    equations = objective(best)
    square = 2.0 * equations.cost / max(equations.n_pairs - fitted, 1)
    least = _NO_NOISE * objective.data_square / equations.n_pairs
    return objective.weighted(objective.sigma * np.sqrt(max(square, least)))


def _covariance(objective: Objective, u: np.ndarray) -> np.ndarray:
    """The covariance of u (p, p) from the inverse Gauss-Newton matrix over all directions but flat ones.

    0 for a coordinate at its bound.
    """
    equations = objective(u)
    free = (u > objective.low) & (u < objective.high)
    spectrum = spectrum_of(equations.gram[np.ix_(free, free)], objective.width[free])
    covariance = np.zeros((len(u), len(u)))
    covariance[np.ix_(free, free)] = independent_covariance(spectrum)
    return covariance


def walk(way: Way, side: float, limit: float, search: Search) -> list[Stop]:
    """The stops from the minimum outward to one side, -1 or 1, to a ``limit`` or the threshold.

    The last one has a negative Δχ² where a lower minimum was met.
    """
    objective, index, least = way.objective, way.index, way.base.least
    first, goal = _first_step(way), np.sqrt(way.thresholds.highest)
    tolerances = _sufficient(search.tolerances, goal, least)
    stops, step, spent = [_first_stop(way)], first, 0
    while stops[-1].delta < goal**2 and stops[-1].u[index] != limit and len(stops) <= _MOST:
        here = stops[-1]
        value = here.u[index] + side * step
        value = float(limit if (limit - value) * side <= 0 else value)
        starts = _starts(way.base, _predicted(objective, here, index, value), index)
        is_short = step <= _SHRINK * first
        if not is_short and all(_is_hopeless(way, start) for start in starts):
            spent += len(starts)
            step *= 0.5
            continue
        minima = [_others_fitted(objective, start, index, tolerances) for start in starts]
        minimum = min(minima, key=lambda one: one.equations.cost)
        delta = 2.0 * (minimum.equations.cost - _left(objective, minimum, index, goal) - least)
        spent += sum(1 + one.iterations for one in minima)
        if way.base.ends_lower and delta < -_LOWER * way.thresholds.scale:
            return [*stops, _stop(objective, minimum, index, delta, spent)]
        gained = (np.sqrt(max(delta, 0.0)) - np.sqrt(here.delta)) / goal
        if gained > _TOO_FAR and not is_short:
            step *= 0.5
            continue
        stops.append(_stop(objective, minimum, index, max(delta, 0.0), spent))
        spent = 0
        shown = f"{way.value(minimum.x):.6g}, delta chi2 {delta:.4g}"
        search.progress(f"profile of {way.name}: {shown}")
        step *= float(np.clip(_PART / max(gained, 1e-9), 0.5, _GROWTH))
    return stops


def _left(objective: Objective, minimum: Minimum, index: int, goal: float) -> float:
    """What the cost of a stop is above its minimum, no more than makes it one."""
    keep = np.arange(len(minimum.x)) != index
    box = Box(objective.low[keep], objective.high[keep])
    here = Point(minimum.x[keep], minimum.equations)
    along = whitening(minimum.equations.gram, box.active(here)) @ minimum.equations.gradient
    return min(0.5 * float(np.sum(along**2)), 0.5 * _ACCURACY * float(goal) ** 2)


def _is_hopeless(way: Way, start: np.ndarray) -> bool:
    """Whether a start is so high that it tells no more than that the step was too long."""
    delta = 2.0 * (way.objective.cost(start) - way.base.least)
    return not delta < _HOPELESS * way.thresholds.highest


def _first_stop(way: Way) -> Stop:
    """The minimum, where walks begin."""
    whole = way.objective(way.best)
    return Stop(way.best, way.base.least, 0.0, _tangent(way.objective, way.best, whole, way.index))


def _stop(objective: Objective, minimum: Minimum, index: int, delta: float, spent: int) -> Stop:
    assert isinstance(minimum.equations, _Held)
    tangent = _tangent(objective, minimum.x, minimum.equations.whole, index)
    return Stop(minimum.x, minimum.equations.cost, delta, tangent, spent)


def _tangent(objective: Objective, u: np.ndarray, equations: NormalEquations, index: int) -> np.ndarray:
    """∂u/∂u_index of the profile (p,): how all others follow, those at bounds standing still."""
    free = (u > objective.low) & (u < objective.high)
    free[index] = False
    inner = equations.gram[np.ix_(free, free)]
    size = column_size(inner)
    values, vectors = np.linalg.eigh(inner / np.outer(size, size))
    told = values > FLAT * len(values)
    slope = vectors[:, told].T @ (equations.gram[free, index] / size)
    tangent = np.zeros(len(u))
    tangent[index], tangent[free] = 1.0, -(vectors[:, told] @ (slope / values[told])) / size
    return tangent


def _sufficient(tolerances: Tolerances, goal: float, least: float) -> Tolerances:
    """The tolerances with which Δχ² is known to a small part of the threshold, which is all that a stop needs."""
    enough = np.sqrt(_ACCURACY * goal**2 / max(2.0 * least, goal**2))
    part, window = _SETTLED
    return replace(
        tolerances.at_most(_ITERATIONS),
        gtol=max(tolerances.gtol, float(enough)),
        settled=max(tolerances.settled, part * goal**2),
        window=min(window, tolerances.window),
    )


def _first_step(way: Way) -> float:
    """The step in u that a quadratic profile asks for, never more than a tenth of the range."""
    width = float(way.objective.width[way.index])
    expected = _PART * np.sqrt(way.thresholds.highest * way.base.covariance[way.index, way.index])
    return float(min(expected, 0.1 * width)) if expected > 0 else 0.01 * width


def _predicted(objective: Objective, here: Stop, index: int, value: float) -> np.ndarray:
    """All coordinates at a value of one of them, along the curved way that begins with the tangent at a stop."""
    u = objective.at_value(here.u, here.tangent, index, value)
    return np.clip(u, objective.low, objective.high)


def _starts(base: WalkBase, start: np.ndarray, index: int) -> list[np.ndarray]:
    """Where the others are fitted from: ``start``, and the nearest point awake if a logarithm has vanished there."""
    lost = vanishing(base.objective, start)
    lost[index] = False
    if not base.awake or not lost.any():
        return [start]
    nearest = min(base.awake, key=lambda u: abs(u[index] - start[index])).copy()
    nearest[index] = start[index]
    return [start, nearest]


def vanishing(objective: Objective, u: np.ndarray) -> np.ndarray:
    """Which coordinates (p,) are logarithms at their low bound."""
    return objective.log & (u <= objective.low)


def _others_fitted(objective: Objective, start: np.ndarray, index: int, tolerances: Tolerances) -> Minimum:
    """The minimum over all coordinates but one, which stays where ``start`` has it."""
    keep = np.arange(len(start)) != index
    box = Box(objective.low[keep], objective.high[keep])

    def whole(rest: np.ndarray, at: float) -> np.ndarray:
        u = np.full(len(start), at)
        u[keep] = rest
        return u

    def evaluate(rest: np.ndarray) -> NormalEquations:
        equations = objective(whole(rest, start[index]))
        gram = equations.gram[np.ix_(keep, keep)]
        return _Held(equations.cost, equations.gradient[keep], gram, equations.n_pairs, equations)

    def move(rest: np.ndarray, step: np.ndarray) -> np.ndarray:
        return objective.moved(whole(rest, start[index]), whole(step, 0.0))[keep]

    minimum = minimise(
        evaluate, np.clip(start[keep], *box), box, tolerances, floor=objective.floor, move=move
    )
    return minimum._replace(x=whole(minimum.x, start[index]))
