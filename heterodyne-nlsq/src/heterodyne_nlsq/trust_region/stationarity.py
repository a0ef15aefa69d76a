"""A point of a fit, its active bounds, and how far it is from a minimum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heterodyne.problem.normal_equations import NormalEquations

_DETERMINED = 1e-10  # eigenvalue of the scaled Gram matrix, over p, from which a direction is determined


class Point(NamedTuple):
    """Coordinates x (p,) and the normal equations there."""

    x: np.ndarray
    equations: NormalEquations


def active_bounds(here: Point, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """-1 where x is at its low bound and the cost falls beyond it, 1 at the high one, 0 elsewhere."""
    x, gradient = here.x, here.equations.gradient
    return ((x >= high) & (gradient < 0)).astype(int) - ((x <= low) & (gradient > 0)).astype(int)


def tangent_cosine(
    equations: NormalEquations, active: np.ndarray, gradient: np.ndarray | None = None
) -> float:
    """The cosine between the residual and the tangent space, sqrt(gᵀ H⁻¹ g / 2 cost), 0 at a minimum.

    Taken over coordinates that are free of their bounds and directions that are not flat. Times
    sqrt(pairs / parameters) it is the relative offset of Bates & Watts, Technometrics 23 (1981) 179: the
    distance from the minimum in standard errors. ``gradient`` is that of the equations unless given.
    """
    given = equations.gradient if gradient is None else gradient
    return float(np.linalg.norm(whitening(equations.gram, active) @ given)) / residual_norm(equations)


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
    determined = values > _DETERMINED * len(values)
    found = np.zeros((int(determined.sum()), len(gram)))
    found[:, free] = (vectors[:, determined] / np.sqrt(values[determined])).T / size
    return found


def column_size(gram: np.ndarray) -> np.ndarray:
    """The square root of the diagonal, 1 where that is 0."""
    size = np.sqrt(np.maximum(np.diag(gram), 0.0))
    return np.where(size > 0, size, 1.0)
