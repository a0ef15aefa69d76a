"""`Bin`: one bin's matrix in memory, checked and padded for the evaluators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import checked
from heterodyne.errors import DataError

PADDING = 64
"""Frames are padded to a multiple of this, so that evaluators can cut tiles of one size."""


@dataclass(frozen=True, eq=False)
class Bin:
    """One bin ready for summation over its strict upper triangle.

    ``c2`` (M, M) with frames padded to M, masked frames and padding filled with ``reference``, the mean
    over the pairs in use; ``weight`` (M,) is 1 for frames in use, else 0; ``count``, ``data`` and
    ``data2`` are Σ1, Σd and Σd² of d = c2 - reference.
    """

    c2: np.ndarray
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
    n = int(used.sum())
    if n < 3:
        raise DataError(f"{where}: only {n} usable frames, at least 3 are needed")
    c2 = np.where(np.outer(used, used), c2, np.zeros((), c2.dtype))
    count = n * (n - 1) / 2
    reference = _upper_sum(c2) / count
    shifted = np.where(np.outer(used, used), c2 - reference, 0.0)
    frames = len(used)
    padded = -(-frames // PADDING) * PADDING
    filled = np.full((padded, padded), reference, dtype=c2.dtype)
    filled[:frames, :frames] = np.where(np.outer(used, used), c2, reference)
    return Bin(
        filled,
        np.concatenate([data.t, data.t[-1] + data.dt * np.arange(1, padded - frames + 1)]),
        np.concatenate([used.astype(float), np.zeros(padded - frames)]),
        float(data.q[index]),
        float(data.phi[index]),
        count,
        float(reference),
        _upper_sum(shifted),
        _upper_sum(shifted * shifted),
    )


def _upper_sum(matrix: np.ndarray) -> float:
    """Σ over the strict upper triangle of a symmetric matrix, in float64."""
    return 0.5 * (float(matrix.sum(dtype=float)) - float(np.trace(matrix, dtype=float)))
