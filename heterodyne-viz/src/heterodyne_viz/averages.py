"""Averages of two-time matrices for figures: over blocks of frames and over age at fixed lag.

Frames stand in slots of the nominal frame period, slot = round((t - t[0]) / dt), so a gap in the
series keeps its width and its lags are true times.
"""

from __future__ import annotations

import numpy as np


def slots(t: np.ndarray, dt: float) -> np.ndarray:
    """The slot of every frame, integers from 0, shape (N,); times t and frame period dt in s."""
    return np.rint((t - t[0]) / dt).astype(int)


def block_average(matrix: np.ndarray, usable: np.ndarray, block: np.ndarray) -> np.ndarray:
    """The mean over the usable pairs of each pair of blocks, shape (B, B), NaN where there are none.

    ``block`` (N,) is the block of every frame, ascending integers from 0; B is the last one plus 1.
    """
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    filled = np.ix_(block[starts], block[starts])
    average = np.full((block[-1] + 1, block[-1] + 1), np.nan)
    count = _block_sums(usable.astype(np.int32), starts)
    total = _block_sums(np.where(usable, matrix, 0.0), starts)
    average[filled] = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return average


def _block_sums(matrix: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.add.reduceat(np.add.reduceat(matrix, starts, axis=0), starts, axis=1)


def lag_average(matrix: np.ndarray, usable: np.ndarray, slot: np.ndarray) -> np.ndarray:
    """The mean over age at every lag, from the strict upper triangle; NaN where no pair has that lag.

    Element k is the mean over usable pairs i < j with slot[j] - slot[i] = k; shape (slot[-1] + 1,).
    """
    size = slot[-1] + 1
    total, count = np.zeros(size), np.zeros(size)
    for i in range(len(slot) - 1):  # a row at a time: an N × N array of lags would outweigh the matrix
        later = i + 1 + np.flatnonzero(usable[i, i + 1 :])
        lags = slot[later] - slot[i]
        np.add.at(total, lags, matrix[i, later])
        np.add.at(count, lags, 1.0)
    return np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
