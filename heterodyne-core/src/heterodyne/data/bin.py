"""`Bin`: one bin's matrix in memory, checked and padded for the evaluators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import checked

PADDING = 64
"""Frames are padded to a multiple of this, so that evaluators can cut tiles of one size."""


@dataclass(frozen=True, eq=False)
class Bin:
    """One bin ready for summation over its strict upper triangle.

    ``d`` (M, M) = c2 - ``reference`` in float64, symmetric, frames padded to M, 0 where a frame is masked or
    padding; ``reference`` is the mean of c2 over the pairs in use, without which the sum of squares would
    lose 3 to 6 digits. ``weight`` (M,) is 1 for frames in use, else 0; ``count``, ``data`` and ``data2``
    are Σ1, Σd and Σd².
    """

    d: np.ndarray
    t: np.ndarray
    weight: np.ndarray
    q: float
    phi: float
    count: float
    reference: float
    data: float
    data2: float


def read_bins(data: tuple[TwoTime, ...]) -> tuple[Bin, ...]:
    """Every bin of every data set, read and checked, one matrix at a time."""
    return tuple(read_bin(one, index) for one in data for index in range(one.n_bins))


def read_bin(data: TwoTime, index: int) -> Bin:
    """Bin ``index`` of ``data``; raises `DataError` for a matrix that cannot be used."""
    where = f"{data.provenance.get('file', 'data')} bin {index + 1} ({data.label(index)})"
    c2, used = checked(data.c2[index], data.mask[index], where)
    n, frames = int(used.sum()), len(used)
    count = n * (n - 1) / 2
    padded = -(-frames // PADDING) * PADDING
    d = np.zeros((padded, padded))
    d[:frames, :frames] = c2
    outside = np.concatenate([np.flatnonzero(~used), np.arange(frames, padded)])
    d[outside], d[:, outside] = 0.0, 0.0
    reference = _upper_sum(d) / count
    d -= reference
    d[outside], d[:, outside] = 0.0, 0.0
    return Bin(
        d,
        np.concatenate([data.t, data.t[-1] + data.dt * np.arange(1, padded - frames + 1)]),
        np.concatenate([used.astype(float), np.zeros(padded - frames)]),
        float(data.q[index]),
        float(data.phi[index]),
        count,
        reference,
        _upper_sum(d),
        0.5 * (float(np.vdot(d, d)) - float(np.sum(np.diag(d) ** 2))),
    )


def _upper_sum(matrix: np.ndarray) -> float:
    """Σ over the strict upper triangle of a symmetric matrix."""
    return 0.5 * float(matrix.sum() - np.trace(matrix))
