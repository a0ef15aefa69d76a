"""Blocks of pairs, and the Gaussian log likelihood of each at every draw: what leaving data out needs.

The frames of a bin are cut into stripes. A block is the pairs between two stripes, or within one; with weights W of
mean 1,

    l_k = η Σ over the pairs in use of block k of ½ log(W / 2πσ²) - W (c2 - offset - contrast S)² / 2σ².

η is 1 for independent elements. Under calibration the likelihood at the draws is tempered by the share of its
information that is left, η = p / tr(H V) over p parameters, with H and V as in `heterodyne_cmc.calibration`: the
magnitude adjustment of Pauli, Racugno & Ventura, Stat. Sin. 21 (2011) 149. Only log likelihoods of one η can be
compared, and H V differs between models; so η is rounded to a power of 2, and those of other models can be given it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import NamedTuple

import numpy as np
from jax import Array

from heterodyne.bins.bin import Bin
from heterodyne.bins.nodes import Nodes
from heterodyne.evaluators.blocks import carried, corner, cut, sides, transfer, transposed
from heterodyne.evaluators.elementwise import listed_values
from heterodyne.evaluators.structured import averaged
from heterodyne.kernels._jax import compiled, jax, jnp
from heterodyne.model import Model
from heterodyne_cmc.coordinates import Space, theta_of
from heterodyne_cmc.density import Code
from heterodyne_cmc.joint import JointDraws
from heterodyne_cmc.reduced_blocks import can_be_interpolated, interpolated_squares

_SIZES = (64, 32, 16, 8, 4)  # frames per tile, of which the padded number of frames is a multiple

_FEWEST_TILES = 8  # along the diagonal, where there are frames enough

_MOST_STRIPES = 10

_MEMORY = 200e6  # bytes of all draws of all blocks

_AT_ONCE = 2**16  # pairs


class Tiles(NamedTuple):
    """The pairs of one bin in tiles of T frames, those on the diagonal first, and the bin's times and nodes.

    ``row`` and ``column`` (m,) in tiles; c2 - reference ``y`` and ``weight`` W (m, T, T), 0 for pairs not in use.
    """

    t: np.ndarray
    nodes: Nodes
    row: np.ndarray
    column: np.ndarray
    y: np.ndarray
    weight: np.ndarray


class BlockColumns(NamedTuple):
    """Blocks (n,): frames of their rows and columns, counted from 0, pairs in use and the mean of their c2."""

    first_row: np.ndarray
    last_row: np.ndarray
    first_column: np.ndarray
    last_column: np.ndarray
    pairs: np.ndarray
    mean: np.ndarray


@dataclass(frozen=True, eq=False)
class BlockLikelihood:
    """The log likelihood ``values`` (chains, draws, blocks) of the blocks of all bins, times ``scale`` η; the number
    of the ``bin`` of every block (blocks,), and their ``columns``."""

    values: np.ndarray
    bin: np.ndarray
    columns: BlockColumns
    scale: float


def block_likelihood(
    code: Code, space: Space, bins: tuple[Bin, ...], draws: JointDraws, scale: float
) -> BlockLikelihood:
    """The log likelihood of the blocks of all pairs, times ``scale``, at joint draws of all data."""
    chains, count = draws.u.shape[:2]
    u, w, log_noise = (x.reshape(chains * count, *x.shape[2:]) for x in (draws.u, draws.w, draws.log_noise))
    theta = jax.jit(jax.vmap(partial(theta_of, space, code.form)))(u)
    most = stripes_within(len(u) * len(bins))
    found = [_of_bin(code.model, bin, most, theta, w[:, k], log_noise[:, k]) for k, bin in enumerate(bins)]
    columns = BlockColumns(*map(np.concatenate, zip(*(of_bin for of_bin, _ in found), strict=True)))
    values = scale * np.concatenate([of_bin for _, of_bin in found], axis=1)
    owner = np.repeat(np.arange(len(bins)), [len(of_bin.pairs) for of_bin, _ in found])
    return BlockLikelihood(values.reshape(chains, count, -1), owner, columns, scale)


def block_scale(inflation: float) -> float:
    """The scale, a power of 2 up to 1, at which Σ l_k spreads as the posterior does.

    ``inflation`` is the mean of H V over directions, H the precision of elements that are independent and alike.
    """
    return float(min(2.0 ** -np.round(np.log2(inflation)), 1.0))


def stripes_within(numbers: int) -> int:
    """The stripes per bin, at most 10, whose blocks stay in memory with so many draws of so many bins."""
    fitting = (m for m in range(_MOST_STRIPES, 1, -1) if 8.0 * numbers * m * (m + 1) / 2 <= _MEMORY)
    return next(fitting, 1)


def _of_bin(
    model: Model, bin: Bin, most: int, theta: Array, w: np.ndarray, log_noise: np.ndarray
) -> tuple[BlockColumns, np.ndarray]:
    """The blocks of one bin, at most ``most`` along a side, and their log likelihood (draws, blocks)."""
    tiles = tiles_of(bin)
    size, of_tiles = tiles.y.shape[-1], tiles.weight.sum(axis=(1, 2))
    group = ceil(ceil(bin.frames / size) / most)
    place, block = np.unique(np.column_stack([tiles.row, tiles.column]) // group, axis=0, return_inverse=True)
    first = size * group * place
    last = np.minimum(first + size * group, bin.frames) - 1

    def summed(per_tile: np.ndarray) -> np.ndarray:
        return np.bincount(block.ravel(), per_tile, len(place))

    used = tiles.weight > 0
    pairs = summed(used.sum(axis=(1, 2)))
    logs = summed(np.log(tiles.weight, out=np.zeros_like(tiles.weight), where=used).sum(axis=(1, 2)))
    mean = bin.moments.reference + summed((tiles.weight * tiles.y).sum(axis=(1, 2))) / summed(of_tiles)
    level, centred = log_noise[:, None], w - np.array([0.0, bin.moments.reference])
    squares = _interpolated(model, bin, size * group, theta, centred, np.exp(log_noise), place)
    if squares is None:
        near = int(np.sum(tiles.row == tiles.column))
        squares = _squares(model, near, len(place), tiles, jnp.asarray(block.ravel()), theta, centred)
    values = 0.5 * logs - pairs * (0.5 * np.log(2.0 * np.pi) + level)
    values -= 0.5 * np.exp(-2.0 * level) * np.asarray(squares)
    columns = BlockColumns(first[:, 0], last[:, 0], first[:, 1], last[:, 1], pairs.astype(int), mean)
    return columns, values


def _interpolated(
    model: Model,
    bin: Bin,
    stripe: int,
    theta: Array,
    w: np.ndarray,
    noise: np.ndarray,
    place: np.ndarray,
) -> np.ndarray | None:
    """Σ W residual² over the blocks at ``place`` (blocks, 2) at every draw, where S can be interpolated."""
    if not can_be_interpolated(model, bin, stripe, len(w)):
        return None
    squares = interpolated_squares(model, bin, stripe, np.asarray(theta), w, noise)
    return None if squares is None else squares[:, place[:, 0], place[:, 1]]


def tiles_of(bin: Bin) -> Tiles:
    """The pairs of a bin in tiles, without tiles that hold none in use."""
    size = next((size for size in _SIZES if bin.frames >= _FEWEST_TILES * size), _SIZES[-1])
    blocks = len(bin.t) // size

    def cut_up(matrix: np.ndarray) -> np.ndarray:
        return matrix.reshape(blocks, size, blocks, size).swapaxes(1, 2)

    weights = cut_up(np.triu(bin.weights(), 1))
    row, column = np.nonzero(weights.any(axis=(2, 3)))
    order = np.argsort(row != column, kind="stable")
    row, column = row[order], column[order]
    weight, d = weights[row, column], cut_up(bin.d)[row, column]
    y = np.divide(d, weight, out=np.zeros_like(d), where=weight > 0)
    return Tiles(bin.t, bin.nodes, row, column, y, weight)


@compiled("model", "near", "blocks")
def _squares(
    model: Model, near: int, blocks: int, tiles: Tiles, block: Array, theta: Array, w: Array
) -> Array:
    """Σ W residual² over every block at every draw, (draws, blocks); the offsets of w count from the reference."""

    def at_draw(draw: tuple[Array, Array]) -> Array:
        here, (contrast, offset) = draw

        def square(s: Array, y: Array, weight: Array) -> Array:
            return jnp.sum(weight * (y - contrast * s - offset) ** 2, axis=(-2, -1))

        squares = _per_tile(model, near, tiles, here, square)
        return jax.ops.segment_sum(squares, block, blocks)

    return jax.lax.map(at_draw, (theta, w))


def _per_tile(
    model: Model, near: int, tiles: Tiles, theta: Array, of: Callable[[Array, Array, Array], Array]
) -> Array:
    """A function of S, y and W of every tile, (m,), of which the first ``near`` lie on the diagonal."""
    size = tiles.y.shape[-1]
    contents = tiles.row, tiles.column, tiles.y, tiles.weight
    at_once = max(1, _AT_ONCE // size**2)
    if model.components is None:
        frames = np.arange(size)

        def listed(tile: tuple[Array, ...]) -> Array:
            i, j = tile[0] * size + frames[:, None], tile[1] * size + frames
            pairs = jnp.minimum(i, j).ravel(), jnp.maximum(i, j).ravel()
            return of(
                listed_values(model, theta, tiles.t, tiles.nodes, *pairs).reshape(size, size), *tile[2:]
            )

        return jax.lax.map(listed, contents, batch_size=at_once)
    b = cut(averaged(model, theta, jnp.asarray(tiles.t), tiles.nodes), size)
    (left, right), to = sides(b), transfer(b)

    def far(tile: tuple[Array, ...]) -> Array:
        row, column, *data = tile
        carry = jax.tree.map(lambda x: x[row, column], to)
        return of(left[row].T @ carried(transposed(carry), right[column]), *data)

    def on_diagonal(tile: tuple[Array, ...]) -> Array:
        row, _, *data = tile
        return of(jnp.einsum("ki,kij,kj->ij", b.a[row], corner(b.rise[row]), b.a[row]), *data)

    first, rest = ([x[part] for x in contents] for part in (slice(near), slice(near, None)))
    of_first = jax.lax.map(on_diagonal, tuple(first), batch_size=at_once)
    return jnp.concatenate([of_first, jax.lax.map(far, tuple(rest), batch_size=at_once)])
