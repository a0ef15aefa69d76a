"""`Bin`: one bin's matrix in memory, checked and padded for the evaluators."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from heterodyne.bins.nodes import Nodes
from heterodyne.bins.tiles import Tiles

PADDING = 64
"""Frames are padded to a multiple of this, so that evaluators can cut tiles of one size."""


@dataclass(frozen=True, eq=False)
class Bin:
    """One bin ready for summation over its strict upper triangle, pairs weighted by W.

    ``d`` (M, M) = W (c2 - ``reference``) in float64, symmetric, frames padded to M, 0 for pairs that are not
    used; ``reference`` is the weighted mean of c2, without which the sum of squares would lose 3 to 6
    digits. W_ij = ``weight``_i ``weight``_j with ``weight`` (M,), 0 for frames that are masked or padding,
    but for the single pairs i < j that ``skipped`` (m, 2) leaves out; or W is ``pair_weight`` (M, M), 0 for
    every pair that is not used, where that is given. W is scaled to a mean of 1 over the pairs used:
    ``pairs`` = ΣW is their number, ``data`` and ``data2`` are ΣWd and ΣWd². ``dq`` and ``dphi`` are the
    bin's full widths, NaN where unknown.
    """

    d: np.ndarray
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
    pair_weight: np.ndarray | None = None
    dq: float = math.nan
    dphi: float = math.nan

    def weights(self, rows: slice = slice(0, None)) -> np.ndarray:
        """W of every pair whose first frame lies in ``rows``, 0 for pairs not used and on the diagonal."""
        if self.pair_weight is not None:
            return self.pair_weight[rows]
        w = np.outer(self.weight[rows], self.weight)
        here = np.arange(len(w))
        w[here, rows.start + here] = 0.0
        for first, second in (self.skipped.T, self.skipped.T[::-1]):
            inside = (first >= rows.start) & (first < rows.start + len(w))
            w[first[inside] - rows.start, second[inside]] = 0.0
        return w

    def weights_at(self, lag: int) -> np.ndarray:
        """W of the pairs (i, i + lag), (M - lag,)."""
        if self.pair_weight is not None:
            return np.diagonal(self.pair_weight, lag)
        w = self.weight[:-lag] * self.weight[lag:]
        first, second = self.skipped.T
        w[first[second - first == lag]] = 0.0
        return w


@dataclass(frozen=True, eq=False)
class StreamedBin:
    """One bin for summation over its strict upper triangle, its matrix in ``tiles``.

    The other fields are those of `heterodyne.bins.bin.Bin`, frames being padded to M, a multiple of the
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
