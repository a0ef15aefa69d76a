"""A trust-region method on normal equations, with bounds kept by an active set.

At x with gradient g and Gauss-Newton matrix H the step minimises gᵀs + ½ sᵀHs within the bounds and
within ‖D s‖ ≤ Δ, where D² is the largest diagonal of H met so far (Moré 1978). It never sees residuals, so
any evaluator that can state cost, gradient and Gauss-Newton matrix is served, whatever the amount of data.
Conn, Gould & Toint, Trust-Region Methods (SIAM 2000), chapters 7, 12 and 17.4. Where the cost has edges, see
`heterodyne_nlsq.trust_region.kinks`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from heterodyne.problem.normal_equations import NormalEquations
from heterodyne.solution.solution import Solution, Verdict
from heterodyne_nlsq.trust_region.bounded_step import bounded_step
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
from heterodyne_nlsq.trust_region.stationarity import Point, active_bounds, column_size, tangent_cosine

Evaluate = Callable[[np.ndarray], NormalEquations]

ON_EDGE = "the minimum is where the model clips a fraction or a rate, and errors hold to one side of it"

_ACCEPT, _POOR, _GOOD = 1e-4, 0.25, 0.75
_PATIENCE = 3  # small steps in a row before a fit counts as standing still


@dataclass(frozen=True)
class Tolerances:
    """When to stop: ``gtol`` is success; ``ftol`` and ``xtol`` end a fit that stands still without it."""

    ftol: float = 1e-16
    xtol: float = 1e-12
    gtol: float = 1e-7
    max_iterations: int = 200


def minimise(
    evaluate: Evaluate,
    start: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    tolerances: Tolerances = Tolerances(),
    progress: Callable[[int, float], None] | None = None,
    floor: float = 0.0,
) -> Solution:
    """The minimum of the cost within ``low`` ≤ x ≤ ``high`` that is reached from ``start``.

    A cost of at most ``floor`` is rounding and counts as converged: there the gradient has no direction.
    """
    x = _inside(np.asarray(start, dtype=float), low, high)
    here, beyond = Point(x, evaluate(x)), list[Point]()
    scale, radius, idle = column_size(here.equations.gram), np.inf, 0
    near = error_length(here.equations)

    def end(verdict: Verdict, message: str, iteration: int) -> Solution:
        return Solution(*here, active_bounds(here, low, high), verdict, message, iteration)

    if not _finite(here.equations):
        return end("failed", "the cost is not finite at the start", 0)
    for iteration in range(tolerances.max_iterations):
        cost = here.equations.cost
        if progress:
            progress(iteration, cost)
        cosine = tangent_cosine(here.equations, active_bounds(here, low, high))
        if cost <= floor or cosine <= tolerances.gtol:
            return end("converged", "", iteration)
        if idle >= _PATIENCE:
            return end("stalled", "the cost no longer changes", iteration)
        scale = np.maximum(scale, column_size(here.equations.gram))
        beyond = [one for one in beyond if distance(here, one) <= near]
        step, promised, weights = _step(
            here, beyond, tolerances.gtol, scale, radius, low - here.x, high - here.x
        )
        if beyond and promised <= tolerances.gtol**2 * cost:
            here, beyond = onto_edges(evaluate, here, beyond, weights, (low, high), 0.5 * tolerances.gtol)
            if on_edge(here, beyond, active_bounds(here, low, high), tolerances.gtol):
                return end("converged", ON_EDGE, iteration)
            idle += 1
            continue
        if promised <= 0.0 or _negligible(step, here.x, tolerances.xtol):
            return end("stalled", "no step reduces the cost", iteration)
        x = _inside(here.x + step, low, high)
        there = Point(x, evaluate(x))
        ratio = _agreement(here, there, promised)
        radius = _next_radius(radius, ratio, float(np.linalg.norm(scale * step)))
        idle = idle + 1 if promised <= tolerances.ftol * cost else 0
        crossed = cosine <= near and has_edge(here, there, bool(beyond))
        if ratio > _ACCEPT:
            here, there = there, here
        if crossed:
            beyond = [*beyond, there][-MOST:]
    return end("max iterations", f"not converged in {tolerances.max_iterations}", tolerances.max_iterations)


def _step(
    here: Point,
    beyond: list[Point],
    reach: float,
    scale: np.ndarray,
    radius: float,
    low: np.ndarray,
    high: np.ndarray,
) -> EdgeStep:
    """The next step: with points beyond edges theirs, unless the bounds spoil it."""
    if beyond:
        found = edge_step(here, beyond, reach, scale, radius, low, high)
        if found.promised >= -(reach**2) * here.equations.cost:
            return found
    gradient, gram = here.equations.gradient, here.equations.gram
    step = bounded_step(gradient, gram, scale, radius, low, high)
    return EdgeStep(step, -float(gradient @ step + 0.5 * step @ gram @ step), np.zeros(len(beyond)))


def _inside(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """x within its bounds, exactly on a bound where only rounding keeps it off."""
    width = high - low
    near = 1e-13 * np.where(np.isfinite(width), width, 0.0)
    return np.where(x <= low + near, low, np.where(x >= high - near, high, x))


def _agreement(here: Point, there: Point, promised: float) -> float:
    """Actual over promised reduction of the cost.

    Where both drown in the rounding of the cost, the reduction is that of the slopes at both ends (Hager &
    Zhang, SIAM J. Optim. 16 (2005) 170), which keep their digits.
    """
    one, two = here.equations, there.equations
    if not _finite(two):
        return -1.0
    reduction, blur = one.cost - two.cost, ROUNDING * one.cost
    if promised <= blur and abs(reduction) <= blur:
        reduction = -0.5 * float((one.gradient + two.gradient) @ (there.x - here.x))
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
