"""Bands of the derived curves J(t), v(t) and f(t): standard errors carried over from the parameters.

With G = ∂(curve)/∂u by automatic differentiation and the covariance V of the coordinates u over all directions
that the data tell anything about, var(curve) = G V Gᵀ. A curve may be determined where its parameters are
not, as J is where D0 and D_offset merge. The interval of a rate is symmetric in its logarithm
(`heterodyne.solution.intervals`). A curve is undetermined where more than a tenth of its slope, squared, lies in
directions that are lost, or where its error spans more than the bounds of a parameter would let it move.
"""

from __future__ import annotations

import numpy as np

from heterodyne.kernels.curves import RATE, Curve, curve_slopes, curve_values
from heterodyne.result.band import Band
from heterodyne.solution.intervals import interval_ends
from heterodyne.solution.neighbourhood import Neighbourhood

_LOADING = 0.1


def curve_bands(around: Neighbourhood, width: np.ndarray, quantile: float) -> tuple[Band, ...]:
    """The bands of all curves of a model at the frame times of all files.

    ``width`` (p,) is what the bounds leave to each coordinate; ``quantile`` is that of the interval, in
    standard errors.
    """
    t = np.unique(np.concatenate([data.t for data in around.problem.data]))
    return tuple(_band(curve, around, width, quantile, t) for curve in around.problem.model.curves)


def _band(curve: Curve, around: Neighbourhood, width: np.ndarray, quantile: float, t: np.ndarray) -> Band:
    value = curve_values(curve, around.values, t, clipped=False)
    gradient = curve_slopes(curve, around.problem.ties, around.values, around.names, t, clipped=False)
    error = np.where(determined(gradient, around, width), around.errors(gradient), np.nan)
    ends = interval_ends(value, error, quantile, logarithmic=curve.unit == RATE)
    value, low, high = (np.clip(each, *curve.limits) for each in (value, *ends))
    return Band(curve.name, curve.unit, t, value, error, low, high, half=curve.times_parameter(0.5))


def determined(gradient: np.ndarray, around: Neighbourhood, width: np.ndarray) -> np.ndarray:
    """Where quantities with these derivatives (n, p) by the parameters are determined, (n,)."""
    spectrum, moved = around.spectrum, gradient * around.slopes
    scaled = moved / spectrum.size
    lost = ((scaled @ spectrum.vectors[:, spectrum.lost]) ** 2).sum(axis=1)
    span = np.max(np.abs(moved) * width, axis=1, initial=0.0)
    return (lost <= _LOADING * (scaled**2).sum(axis=1)) & (2.0 * around.errors(gradient) <= span)
