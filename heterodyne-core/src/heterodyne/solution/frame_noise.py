"""The noise of single frames, and the size of that of c2, as the residual tells.

For nearly Gaussian intensities c2 - 1 is a sample covariance over P pixels, whose elements have the covariance

    cov(c2_ij, c2_kl) = (C_ik C_jl + C_il C_jk) scale,      C = S + κ 1,      scale = contrast²/P,

κ contrast being the noise of one frame, as of its photons, which stands on the diagonal of c2. With x = 1 + κ and
T_j = S_j,j+1 the residual r has between neighbours

    U = <(r_ij - r_i,j+1 - r_i+1,j + r_i+1,j+1)²>/4 = <(x - T_i)(x - T_j)> scale,
    D = <(r_ij - r_i,j+1)²>/2 = x <x - T_j> scale,

    V = <(r_ij - r_i+1,j+1)²>/2 = <x² - T_i T_j + S_ij² - S_i,j+1 S_i+1,j> scale,

so that U/D gives x, and D²/U the scale: what varies slowly, as a misfit does, has no part in them. A fringe that is
missed varies fast with the lag but not with the age: where neighbours share little and V is far too small beside D²/U,
it is V that gives the scale. All of the residual has <r²> = (x² + <S_ij²>) scale.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heterodyne.bins.bin import Bin

_MOST = 1e4
"""κ of noise that no two frames share, as far as can be told."""

_LEAST = 1e-2
"""κ at which C is still well-conditioned."""

LEAST_RATIO = 2.0
"""The least κ of weights (S + κ 1)⁻¹: with less, intensities that are not Gaussian are amplified."""

_APART = 0.5
"""The least of its variance that the residual shows between neighbours of one lag, for that to give the scale."""

_FRINGE = 0.75
"""The scale of neighbours of one lag over that of neighbours in a row, below which these hold a fringe."""

_NOTHING = 1e-6
"""1 - S between frames that is lost in the digits of the sums."""

_ALIKE = 0.1
"""Difference of U/D up to which diagonal and residual tell the same."""


class NeighbourSums(NamedTuple):
    """Sums over neighbours: of r², (r - r')²/2, S² and T_j over two pairs in a row, and of (r - r' - r" + r"')²/4,
    T_i + T_j, T_i T_j, (r - r"')²/2 and S² - S' S" over squares of four pairs; with the numbers ``in_row`` and
    ``in_square`` of them."""

    in_row: float
    square: float
    difference: float
    s_square: float
    next: float
    in_square: float
    mixed: float
    next_both: float
    next_product: float
    of_lag: float
    s_of_lag: float


class FrameNoise(NamedTuple):
    """κ, and the scale of the covariance, as all of the residual tells and as its differences between neighbours do."""

    ratio: float
    scale: float
    scale_near: float

    @property
    def excess(self) -> float:
        """The one over the other: by how much more the residual varies than its differences let expect."""
        return self.scale / self.scale_near


def frame_noise(sums: NeighbourSums, bin: Bin, contrast: float, offset: float) -> FrameNoise:
    """The noise of the frames of a bin with this contrast and offset; κ is 1e4 where elements are independent.

    κ comes from the diagonal of c2 where that tells what the residual does, else from the residual. The scales are NaN
    where no two neighbours are in use.
    """
    if not sums.in_row:
        return FrameNoise(_MOST, np.nan, np.nan)
    square, difference, s_square, after = (total / sums.in_row for total in sums[1:5])
    if not sums.mixed > 0.0:
        return FrameNoise(_MOST, square / _MOST**2, difference / _MOST**2)
    mixed, both, product, of_lag, s_of_lag = (total / sums.in_square for total in sums[6:])
    x, seen = 1.0 + _of_diagonal(bin, contrast, offset), mixed / difference
    if not (x - after > _NOTHING and abs((x**2 - both * x + product) / (x * (x - after)) - seen) <= _ALIKE):
        x = _root(1.0 - seen, both - seen * after, product)
    x = max(x, 1.0)
    # where S hardly falls from frame to frame, it falls evenly as far as digits tell
    even = (x**2 - both * x + product) / (x - after) ** 2 if x - after > _NOTHING else 1.0
    ratio = float(np.clip(x - 1.0, _LEAST, _MOST))
    variance = (1.0 + ratio) ** 2
    near = even * difference**2 / mixed / variance
    apart = variance - product + s_of_lag
    if apart > _APART * variance and of_lag / apart < _FRINGE * near:
        near = of_lag / apart
    return FrameNoise(ratio, square / (variance + s_square), near)


def _root(a: float, b: float, c: float) -> float:
    """The larger x at which a x² - b x + c = 0; where there is none, that of the least."""
    return (b + np.sqrt(max(b**2 - 4.0 * a * c, 0.0))) / (2.0 * max(a, 1e-12))


def _of_diagonal(bin: Bin, contrast: float, offset: float) -> float:
    """(mean of c2_ii - offset - contrast)/contrast over the frames in use, not below 0; NaN where it is not known."""
    if bin.diagonal is None or not contrast > 0.0:
        return np.nan
    own = bin.diagonal[bin.weight[: len(bin.diagonal)] > 0]
    return max(float(np.mean(own)) - offset - contrast, 0.0) / contrast
