"""How well a model fits, judged by noise that the model cannot take part in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodyne.data.bin import Bin
from heterodyne.data.parts import upper_parts
from heterodyne.data.tiles import StreamedBin
from heterodyne.kernels.meshgrid import averaged_tile

if TYPE_CHECKING:
    from heterodyne.model import Model


def neighbour_noise(
    model: Model, params: dict[str, float], one: Bin | StreamedBin, contrast: float, offset: float
) -> float:
    """The noise per element of one bin: half the variance of neighbouring differences of the residual.

    Of the data it would count a fast fringe as noise. A lower bound, because neighbours share part of
    their noise. With weights it is the noise of an element of weight 1; NaN where no two neighbours are
    used. Never more than a part of the matrix is formed; neighbours in two tiles of a streamed bin are not
    compared.
    """
    square, count = 0.0, 0
    for first, second, c2, weights in upper_parts(one):
        s = averaged_tile(model, params, one.t, one.nodes, first, second, *c2.shape)
        more_square, more_count = _neighbour_sums(c2 - offset - contrast * s, weights)
        square, count = square + more_square, count + more_count
    return float(np.sqrt(square / count)) if count else float("nan")


def _neighbour_sums(residual: np.ndarray, weights: np.ndarray) -> tuple[float, int]:
    """Σ (r_ij - r_ij+1)² / (1/W_ij + 1/W_ij+1) over neighbours in a row both in use, and their number."""
    product = weights[:, 1:] * weights[:, :-1]
    both = product > 0
    harmonic = np.divide(product, weights[:, 1:] + weights[:, :-1], out=product, where=both)
    with np.errstate(invalid="ignore"):  # values that are not used may be NaN or infinite
        terms = np.where(both, np.diff(residual, axis=1) ** 2 * harmonic, 0.0)
    return float(terms.sum()), int(np.count_nonzero(both))
