"""The upper triangle of a bin in parts, whether it is in memory or streamed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from heterodyne.data.bin import PADDING, Bin
from heterodyne.data.tiles import StreamedBin


def upper_parts(one: Bin | StreamedBin) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """First row, first column, c2 and W of parts that cover the upper triangle; W is 0 outside of it."""
    if isinstance(one, StreamedBin):
        size = one.tiles.size
        for (i, j), tile in one.tiles.read(one.tiles.places()):
            first, second = i * size, j * size
            weights = np.outer(one.weight[first : first + size], one.weight[second : second + size])
            weights[np.isnan(tile)] = 0.0
            yield first, second, tile, np.triu(weights, 1) if i == j else weights
        return
    for first in range(0, len(one.d), PADDING):
        rows = slice(first, first + PADDING)
        weights = np.triu(one.weights(rows), first + 1)
        d = one.d[rows]
        yield (
            first,
            0,
            one.reference + np.divide(d, weights, out=np.zeros_like(d), where=weights > 0),
            weights,
        )
