"""Σ W residual² over blocks of pairs at many draws, from S interpolated between a few of them.

Of S₀ and the Q of `heterodyne_cmc.reduced` the sums over every block are made once; then with c(θ)

    Σ W (y - contrast S - offset)² = ⟨y, y⟩ - 2 contrast ⟨y, S⟩ - 2 offset ⟨y, 1⟩ + contrast² ⟨S, S⟩ + ...

costs O(M²) operations per block and draw. At draws that are left out of the snapshots the sums over blocks are known as
they are, and tell how far off this is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.evaluators.snapshots import block_sums, snapshots
from heterodyne.evaluators.structured import MODEL_BLOCK
from heterodyne.model import Model
from heterodyne_cmc.reduced import OVERSAMPLED, interpolation, leading
from heterodyne_cmc.shards import Portion, whole_portion

_HELD_OUT = 16  # draws

_TOLERANCE = 0.01  # of the log likelihood of all blocks of a bin

_SNAPSHOTS = 120

_PAIRS = 64  # of which their number is a multiple

_FINER = 5.0  # than for the sum over all pairs: errors of blocks do not cancel

_FEWEST, _FEWEST_FRAMES = 1000, 256  # draws and frames for which it is worth the while


class Data(NamedTuple):
    """What of the data of one bin enters with no S, by block (m, m): ⟨y, y⟩, ⟨y, 1⟩ and ΣW."""

    square: np.ndarray
    total: np.ndarray
    pairs: np.ndarray


class OfModel(NamedTuple):
    """⟨y, S⟩, ⟨1, S⟩ and ⟨S, S⟩ of every block at n parameters, (n, m, m) each."""

    cross: np.ndarray
    total: np.ndarray
    square: np.ndarray


def can_be_interpolated(model: Model, bin: Bin, stripe: int, draws: int) -> bool:
    """Whether S is separable, pairs are weighted by frames alone, stripes are whole blocks, and draws are many."""
    by_frames = bin.pair_weight is None and not len(bin.skipped)
    is_large = draws >= _FEWEST and len(bin.t) >= _FEWEST_FRAMES
    return is_large and model.components is not None and by_frames and stripe % MODEL_BLOCK == 0


def interpolated_squares(
    model: Model, bin: Bin, stripe: int, thetas: np.ndarray, scaling: np.ndarray, noise: np.ndarray
) -> np.ndarray | None:
    """Σ W residual² over every block (draws, m, m) at draws ``thetas`` (draws, P), None where that is off.

    ``scaling`` (draws, 2) are contrast and offset, the latter from the reference, ``noise`` (draws,) is σ.
    """
    order = np.random.default_rng(0).permutation(len(thetas))[: _SNAPSHOTS + _HELD_OUT]
    held_out, among = np.split(order, [_HELD_OUT])
    portion, data = whole_portion(bin.plain), _data(bin, stripe)
    squared_scale = float(_FINER**2 * np.mean(scaling[:, 0] ** 2) / np.mean(noise**2))
    found = _squares(data, _interpolated(model, portion, stripe, thetas, among, squared_scale), scaling)
    exact = _squares(data, _exact(model, portion, stripe, thetas[held_out]), scaling[held_out])
    off = np.abs(found[held_out] - exact).sum(axis=(1, 2)) / (2.0 * noise[held_out] ** 2)
    return found if np.max(off) <= _TOLERANCE else None


def _data(bin: Bin, stripe: int) -> Data:
    """The data, whole stripes of rows at a time."""
    starts = np.arange(0, len(bin.t), stripe)
    square, total, pairs = np.zeros((3, len(starts), len(starts)))
    for row, first in enumerate(starts):
        rows = slice(first, first + stripe)
        w = np.triu(bin.weights(rows), 1 + int(first))
        d = np.where(w > 0, bin.d[rows], 0.0)
        squares = np.divide(d**2, w, out=np.zeros_like(d), where=w > 0)
        for of, matrix in ((square, squares), (total, d), (pairs, w)):
            of[row] = np.add.reduceat(matrix.sum(axis=0), starts)
    return Data(square, total, pairs)


def _sums(model: Model, portion: Portion, stripe: int, thetas: np.ndarray) -> Sums[np.ndarray]:
    root = np.sqrt(portion.weight)
    return block_sums(
        snapshots(model, thetas, portion.t, portion.nodes, root), root, np.asarray(portion.content), stripe
    )


def _exact(model: Model, portion: Portion, stripe: int, thetas: np.ndarray) -> OfModel:
    cross, total, gram = _sums(model, portion, stripe, thetas)
    squares = np.diagonal(gram, axis1=-2, axis2=-1)
    return OfModel(*(np.moveaxis(part, -1, 0) for part in (cross, total, squares)))


def _interpolated(
    model: Model, portion: Portion, stripe: int, thetas: np.ndarray, among: np.ndarray, squared_scale: float
) -> OfModel:
    """At all ``thetas``, from snapshots at those ``among`` them."""
    by_block = _sums(model, portion, stripe, thetas[among])
    combine = leading(Sums(*(part.sum(axis=(0, 1)) for part in by_block)), squared_scale).combine
    # a number that bins have in common, for which code is compiled once
    pairs = _PAIRS * -(-OVERSAMPLED * combine.shape[1] // _PAIRS)
    at = interpolation(model, portion, thetas[among], combine, pairs)
    # S = Σ of the snapshots with these weights, by way of S₀ and Q
    basis = np.zeros((len(among), 1 + combine.shape[1]))
    basis[0, 0], basis[0, 1:], basis[1:, 1:] = 1.0, -combine.sum(axis=0), combine
    c = at.coefficients(model, portion, thetas)
    one = np.column_stack([np.ones(len(c)), c])
    cross, total = (np.tensordot(one, part @ basis, (1, 2)) for part in by_block[:2])
    square = np.zeros_like(cross)
    for row, column in zip(*np.triu_indices(len(by_block.cross)), strict=True):
        gram = basis.T @ by_block.gram[row, column] @ basis
        square[:, row, column] = np.einsum("dm,dm->d", one @ gram, one)
    return OfModel(cross, total, square)


def _squares(data: Data, of: OfModel, scaling: np.ndarray) -> np.ndarray:
    """Σ W (y - contrast S - offset)², (n, m, m)."""
    contrast, offset = scaling.T[..., None, None]
    left = data.square - 2.0 * contrast * of.cross - 2.0 * offset * data.total
    left += contrast**2 * of.square + 2.0 * contrast * offset * of.total + offset**2 * data.pairs
    return np.maximum(left, 0.0)
