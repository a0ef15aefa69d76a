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
    offsets: list[tuple[int, ...]] = []
    stored.id.chunk_iter(lambda chunk: offsets.append(chunk.chunk_offset))
    sides = stored.chunks or ()
    row, column = axes
    return {
        (offset[row] // sides[row], offset[column] // sides[column])
        for offset in offsets
        if all(offset[axis] // sides[axis] == index // sides[axis] for axis, index in fixed.items())
    }


def _touches(half: str, rows: range, columns: range) -> bool:
    """Whether a chunk of these frames has elements of the half or of the diagonal."""
    return columns.stop > rows.start if half == "upper" else rows.stop > columns.start
