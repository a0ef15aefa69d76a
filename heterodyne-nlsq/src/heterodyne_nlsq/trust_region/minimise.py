"""A trust-region method on normal equations, with bounds kept by an active set.

At x with gradient g and Gauss-Newton matrix H the step minimises gᵀs + ½ sᵀHs within the bounds and
within ‖D s‖ ≤ Δ, where D² is the largest diagonal of H met so far (Moré 1978). It never sees residuals, so
any evaluator that can state cost, gradient and Gauss-Newton matrix is served, whatever the amount of data.
Conn, Gould & Toint, Trust-Region Methods (SIAM 2000), chapters 7, 12 and 17.4. Where the cost has edges, see
`heterodyne_nlsq.trust_region.kinks`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from heterodyne.problem.curve_steps import Move
from heterodyne.problem.normal_equations import NormalEquations
from heterodyne.solution.solution import Verdict
from heterodyne_nlsq.trust_region.bounded_step import Region, bounded_step
from heterodyne_nlsq.trust_region.kinks import (
    MOST,
    ROUNDING,
    EdgeStep,
    distance,
    edge_step,
    error_length,
    has_edge,
    on_edge,
    onto_edges,
)
from heterodyne_nlsq.trust_region.stationarity import Box, Evaluate, Point, column_size

ON_EDGE = "the minimum is where the model clips a fraction or a rate, and errors hold to one side of it"

SETTLED = "the cost has settled: no more than {:g} of a chi2 is to be gained, a small part of an error"

Watch = Callable[[int, float], None]

_BLURRED = (
    100.0  # times what rounding leaves at least: a change of the cost that may be no more than rounding
)
_ACCEPT, _POOR, _GOOD = 1e-4, 0.25, 0.75
_PATIENCE = 3  # small steps in a row before a fit counts as standing still
_FAR = 0.1  # of its range: a coordinate that moves so far within the window has not settled
_UNBOUNDED = 0.01  # of itself: what stands for the range of a coordinate without bounds
_CREEP, _NEAR = (
    10.0,
    100.0,
)  # times what a settled fit may gain: what one that creeps may have, and may be offered


@dataclass(frozen=True)
class Tolerances:
    """When to stop: ``gtol`` is success; ``ftol`` and ``xtol`` end a fit that stands still without it.

    A fit that creeps has also succeeded where χ² has fallen by less than ``settled`` over the last ``window``
    iterations, and a step of any length within the bounds promises less than that too; or by less than ten times that
    over twice the window, and such a step promises less than a hundred times that (0.3 standard errors). χ² is in
    units of the noise that the cost itself implies, so that the square root of what is promised is the distance from
    the minimum in standard errors (the relative offset of Bates & Watts).
    """

    ftol: float = 1e-16
    xtol: float = 1e-12
    gtol: float = 1e-7
    max_iterations: int = 200
    settled: float = 1e-3
    window: int = 20

    def at_most(self, iterations: int) -> Tolerances:
        """The same with no more than so many iterations."""
        return replace(self, max_iterations=min(iterations, self.max_iterations))


class Minimum(NamedTuple):
    """Where a descent ended: x, the normal equations there, the active bounds, and how it ended."""

    x: np.ndarray
    equations: NormalEquations
    active: np.ndarray
    verdict: Verdict
    message: str
    iterations: int


class _Descent(NamedTuple):
    """A descent under way: the point reached, points beyond the edges near it, D (p,) and Δ of the trust
    region, how many steps in a row promised next to nothing, and the points so far."""

    here: Point
    beyond: list[Point]
    scale: np.ndarray
    radius: float = np.inf
    idle: int = 0
    path: tuple[Point, ...] = ()


def minimise(
    evaluate: Evaluate,
    start: np.ndarray,
    box: Box,
    tolerances: Tolerances = Tolerances(),
    watch: Watch = lambda iteration, cost: None,
    floor: float = 0.0,
    move: Move = np.add,
) -> Minimum:
    """The minimum of the cost within the ``box`` that is reached from ``start``, every step going as ``move`` says.

    A cost of at most ``floor`` is rounding and counts as converged: there the gradient has no direction.
    ``watch`` is told the number and the cost of every iteration.
    """
    x = box.nearest(np.asarray(start, dtype=float))
    here = Point(x, evaluate(x))
    descent = _Descent(here, [], column_size(here.equations.gram))

    def ended(verdict: Verdict, message: str, iterations: int) -> Minimum:
        return Minimum(*descent.here, box.active(descent.here), verdict, message, iterations)

    if not _finite(here.equations):
        return ended("failed", "the cost is not finite at the start", 0)
    for iteration in range(tolerances.max_iterations):
        watch(iteration, descent.here.equations.cost)
        if descent.here.equations.cost <= floor or box.cosine(descent.here) <= tolerances.gtol:
            return ended("converged", "", iteration)
        descent = _surveyed(descent)
        if (gain := _to_be_gained(descent, box, tolerances)) is not None:
            words = (SETTLED.format(gain), ON_EDGE) if descent.beyond else (SETTLED.format(gain),)
            return ended("converged", "; ".join(words), iteration)
        if descent.idle >= _PATIENCE:
            return ended("stalled", "the cost no longer changes", iteration)
        step = _step(descent, box, tolerances.gtol)
        if descent.beyond and step.promised <= tolerances.gtol**2 * descent.here.equations.cost:
            descent = _onto_edges(evaluate, descent, step.weights, box, tolerances.gtol)
            if on_edge(descent.here, descent.beyond, box, tolerances.gtol):
                return ended("converged", ON_EDGE, iteration)
        elif step.promised <= 0.0 or _negligible(step.step, descent.here.x, tolerances.xtol):
            return ended("stalled", "no step reduces the cost", iteration)
        else:
            # edges are met where a straight step goes
            along = np.add if descent.beyond else move
            there = box.nearest(along(descent.here.x, step.step))
            descent = _tried(evaluate, descent, step, there, box, tolerances.ftol, floor)
    return ended("max iterations", f"not converged in {tolerances.max_iterations}", tolerances.max_iterations)


def _surveyed(descent: _Descent) -> _Descent:
    """The descent with the scale of all points met so far, and points beyond edges only where they are near."""
    here = descent.here
    near = error_length(here.equations)
    return descent._replace(
        path=(*descent.path, here),
        scale=np.maximum(descent.scale, column_size(here.equations.gram)),
        beyond=[point for point in descent.beyond if distance(here, point) <= near],
    )


def _to_be_gained(descent: _Descent, box: Box, tolerances: Tolerances) -> float | None:
    """The χ² than which no more is to be gained where a descent has settled, None where it has not.

    That is asked of the last steps, unless they are known to promise next to nothing, and of a step of any length.
    Among edges, where descents creep for long, it is asked over twice the window, more loosely.
    """
    window, least, path = tolerances.window, tolerances.settled, descent.path
    unit = descent.here.equations.cost / descent.here.equations.n_pairs  # half of a χ² of 1
    still = descent.idle >= _PATIENCE
    creeps = _fall(path, box, 2 * window) <= _CREEP * least * unit
    if not (still or creeps or _fall(path, box, window) <= least * unit):
        return None
    promised = _step(descent._replace(radius=np.inf), box, tolerances.gtol).promised
    if 0.0 <= promised <= least * unit:
        return least
    return _NEAR * least if creeps and 0.0 <= promised <= _NEAR * least * unit else None


def _fall(path: tuple[Point, ...], box: Box, iterations: int) -> float:
    """By how much the cost has fallen over so many iterations.

    Infinite before these have been made, and where a coordinate has moved far meanwhile: a cost that levels off on the
    way to infinity has no minimum there.
    """
    if len(path) <= iterations:
        return np.inf
    before, here = path[-1 - iterations], path[-1]
    width = box.high - box.low
    size = np.where(np.isfinite(width), width, _UNBOUNDED * np.abs(here.x))
    if np.any(np.abs(here.x - before.x) > _FAR * size):
        return np.inf
    return before.equations.cost - here.equations.cost


def _step(descent: _Descent, box: Box, reach: float) -> EdgeStep:
    """The next step: with points beyond edges theirs, unless the bounds spoil it."""
    here, beyond = descent.here, descent.beyond
    region = Region(descent.scale, descent.radius, box.low - here.x, box.high - here.x)
    if beyond:
        across = edge_step(here, beyond, reach, region)
        if across.promised >= -(reach**2) * here.equations.cost:
            return across
    gradient, gram = here.equations.gradient, here.equations.gram
    step = bounded_step(gradient, gram, region)
    return EdgeStep(step, -float(gradient @ step + 0.5 * step @ gram @ step), np.zeros(len(beyond)))


def _onto_edges(
    evaluate: Evaluate, descent: _Descent, weights: np.ndarray, box: Box, gtol: float
) -> _Descent:
    """The descent with its points moved to both sides of the edges that hold it."""
    here, beyond = onto_edges(evaluate, descent.here, descent.beyond, weights, box, 0.5 * gtol)
    return descent._replace(here=here, beyond=beyond, idle=descent.idle + 1)


def _tried(
    evaluate: Evaluate,
    descent: _Descent,
    step: EdgeStep,
    x: np.ndarray,
    box: Box,
    ftol: float,
    floor: float,
) -> _Descent:
    """The descent after a step to x, which is taken where the cost falls, with the region that its promise deserves."""
    here, beyond = descent.here, descent.beyond
    there = Point(x, evaluate(x))
    ratio = _agreement(here, there, step.promised, floor)
    radius = _next_radius(descent.radius, ratio, float(np.linalg.norm(descent.scale * step.step)))
    idle = descent.idle + 1 if step.promised <= ftol * here.equations.cost else 0
    # edges matter where a smooth minimum would be less than a standard error away
    crossed = has_edge(here, there, bool(beyond)) and box.cosine(here) <= error_length(here.equations)
    if ratio > _ACCEPT:
        here, there = there, here
    kept = [*beyond, there][-MOST:] if crossed else beyond
    return descent._replace(here=here, beyond=kept, radius=radius, idle=idle)


def _agreement(here: Point, there: Point, promised: float, floor: float) -> float:
    """Actual over promised reduction of the cost.

    Where both drown in the rounding of the cost, at least ``floor``, the reduction is that of the slopes at both
    ends (Hager & Zhang, SIAM J. Optim. 16 (2005) 170), which keep their digits.
    """
    before, after = here.equations, there.equations
    if not _finite(after):
        return -1.0
    reduction, blur = before.cost - after.cost, max(ROUNDING * before.cost, floor)
    if promised <= blur and abs(reduction) <= _BLURRED * blur:
        reduction = -0.5 * float((before.gradient + after.gradient) @ (there.x - here.x))
    return reduction / promised


def _next_radius(radius: float, ratio: float, length: float) -> float:
    if ratio < _POOR:
        return 0.25 * length
    return max(radius, 2.0 * length) if ratio > _GOOD else radius


def _negligible(step: np.ndarray, x: np.ndarray, xtol: float) -> bool:
    return bool(np.all(np.abs(step) <= xtol * (np.abs(x) + xtol)))


def _finite(equations: NormalEquations) -> bool:
    return bool(
        np.isfinite(equations.cost)
        and np.all(np.isfinite(equations.gradient))
        and np.all(np.isfinite(equations.gram))
    )
