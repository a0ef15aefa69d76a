"""Excerpts of a bin as bins in memory: short windows at all ages, and every k-th frame of the whole.

Windows show fast decays and fringes, the thinned matrix slow ones and long lags. No value is averaged: an
excerpt is the same c2 at fewer pairs of frames.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heterodyne.bins.bin import PADDING, Bin, StreamedBin
from heterodyne.bins.parts import upper_parts
from heterodyne.bins.reading import read_bin
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError

_WINDOWS, _WINDOW = 4, 512
_THINNED = 1024  # frames of the thinned matrix at most; one without more is not thinned


class Excerpts(NamedTuple):
    """Windows of consecutive used frames, and the thinned matrix; without those that hold nothing to fit."""

    windows: tuple[Bin, ...]
    thinned: tuple[Bin, ...]


def excerpts(
    one: Bin | StreamedBin, windows: int = _WINDOWS, window: int = _WINDOW, thinned: int = _THINNED
) -> Excerpts:
    """``windows`` windows of ``window`` frames and at most ``thinned`` frames of the whole, in one pass.

    A series of no more than ``thinned`` frames has one window.
    """
    used = np.flatnonzero(one.weight)
    starts = np.linspace(0, max(len(used) - window, 0), windows if len(used) > thinned else 1).astype(int)
    wanted = [used[start : start + window] for start in starts] + [used[:: -(-len(used) // thinned)]]
    found = [_bin(one, kept, c2) for kept, c2 in zip(wanted, _submatrices(one, wanted), strict=True)]
    return Excerpts(
        *(tuple(part for part in parts if part is not None) for parts in (found[:-1], found[-1:]))
    )


def _submatrices(one: Bin | StreamedBin, wanted: list[np.ndarray]) -> list[np.ndarray]:
    """c2 between the frames of each list, upper half; NaN for pairs left out."""
    found = [np.zeros((len(frames), len(frames))) for frames in wanted]
    if isinstance(one, Bin):
        for first, _, c2, weights in upper_parts(one):
            for frames, total in zip(wanted, found, strict=True):
                rows = np.flatnonzero(frames // PADDING == first // PADDING)
                place = np.ix_(frames[rows] - first, frames)
                total[rows] = np.where(weights[place] > 0, c2[place], np.nan)
        return [np.triu(c2, 1) for c2 in found]
    size = one.tiles.size
    inside = [[np.flatnonzero(frames // size == k) for k in range(one.tiles.blocks)] for frames in wanted]
    places = [(i, j) for i, j in one.tiles.places() if any(len(at[i]) and len(at[j]) for at in inside)]
    for (i, j), tile in one.tiles.read(places):
        for frames, at, c2 in zip(wanted, inside, found, strict=True):
            c2[np.ix_(at[i], at[j])] = tile[np.ix_(frames[at[i]] - i * size, frames[at[j]] - j * size)]
    return [np.triu(c2) for c2 in found]


def _bin(one: Bin | StreamedBin, frames: np.ndarray, c2: np.ndarray) -> Bin | None:
    """The excerpt as a bin, None if its values are all the same or too few."""
    bad = np.argwhere(np.triu(np.isnan(c2), 1))
    try:
        data = TwoTime(
            c2[None],
            np.array([one.q]),
            np.array([one.phi]),
            one.t[frames],
            float(one.t[frames[1]] - one.t[frames[0]]),
            dq=np.array(one.dq),
            dphi=np.array(one.dphi),
            bad_pairs=np.insert(bad, 0, 0, axis=1),
            weight=one.weight[None, frames],
        )
        return read_bin(data, 0)
    except DataError:
        return None
