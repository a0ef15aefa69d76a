"""Shards: which pairs of frames a sampler sees, and the sums over them that its likelihood needs.

Whole bins are summed by the structured evaluator. A part of a bin is a set of tiles of a separable model,
or a list of pairs for any model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jax import Array

from heterodyne.bins.bin import Bin
from heterodyne.bins.nodes import Nodes
from heterodyne.evaluators.blocks import carried, corner, cut, sides, transfer, transposed
from heterodyne.evaluators.elementwise import listed_values
from heterodyne.evaluators.structured import averaged, value_sums
from heterodyne.kernels._jax import AnyArray, jax, jnp
from heterodyne.model import Model
from heterodyne_cmc.likelihood import Elements, ModelSums

_SIZES = (64, 32, 16, 8)  # frames per tile, of which the padded number of frames is a multiple

_FEWEST = 24  # tiles of a bin per shard: with a few of them contrast and offset take part of the decay

_UNROLLED = 4
"""Up to so many bins are compiled one by one; more of one shape share one code, which copies each matrix."""


class Pairs(NamedTuple):
    """Single pairs of one bin: frames, weight W and d = W (c2 - reference), (m,) each."""

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray
    d: np.ndarray


class Tiles(NamedTuple):
    """Tiles of one bin: ``block`` (n,) and ``near`` d (n, T, T) of those on the diagonal, ``row``, ``column``
    (m,) and ``far`` d (m, T, T) of those above it."""

    block: np.ndarray
    near: np.ndarray
    row: np.ndarray
    column: np.ndarray
    far: np.ndarray

    @property
    def size(self) -> int:
        """The frames T of a tile."""
        return self.near.shape[-1]


class Part(NamedTuple):
    """One bin's share of a shard: the bin's times, nodes and frame weights, and its data in one form.

    ``content`` is the matrix d (N, N) of a whole bin, `Tiles` or `Pairs`; ``skipped`` are pairs that the
    bin leaves out though their frames are used. Lists may be filled up: with tiles of block -1, which count
    for nothing, and with pairs of weight 0.
    """

    t: np.ndarray
    nodes: Nodes
    weight: np.ndarray
    content: np.ndarray | Tiles | Pairs
    skipped: Pairs


class Shard(NamedTuple):
    """The data of one sampler: parts of the bins numbered ``bins``, and what these data alone give."""

    bins: np.ndarray
    parts: tuple[Part, ...]
    elements: Elements


def shard_sums(model: Model, theta: Array, shard: Shard) -> ModelSums:
    """The sums that the likelihood needs, (bins,) each."""
    alike = len({tuple(np.shape(leaf) for leaf in jax.tree.leaves(part)) for part in shard.parts}) == 1
    if alike and len(shard.parts) > _UNROLLED:
        stacked = jax.tree.map(lambda *each: jnp.stack(each), *shard.parts)
        return jax.lax.map(lambda part: part_sums(model, theta, part), stacked)
    each = [part_sums(model, theta, part) for part in shard.parts]
    return jax.tree.map(lambda *rows: jnp.stack(rows), *each)


def part_sums(model: Model, theta: Array, part: Part) -> ModelSums:
    """Σ d S, ΣS and Σ S² over one part."""
    if isinstance(part.content, Pairs):
        return _pair_sums(model, theta, part, part.content)
    if isinstance(part.content, Tiles):
        whole = _tile_sums(model, theta, part, part.content)
    else:
        cross, total, gram = value_sums(model, theta, part.t, part.nodes, part.weight, part.content)
        whole = ModelSums(cross[0], total[0], gram[0, 0])
    if not len(part.skipped.first):
        return whole
    left_out = _pair_sums(model, theta, part, part.skipped)
    return jax.tree.map(jnp.subtract, whole, left_out)


def _pair_sums(model: Model, theta: Array, part: Part, pairs: Pairs) -> ModelSums:
    s = listed_values(model, theta, part.t, part.nodes, pairs.first, pairs.second)
    weighted = jnp.asarray(pairs.weight) * s
    return ModelSums(jnp.vdot(pairs.d, s), jnp.sum(weighted), jnp.vdot(weighted, s))


def _tile_sums(model: Model, theta: Array, part: Part, tiles: Tiles) -> ModelSums:
    b = cut(averaged(model, theta, jnp.asarray(part.t), part.nodes), tiles.size)
    left, right = sides(b)
    to = jax.tree.map(lambda x: x[tiles.row, tiles.column], transfer(b))
    far = jnp.einsum("mki,mkj->mij", left[tiles.row], carried(transposed(to), right[tiles.column]))
    a = b.a[tiles.block]
    near = jnp.einsum("mki,mkij,mkj->mij", a, corner(b.rise[tiles.block]), a)
    of_block, of_row, of_column = (
        _frame_weights(part, block, tiles.size) for block in (tiles.block, tiles.row, tiles.column)
    )
    of_near = _weighted(near, tiles.near, of_block, of_block)
    of_far = _weighted(far, tiles.far, of_row, of_column)
    return jax.tree.map(jnp.add, of_near, of_far)


def _frame_weights(part: Part, block: AnyArray, size: int) -> AnyArray:
    """The weights of the frames of these blocks (n,), (n, T)."""
    return part.weight.reshape(-1, size)[block] * (block >= 0)[:, None]


def _weighted(s: Array, d: AnyArray, of_rows: AnyArray, of_columns: AnyArray) -> ModelSums:
    weighted = s * of_rows[:, :, None] * of_columns[:, None, :]
    return ModelSums(jnp.vdot(d, s), jnp.sum(weighted), jnp.vdot(weighted, s))


def whole_shard(model: Model, bins: tuple[Bin, ...]) -> Shard:
    """The shard of all pairs of all bins."""
    by_pairs = model.components is None
    return Shard(
        np.arange(len(bins)),
        tuple(
            _listed(one, *_used_pairs(one)) if by_pairs or one.pair_weight is not None else _whole(one)
            for one in bins
        ),
        _stacked([(one.pairs, one.reference, one.data, one.data2) for one in bins]),
    )


def _stacked(rows: list[tuple[float, float, float, float]]) -> Elements:
    return Elements(*np.array(rows, dtype=float).reshape(-1, 4).T)


def _whole(one: Bin) -> Part:
    first, second = one.skipped.T
    left_out = Pairs(first, second, one.weight[first] * one.weight[second], np.zeros(len(first)))
    return Part(one.t, one.nodes, one.weight, one.d, left_out)


def _used_pairs(one: Bin) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.nonzero(np.triu(one.weights() > 0, 1))
    return first, second


def _listed(one: Bin, first: np.ndarray, second: np.ndarray) -> Part:
    """These pairs of a bin."""
    content = Pairs(first, second, one.weights()[first, second], one.d[first, second])
    none = np.zeros(0, dtype=int)
    return Part(one.t, one.nodes, one.weight, content, Pairs(none, none, np.zeros(0), np.zeros(0)))


def pair_shards(bins: tuple[Bin, ...], count: int, seed: int) -> list[Shard]:
    """All pairs of all bins dealt out at random, each to one of ``count`` shards, evenly over the lags."""
    rng = np.random.default_rng(seed)
    dealt = []
    for one in bins:
        first, second = _used_pairs(one)
        order = _shuffled_in_bands(second - first, rng)
        turns = [order[k::count] for k in range(count)]
        dealt.append(_of_one_shape([_listed(one, first[turn], second[turn]) for turn in turns]))
    return [_shard_of(bins, tuple(parts)) for parts in zip(*dealt, strict=True)]


def _of_one_shape(parts: list[Part]) -> list[Part]:
    """The parts with their lists filled up to common lengths, so that one compiled code serves all shards."""
    lists = [(part.content, part.skipped) for part in parts]
    lengths = jax.tree.map(lambda *each: max(len(one) for one in each), *lists)
    filled = [jax.tree.map(_filled_up, one, lengths) for one in lists]
    return [
        part._replace(content=content, skipped=skipped)
        for part, (content, skipped) in zip(parts, filled, strict=True)
    ]


def _filled_up(column: np.ndarray, length: int) -> np.ndarray:
    short = np.zeros((length - len(column), *column.shape[1:]), column.dtype)
    return np.concatenate([column, short - 1 if column.dtype.kind == "i" else short])


def _shuffled_in_bands(
    lag: np.ndarray, rng: np.random.Generator, owner: np.ndarray | None = None
) -> np.ndarray:
    """An order by band of lags, a band per factor of 2, then by owner, at random within these."""
    band = np.floor(np.log2(np.maximum(lag, 1)))
    of_owner = np.zeros(len(lag)) if owner is None else owner
    return np.lexsort((rng.random(len(lag)), of_owner, band))


def tile_shards(bins: tuple[Bin, ...], count: int, seed: int) -> list[Shard]:
    """All tiles of all bins dealt out at random, each to one of ``count`` shards.

    Every shard has as many tiles of every band of lags as the others, and of every band of every bin, to one.
    """
    rng, size = np.random.default_rng(seed), tile_size(bins, count)
    places = [np.argwhere(np.triu(_used_tiles(one, size))) for one in bins]
    owner = np.repeat(np.arange(len(bins)), [len(place) for place in places])
    row, column = np.concatenate(places).T
    order = _shuffled_in_bands(column - row + (row != column), rng, owner)
    dealt = []
    for number, one in enumerate(bins):
        turns = [turn[owner[turn] == number] for turn in (order[k::count] for k in range(count))]
        dealt.append(_of_one_shape([_tiles(one, row[turn], column[turn], size) for turn in turns]))
    return [_shard_of(bins, tuple(parts)) for parts in zip(*dealt, strict=True)]


def tile_size(bins: tuple[Bin, ...], count: int) -> int:
    """The frames per tile, the most of which every bin has enough tiles for ``count`` shards, or the fewest."""

    def enough(size: int) -> bool:
        return all(np.sum(np.triu(_used_tiles(one, size))) >= _FEWEST * count for one in bins)

    return next((size for size in _SIZES if enough(size)), _SIZES[-1])


def _used_tiles(one: Bin, size: int) -> np.ndarray:
    blocks = len(one.t) // size
    used = (one.weights() > 0).reshape(blocks, size, blocks, size)
    return np.any(used, axis=(1, 3))


def _tiles(one: Bin, row: np.ndarray, column: np.ndarray, size: int) -> Part:
    """These tiles of a bin."""
    blocks = len(one.t) // size
    tiles = one.d.reshape(blocks, size, blocks, size).swapaxes(1, 2)
    near = row == column
    upper = np.triu(np.ones((size, size)), 1)
    content = Tiles(
        row[near],
        tiles[row[near], row[near]] * upper,
        row[~near],
        column[~near],
        tiles[row[~near], column[~near]],
    )
    mine = np.zeros((blocks, blocks), dtype=bool)
    mine[row, column] = True
    first, second = one.skipped.T
    held = mine[first // size, second // size]
    first, second = first[held], second[held]
    left_out = Pairs(first, second, one.weight[first] * one.weight[second], np.zeros(len(first)))
    return Part(one.t, one.nodes, one.weight, content, left_out)


def _shard_of(bins: tuple[Bin, ...], parts: tuple[Part, ...]) -> Shard:
    """The shard of these parts, one of each bin, without those that hold no pair."""
    held, rows = [], []
    for number, (one, part) in enumerate(zip(bins, parts, strict=True)):
        w, d = weights_and_data(part)
        if np.any(w > 0):
            square = np.divide(d**2, w, out=np.zeros_like(d), where=w > 0)
            rows.append((w.sum(), one.reference, d.sum(), square.sum()))
            held.append(number)
    return Shard(np.array(held, dtype=int), tuple(parts[number] for number in held), _stacked(rows))


def weights_and_data(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """W and d of every pair of a part of a bin, (pairs,) each, pairs that are left out with 0."""
    if isinstance(part.content, Pairs):
        return part.content.weight, part.content.d
    assert isinstance(part.content, Tiles)
    tiles = part.content
    of_block, of_row, of_column = (
        np.asarray(_frame_weights(part, block, tiles.size))
        for block in (tiles.block, tiles.row, tiles.column)
    )
    near = of_block[:, :, None] * of_block[:, None, :] * np.triu(np.ones((tiles.size, tiles.size)), 1)
    far = of_row[:, :, None] * of_column[:, None, :]
    weight = np.concatenate([near.ravel(), far.ravel(), -part.skipped.weight])
    data = np.concatenate([tiles.near.ravel(), tiles.far.ravel(), np.zeros(len(part.skipped.weight))])
    return weight, data


def bin_shards(whole: Shard, count: int, seed: int) -> list[Shard]:
    """The bins of a shard dealt out at random, whole bins each to one of ``count`` shards."""
    order = np.random.default_rng(seed).permutation(len(whole.parts))
    return [_of_bins(whole, np.sort(order[k::count])) for k in range(count)]


def _of_bins(whole: Shard, mine: np.ndarray) -> Shard:
    return Shard(
        whole.bins[mine],
        tuple(whole.parts[number] for number in mine),
        Elements(*(np.asarray(column)[mine] for column in whole.elements)),
    )
