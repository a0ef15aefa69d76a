"""The step of a quadratic model within bounds and within a ball."""

from __future__ import annotations

import numpy as np
from scipy.optimize import lsq_linear

FLAT = 1e-13
"""Eigenvalues of the scaled Gram matrix below this are rounding."""


def bounded_step(
    gradient: np.ndarray,
    gram: np.ndarray,
    scale: np.ndarray,
    radius: float,
    low: np.ndarray,
    high: np.ndarray,
) -> np.ndarray:
    """The step of the quadratic model within ‖scale · s‖ ≤ radius and ``low`` ≤ s ≤ ``high``.

    Coordinates that stand on a bound and are pushed beyond it stay there, if the step of the others leaves
    them pushed: the ball is for those others. Where the step of the ball alone crosses a bound, the model
    with the ball's multiplier is minimised within the bounds (`scipy.optimize.lsq_linear`), and the
    multiplier raised until the ball holds too.
    """
    held = ((low >= 0) & (gradient > 0)) | ((high <= 0) & (gradient < 0))
    if held.any():
        step = np.zeros(len(gradient))
        if not held.all():
            inner = gram[np.ix_(~held, ~held)], scale[~held], radius, low[~held], high[~held]
            step[~held] = bounded_step(gradient[~held], *inner)
        slope = (gradient + gram @ step)[held]
        if np.all(slope * gradient[held] >= 0):
            return step
    values, vectors = scaled_spectrum(gram, scale)
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


def scaled_spectrum(gram: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, not below rounding, and eigenvectors of the Gram matrix in units of ``scale``."""
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    return np.maximum(values, FLAT * max(values[-1], FLAT)), vectors


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
