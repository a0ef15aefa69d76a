"""`Bin`: one bin's c2, checked and padded for the evaluators, and the weights of its pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from heterodyne.bins.compressed import Compressed
from heterodyne.bins.nodes import Nodes
from heterodyne.bins.parts import Needed, Part, Weights
from heterodyne.bins.tiles import Tiles

PADDING = 64
"""Frames are padded to a multiple of this, so that evaluators can cut blocks of one size."""

_ROUNDS = 1000

Number = TypeVar("Number")


class Moments(NamedTuple, Generic[Number]):
    """What the data alone give over the pairs i < j in use, of one bin or per bin (bins,).

    ``pairs`` ΣW, ``total`` ΣWd and ``square`` ΣWd² of d = c2 - ``reference``.
    """

    pairs: Number
    reference: Number
    total: Number
    square: Number


@dataclass(frozen=True, eq=False)
class Dense:
    """c2 of one bin in memory: ``d`` (M, M) = W (c2 - reference) in float64, symmetric, 0 for pairs not used."""

    in_memory: ClassVar[bool] = True
    d: np.ndarray

    def parts(self, weights: Weights, reference: float, needed: Needed) -> Iterator[Part]:
        """The parts of the upper triangle that are needed, whole rows of frames each."""
        columns = slice(0, len(self.d))
        for first in range(0, len(self.d), PADDING):
            rows = slice(first, first + PADDING)
            if needed(rows, columns):
                w, d = weights(rows, columns), self.d[rows]
                c2 = reference + np.divide(d, w, out=np.zeros_like(d), where=w > 0)
                yield Part(first, 0, c2, w)


@dataclass(frozen=True, eq=False)
class Whitened:
    """Data of a bin that enter by ½ tr(W R W R) in place of Σ_{i<j} R², R the residual with zero diagonal.

    ``plain`` are the data as they were, D with zero diagonal; ``d`` (M, M) is E = W D W, of which
    Σ_{i<j} E_ij X_ij is ½ tr(W D W X), in tiles where the data are. ``moments`` are those of this product: of
    O = 1 1ᵀ - 1 with itself, with D, and of D with itself. ``factor`` is the Cholesky factor of W⁻¹ = S + κ 1 in
    whatever form its evaluator takes it, and ``noise`` is κ.
    """

    plain: Dense | Tiles | Compressed
    d: np.ndarray | Tiles | Compressed
    moments: Moments[float]
    factor: Any
    noise: float

    @property
    def in_memory(self) -> bool:
        """Whether the data are in memory."""
        return self.plain.in_memory

    def parts(self, weights: Weights, reference: float, needed: Needed) -> Iterator[Part]:
        """The parts of the upper triangle of c2 itself."""
        return self.plain.parts(weights, reference, needed)


@dataclass(frozen=True, eq=False)
class Kept:
    """Data of a bin that a keeper has (`heterodyne.bins.kept`), under a ``number``, or makes again by the ``recipe``.

    ``moments`` are those of `Whitened` data, beside which the ``plain`` ones are kept, too.
    """

    in_memory: ClassVar[bool] = True
    home: Any
    keeper: int
    number: int
    recipe: bytes
    moments: Moments[float] | None = None
    plain: Kept | None = None

    def parts(self, weights: Weights, reference: float, needed: Needed) -> Iterator[Part]:
        """Nothing of the data is here: raises `TypeError`."""
        raise TypeError("the data of this bin are kept elsewhere: ask `heterodyne.bins.kept.in_place`")


@dataclass(frozen=True, eq=False)
class Bin:
    """One bin ready for summation over its strict upper triangle, pairs weighted by W.

    ``values`` hold c2 between M frames: `Dense` in memory, `Tiles` where they are read tile by tile, `Compressed`
    where what the model needs of those is held, `Whitened` where pairs are weighted by the covariance of frames, which
    W does not say, `Kept` where a keeper has them. M is the number of frames padded to a multiple of what evaluators
    cut; ``t`` (M,) are their times in s.
    W_ij = ``weight``_i ``weight``_j with ``weight`` (M,), 0 for frames that are masked or padding, but for
    the single pairs i < j that ``skipped`` (m, 2) leaves out; or W is ``pair_weight`` (M, M), 0 for every
    pair that is not used, where that is given. W is scaled to a mean of 1 over the pairs used, so that ΣW is
    their number; the reference of ``moments`` is the weighted mean of c2, without which the sum of squares
    would lose 3 to 6 digits. ``q`` is in Å⁻¹, ``phi`` in degrees; ``dq`` and ``dphi`` are the bin's full
    widths, NaN where unknown. ``diagonal`` (N,) is c2 of every frame with itself, as it stands in the file, which no
    sum over pairs looks at.
    """

    values: Dense | Tiles | Compressed | Whitened | Kept
    t: np.ndarray
    weight: np.ndarray
    q: float
    phi: float
    nodes: Nodes
    moments: Moments[float]
    skipped: np.ndarray
    pair_weight: np.ndarray | None = None
    dq: float = math.nan
    dphi: float = math.nan
    diagonal: np.ndarray | None = None

    @property
    def frames(self) -> int:
        """The number of frames up to the last one that is used."""
        return int(np.flatnonzero(self.weight)[-1]) + 1

    @property
    def d(self) -> np.ndarray:
        """W (c2 - reference) of a bin that is in memory, (M, M)."""
        plain = self.plain.values
        assert isinstance(plain, Dense)
        return plain.d

    @property
    def frame_weight(self) -> np.ndarray:
        """The weights w (M,) of frames for which w_i w_j is W_ij off the diagonal, or as near as it can be."""
        if self.pair_weight is None:
            return self.weight
        w = self.pair_weight.sum(axis=1) / np.sqrt(self.pair_weight.sum())
        # least squares of one frame's weight, the others' being as they are, three quarters of the way
        for _ in range(_ROUNDS):
            fitted = self.pair_weight @ w / np.maximum(w @ w - w**2, 1e-300)
            before, w = w, w**0.25 * fitted**0.75
            if np.allclose(w, before, rtol=1e-10, atol=0.0):
                break
        return w

    @property
    def is_separable(self) -> bool:
        """Whether W_ij is ``weight``_i ``weight``_j for all pairs."""
        return not len(self.skipped) and self.pair_weight is None

    @property
    def plain(self) -> Bin:
        """The bin without the covariance of frames in its weights."""
        plain = self.values.plain if isinstance(self.values, Whitened | Kept) else None
        return replace(self, values=plain) if plain is not None else self

    @property
    def is_whitened(self) -> bool:
        """Whether the covariance of frames is in its weights."""
        return isinstance(self.values, Whitened) or (
            isinstance(self.values, Kept) and self.values.moments is not None
        )

    @property
    def summed(self) -> Moments[float]:
        """The moments of what is summed over: of a `Whitened` bin, those of its product."""
        of_product = self.values.moments if isinstance(self.values, Whitened | Kept) else None
        return self.moments if of_product is None else of_product

    @property
    def tiles(self) -> Tiles:
        """The tiles of a bin that is read tile by tile."""
        values = self.values.tiles if isinstance(self.values, Compressed) else self.values
        assert isinstance(values, Tiles)
        return values

    def parts(self, needed: Needed = lambda rows, columns: True) -> Iterator[Part]:
        """Parts that cover all pairs i < j that are ``needed``; W is 0 for those that are not used or i ≥ j."""

        def weights(rows: slice, columns: slice) -> np.ndarray:
            return np.triu(self.weights(rows, columns), 1 + rows.start - columns.start)

        return self.values.parts(weights, self.moments.reference, needed)

    def weights(self, rows: slice = slice(0, None), columns: slice = slice(0, None)) -> np.ndarray:
        """W of the pairs of these frames, 0 for pairs not used and on the diagonal."""
        if self.pair_weight is not None:
            return self.pair_weight[rows, columns]
        w = np.outer(self.weight[rows], self.weight[columns])
        diagonal = np.arange(len(self.weight))
        for first, second in ((diagonal, diagonal), self.skipped.T, self.skipped.T[::-1]):
            i, j = first - rows.start, second - columns.start
            inside = (i >= 0) & (i < len(w)) & (j >= 0) & (j < w.shape[1])
            w[i[inside], j[inside]] = 0.0
        return w

    def weights_at(self, lag: int) -> np.ndarray:
        """W of the pairs (i, i + lag), (M - lag,)."""
        if self.pair_weight is not None:
            return np.diagonal(self.pair_weight, lag)
        w = self.weight[:-lag] * self.weight[lag:]
        first, second = self.skipped.T
        w[first[second - first == lag]] = 0.0
        return w


def at_once(bins: Sequence[Bin]) -> int | None:
    """How many bins may be worked on at once: as many as there are cores (None), 1 where files are read."""
    return None if all(bin.values.in_memory for bin in bins) else 1
