"""Bands of the derived curves J(t), v(t) and f(t): standard errors carried over from the parameters.

With G = ∂(curve)/∂u by automatic differentiation and the covariance V of the coordinates u over all directions
that the data tell anything about, var(curve) = G V Gᵀ. A curve may be determined where its parameters are
not, as J is where D0 and D_offset merge. The interval of a rate is symmetric in its logarithm
(`heterodyne.solution.intervals`). A curve is undetermined where more than a tenth of its slope, squared, lies in
directions that are lost, or where its error spans more than the bounds of a parameter would let it move, and where
nothing is seen of what it describes. Bands include other minima of nearly the same cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from heterodyne.kernels.curves import RATE, Curve, curve_slopes, curve_values
from heterodyne.result.band import Band
from heterodyne.solution.intervals import interval_ends
from heterodyne.solution.neighbourhood import Neighbourhood

_LOADING = 0.1
_APART = 2.0  # errors by which a curve differs in another minimum, which its band then includes


def curve_bands(
    around: Neighbourhood,
    width: np.ndarray,
    quantile: float,
    unseen: frozenset[str] = frozenset(),
    beside: Sequence[Mapping[str, float]] = (),
) -> tuple[Band, ...]:
    """The bands of all curves of a model at the frame times of all files.

    ``width`` (p,) is what the bounds leave to each coordinate; ``quantile`` is that of the interval, in
    standard errors. Of ``unseen`` parameters the data show nothing; ``beside`` are all parameters of other minima.
    """
    t = np.unique(np.concatenate([data.t for data in around.problem.data]))
    bands = []
    for curve in around.problem.model.curves:
        moving = around.varying(*curve.parts)
        is_seen = not moving or not unseen.issuperset(moving)
        others = [curve_values(curve, values, t, clipped=False) for values in beside]
        bands.append(_band(curve, around, width, quantile, t, others if is_seen else None))
    return tuple(bands)


def _band(
    curve: Curve,
    around: Neighbourhood,
    width: np.ndarray,
    quantile: float,
    t: np.ndarray,
    others: Sequence[np.ndarray] | None,
) -> Band:
    """The band of a curve that has the values of ``others`` in other minima; None where it is not seen."""
    value = curve_values(curve, around.values, t, clipped=False)
    gradient = curve_slopes(curve, around.problem.ties, around.values, around.names, t, clipped=False)
    is_known = determined(gradient, around, width) & (others is not None)
    own = np.where(is_known, around.errors(gradient), np.nan)
    minima = [value, *(other for other in others or () if np.any(np.abs(other - value) > _APART * own))]
    lows, highs = zip(
        *(interval_ends(at, own, quantile, logarithmic=curve.unit == RATE) for at in minima), strict=True
    )
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    error = np.maximum(own, np.max(np.abs(np.array(minima) - value), axis=0))
    value, low, high = (np.clip(each, *curve.limits) for each in (value, low, high))
    return Band(curve.name, curve.unit, t, value, error, low, high, half=curve.times_parameter(0.5))


def determined(gradient: np.ndarray, around: Neighbourhood, width: np.ndarray) -> np.ndarray:
    """Where quantities with these derivatives (n, p) by the parameters are determined, (n,)."""
    spectrum, moved = around.spectrum, gradient * around.slopes
    scaled = moved / spectrum.size
    lost = ((scaled @ spectrum.vectors[:, spectrum.lost]) ** 2).sum(axis=1)
    span = np.max(np.abs(moved) * width, axis=1, initial=0.0)
    return (lost <= _LOADING * (scaled**2).sum(axis=1)) & (2.0 * around.errors(gradient) <= span)
