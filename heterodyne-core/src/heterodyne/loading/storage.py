"""Values that a dataset declares and its file does not hold: they would read as fill values, zeros mostly."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np

from heterodyne.errors import DataError

_MANY = 4096
"""Chunks of an array of matrices that are listed once for all of these: listing takes 5 µs each."""


def check_written(stored: h5py.Dataset, where: str) -> None:
    """Raise `DataError` if a part of the dataset was never written, or is lost."""
    if _missing(stored):
        raise DataError(f"{where} is incomplete: values of it were never written, or are lost")


def check_half_written(
    stored: h5py.Dataset, axes: tuple[int, int], fixed: dict[int, int], where: str, upwards: bool = False
) -> None:
    """Raise `DataError` unless the upper or the lower half of a matrix was written, with its diagonal.

    The matrix lies along ``axes`` of the dataset, at the indices ``fixed`` of the others; ``upwards`` says that its
    rows begin with the last frame.
    """
    if not _missing(stored):
        return
    if stored.chunks is None:
        raise DataError(f"{where} is incomplete: no value of it was ever written")
    sides = tuple(stored.chunks[axis] for axis in axes)
    present = _blocks(stored, axes, fixed)
    frames = stored.shape[axes[0]]
    every = [range(-(-frames // side)) for side in sides]
    total = math.prod(map(len, every))
    if 3 * len(present) < total:  # less than any half, and maybe too many to be looked at one by one
        raise DataError(f"{where} is incomplete: {len(present)} of its {total} parts are in the file")
    spans = [
        [range(block * side, min((block + 1) * side, frames)) for block in blocks]
        for blocks, side in zip(every, sides, strict=True)
    ]
    if upwards:
        spans[0] = [range(frames - span.stop, frames - span.start) for span in spans[0]]
    lost = {
        half: [
            (spans[0][row], spans[1][column])
            for row in every[0]
            for column in every[1]
            if (row, column) not in present and _touches(half, spans[0][row], spans[1][column])
        ]
        for half in ("upper", "lower")
    }
    fewest = min(lost.values(), key=len)
    if fewest:
        parts = (f"{span.start + 1}:{span.stop}" for span in fewest[0])
        more = f" and {len(fewest) - 1} more parts" if len(fewest) > 1 else ""
        raise DataError(
            f"{where} is incomplete: c2 of frames {' with '.join(parts)}{more} is not in the file"
        )


def _missing(stored: h5py.Dataset) -> int:
    """How many chunks are not in the file; 1 for a dataset in one piece that has none."""
    layout = stored.id.get_create_plist()
    if layout.get_layout() == h5py.h5d.CHUNKED:
        chunks = (-(-n // side) for n, side in zip(stored.shape, stored.chunks or (), strict=True))
        return math.prod(chunks) - stored.id.get_num_chunks()
    if layout.get_layout() != h5py.h5d.CONTIGUOUS or layout.get_external_count():
        return 0
    return int(stored.nbytes > 0 and stored.id.get_storage_size() == 0)


def _blocks(stored: h5py.Dataset, axes: tuple[int, int], fixed: dict[int, int]) -> set[tuple[int, int]]:
    """The chunks of the matrix that are in the file, by their places along its two axes."""
    path = Path(stored.file.filename)
    if stored.id.get_num_chunks() < _MANY or not path.is_file():
        places = _chunks(stored)
    else:
        status = path.stat()
        places = _kept_chunks(path, status.st_size, status.st_mtime_ns, str(stored.name))
    sides = stored.chunks or ()
    mine = np.ones(len(places), dtype=bool)
    for axis, index in fixed.items():
        mine &= places[:, axis] == index // sides[axis]
    return {(int(row), int(column)) for row, column in places[mine][:, list(axes)]}


def _chunks(stored: h5py.Dataset) -> np.ndarray:
    """The place of every chunk that is in the file, along every axis of the dataset, (chunks, axes)."""
    offsets: list[tuple[int, ...]] = []
    stored.id.chunk_iter(lambda chunk: offsets.append(chunk.chunk_offset))
    return np.array(offsets, dtype=np.int64).reshape(-1, stored.ndim) // np.array(stored.chunks)


@lru_cache(maxsize=4)
def _kept_chunks(path: Path, size: int, mtime_ns: int, key: str) -> np.ndarray:
    """The same of many matrices in one array, looked at once while the file stays as it is."""
    with h5py.File(path, "r", locking=False) as file:
        stored = file[key]
        assert isinstance(stored, h5py.Dataset)
        return _chunks(stored)


def _touches(half: str, rows: range, columns: range) -> bool:
    """Whether a chunk of these frames has elements of the half or of the diagonal."""
    return columns.stop > rows.start if half == "upper" else rows.stop > columns.start
