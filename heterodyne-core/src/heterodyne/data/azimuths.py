"""Azimuths as axes: directions φ and φ + 180° are one, as flow and speckle know no sign."""

from __future__ import annotations

import numpy as np

SAME_AXIS = 0.5
"""Azimuths that differ by less, in degrees modulo 180, lie on one axis."""


def azimuth_axes(phi: np.ndarray) -> tuple[float, ...]:
    """The axes, in [0, 180), on which these azimuths lie, in rising order; NaN (rings) are passed over."""
    axes: list[float] = []
    for value in np.unique(np.mod(phi[np.isfinite(phi)], 180.0)):
        if all(abs((value - axis + 90.0) % 180.0 - 90.0) >= SAME_AXIS for axis in axes):
            axes.append(float(value))
    return tuple(axes)
