"""`StreamedBin`: one bin whose matrix stays where it is and is read tile by tile.

A tile is a square of `TILE` frames on or above the diagonal. Tiles are kept in memory as far as a bound
allows and read again for every pass beyond it, the next ones while the present one is used.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from heterodyne.data.bin import Nodes, bin_nodes, given_weights, left_out_pairs, normalised, padded_times
from heterodyne.data.survey import Survey
from heterodyne.data.triangle import Half, Read
from heterodyne.data.two_time import TwoTime
from heterodyne.data.windows import Windows, upper, windows
from heterodyne.errors import DataError

TILE = 1024
"""Frames per tile: 4 MB of float32, long enough to read at full speed, small enough for the cache."""

_GIB = 2.0**30
_WORK = 25_000  # bytes per frame of the sums without data, measured with the 14 parameters of two-component
_AHEAD = 2  # tiles read before they are needed

Place = tuple[int, int]
"""Row and column of a tile, row ≤ column."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """The upper half of one matrix in squares of ``size`` frames.

    ``left_out`` maps places to the rows and columns, within the tile, of single pairs that do not count;
    they are NaN in the tiles. ``kept`` holds the tiles that stay in memory.
    """

    source: Windows
    half: Half
    size: int
    left_out: Mapping[Place, tuple[np.ndarray, np.ndarray]]
    kept: dict[Place, np.ndarray] = field(default_factory=dict)

    @property
    def blocks(self) -> int:
        """Tiles along one side."""
        return -(-self.source.frames // self.size)

    def places(self) -> list[Place]:
        """All places, row by row."""
        return [(i, j) for i in range(self.blocks) for j in range(i, self.blocks)]

    def read(self, wanted: Iterable[Place]) -> Iterator[tuple[Place, np.ndarray]]:
        """The tiles at these places, (size, size), 0 beyond the last frame.

        Above the diagonal they are c2, NaN for pairs left out; frames that are not used may hold anything.
        """
        wanted = list(wanted)
        if all(place in self.kept for place in wanted):
            yield from ((place, self.kept[place]) for place in wanted)
            return
        with self.source.opened() as read:
            yield from self.read_from(read, wanted)

    def read_from(self, read: Read, wanted: Iterable[Place]) -> Iterator[tuple[Place, np.ndarray]]:
        """`read` from a source that is open; one thread reads ahead."""
        window = upper(read, self.half)
        waiting: deque[tuple[Place, Future[np.ndarray]]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for place in wanted:
                waiting.append((place, pool.submit(self._tile, window, place)))
                if len(waiting) > _AHEAD:
                    first, tile = waiting.popleft()
                    yield first, tile.result()
            while waiting:
                first, tile = waiting.popleft()
                yield first, tile.result()

    def _tile(self, window: Read, place: Place) -> np.ndarray:
        if place in self.kept:
            return self.kept[place]
        rows, columns = (self.frames_of(k) for k in place)
        values = window(rows, columns)
        if values.shape == (self.size, self.size) and place not in self.left_out:
            return values
        tile = np.zeros((self.size, self.size), dtype=values.dtype)
        tile[: values.shape[0], : values.shape[1]] = values
        if place in self.left_out:
            tile[self.left_out[place]] = np.nan
        return tile

    def frames_of(self, block: int) -> slice:
        """The frames of a row or column of tiles."""
        return slice(block * self.size, min((block + 1) * self.size, self.source.frames))


@dataclass(frozen=True, eq=False)
class StreamedBin:
    """One bin for summation over its strict upper triangle, its matrix in ``tiles``.

    The other fields are those of `heterodyne.data.bin.Bin`, frames being padded to M, a multiple of the
    tiles; d = W (c2 - ``reference``) is formed tile by tile. Weights are per frame.
    """

    tiles: Tiles
    t: np.ndarray
    weight: np.ndarray
    q: float
    phi: float
    nodes: Nodes
    pairs: float
    reference: float
    data: float
    data2: float
    skipped: np.ndarray
    dq: float = math.nan
    dphi: float = math.nan

    @property
    def pair_weight(self) -> None:
        """None: weights are per frame."""
        return None


def stream_bins(
    data: tuple[TwoTime, ...], skip_lags: int, memory: float, size: int = TILE
) -> tuple[StreamedBin, ...]:
    """Every bin of every data set; ``memory`` bytes bound reading, sums without data, and the tiles kept.

    Raises `DataError` for a matrix that cannot be used, or that its file only gives whole while ``memory``
    does not hold it.
    """
    every = [(one, index) for one in data for index in range(one.n_bins)]
    reading = [_reading_bytes(*which) for which in every]
    room = memory - _WORK * max(one.n_frames for one in data) - max(reading)
    if room < 0 < max(reading):
        one, index = every[int(np.argmax(reading))]
        raise DataError(
            f"{one.label(index)}: the file gives this matrix only whole, and streaming it takes "
            f"{(memory - room) / _GIB:.2g} GiB, but memory allows {memory / _GIB:.2g} GiB: raise memory, or "
            "save the data in the program's own file, which is read in parts"
        )
    bins: list[StreamedBin] = []
    for one, index in every:
        bins.append(stream_bin(one, index, skip_lags, room, size))
        room -= sum(tile.nbytes for tile in bins[-1].tiles.kept.values())
    return tuple(bins)


def _reading_bytes(data: TwoTime, index: int) -> float:
    """What reading one matrix takes: one that its file gives only whole passes through a buffer as large."""
    source = windows(data.c2, index)
    return 2.0 * source.frames**2 * source.itemsize if source.whole else 0.0


def stream_bin(data: TwoTime, index: int, skip_lags: int, memory: float, size: int = TILE) -> StreamedBin:
    """Bin ``index`` of ``data`` without its first ``skip_lags`` lags, read once and checked.

    Tiles are kept up to ``memory`` bytes, all or none where the file gives the matrix only whole. Raises
    `DataError` for a matrix that cannot be used and for weights per pair.
    """
    where = f"{data.provenance.get('file', 'data')} bin {index + 1} ({data.label(index)})"
    given, of_pairs = given_weights(data, index)
    if of_pairs is not None:
        raise DataError(f"{where}: weights per pair need the matrix in memory: use the strategy direct")
    source = windows(data.c2, index)
    if source.frames != data.n_frames:
        raise DataError(f"{where}: the matrix has {source.frames} frames, its time axis {data.n_frames}")
    left_out = left_out_pairs(data, index, skip_lags, None)
    survey = Survey(given * data.mask[index], where)
    with source.opened() as read:
        tiles = Tiles(source, source.half(read), size, _by_tile(left_out, size))
        _survey(survey, tiles, read, memory)
    used = survey.used_frames()
    total, reference, data2 = survey.moments(used, left_out)
    skipped = left_out[used[left_out].all(axis=1)]
    padding = -data.n_frames % size
    weight, pairs = normalised(np.pad(survey.weight * used, (0, padding)), skipped)
    q, phi = float(data.q[index]), float(data.phi[index])
    return StreamedBin(
        tiles,
        padded_times(data, padding),
        weight,
        q,
        phi,
        bin_nodes(q, phi),
        pairs,
        reference,
        0.0,
        data2 * pairs / total,
        skipped,
        float(data.dq[index]),
        float(data.dphi[index]),
    )


def _survey(survey: Survey, tiles: Tiles, read: Read, memory: float) -> None:
    """Add every tile to the survey, and keep tiles up to ``memory`` bytes."""
    places = tiles.places()
    room = 0.0 if tiles.source.at_hand else memory
    if tiles.source.whole and room < len(places) * tiles.size**2 * tiles.source.itemsize:
        room = 0.0
    for place, tile in tiles.read_from(read, places):
        rows, columns = (tiles.frames_of(k) for k in place)
        inside = np.s_[: rows.stop - rows.start, : columns.stop - columns.start]
        keep = None
        if place in tiles.left_out:
            keep = np.ones(tile.shape, dtype=bool)
            keep[tiles.left_out[place]] = False
            keep = keep[inside]
        survey.add(tile[inside], rows, columns, keep)
        if room >= tile.nbytes:
            # a view would keep the whole matrix that it belongs to
            tiles.kept[place] = np.array(tile, order="C", copy=not tile.flags.owndata or None)
            room -= tile.nbytes


def _by_tile(pairs: np.ndarray, size: int) -> dict[Place, tuple[np.ndarray, np.ndarray]]:
    """Pairs of frames by the tile they lie in, as rows and columns within it."""
    block, inside = np.divmod(pairs, size)
    found = {}
    for i, j in np.unique(block, axis=0).tolist():
        rows, columns = inside[(block == (i, j)).all(axis=1)].T
        found[i, j] = (rows, columns)
    return found
