"""`Tiles`: one bin's c2 that stays where it is and is read tile by tile.

A tile is a square of `TILE` frames on or above the diagonal. Tiles are kept in memory as far as a bound
allows and read again for every pass beyond it, the next ones while the present one is used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

import numpy as np

from heterodyne.bins.parts import Needed, Part, Weights
from heterodyne.data.matrices import Windows, upper
from heterodyne.data.triangle import Half, Read

TILE = 1024
"""Frames per tile: 4 MB of float32, long enough to read at full speed, small enough for the cache."""

_AHEAD = 2  # tiles read before they are needed

TileIndex: TypeAlias = tuple[int, int]
"""Row and column of a tile, row ≤ column."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """The upper half of one matrix in squares of ``size`` frames.

    ``left_out`` maps tiles to the rows and columns, within the tile, of single pairs that do not count;
    they are NaN in the tiles. ``kept`` holds the tiles that stay in memory.
    """

    in_memory: ClassVar[bool] = False
    source: Windows
    half: Half
    size: int
    left_out: Mapping[TileIndex, tuple[np.ndarray, np.ndarray]]
    kept: dict[TileIndex, np.ndarray] = field(default_factory=dict)

    @property
    def blocks(self) -> int:
        """Tiles along one side."""
        return -(-self.source.frames // self.size)

    def indices(self) -> list[TileIndex]:
        """All tiles, row by row."""
        return [(i, j) for i in range(self.blocks) for j in range(i, self.blocks)]

    def parts(self, weights: Weights, reference: float, needed: Needed) -> Iterator[Part]:
        """The tiles that are needed as parts of the upper triangle; the reference is no part of what they hold."""
        padded = [slice(first, first + self.size) for first in range(0, self.blocks * self.size, self.size)]
        wanted = [(i, j) for i, j in self.indices() if needed(padded[i], padded[j])]
        for (i, j), c2 in self.read(wanted):
            rows, columns = padded[i], padded[j]
            yield Part(rows.start, columns.start, c2, weights(rows, columns))

    def read(self, wanted: Iterable[TileIndex]) -> Iterator[tuple[TileIndex, np.ndarray]]:
        """These tiles, (size, size), 0 beyond the last frame.

        Above the diagonal they are c2, NaN for pairs left out; frames that are not used may hold anything.
        """
        wanted = list(wanted)
        if all(index in self.kept for index in wanted):
            yield from ((index, self.kept[index]) for index in wanted)
            return
        with self.source.opened() as read:
            yield from self.read_from(read, wanted)

    def read_from(self, read: Read, wanted: Iterable[TileIndex]) -> Iterator[tuple[TileIndex, np.ndarray]]:
        """`read` from a source that is open; one thread reads ahead."""
        window = upper(read, self.half, self.source.shift)
        waiting: deque[tuple[TileIndex, Future[np.ndarray]]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for index in wanted:
                waiting.append((index, pool.submit(self._tile, window, index)))
                if len(waiting) > _AHEAD:
                    first, tile = waiting.popleft()
                    yield first, tile.result()
            while waiting:
                first, tile = waiting.popleft()
                yield first, tile.result()

    def _tile(self, window: Read, index: TileIndex) -> np.ndarray:
        if index in self.kept:
            return self.kept[index]
        rows, columns = (self.frames_of(k) for k in index)
        values = window(rows, columns)
        if values.shape == (self.size, self.size) and index not in self.left_out:
            return values
        tile = np.zeros((self.size, self.size), dtype=values.dtype)
        tile[: values.shape[0], : values.shape[1]] = values
        if index in self.left_out:
            tile[self.left_out[index]] = np.nan
        return tile

    def frames_of(self, block: int) -> slice:
        """The frames of a row or column of tiles."""
        return slice(block * self.size, min((block + 1) * self.size, self.source.frames))
