"""The upper triangle of a bin in parts, whether it is in memory or streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from heterodyne.bins.bin import PADDING, Bin, StreamedBin


class Part(NamedTuple):
    """c2 and W (rows, columns) from the frames ``first`` and ``second`` on; W is 0 for pairs not in use."""

    first: int
    second: int
    c2: np.ndarray
    weights: np.ndarray


def upper_parts(one: Bin | StreamedBin) -> Iterator[Part]:
    """Parts that cover the upper triangle; W is 0 outside of it."""
    if isinstance(one, StreamedBin):
        size = one.tiles.size
        for (i, j), tile in one.tiles.read(one.tiles.places()):
            first, second = i * size, j * size
            weights = np.outer(one.weight[first : first + size], one.weight[second : second + size])
            weights[np.isnan(tile)] = 0.0
            yield Part(first, second, tile, np.triu(weights, 1) if i == j else weights)
        return
    for first in range(0, len(one.d), PADDING):
        rows = slice(first, first + PADDING)
        weights = np.triu(one.weights(rows), first + 1)
        d = one.d[rows]
        c2 = one.reference + np.divide(d, weights, out=np.zeros_like(d), where=weights > 0)
        yield Part(first, 0, c2, weights)
