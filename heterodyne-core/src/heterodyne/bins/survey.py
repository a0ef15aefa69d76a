"""What one pass over the tiles of a matrix tells: gaps, dark frames, the range of c2 and its moments.

The checks and messages are those of `heterodyne.data.validation`, which needs the whole matrix in memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from heterodyne.data.validation import (
    FEWEST_FRAMES,
    FEWEST_PAIRS,
    LARGEST,
    constant_values,
    gap,
    lost_values,
    most_without_photons,
    not_normalised,
    too_few_frames,
    too_few_pairs,
    warn_lost,
)


@dataclass(frozen=True, eq=False)
class Gaps:
    """Pairs of frames of one tile, at ``rows`` × ``columns``, at which c2 is not finite: one bit per pair."""

    rows: slice
    columns: slice
    nan: np.ndarray
    infinite: np.ndarray

    def pairs(self, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The frames of the pairs in ``nan`` or ``infinite``, by number."""
        shape = (self.rows.stop - self.rows.start, self.columns.stop - self.columns.start)
        first, second = np.nonzero(np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape))
        return self.rows.start + first, self.columns.start + second


@dataclass(eq=False)
class Survey:
    """Sums over the used pairs of all tiles added so far, weighted by the product of their frames' weights.

    ``weight`` (N,) is 0 for masked frames; ``where`` names file and bin. ``seen`` marks frames with a value
    other than 0. Sums are of c2 less ``level``, the mean of the first values met, so that squares keep
    their digits; ``present`` is ΣW over those. Values of exactly 0 are counted, ``zeros`` in all and ``absent``
    (N,) per frame: whether they belong to dark frames is known only at the end. ``diagonal`` (N,) is c2 of every
    frame with itself.
    """

    weight: np.ndarray
    where: str
    single: bool = True
    seen: np.ndarray = field(init=False)
    level: float = math.nan
    total: float = 0.0
    square: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    present: float = 0.0
    zeros: int = 0
    absent: np.ndarray = field(init=False)
    diagonal: np.ndarray = field(init=False)
    gaps: list[Gaps] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seen = np.zeros(len(self.weight), dtype=bool)
        self.absent = np.zeros(len(self.weight), dtype=int)
        self.diagonal = np.full(len(self.weight), np.nan)

    def add(self, tile: np.ndarray, rows: slice, columns: slice, keep: np.ndarray | None) -> None:
        """Add the values at ``rows`` × ``columns``, of which those in ``keep`` count (None: all)."""
        self.single &= tile.dtype == np.float32
        of_rows, of_columns = self.weight[rows], self.weight[columns]
        pairs = (of_rows[:, None] > 0) & (of_columns > 0)
        pairs = pairs if keep is None else pairs & keep
        if rows == columns:
            pairs, self.diagonal[rows] = np.triu(pairs, 1), np.diagonal(tile)
        values = tile.astype(float)
        if not np.isfinite(values.sum()):
            self._note_gaps(values, pairs, rows, columns)
            values[~np.isfinite(values)] = 0.0
        present = pairs & (values != 0.0)
        self.seen[rows] |= present.any(axis=1)
        self.seen[columns] |= present.any(axis=0)
        count = np.count_nonzero(present)
        if count < np.count_nonzero(pairs):
            absent = pairs & ~present
            self.zeros += int(np.count_nonzero(absent))
            self.absent[rows] += absent.sum(axis=1)
            self.absent[columns] += absent.sum(axis=0)
        if count:
            self._add_moments(values, present, of_rows, of_columns)

    def _add_moments(self, values: np.ndarray, present: np.ndarray, *weights: np.ndarray) -> None:
        if math.isnan(self.level):
            self.level = float(values[present].mean())
        of_rows, of_columns = weights
        d = np.multiply(values - self.level, present)
        self.low, self.high = min(self.low, float(d.min())), max(self.high, float(d.max()))
        self.total += float(of_rows @ d @ of_columns)
        self.present += float(of_rows @ present @ of_columns)
        with np.errstate(over="ignore"):
            self.square += float(of_rows @ np.square(d, out=d) @ of_columns)

    def _note_gaps(self, values: np.ndarray, pairs: np.ndarray, rows: slice, columns: slice) -> None:
        wrong = pairs & ~np.isfinite(values)
        if wrong.any():
            nan, infinite = (np.packbits(wrong & kind) for kind in (np.isnan(values), np.isinf(values)))
            self.gaps.append(Gaps(rows, columns, nan, infinite))

    def used_frames(self) -> np.ndarray:
        """Which frames are neither masked, nor dark, nor without a finite value (N,); a warning names the last.

        Raises `DataError` if another value between frames that are not masked was not finite, or too few are
        left.
        """
        used = self.seen & (self.weight > 0)
        lost = np.zeros_like(used)
        count, place = 0, None
        for gaps in self.gaps:
            for value, bits in ((math.nan, gaps.nan), (math.inf, gaps.infinite)):
                first, second = gaps.pairs(bits)
                lost[first] = lost[second] = True
                between = np.flatnonzero(used[first] & used[second])
                if len(between):
                    here = (int(first[between[0]]), int(second[between[0]]), value)
                    place = here if place is None else min(place, here)
                    count += len(between)
        if place is not None:
            raise gap(self.where, place[2], place[0], place[1], 2 * count)
        if (lost & ~used).any():
            warn_lost(self.where, lost & ~used)
        if used.sum() < FEWEST_FRAMES:
            raise too_few_frames(self.where, used)
        return used

    def moments(self, used: np.ndarray, left_out: np.ndarray) -> tuple[float, float, float]:
        """ΣW, the weighted mean of c2 and ΣW(c2 - mean)² over the pairs of ``used`` frames.

        ``left_out`` (m, 2) are the pairs that were never kept. Raises `DataError` if there are too few
        pairs, or their values are all the same or too large.
        """
        pairs, weight = _pair_sums(self.weight * used, left_out)
        if pairs < FEWEST_PAIRS:
            raise too_few_pairs(self.where, pairs)
        self._check_range(self.low, self.high)
        every_pair, _ = _pair_sums(self.weight, left_out)
        lost = self.zeros - (every_pair - pairs)  # they lie between frames that are not dark
        if lost > 0 and lost > self._without_photons(pairs):
            dark = np.count_nonzero((self.weight > 0) & ~used)
            raise lost_values(self.where, np.flatnonzero(used & (self.absent > dark)), lost)
        absent = weight - self.present if lost > 0 else 0.0
        total, square = self.total - self.level * absent, self.square + self.level**2 * absent
        mean = total / weight
        square -= mean * total
        return weight, self.level + mean, square

    def _without_photons(self, pairs: int) -> float:
        off, square = self.total / self.present, self.square / self.present
        square += 2.0 * self.level * off + self.level**2
        return most_without_photons(pairs, self.level + off, square, self.level + self.high)

    def _check_range(self, low: float, high: float) -> None:
        largest = max(self.level + high, -self.level - low)
        if largest > LARGEST:
            raise not_normalised(self.where, largest)
        rounding = 4.0 * np.finfo(np.float32 if self.single else np.float64).eps
        if high - low <= rounding * abs(self.level):
            raise constant_values(self.where, self.level)


def _pair_sums(weight: np.ndarray, left_out: np.ndarray) -> tuple[int, float]:
    """The number of pairs of frames that have a weight, and their ΣW."""
    first, second = left_out.T
    count = int(np.count_nonzero(weight))
    products = weight[first] * weight[second]
    total = 0.5 * (weight.sum() ** 2 - weight @ weight) - products.sum()
    return count * (count - 1) // 2 - int(np.count_nonzero(products)), float(total)
