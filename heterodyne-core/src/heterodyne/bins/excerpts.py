"""Excerpts of a bin as bins in memory: short windows at all ages, and every k-th frame of the whole.

Windows show fast decays and fringes, the thinned matrix slow ones and long lags. No value is averaged: an
excerpt is the same c2 at fewer pairs of frames.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.bins.reading import read_bin
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError

_WINDOWS, _WINDOW = 4, 512
_THINNED = 1024  # frames of the thinned matrix at most; one without more is not thinned


class Excerpts(NamedTuple):
    """Windows of consecutive used frames, and the thinned matrix; without those that hold nothing to fit."""

    windows: tuple[Bin, ...]
    thinned: tuple[Bin, ...]


def excerpts(bin: Bin, windows: int = _WINDOWS, window: int = _WINDOW, thinned: int = _THINNED) -> Excerpts:
    """``windows`` windows of ``window`` frames and at most ``thinned`` frames of the whole, in one pass.

    A series of no more than ``thinned`` frames has one window.
    """
    used = np.flatnonzero(bin.weight)
    starts = np.linspace(0, max(len(used) - window, 0), windows if len(used) > thinned else 1).astype(int)
    wanted = [used[start : start + window] for start in starts] + [used[:: -(-len(used) // thinned)]]
    cut = [_excerpt(bin, frames, c2) for frames, c2 in zip(wanted, _submatrices(bin, wanted), strict=True)]
    return Excerpts(
        *(tuple(excerpt for excerpt in kind if excerpt is not None) for kind in (cut[:-1], cut[-1:]))
    )


def _submatrices(bin: Bin, wanted: list[np.ndarray]) -> list[np.ndarray]:
    """c2 between the frames of each list, upper half; NaN for pairs left out."""

    def needed(rows: slice, columns: slice) -> bool:
        return any(len(_within(frames, rows)) and len(_within(frames, columns)) for frames in wanted)

    submatrices = [np.zeros((len(frames), len(frames))) for frames in wanted]
    for first, second, c2, weights in bin.parts(needed):
        for frames, submatrix in zip(wanted, submatrices, strict=True):
            rows = _within(frames, slice(first, first + c2.shape[0]))
            columns = _within(frames, slice(second, second + c2.shape[1]))
            place = np.ix_(frames[rows] - first, frames[columns] - second)
            left_out = (rows[:, None] < columns) & (weights[place] == 0)
            submatrix[np.ix_(rows, columns)] = np.where(left_out, np.nan, c2[place])
    return [np.triu(submatrix) for submatrix in submatrices]


def _within(frames: np.ndarray, span: slice) -> np.ndarray:
    """Which of these frames lie in a span, by number."""
    return np.flatnonzero((frames >= span.start) & (frames < span.stop))


def _excerpt(bin: Bin, frames: np.ndarray, c2: np.ndarray) -> Bin | None:
    """The excerpt as a bin, None if its values are all the same or too few."""
    bad = np.argwhere(np.triu(np.isnan(c2), 1))
    try:
        data = TwoTime(
            c2[None],
            np.array([bin.q]),
            np.array([bin.phi]),
            bin.t[frames],
            float(bin.t[frames[1]] - bin.t[frames[0]]),
            dq=np.array(bin.dq),
            dphi=np.array(bin.dphi),
            bad_pairs=np.insert(bad, 0, 0, axis=1),
            weight=bin.weight[None, frames],
        )
        return read_bin(data, 0)
    except DataError:
        return None
