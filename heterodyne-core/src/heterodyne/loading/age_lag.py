"""Correlations stored over age and lag: c2(t, t + lag) in row t and column lag, made matrices over two times.

The age is the time of the earlier frame. Where it is the mean of both times, or where values are means over several
ages or lags, no value belongs to one pair of frames: such axes are told here, and refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

from heterodyne.data.matrices import ALL, Windows, of_whole, sliced
from heterodyne.data.triangle import symmetric
from heterodyne.data.validation import kept_dtype
from heterodyne.errors import DataError, reading
from heterodyne.loading.hdf5 import dataset, opened
from heterodyne.loading.storage import check_written

MOST_PAIRS = 4_000_000
"""Pairs that are left out one by one, 24 bytes each."""

_OFF = 0.05  # of the time between frames
_DRIFT = 0.25  # frames between ages and lags at the ends of their axes


@dataclass(frozen=True, eq=False)
class Grid:
    """Frame of every row and lag in frames of every column, -1 for one to leave out; ``dt`` and first age in s."""

    rows: np.ndarray
    columns: np.ndarray
    frames: int
    dt: float
    first: float

    def without(self, bins: int) -> tuple[np.ndarray, np.ndarray]:
        """The pairs of frames that are not stored [bin, frame, frame], and which frames are in a stored one.

        Raises `DataError` where these are too many pairs to be listed.
        """
        n, lags = self.frames, set(self.columns.tolist())
        is_row, used = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        is_row[self.rows[self.rows >= 0]] = True
        absent = np.cumsum(~is_row).tolist()
        count = sum(absent[n - lag - 1] if lag in lags else n - lag for lag in range(1, n))
        if count * bins > MOST_PAIRS:
            raise DataError(f"{count} pairs of {n} frames are not stored, too many to be left out one by one")
        for lag in lags & set(range(1, n)):
            used[: n - lag] |= is_row[: n - lag]
            used[lag:] |= is_row[: n - lag]
        lost = np.zeros((0, 2), dtype=np.int64)
        if count:
            rows = [np.flatnonzero(~is_row[: n - k]) if k in lags else np.arange(n - k) for k in range(1, n)]
            lost = np.concatenate([np.column_stack([row, row + lag]) for lag, row in enumerate(rows, 1)])
        lost = lost[used[lost].all(axis=1)]
        return np.concatenate([np.insert(lost, 0, bin, axis=1) for bin in range(bins)]), used


@dataclass(frozen=True, eq=False)
class AgeLagMatrices:
    """Symmetric matrices (frames, frames) of a dataset (bins, ages, lags), NaN at pairs that are not stored.

    Indexing opens the file and reads one of them; ``indices`` are their places along the first axis.
    """

    path: Path
    key: str
    indices: tuple[int, ...]
    grid: Grid
    allow_links: bool = False
    frames: slice = field(default_factory=lambda: ALL)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, bin: int, /) -> np.ndarray:
        where = f"{self.path}: {self.key}"
        with opened(self.path, self.allow_links) as file:
            stored = dataset(file, self.key)
            with reading(where):
                check_written(stored, where)
                values = stored[self.indices[bin]]
        try:
            upper = self._over_times(values)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
        return symmetric(upper[self.frames, self.frames])

    def _over_times(self, values: np.ndarray) -> np.ndarray:
        n, used = self.grid.frames, self.grid.rows >= 0
        upper = np.full((n, n), np.nan, dtype=kept_dtype(values.dtype))
        for column, lag in enumerate(self.grid.columns):
            if 0 <= lag < n:
                diagonal = upper.reshape(-1)[lag : (n - lag) * n : n + 1]
                inside = used & (self.grid.rows < n - lag)
                diagonal[self.grid.rows[inside]] = values[inside, column]
        return upper

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[bin] for bin in range(len(self)))

    def frame_count(self) -> int:
        """The frames of every one of them."""
        return len(range(self.grid.frames)[self.frames])

    def chosen(self, bins: Sequence[int], frames: slice) -> AgeLagMatrices:
        """Those of these bins, cut to ``frames`` of the present ones."""
        chosen = tuple(self.indices[bin] for bin in bins)
        return replace(self, indices=chosen, frames=sliced(self.frames, frames))

    def windows(self, bin: int) -> Windows:
        """How to read one of them: whole, as its pairs of frames lie apart."""
        return of_whole(self, bin)


def grid_of(stored: h5py.Dataset, ages: np.ndarray, lags: np.ndarray, where: str) -> Grid:
    """The frames of the rows and columns of a dataset (bins, ages, lags); ages and lags in s, NaN for padding.

    Raises `DataError` where they are not those of frames, or where the age is, or may be, the mean of both times.
    """
    rows, age_step = _on_grid(ages, f"{where}: age")
    columns, dt = _on_grid(lags, f"{where}: lag")
    if abs(age_step - dt) * max(rows.max(), columns.max()) > _DRIFT * dt:
        raise DataError(
            f"{where}: ages are {age_step:g} s apart and lags {dt:g} s: values are means over several pairs of frames, "
            "which are not read; save c2 of every pair of frames"
        )
    first_lag = float(np.nanmin(lags)) / dt
    offset = round(first_lag)
    if abs(first_lag - offset) > _OFF or offset < 0:
        raise DataError(
            f"{where}: lag {np.nanmin(lags):g} s is no number of frames, {dt:g} s apart: values are means over several "
            "pairs of frames, which are not read; save c2 of every pair of frames"
        )
    columns = np.where(columns >= 0, columns + offset, -1)
    sample, held = _sampled(stored, rows, columns)
    _check_age(rows[sample] + float(np.nanmin(ages)) / dt, columns, held, where)
    latest = np.max(np.where(held, rows[sample][:, None] + columns, 0))
    return Grid(rows, columns, int(max(rows.max(), latest)) + 1, dt, float(np.nanmin(ages)))


def _on_grid(values: np.ndarray, where: str) -> tuple[np.ndarray, float]:
    """The place of every value in steps from the first, -1 for NaN, and the step in s, the smallest there is."""
    known = np.isfinite(values)
    x = values[known]
    steps = np.diff(x)
    if len(x) < 2 or not np.all(steps > 0):
        raise DataError(f"{where} must rise, with two values at least")
    counts = np.rint(steps / steps.min())
    step = float((x[-1] - x[0]) / counts.sum())
    places = np.concatenate([[0.0], np.cumsum(counts)])
    if np.abs(x - x[0] - places * step).max() > _OFF * step + 1e-6 * np.abs(x).max():
        raise DataError(
            f"{where} is not counted in frames: values are means over several pairs of frames, which are not read; "
            "save c2 of every pair of frames"
        )
    placed = np.full(len(values), -1)
    placed[known] = places.astype(int)
    return placed, step


def _sampled(stored: h5py.Dataset, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Some rows of the first matrix that holds any value, and where they hold values (rows, columns)."""
    count = len(rows)
    few = np.concatenate([np.arange(8), np.linspace(0, count - 1, 16), count - 1 - np.arange(8)])
    sample = np.unique(np.clip(few, 0, count - 1).astype(int))
    sample = sample[rows[sample] >= 0]
    held = np.zeros((len(sample), len(columns)), dtype=bool)
    for bin in range(stored.shape[0]):
        values = stored[bin, sample]
        held = np.isfinite(values) & (values != 0) & (columns >= 0)
        if held.any():
            break
    return sample, held


def _check_age(ages: np.ndarray, columns: np.ndarray, held: np.ndarray, where: str) -> None:
    """Raise `DataError` unless the ages (rows,), in frames, are those of the earlier frame of a pair.

    The mean of both times is never below half the lag, as no time is below 0.
    """
    beyond = (columns > 2.0 * ages[:, None] + 2.0) & (columns >= 0)
    fall = _fall(ages, np.max(np.where(held, columns, -1), axis=1), int(columns.max()))
    if (held & beyond).any() or (not beyond.any() and abs(fall - 1.0) < 0.2):
        return
    if beyond.any() or abs(fall - 2.0) < 0.2:
        raise DataError(
            f"{where}: the age is the mean of both times, as no lag is longer than that allows; such values are not "
            "read; save c2 over both times (t1, t2)"
        )
    raise DataError(
        f"{where}: whether an age is the time of the earlier frame or the mean of both cannot be told, as no lag "
        "reaches an end of the recording; save c2 over both times (t1, t2)"
    )


def _fall(ages: np.ndarray, longest: np.ndarray, most: int) -> float:
    """By how many frames per row the longest lag falls towards the end of the recording, NaN if it does not.

    It falls by 1 where the age is that of the earlier frame, by 2 where it is the mean of both.
    """
    cut = (longest > 0) & (longest < most) & (ages > ages[longest > 0].mean())
    return -float(np.polyfit(ages[cut], longest[cut], 1)[0]) if cut.sum() > 2 else np.nan
