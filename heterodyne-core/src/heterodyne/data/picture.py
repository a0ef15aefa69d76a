"""A two-time matrix as a small image: what is not used blank, the diagonal mended, blocks of frames averaged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from heterodyne.data.diagonal import CORRECTED, diagonal_from_neighbours
from heterodyne.data.two_time import TwoTime

_EXTREME = (0.5, 99.5)
"""Percentiles of the values at the two ends of a scale of shades."""


@dataclass(frozen=True, eq=False)
class Picture:
    """The image ``values`` (n, n) of c2 over t1 and t2, NaN where nothing is used, of blocks of ``width`` frames.

    ``low`` and ``high`` are the ends of a scale for it, ``times`` the first and the last time in s.
    """

    label: str
    values: np.ndarray
    width: int
    low: float
    high: float
    times: tuple[float, float]

    @property
    def caption(self) -> str:
        """What is shown, in one line."""
        blocks = f", means over {self.width} × {self.width} frames" if self.width > 1 else ""
        first, last = self.times
        scale = f"c2 {self.low:.4g} to {self.high:.4g}"
        return f"{self.label}: {scale}, t {first:.4g} to {last:.4g} s{blocks}; {CORRECTED}"


def picture(data: TwoTime, bin: int, most: int) -> Picture:
    """The image of one matrix, at most ``most`` pixels wide; raises `DataError` if the matrix cannot be read."""
    stored = data.c2[bin]
    matrix = np.array(stored, dtype=np.result_type(stored, np.float32))
    blank = ~(data.mask[bin] & data.mask[bin][:, None])
    first, second = data.bad_pairs[data.bad_pairs[:, 0] == bin, 1:].T
    blank[first, second] = blank[second, first] = True
    matrix[blank | ~np.isfinite(matrix)] = np.nan
    width = math.ceil(len(matrix) / most)
    values = block_means(diagonal_from_neighbours(matrix), width)
    shown = values[np.isfinite(values)]
    low, high = np.percentile(shown, _EXTREME) if shown.size else (0.0, 1.0)
    label = f"bin {bin + 1} ({data.label(bin)})"
    return Picture(label, values, width, float(low), float(high), (float(data.t[0]), float(data.t[-1])))


def block_means(matrix: np.ndarray, width: int) -> np.ndarray:
    """The means over blocks of ``width`` × ``width`` elements, NaN passed over; the last block may be smaller."""
    starts = np.arange(0, len(matrix), width)
    known = np.isfinite(matrix)
    total, count = (
        np.add.reduceat(np.add.reduceat(part, starts, axis=0), starts, axis=1)
        for part in (np.where(known, matrix, 0.0).astype(float), known.astype(np.int64))
    )
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
