"""The patches of a bin over which residuals are summed: groups of frames over the run, and windows of single frames.

A short series is one patch of single frames. Of a longer one the first are up to 32 windows of 16 frames, spread over
the run, which see lags of a few frames, and then the whole run in up to 96 groups, which sees all lags between groups.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Sizes(NamedTuple):
    """How finely residuals are looked at: up to ``whole`` frames all pairs, beyond it ``groups`` and ``windows`` of a
    ``width`` in frames."""

    whole: int = 256
    groups: int = 96
    windows: int = 32
    width: int = 16


SIZES = Sizes()


class Patches(NamedTuple):
    """Stretches of a run of ``frames``, ``size`` groups of ``grain`` frames each, from the frames ``starts`` (W,)."""

    starts: Int[np.ndarray, " W"]
    size: int
    grain: int
    frames: int

    @property
    def apart(self) -> Int[np.ndarray, "s s"]:
        """Groups from one to the other."""
        number = np.arange(self.size)
        return np.abs(number - number[:, None])

    def ages(self, parts: int) -> Int[np.ndarray, "W s s"]:
        """Which of so many parts of all ages a pair of groups belongs to."""
        place = self.starts[:, None] + self.grain * np.arange(self.size)
        span = max(-(-self.frames // self.grain) * self.grain, 1)
        return (place[:, :, None] + place[:, None, :]) * parts // (2 * span)

    def columns(self, frames: int) -> Float[np.ndarray, "W M s"]:
        """U: 1 where a frame is in a group."""
        found = np.zeros((len(self.starts), frames, self.size))
        for patch, start in zip(found, self.starts, strict=True):
            inside = np.arange(start, min(start + self.size * self.grain, frames))
            patch[inside, (inside - start) // self.grain] = 1.0
        return found

    def lags(self, edges: Int[np.ndarray, " K+1"]) -> list[tuple[int, int]]:
        """The first and the last lag in frames between groups this far apart."""
        last = min(self.frames, self.size * self.grain) - 1
        return [
            ((low - 1) * self.grain + 1, min(high * self.grain - 1, last))
            for low, high in pairwise(edges.tolist())
        ]


class PatchSums(NamedTuple):
    """Σ W r and Σ W over the pairs i < j between the groups of patches, (W, s, s) each, 0 below the diagonal."""

    patches: Patches
    residual: Float[np.ndarray, "W s s"]
    weight: Float[np.ndarray, "W s s"]

    def add(self, first: int, second: int, weighted: np.ndarray, weights: np.ndarray) -> None:
        """Add what a part, W r and W (rows, columns) from these frames on, has of the pairs."""
        grain, size = self.patches.grain, self.patches.size
        for number, start in enumerate(self.patches.starts.tolist()):
            stop = min(start + size * grain, self.patches.frames)
            rows = slice(max(start, first), min(stop, first + len(weighted)))
            columns = slice(max(start, second, rows.start), min(stop, second + weighted.shape[1]))
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            here = (
                slice(rows.start - first, rows.stop - first),
                slice(columns.start - second, columns.stop - second),
            )
            i, j = (
                range((of.start - start) // grain, (of.stop - 1 - start) // grain + 1)
                for of in (rows, columns)
            )
            at = number, slice(i.start, i.stop), slice(j.start, j.stop)
            for total, part in ((self.residual, weighted), (self.weight, weights)):
                total[at] += _grouped(part[here], rows.start - start, columns.start - start, grain)


def no_sums(patches: Patches) -> PatchSums:
    """Sums to which parts are to be added."""
    count, size = len(patches.starts), patches.size
    return PatchSums(patches, *np.zeros((2, count, size, size)))


def patches_of(used: Bool[np.ndarray, " M"], sizes: Sizes = SIZES) -> tuple[Patches, ...]:
    """The patches of a bin of which these frames are in use, those that see the shortest lags first."""
    inside = np.flatnonzero(used)
    frames = int(inside[-1]) + 1
    if frames <= sizes.whole:
        return (Patches(np.zeros(1, dtype=int), frames, 1, frames),)
    grain = -(-frames // sizes.groups)
    ends = np.linspace(0, max(len(inside) - sizes.width, 0), sizes.windows).round().astype(int)
    # where windows begin at multiples of their width, each lies in one block of the evaluators
    starts = np.unique(np.minimum(inside[ends], frames - sizes.width) // sizes.width * sizes.width)
    windows = Patches(_apart(starts, sizes.width), sizes.width, 1, frames)
    return windows, Patches(np.zeros(1, dtype=int), -(-frames // grain), grain, frames)


def _apart(starts: Int[np.ndarray, " W"], width: int) -> Int[np.ndarray, " W"]:
    """Those of which none overlaps one before it."""
    kept: list[int] = []
    for start in starts.tolist():
        if not kept or start >= kept[-1] + width:
            kept.append(start)
    return np.array(kept, dtype=int)


def _grouped(part: np.ndarray, row: int, column: int, grain: int) -> np.ndarray:
    """Sums of a part over groups of ``grain`` rows and columns, whose first stand so far into theirs and others'."""
    if grain == 1:
        return part
    for axis, start in enumerate((row, column)):
        place = (start + np.arange(part.shape[axis])) // grain
        part = np.add.reduceat(part, np.flatnonzero(np.diff(place, prepend=-1)), axis=axis)
    return part
