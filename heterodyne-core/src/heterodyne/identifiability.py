"""Which directions in parameter space the data determine, from the Gauss-Newton matrix at the solution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLAT = 1e-10
"""Eigenvalues below this times the number of coordinates are taken for 0."""

_LOADING = 0.1


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues (p,) and eigenvectors (p, p, in columns) of the Gram matrix scaled to unit diagonal.

    ``size`` (p,) is the square root of the diagonal; ``flat`` (p,) marks directions in which the data say
    nothing, ``lost`` (p,) those and the ones whose standard error spans more than the bounds,
    ``undetermined`` (p,) the parameters with a squared loading above 0.1 in lost directions.
    """

    eigenvalues: np.ndarray
    vectors: np.ndarray
    size: np.ndarray
    flat: np.ndarray
    lost: np.ndarray
    undetermined: np.ndarray

    @property
    def rank(self) -> int:
        """The number of determined directions."""
        return int((~self.lost).sum())


def spectrum(gram: np.ndarray, width: np.ndarray) -> Spectrum:
    """The spectrum of a weighted Gram matrix (p, p) whose coordinates range over ``width`` (p,).

    A direction is lost when its eigenvalue is below 1e-10 p, or when one standard error along it spans
    more than the bounds.
    """
    size = np.sqrt(np.maximum(np.diag(gram), 0.0))
    size = np.where(size > 0, size, 1.0)
    eigenvalues, vectors = np.linalg.eigh(gram / np.outer(size, size))
    eigenvalues = np.maximum(eigenvalues, 0.0)
    flat = eigenvalues < FLAT * len(gram)
    error = 1.0 / np.sqrt(np.where(flat, 1.0, eigenvalues))
    span = 2.0 * np.abs(vectors) * error / size[:, None]
    lost = flat | (span > width[:, None]).any(axis=0)
    undetermined = (vectors[:, lost] ** 2).sum(axis=1) > _LOADING
    return Spectrum(eigenvalues, vectors, size, flat, lost, undetermined)


def independent_covariance(found: Spectrum) -> np.ndarray:
    """The inverse of the Gram matrix over all directions but flat ones, (p, p).

    Directions that are lost without being flat stay in: left out, the errors of parameters that load on
    them a little would be too small.
    """
    keep = ~found.flat
    vectors = found.vectors[:, keep]
    return (vectors / found.eigenvalues[keep]) @ vectors.T / np.outer(found.size, found.size)
