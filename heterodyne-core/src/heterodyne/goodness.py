"""How well a model fits, judged by noise that the model cannot take part in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from heterodyne.data.bin import Bin
from heterodyne.kernels.meshgrid import correlation_matrix

if TYPE_CHECKING:
    from heterodyne.model import Model


def neighbour_noise(
    model: Model, params: dict[str, float], one: Bin, contrast: float, offset: float
) -> float:
    """The noise per element of one bin: half the variance of neighbouring differences of the residual.

    Of the data it would count a fast fringe as noise. A lower bound, because neighbours share part of
    their noise.
    """
    s = np.asarray(correlation_matrix(model, params, one.t, one.q, one.phi))
    residual = one.d - (offset - one.reference) - contrast * s
    used = np.triu(np.outer(one.weight, one.weight) > 0, 1)
    both = used[:, 1:] & used[:, :-1]
    difference = np.diff(residual, axis=1)[both]
    return float(np.sqrt(0.5 * np.mean(difference**2)))
