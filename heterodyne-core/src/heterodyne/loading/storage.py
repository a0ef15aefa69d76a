"""Values that a dataset declares and its file does not hold: they would read as fill values, zeros mostly."""

from __future__ import annotations

import math

import h5py

from heterodyne.errors import DataError


def check_written(stored: h5py.Dataset, where: str) -> None:
    """Raise `DataError` if a part of the dataset was never written, or is lost."""
    if _missing(stored):
        raise DataError(f"{where} is incomplete: values of it were never written, or are lost")


def check_half_written(
    stored: h5py.Dataset, axes: tuple[int, int], fixed: dict[int, int], where: str
) -> None:
    """Raise `DataError` unless the upper or the lower half of a matrix was written, with its diagonal.

    The matrix lies along ``axes`` of the dataset, at the indices ``fixed`` of the others.
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
    lost = {
        half: [
            (row, column)
            for row in every[0]
            for column in every[1]
            if (row, column) not in present
            and _touches(half, row * sides[0], column * sides[1], sides, frames)
        ]
        for half in ("upper", "lower")
    }
    fewest = min(lost.values(), key=len)
    if fewest:
        parts = (_frames(block, side, frames) for block, side in zip(fewest[0], sides, strict=True))
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
    offsets: list[tuple[int, ...]] = []
    stored.id.chunk_iter(lambda chunk: offsets.append(chunk.chunk_offset))
    sides = stored.chunks or ()
    row, column = axes
    return {
        (offset[row] // sides[row], offset[column] // sides[column])
        for offset in offsets
        if all(offset[axis] // sides[axis] == index // sides[axis] for axis, index in fixed.items())
    }


def _touches(half: str, row: int, column: int, sides: tuple[int, int], frames: int) -> bool:
    """Whether the chunk that begins at this row and column has elements of the half or of the diagonal."""
    if half == "upper":
        return min(column + sides[1], frames) > row
    return min(row + sides[0], frames) > column


def _frames(block: int, side: int, frames: int) -> str:
    return f"{block * side + 1}:{min((block + 1) * side, frames)}"
