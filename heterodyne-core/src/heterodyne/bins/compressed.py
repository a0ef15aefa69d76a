"""`Compressed`: tiles of which products with slow vectors are known without reading them.

Frames are cut into blocks of B, each with an orthonormal basis P (B, m). Of the tiles d between two blocks

    D_IJ = P_Iᵀ d_IJ P_J      (m, m),      d_ij = (w_i w_j)^½ (c2_ij - reference)

is kept, those on the diagonal whole, and those of the first block, in which powers of time vary fast, with the basis on
one side alone. Products of d with vectors in the span of the bases are exact; `heterodyne.evaluators.compressed` asks
how much of a vector is outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from heterodyne.bins.parts import Needed, Part, Weights
from heterodyne.bins.tiles import Tiles
from heterodyne.data.matrices import Windows

BLOCK = 64
"""Frames per block: the shorter, the fewer vectors span it, and the more tiles there are."""

Around = Callable[[Float[np.ndarray, " P"]], Float[np.ndarray, "points P"]]
"""From the parameters in the order of the model's table to points about them that a fit may visit."""


class Projected(NamedTuple):
    """Tiles between blocks in the span of their bases, and what is left of the data.

    ``far`` is symmetric and holds D, 0 for the first block, of which ``first`` holds d P, and on the diagonal, of which
    ``near`` holds d above its own diagonal. ``filling`` is what single pairs that are left out hold in these, c2 -
    reference. ``beyond`` is the standard deviation, per pair, of the data outside the
    span.
    """

    basis: Float[np.ndarray, "blocks size m"]
    near: Float[np.ndarray, "blocks size size"]
    first: Float[np.ndarray, "size blocks*m"]
    far: Float[np.ndarray, "blocks*m blocks*m"]
    filling: Float[np.ndarray, " pairs"]
    beyond: float


@dataclass(frozen=True, eq=False)
class Region:
    """Where bases are to serve: points ``around`` one, and the size of a block of frames.

    ``tell`` is told of every pass that is made for a basis.
    """

    around: Around
    tell: Callable[[str], None]
    size: int = BLOCK


@dataclass
class Held:
    """What is held of compressed tiles at present, None where no basis would serve; how often tiles were projected, and
    how often they were read for parameters outside, at all and ``in_row``."""

    projected: Projected | None = None
    passes: int = 0
    outside: int = 0
    in_row: int = 0


@dataclass(frozen=True, eq=False)
class Compressed:
    """Tiles with what is ``held`` of them, and the ``region`` for which it was made.

    ``smooth`` (blocks, B, B) maps vectors of the model to those that the data hold beside them, None where there are
    none. The data are ``gain`` times c2 where nothing varies slowly.
    """

    in_memory: ClassVar[bool] = False
    tiles: Tiles
    region: Region
    smooth: np.ndarray | None = None
    gain: float = 1.0
    held: Held = field(default_factory=Held)

    @property
    def source(self) -> Windows:
        """Where the tiles are read."""
        return self.tiles.source

    def parts(self, weights: Weights, reference: float, needed: Needed) -> Iterator[Part]:
        """The tiles that are needed as parts of the upper triangle, as they are."""
        return self.tiles.parts(weights, reference, needed)


def projected(
    tiles: Tiles,
    root: Float[np.ndarray, " frames"],
    reference: float,
    basis: Float[np.ndarray, "blocks size m"],
    skipped: Int[np.ndarray, "pairs 2"],
    filling: Float[np.ndarray, " pairs"],
) -> Projected:
    """The tiles in the span of a basis, in one pass; ``root`` is w^½ of every frame.

    Single pairs that are ``skipped`` take the values ``filling``, for a hole would be no slow function.
    """
    blocks, size, m = basis.shape
    near, first = np.zeros((blocks, size, size)), np.zeros((size, blocks * m))
    far = np.zeros((blocks * m, blocks * m))
    per_tile, square = tiles.size // size, 0.0
    for (i, j), tile in tiles.read(tiles.indices()):
        rows, columns = (slice(k * tiles.size, (k + 1) * tiles.size) for k in (i, j))
        d = _centred(tile, reference)
        here = ((skipped // tiles.size) == (i, j)).all(axis=1)
        d[skipped[here, 0] - rows.start, skipped[here, 1] - columns.start] = filling[here]
        d *= root[rows][:, None]
        d *= root[columns]
        of_rows, of_columns = (slice(k * per_tile, (k + 1) * per_tile) for k in (i, j))
        if i == j:
            cut = d.reshape(per_tile, size, per_tile, size)
            for k in range(per_tile):
                near[i * per_tile + k] = np.triu(cut[k, :, k], 1)
            d = d * np.kron(np.triu(np.ones((per_tile, per_tile)), 1), np.ones((size, size)))
        square += float(np.vdot(d, d))
        right = np.matmul(d.reshape(-1, per_tile, size).swapaxes(0, 1), basis[of_columns])
        right = right.swapaxes(0, 1).reshape(len(d), -1)
        both = np.matmul(basis[of_rows].swapaxes(1, 2), right.reshape(per_tile, size, -1))
        if i == 0:
            first[:, of_columns.start * m : of_columns.stop * m] = right[:size]
            both[0] = 0.0
        far[of_rows.start * m : of_rows.stop * m, of_columns.start * m : of_columns.stop * m] = both.reshape(
            -1, right.shape[1]
        )
    square -= float(np.vdot(far, far) + np.vdot(first, first))
    beyond = np.sqrt(max(square, 0.0) / _freedom(root.reshape(blocks, size) > 0, m))
    far += far.T
    return Projected(basis, near, first, far, filling, float(beyond))


def _centred(tile: np.ndarray, reference: float) -> np.ndarray:
    """c2 - reference, 0 where that is not finite."""
    d = tile.astype(float)
    d -= reference
    if not np.isfinite(d.sum()):
        d[~np.isfinite(d)] = 0.0
    return d


def _freedom(used: Bool[np.ndarray, "blocks size"], m: int) -> float:
    """The number of pairs in use between two blocks, less that of the products with the bases."""
    counts, blocks = used.sum(axis=1).astype(float), len(used)
    pairs = 0.5 * (counts.sum() ** 2 - counts @ counts)
    kept = 0.5 * (blocks - 1) * (blocks - 2) * m**2 + counts[0] * (blocks - 1) * m
    return max(pairs - kept, 1.0)
