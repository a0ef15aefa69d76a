"""Matrices that stay in their HDF5 file until one of them is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

from heterodyne.data.matrices import ALL, Windows, of_array, sliced
from heterodyne.data.triangle import Read, Stated, Symmetrise, symmetric
from heterodyne.data.validation import kept_dtype
from heterodyne.errors import DataError, reading
from heterodyne.loading.hdf5 import dataset, opened, opened_file
from heterodyne.loading.storage import check_half_written

_LARGEST_PART = 1024
"""Rows and columns of the largest chunk for which reading parts of a matrix beats reading it whole."""


@dataclass(frozen=True)
class Place:
    """Where one matrix is: a dataset (F, F), or index ``index`` along ``axis`` of a three-dimensional one.

    ``more`` holds axis and index of further axes. ``upwards`` says that its rows begin with the last frame: the
    origin of time is at the lower left.
    """

    key: str
    index: int | None = None
    axis: int = 0
    more: tuple[tuple[int, int], ...] = ()
    upwards: bool = False

    def fixed(self) -> dict[int, int]:
        """The axes that are not of the matrix, and where it lies on them."""
        return dict(self.more) | ({} if self.index is None else {self.axis: self.index})


@dataclass(frozen=True)
class FileMatrices:
    """Symmetric matrices of one file, cut to ``frames``; indexing opens the file and reads one of them.

    ``stated`` is in which half the file says that values are; it is an error if they are not.
    """

    path: Path
    places: Sequence[Place]
    frames: slice = field(default_factory=lambda: ALL)
    allow_links: bool = False
    symmetrise: Symmetrise | None = None
    stated: Stated | None = None

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, bin: int, /) -> np.ndarray:
        with self._stored(bin) as (stored, where):
            raw = _window(stored, self.places[bin], self.frames, self.frames, where)
        try:
            return symmetric(raw, self.symmetrise, self.stated)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[bin] for bin in range(len(self)))

    def frame_count(self) -> int:
        """The frames of every one of them; raises `DataError` if one is not square or they differ."""
        sizes: dict[int, str] = {}
        with opened(self.path, self.allow_links) as file:
            for place in self.places:
                sizes.setdefault(side(file, place), place.key)
        if len(sizes) > 1:
            listing = ", ".join(f"{key} has {size} frames" for size, key in sizes.items())
            raise DataError(
                f"{self.path}: the selected matrices differ in size: {listing}; select fewer bins"
            )
        return len(range(next(iter(sizes)))[self.frames])

    def chosen(self, bins: Sequence[int], frames: slice) -> FileMatrices:
        """Those of these bins, cut to ``frames`` of the present ones."""
        return replace(
            self, places=tuple(self.places[bin] for bin in bins), frames=sliced(self.frames, frames)
        )

    def symmetrised(self, symmetrise: Symmetrise) -> FileMatrices:
        """The same with what to take where two halves differ."""
        return replace(self, symmetrise=symmetrise)

    def windows(self, bin: int) -> Windows:
        """How to read one of them in parts; a matrix in one chunk is read whole."""
        with self._stored(bin) as (stored, where):
            whole = not _in_parts(stored)
            frames = range(side(stored.file, self.places[bin]))[self.frames]
            size, dtype = len(frames), stored.dtype
            return Windows(
                lambda: self._reader(bin, frames, whole),
                size,
                dtype,
                where,
                whole,
                symmetrise=self.symmetrise,
                stated=self.stated,
            )

    @contextmanager
    def _stored(self, bin: int) -> Iterator[tuple[h5py.Dataset, str]]:
        """The dataset that holds the matrix, and its name in messages."""
        place = self.places[bin]
        where = f"{self.path}: {place.key}" + (" (origin at the lower left)" if place.upwards else "")
        with opened_file(self.path, self.allow_links, guarded=False) as file:
            stored = dataset(file, place.key)
            with reading(where):
                _check_matrix(stored, place, where)
            yield stored, where

    @contextmanager
    def _reader(self, bin: int, frames: range, whole: bool) -> Iterator[Read]:
        def window(rows: slice, columns: slice) -> np.ndarray:
            rows, columns = (slice(part.start, part.stop) for part in (frames[rows], frames[columns]))
            return _window(stored, self.places[bin], rows, columns, where)

        with self._stored(bin) as (stored, where):
            yield of_array(window(ALL, ALL)) if whole else window


def side(file: h5py.File, place: Place) -> int:
    """The frames of the matrix at this place; raises `DataError` if it is not square."""
    shape = dataset(file, place.key).shape or ()
    kept = [n for axis, n in enumerate(shape) if axis not in place.fixed()]
    sides = kept if len(kept) == 2 else [n for n in kept if n != 1]
    if len(sides) != 2 or sides[0] != sides[1]:
        raise DataError(f"{file.filename}: {place.key} must be square, not of shape {shape}")
    return sides[0]


def _check_matrix(stored: h5py.Dataset, place: Place, where: str) -> None:
    """Raise `DataError` if there are no real numbers, or parts that must hold data are not in the file."""
    try:
        kept_dtype(stored.dtype)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    fixed = _fixed(stored, place)
    rows, columns = _sides(stored, fixed, where)
    check_half_written(stored, (rows, columns), fixed, where, place.upwards)


def _fixed(stored: h5py.Dataset, place: Place) -> dict[int, int]:
    """The axes of the dataset that are not of the matrix, and where it lies on them."""
    single = {axis: 0 for axis, n in enumerate(stored.shape) if n == 1 and stored.ndim > 2}
    return single | place.fixed()


def _sides(stored: h5py.Dataset, fixed: dict[int, int], where: str) -> list[int]:
    """The two axes of the matrix."""
    sides = [axis for axis in range(stored.ndim) if axis not in fixed]
    if len(sides) != 2:
        raise DataError(f"{where} must be one square matrix, not of shape {stored.shape}")
    return sides


def _window(stored: h5py.Dataset, place: Place, rows: slice, columns: slice, where: str) -> np.ndarray:
    """The values at these frames of this matrix; single axes are taken out."""
    fixed = _fixed(stored, place)
    sides = _sides(stored, fixed, where)
    if place.upwards:
        frames = stored.shape[sides[0]]
        first, stop, _ = rows.indices(frames)
        rows = slice(frames - stop, frames - first)
    window = dict(zip(sides, (rows, columns), strict=True))
    part = tuple(fixed[axis] if axis in fixed else window[axis] for axis in range(stored.ndim))
    values = _read(stored, part, where)
    return values[::-1] if place.upwards else values


def _in_parts(stored: h5py.Dataset) -> bool:
    """Whether a part of the matrix costs little more to read than its share of the file."""
    if stored.is_virtual:
        return False
    return stored.chunks is None or (
        np.prod(stored.chunks) <= _LARGEST_PART**2 and max(stored.chunks) <= _LARGEST_PART
    )


def _read(stored: h5py.Dataset, window: tuple[int | slice, ...], where: str) -> np.ndarray:
    filters: list[str] = []
    with reading(where):
        try:
            return stored[window]
        except OSError:
            if not (filters := _missing_filters(stored)):
                raise
    try:
        import hdf5plugin  # noqa: F401  # registers its filters when imported
    except ImportError:
        pass
    else:
        filters = _missing_filters(stored)
    if filters:
        raise DataError(
            f"{where} is compressed with {', '.join(filters)}, which this installation cannot read; "
            "pip install heterodyne-core[compression]"
        )
    return _read(stored, window, where)


def _missing_filters(stored: h5py.Dataset) -> list[str]:
    pipeline = stored.id.get_create_plist()
    used = [pipeline.get_filter(position) for position in range(pipeline.get_nfilters())]
    return [
        f"filter {code} ({name.decode(errors='replace').split(';')[0] or 'unnamed'})"
        for code, _, _, name in used
        if not h5py.h5z.filter_avail(code)
    ]
