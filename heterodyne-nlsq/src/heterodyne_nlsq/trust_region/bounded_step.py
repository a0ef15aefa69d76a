"""The step of a quadratic model within bounds and within a ball."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import lsq_linear

_LEAST = 1e-13  # eigenvalues of the scaled Gram matrix below this, over the largest, say nothing


class Region(NamedTuple):
    """Where a step s may end: ‖``scale`` · s‖ ≤ ``radius`` and ``low`` ≤ s ≤ ``high``."""

    scale: np.ndarray
    radius: float
    low: np.ndarray
    high: np.ndarray

    def over(self, chosen: np.ndarray) -> Region:
        """The region of some coordinates (p,), the others standing still."""
        return Region(self.scale[chosen], self.radius, self.low[chosen], self.high[chosen])


def bounded_step(gradient: np.ndarray, gram: np.ndarray, region: Region) -> np.ndarray:
    """The step of the quadratic model gᵀs + ½ sᵀHs within the region.

    Coordinates that stand on a bound and are pushed beyond it stay there, if the step of the others leaves
    them pushed: the ball is for those others. Where the step of the ball alone crosses a bound, the model
    with the ball's multiplier is minimised within the bounds (`scipy.optimize.lsq_linear`), and the
    multiplier raised until the ball holds too.
    """
    scale, radius, low, high = region
    pushed = ((low >= 0) & (gradient > 0)) | ((high <= 0) & (gradient < 0))
    if pushed.any():
        step, rest = np.zeros(len(gradient)), ~pushed
        if rest.any():
            step[rest] = bounded_step(gradient[rest], gram[np.ix_(rest, rest)], region.over(rest))
        slope = (gradient + gram @ step)[pushed]
        if np.all(slope * gradient[pushed] >= 0):
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
        boxed = lsq_linear(rows, -slope / root, limits, "bvls", tol=1e-15, max_iter=100)
        if np.linalg.norm(boxed.x) <= 1.001 * radius:
            inside = np.clip(boxed.x / scale, low, high)
            return np.where(boxed.active_mask < 0, low, np.where(boxed.active_mask > 0, high, inside))
        shift = max(2.0 * shift, 1e-3 * values[-1])


def scaled_spectrum(gram: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, not below rounding, and eigenvectors of the Gram matrix in units of ``scale``."""
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    return np.maximum(values, _LEAST * max(values[-1], _LEAST)), vectors


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
