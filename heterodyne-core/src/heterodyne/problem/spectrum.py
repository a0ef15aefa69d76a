"""Which directions in parameter space the data determine, from the Gauss-Newton matrix at the solution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

FLAT = 1e-10
"""Eigenvalues below this times the number of coordinates are taken for 0."""

_LOADING = 0.1


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues (p,) and eigenvectors (p, p, in columns) of the Gram matrix scaled to unit diagonal.

    ``size`` (p,) is the square root of the diagonal, or 2 over the width of the bounds where that is more;
    ``flat`` (p,) marks directions in which the data say nothing, ``lost`` (p,) those and the ones whose standard
    error spans more than the bounds, ``undetermined`` (p,) the parameters with a squared loading above 0.1 in
    lost directions.
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

    @property
    def basis(self) -> np.ndarray:
        """The directions of the eigenvectors in the coordinates themselves, (p, p, in columns)."""
        return self.vectors / self.size[:, None]


def spectrum_of(gram: np.ndarray, width: np.ndarray) -> Spectrum:
    """The spectrum of a weighted Gram matrix (p, p) whose coordinates range over ``width`` (p,).

    A direction is lost when its eigenvalue is below 1e-10 p, or when one standard error along it spans
    more than the bounds. A coordinate whose error would span its bounds though all others were known is a
    flat direction of its own: scaled to unit diagonal, it would take well-known ones along.
    """
    own = np.sqrt(np.maximum(np.diag(gram), 0.0))
    least = 2.0 / width
    seen = own > least
    size = np.where(seen, own, np.where(least > 0.0, least, 1.0))
    scaled = np.where(np.outer(seen, seen), gram / np.outer(size, size), 0.0)
    eigenvalues, vectors = np.linalg.eigh(scaled)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    flat = eigenvalues < FLAT * len(gram)
    none = np.zeros(len(gram), dtype=bool)
    spectrum = Spectrum(eigenvalues, vectors, size, flat, flat, none)
    return _judged(spectrum, _span(spectrum, 1.0 / np.sqrt(np.where(flat, 1.0, eigenvalues)), width))


def with_covariance(
    spectrum: Spectrum, covariance: np.ndarray, width: np.ndarray
) -> tuple[Spectrum, np.ndarray]:
    """The spectrum judged by a covariance (p, p) of its coordinates, and that covariance within the bounds.

    The error along a lost direction is taken to be what the bounds allow: more would be passed on, though it
    means nothing, to parameters that load on the direction a little. A parameter whose own error spans more
    than its bounds is undetermined too.
    """
    inverse = spectrum.vectors.T * spectrum.size
    along = inverse @ covariance @ inverse.T
    span = _span(spectrum, np.sqrt(np.maximum(np.diag(along), 0.0)), width)
    reach = spectrum.basis / np.maximum(span, 1.0)
    limited, judged = reach @ along @ reach.T, _judged(spectrum, span)
    wide = 2.0 * np.sqrt(np.diag(limited)) > width
    return replace(judged, undetermined=judged.undetermined | wide), limited


def _span(spectrum: Spectrum, error: np.ndarray, width: np.ndarray) -> np.ndarray:
    """The most, over the coordinates, of what ``error`` (p,) along every direction spans of the bounds, (p,)."""
    return np.max(2.0 * np.abs(spectrum.basis) * error / width[:, None], axis=0, initial=0.0)


def _judged(spectrum: Spectrum, span: np.ndarray) -> Spectrum:
    """The spectrum with directions lost whose error spans more than the bounds."""
    lost = spectrum.flat | (span > 1.0)
    undetermined = (spectrum.vectors[:, lost] ** 2).sum(axis=1) > _LOADING
    return replace(spectrum, lost=lost, undetermined=undetermined)


def independent_covariance(spectrum: Spectrum) -> np.ndarray:
    """The inverse of the Gram matrix over all directions but flat ones, (p, p).

    Directions that are lost without being flat stay in: left out, the errors of parameters that load on
    them a little would be too small.
    """
    keep = ~spectrum.flat
    vectors = spectrum.vectors[:, keep]
    return (vectors / spectrum.eigenvalues[keep]) @ vectors.T / np.outer(spectrum.size, spectrum.size)
