"""Which bins have the same q, and which azimuths are the same direction or the same axis.

Flow and speckle know no sign: the directions φ and φ + 180° are one axis.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

SAME_RING = 0.05
"""q of bins on one ring differ by no more, relative to the smallest: files may hold the mean q of each sector."""

SAME_AZIMUTH = 0.5
"""Azimuths that differ by less, in degrees, are one, however narrow their bins."""


def ring_of(q: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """The ring of every bin, numbered from 0 in order of q; q within 5 % of its smallest belong to one.

    Bins of one azimuth, or without any, and of different q are different rings, however close.
    """
    ring, number = np.zeros(len(q), dtype=int), -1
    members: list[int] = []
    for index in np.argsort(q, kind="stable"):
        if not members or q[index] > q[members[0]] * (1.0 + SAME_RING) or _is_next(q, phi, members, index):
            number, members = number + 1, []
        members.append(int(index))
        ring[index] = number
    return ring


def _is_next(q: np.ndarray, phi: np.ndarray, members: list[int], index: int) -> bool:
    """Whether the ring of these members already has the azimuth of bin ``index`` at another q."""
    other = np.array(members)[q[members] != q[index]]
    without = np.isnan(phi[other]) & np.isnan(phi[index])
    return bool(np.any(without | (between_directions(phi[other], phi[index]) < SAME_AZIMUTH)))


def between_directions(phi: ArrayLike, other: ArrayLike) -> np.ndarray:
    """Degrees from one direction to another, 0 to 180."""
    return np.abs((np.subtract(phi, other) + 180.0) % 360.0 - 180.0)


def between_axes(phi: ArrayLike, other: ArrayLike) -> np.ndarray:
    """Degrees from one axis to another, 0 to 90."""
    return np.abs((np.subtract(phi, other) + 90.0) % 180.0 - 90.0)


def axis_of(phi: np.ndarray, dphi: np.ndarray, apart: Sequence[Hashable] | None = None) -> np.ndarray:
    """The axis of every bin, numbered from 0: azimuths equal modulo 180° within half a bin are one.

    Rings (NaN) share an axis of their own. Bins that differ in ``apart``, one value per bin, share none.
    """
    groups = [None] * len(phi) if apart is None else apart
    axes: list[tuple[Hashable, float]] = []
    number = np.zeros(len(phi), dtype=int)
    for bin, (group, angle, width) in enumerate(zip(groups, phi, np.nan_to_num(dphi), strict=True)):
        within = max(0.5 * width, SAME_AZIMUTH)
        same = (k for k, (of, axis) in enumerate(axes) if of == group and _is_axis(angle, axis, within))
        number[bin] = next(same, len(axes))
        if number[bin] == len(axes):
            axes.append((group, float(angle)))
    return number


def _is_axis(angle: float, axis: float, within: float) -> bool:
    return bool(between_axes(angle, axis) < within or (np.isnan(angle) and np.isnan(axis)))


def azimuth_axes(phi: np.ndarray) -> tuple[float, ...]:
    """The axes, in [0, 180), on which these azimuths lie, in rising order; NaN (rings) are passed over."""
    angles = np.unique(np.mod(phi[np.isfinite(phi)], 180.0))
    first = np.unique(axis_of(angles, np.zeros(len(angles))), return_index=True)[1]
    return tuple(angles[first].tolist())
