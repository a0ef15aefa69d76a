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


_SAME_RING = 0.05


def ring_of(q: np.ndarray) -> np.ndarray:
    """The ring of every bin, numbered from 0 in order of q; q within 5 % of its smallest belong to one."""
    ring, edge, number = np.zeros(len(q), dtype=int), -np.inf, -1
    for index in np.argsort(q, kind="stable"):
        if q[index] > edge:
            number, edge = number + 1, q[index] * (1.0 + _SAME_RING)
        ring[index] = number
    return ring


def axis_of(phi: np.ndarray, dphi: np.ndarray) -> np.ndarray:
    """The axis of every bin, numbered from 0: azimuths equal modulo 180° within half a bin are one."""
    axes: list[float] = []
    number = np.zeros(len(phi), dtype=int)
    for k, (angle, width) in enumerate(zip(phi, np.nan_to_num(dphi), strict=True)):
        apart = [abs((angle - axis + 90.0) % 180.0 - 90.0) for axis in axes]
        near = (j for j, distance in enumerate(apart) if distance < max(0.5 * width, SAME_AXIS))
        number[k] = next(near, len(axes))
        if number[k] == len(axes):
            axes.append(float(angle))
    return number
