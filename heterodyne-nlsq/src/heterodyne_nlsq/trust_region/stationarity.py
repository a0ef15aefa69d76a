"""A point of a fit, the box that bounds it, and how far it is from a minimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from heterodyne.problem.normal_equations import NormalEquations
from heterodyne.problem.spectrum import FLAT

Evaluate = Callable[[np.ndarray], NormalEquations]

_NEAR = 1e-13  # of the width of a box: so near a bound, only rounding keeps a coordinate off it


class Point(NamedTuple):
    """Coordinates x (p,) and the normal equations there."""

    x: np.ndarray
    equations: NormalEquations


class Box(NamedTuple):
    """The bounds ``low`` ≤ x ≤ ``high``, (p,) each."""

    low: np.ndarray
    high: np.ndarray

    def nearest(self, x: np.ndarray) -> np.ndarray:
        """x within its bounds, exactly on a bound where only rounding keeps it off."""
        low, high = self
        width = high - low
        near = _NEAR * np.where(np.isfinite(width), width, 0.0)
        return np.where(x <= low + near, low, np.where(x >= high - near, high, x))

    def active(self, point: Point) -> np.ndarray:
        """The bounds on which a point lies and beyond which the cost falls: -1 low, 1 high, 0 none."""
        return point.equations.active(point.x, *self)

    def cosine(self, point: Point, gradient: np.ndarray | None = None) -> float:
        """The cosine between the residual and the tangent space, sqrt(gᵀ H⁻¹ g / 2 cost), 0 at a minimum.

        Taken over coordinates that are free of their bounds and directions that are not flat. Times
        sqrt(pairs / parameters) it is the relative offset of Bates & Watts, Technometrics 23 (1981) 179: the
        distance from the minimum in standard errors. ``gradient`` is that at the point unless given.
        """
        equations = point.equations
        slope = equations.gradient if gradient is None else gradient
        white = whitening(equations.gram, self.active(point))
        return float(np.linalg.norm(white @ slope)) / residual_norm(equations)


def residual_norm(equations: NormalEquations) -> float:
    """sqrt(2 cost), never 0."""
    return float(np.sqrt(max(2.0 * equations.cost, np.finfo(float).tiny)))


def whitening(gram: np.ndarray, active: np.ndarray) -> np.ndarray:
    """W (d, p) with WᵀW the inverse of the Gram matrix over free coordinates and directions not flat."""
    free = active == 0
    inner = gram[np.ix_(free, free)]
    if not inner.size:
        return np.zeros((0, len(gram)))
    size = column_size(inner)
    values, vectors = np.linalg.eigh(inner / np.outer(size, size))
    determined = values > FLAT * len(values)
    white = np.zeros((int(determined.sum()), len(gram)))
    white[:, free] = (vectors[:, determined] / np.sqrt(values[determined])).T / size
    return white


def column_size(gram: np.ndarray) -> np.ndarray:
    """The square root of the diagonal, 1 where that is 0."""
    size = np.sqrt(np.maximum(np.diag(gram), 0.0))
    return np.where(size > 0, size, 1.0)
