"""A trust-region method on normal equations, with bounds kept by an active set.

At x with gradient g and Gauss-Newton matrix H the step minimises gᵀs + ½ sᵀHs within the bounds and
within ‖D s‖ ≤ Δ, where D² is the largest diagonal of H met so far (Moré 1978). It never sees residuals, so
any evaluator that can state cost, gradient and Gauss-Newton matrix is served, whatever the amount of data.
Conn, Gould & Toint, Trust-Region Methods (SIAM 2000), chapters 7, 12 and 17.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import lsq_linear

from heterodyne.normal_equations import NormalEquations

Verdict = Literal["converged", "max iterations", "stalled", "failed"]
Evaluate = Callable[[np.ndarray], NormalEquations]

_ROUNDING = 1e-12  # relative error of a cost that is a difference of sums ten to a hundred times larger
_ACCEPT, _POOR, _GOOD = 1e-4, 0.25, 0.75
_PATIENCE = 3  # small steps in a row before a fit counts as standing still
_DETERMINED = 1e-10  # eigenvalue of the scaled Gram matrix, over p, from which a direction is determined
_FLAT = 1e-13  # eigenvalues of the scaled Gram matrix below this are rounding


@dataclass(frozen=True)
class Tolerances:
    """When to stop: ``gtol`` is success; ``ftol`` and ``xtol`` end a fit that stands still without it."""

    ftol: float = 1e-16
    xtol: float = 1e-12
    gtol: float = 1e-7
    max_iterations: int = 200


@dataclass(frozen=True, eq=False)
class Solution:
    """The point reached, its normal equations, the active bounds (-1 low, 0 free, 1 high) and the verdict."""

    x: np.ndarray
    equations: NormalEquations
    active: np.ndarray
    verdict: Verdict
    message: str
    iterations: int


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
    here = evaluate(x)
    scale, radius, idle = _column_size(here.gram), np.inf, 0

    def end(verdict: Verdict, message: str, iteration: int) -> Solution:
        return Solution(x, here, active_bounds(x, here.gradient, low, high), verdict, message, iteration)

    if not _finite(here):
        return end("failed", "the cost is not finite at the start", 0)
    for iteration in range(tolerances.max_iterations):
        if progress:
            progress(iteration, here.cost)
        active = active_bounds(x, here.gradient, low, high)
        if here.cost <= floor or tangent_cosine(here, active) <= tolerances.gtol:
            return end("converged", "", iteration)
        if idle >= _PATIENCE:
            return end("stalled", "the cost no longer changes", iteration)
        scale = np.maximum(scale, _column_size(here.gram))
        step = bounded_step(here.gradient, here.gram, scale, radius, low - x, high - x)
        predicted = -float(here.gradient @ step + 0.5 * step @ here.gram @ step)
        if predicted <= 0.0 or _negligible(step, x, tolerances.xtol):
            return end("stalled", "no step reduces the cost", iteration)
        trial = _inside(x + step, low, high)
        there = evaluate(trial)
        ratio = _agreement(here, there, predicted, active)
        radius = _next_radius(radius, ratio, float(np.linalg.norm(scale * step)))
        small = predicted <= tolerances.ftol * here.cost
        idle = idle + 1 if small else 0
        if ratio > _ACCEPT:
            x, here = trial, there
    return end("max iterations", f"not converged in {tolerances.max_iterations}", tolerances.max_iterations)


def tangent_cosine(equations: NormalEquations, active: np.ndarray) -> float:
    """The cosine between the residual and the tangent space, sqrt(gᵀ H⁻¹ g / 2 cost), 0 at a minimum.

    Taken over coordinates that are free of their bounds and directions that are not flat. Times
    sqrt(pairs / parameters) it is the relative offset of Bates & Watts, Technometrics 23 (1981) 179: the
    distance from the minimum in standard errors.
    """
    free = active == 0
    if not free.any():
        return 0.0
    gram, gradient = equations.gram[np.ix_(free, free)], equations.gradient[free]
    size = _column_size(gram)
    values, vectors = np.linalg.eigh(gram / np.outer(size, size))
    determined = values > _DETERMINED * len(values)
    along = vectors[:, determined].T @ (gradient / size)
    square = float(np.sum(along**2 / values[determined]))
    return float(np.sqrt(square / max(2.0 * equations.cost, np.finfo(float).tiny)))


def active_bounds(x: np.ndarray, gradient: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """-1 where x is at its low bound and the cost falls beyond it, 1 at the high one, 0 elsewhere."""
    return ((x >= high) & (gradient < 0)).astype(int) - ((x <= low) & (gradient > 0)).astype(int)


def bounded_step(
    gradient: np.ndarray,
    gram: np.ndarray,
    scale: np.ndarray,
    radius: float,
    low: np.ndarray,
    high: np.ndarray,
) -> np.ndarray:
    """The step of the quadratic model within ‖scale · s‖ ≤ radius and ``low`` ≤ s ≤ ``high``.

    Where the step of the ball alone crosses a bound, the model with the ball's multiplier is minimised
    within the bounds (`scipy.optimize.lsq_linear`), and the multiplier raised until the ball holds too.
    """
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    values = np.maximum(values, _FLAT * max(values[-1], _FLAT))
    slope = vectors.T @ (gradient / scale)
    shift = ball_multiplier(values, slope, radius)
    step = -vectors @ (slope / (values + shift)) / scale
    if np.all((step >= low) & (step <= high)):
        return step
    while True:
        root = np.sqrt(values + shift)
        rows, limits = root[:, None] * vectors.T, (scale * low, scale * high)
        box = lsq_linear(rows, -slope / root, limits, "bvls", tol=1e-15, max_iter=100)
        if np.linalg.norm(box.x) <= 1.001 * radius:
            inside = np.clip(box.x / scale, low, high)
            return np.where(box.active_mask < 0, low, np.where(box.active_mask > 0, high, inside))
        shift = max(2.0 * shift, 1e-3 * values[-1])


def ball_multiplier(values: np.ndarray, slope: np.ndarray, radius: float) -> float:
    """μ ≥ 0 with ‖slope / (values + μ)‖ = radius, 0 if the ball does not act (Moré & Sorensen 1983)."""
    shift = 0.0
    for _ in range(50):
        length = np.linalg.norm(slope / (values + shift))
        if length <= 1.001 * radius:
            break
        # Newton's method on 1/length, which is nearly linear in the multiplier
        curvature = np.sum(slope**2 / (values + shift) ** 3) / length**2
        shift += (length / radius - 1.0) / curvature
    return float(shift)


def _inside(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """x within its bounds, exactly on a bound where only rounding keeps it off."""
    near = 1e-13 * (high - low)
    return np.where(x <= low + near, low, np.where(x >= high - near, high, x))


def _column_size(gram: np.ndarray) -> np.ndarray:
    size = np.sqrt(np.maximum(np.diag(gram), 0.0))
    return np.where(size > 0, size, 1.0)


def _agreement(here: NormalEquations, there: NormalEquations, predicted: float, active: np.ndarray) -> float:
    """Actual over predicted reduction of the cost.

    Where both drown in the rounding of the cost the gradient decides: 1 if it falls, else 0.
    """
    if not _finite(there):
        return -1.0
    reduction, blur = here.cost - there.cost, _ROUNDING * here.cost
    if predicted <= blur and abs(reduction) <= blur:
        return float(tangent_cosine(there, active) < tangent_cosine(here, active))
    return reduction / predicted


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
