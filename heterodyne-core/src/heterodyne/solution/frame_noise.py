"""The noise of single frames, and how many pixels c2 is an average over, as the residual tells.

For nearly Gaussian intensities c2 - 1 is a sample covariance over P pixels, whose elements have the covariance

    cov(c2_ij, c2_kl) = (C_ik C_jl + C_il C_jk)/P,      C = contrast (S + κ 1),

κ contrast being the noise of one frame, as of its photons, which stands on the diagonal of c2. With 1 + κ = x, so with
T1 = <S_j,j+1>, T0 = <S_ij²> and T2 = <S_ij S_i,j+1> over pairs that are neighbours in a row,

    <R_ij²> = contrast² (x² + T0)/P,      <R_ij R_i,j+1> = contrast² (x T1 + T2)/P.

The ratio of the two gives x, the first P.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heterodyne.bins.bin import Bin

_MOST = 1e4
"""κ of noise that no two frames share, as far as can be told."""

_LEAST = 1e-2
"""κ at which C is still well-conditioned."""

_ALIKE = 0.1, 0.2
"""Difference between correlations of neighbours, and part of them, up to which diagonal and residual tell the same."""


class NeighbourSums(NamedTuple):
    """Sums over the n pairs (i, j), (i, j + 1) that are both in use: of r², r r', S², S S' and S_j,j+1."""

    n: float
    square: float
    product: float
    s_square: float
    s_product: float
    s_next: float

    def means(self) -> tuple[float, ...]:
        """The means of the five."""
        return tuple(total / self.n for total in self[1:]) if self.n else (np.nan,) * 5


class FrameNoise(NamedTuple):
    """κ, and P as all of the residual tells and as its differences between neighbours do.

    A misfit, which varies slowly, makes P smaller, and next to nothing of what neighbours tell.
    """

    ratio: float
    pixels: float
    pixels_near: float


def frame_noise(sums: NeighbourSums, bin: Bin, contrast: float, offset: float) -> FrameNoise:
    """The noise of the frames of a bin with this contrast and offset; κ is 1e4 where elements are independent.

    κ comes from the diagonal of c2 where that tells what the residual does, else from the residual.
    """
    square, product, t0, t2, t1 = sums.means()
    if not (contrast > 0.0 and square > 0.0):
        return FrameNoise(_MOST, np.nan, np.nan)
    correlation, ratio = product / square, _of_diagonal(bin, contrast, offset)
    expected = ((1.0 + ratio) * t1 + t2) / ((1.0 + ratio) ** 2 + t0)
    if not abs(expected - correlation) <= _ALIKE[0] + _ALIKE[1] * expected:
        ratio = _of_residual(correlation, t0, t1, t2)
    ratio = float(np.clip(ratio, _LEAST, _MOST))
    x = 1.0 + ratio
    whole, near = x**2 + t0, x**2 + t0 - x * t1 - t2
    return FrameNoise(ratio, contrast**2 * whole / square, contrast**2 * near / max(square - product, 1e-300))


def _of_residual(correlation: float, t0: float, t1: float, t2: float) -> float:
    if correlation <= 0.0:
        return np.inf
    root = max(t1**2 + 4.0 * correlation * (t2 - correlation * t0), 0.0)
    return (t1 + np.sqrt(root)) / (2.0 * correlation) - 1.0


def _of_diagonal(bin: Bin, contrast: float, offset: float) -> float:
    """(mean of c2_ii - offset - contrast)/contrast over the frames in use, not below 0; NaN without a diagonal."""
    if bin.diagonal is None:
        return np.nan
    own = bin.diagonal[bin.weight[: len(bin.diagonal)] > 0]
    return max(float(np.mean(own)) - offset - contrast, 0.0) / contrast
