"""Shards: which pairs of frames a sampler sees, and the sums over them that its likelihood needs.

Whole bins are summed by the structured evaluator, or whitened where frames are weighted by their covariance. A
portion of a bin is a list of tiles for a separable model, or a list of pairs for any model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jax import Array

from heterodyne.bins.bin import Bin, Moments, Whitened
from heterodyne.bins.nodes import Nodes
from heterodyne.evaluators.blocks import carried, corner, cut, sides, transfer, transposed
from heterodyne.evaluators.elementwise import listed_values
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.evaluators.quasiseparable import Factor
from heterodyne.evaluators.structured import averaged, value_sums
from heterodyne.evaluators.whitened import value_sums as whitened_sums
from heterodyne.kernels._jax import AnyArray, jax, jnp
from heterodyne.model import Model

_SIZES = (64, 32, 16, 8)  # frames per tile, of which the padded number of frames is a multiple

_FEWEST_TILES = 24  # tiles of a bin per shard: with a few of them contrast and offset take part of the decay

_UNROLLED = 4
"""Up to so many bins are compiled one by one; more of one shape share one code, which copies each matrix.

Whitened ones share it always: theirs takes long to compile, and a copy is little beside their sums.
"""


class PairList(NamedTuple):
    """Single pairs of one bin: frames, weight W and d = W (c2 - reference), (m,) each."""

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray
    d: np.ndarray


class TileList(NamedTuple):
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


class WhitenedMatrix(NamedTuple):
    """The data of a whole bin whose frames are weighted by their covariance: E (N, N) and the factor of that."""

    e: np.ndarray
    factor: Factor[np.ndarray]


class ReducedMatrix(NamedTuple):
    """S of a whole bin by interpolation (`heterodyne_cmc.reduced`): L pairs of frames, S₀ there, P (M, L), and the
    sums of S₀ and after it of the Q, (1 + M,) each: ⟨D, ·⟩, ⟨O, ·⟩ and ⟨S₀, ·⟩."""

    first: np.ndarray
    second: np.ndarray
    origin: np.ndarray
    solve: np.ndarray
    cross: np.ndarray
    total: np.ndarray
    gram: np.ndarray


class Portion(NamedTuple):
    """What a shard holds of one bin: the bin's times, nodes and frame weights, and its data in one form.

    ``content`` is the matrix d (N, N) of a whole bin, a `WhitenedMatrix`, a `ReducedMatrix`, a `TileList` or a
    `PairList`; ``skipped`` are pairs that the bin leaves out though their frames are used. Lists may be filled up:
    with tiles of block -1, which count for nothing, and with pairs of weight 0.
    """

    t: np.ndarray
    nodes: Nodes
    weight: np.ndarray
    content: np.ndarray | WhitenedMatrix | ReducedMatrix | TileList | PairList
    skipped: PairList


class Shard(NamedTuple):
    """The data of one sampler: portions of the bins numbered ``bins``, what these data alone give, and the number
    of ``pairs`` (bins,)."""

    bins: np.ndarray
    portions: tuple[Portion, ...]
    moments: Moments[AnyArray]
    pairs: AnyArray


def shard_sums(model: Model, theta: Array, shard: Shard) -> Sums[Array]:
    """The sums over every bin's portion for X = S alone, with a leading axis (bins,)."""
    shapes = {tuple(np.shape(leaf) for leaf in jax.tree.leaves(portion)) for portion in shard.portions}
    if len(shapes) == 1 and isinstance(shard.portions[0].content, ReducedMatrix):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *shard.portions)
        return jax.vmap(lambda portion: portion_sums(model, theta, portion))(stacked)
    is_whitened = any(isinstance(portion.content, WhitenedMatrix) for portion in shard.portions)
    if len(shapes) == 1 and len(shard.portions) > (1 if is_whitened else _UNROLLED):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *shard.portions)
        return jax.lax.map(lambda portion: portion_sums(model, theta, portion), stacked)
    sums = [portion_sums(model, theta, portion) for portion in shard.portions]
    return jax.tree.map(lambda *of_bins: jnp.stack(of_bins), *sums)


def portion_sums(model: Model, theta: Array, portion: Portion) -> Sums[Array]:
    """The sums over one portion."""
    if isinstance(portion.content, PairList):
        return _listed_sums(model, theta, portion, portion.content)
    if isinstance(portion.content, ReducedMatrix):
        return _reduced_sums(model, theta, portion, portion.content)
    if isinstance(portion.content, WhitenedMatrix):
        root, (e, factor) = jnp.sqrt(portion.weight), portion.content
        return whitened_sums(model, theta, portion.t, portion.nodes, root, e, factor)
    if isinstance(portion.content, TileList):
        whole = _tile_sums(model, theta, portion, portion.content)
    else:
        whole = value_sums(model, theta, portion.t, portion.nodes, portion.weight, portion.content)
    if not len(portion.skipped.first):
        return whole
    left_out = _listed_sums(model, theta, portion, portion.skipped)
    return jax.tree.map(jnp.subtract, whole, left_out)


def _reduced_sums(model: Model, theta: Array, portion: Portion, reduced: ReducedMatrix) -> Sums[Array]:
    s = listed_values(model, theta, portion.t, portion.nodes, reduced.first, reduced.second)
    c = jnp.asarray(reduced.solve) @ (s - reduced.origin)
    one = jnp.concatenate([jnp.ones(1), c])
    cross, total, gram = map(jnp.asarray, (reduced.cross, reduced.total, reduced.gram))
    square = gram @ one + gram[1:] @ c + c @ c
    return Sums((cross @ one)[None], (total @ one)[None], square[None, None])


def _listed_sums(model: Model, theta: Array, portion: Portion, pairs: PairList) -> Sums[Array]:
    s = listed_values(model, theta, portion.t, portion.nodes, pairs.first, pairs.second)
    return _sums_of(s, pairs.d, jnp.asarray(pairs.weight) * s)


def _tile_sums(model: Model, theta: Array, portion: Portion, tiles: TileList) -> Sums[Array]:
    b = cut(averaged(model, theta, jnp.asarray(portion.t), portion.nodes), tiles.size)
    left, right = sides(b)
    to = jax.tree.map(lambda x: x[tiles.row, tiles.column], transfer(b))
    far = jnp.einsum("mki,mkj->mij", left[tiles.row], carried(transposed(to), right[tiles.column]))
    a = b.a[tiles.block]
    near = jnp.einsum("mki,mkij,mkj->mij", a, corner(b.rise[tiles.block]), a)
    of_block, of_row, of_column = (
        _frame_weights(portion, block, tiles.size) for block in (tiles.block, tiles.row, tiles.column)
    )
    of_near = _sums_of(near, tiles.near, near * of_block[:, :, None] * of_block[:, None, :])
    of_far = _sums_of(far, tiles.far, far * of_row[:, :, None] * of_column[:, None, :])
    return jax.tree.map(jnp.add, of_near, of_far)


def _frame_weights(portion: Portion, block: AnyArray, size: int) -> AnyArray:
    """The weights of the frames of these blocks (n,), (n, T)."""
    return portion.weight.reshape(-1, size)[block] * (block >= 0)[:, None]


def _sums_of(s: Array, d: AnyArray, weighted: Array) -> Sums[Array]:
    """The sums of S, W (c2 - reference) and W S at the same pairs."""
    return Sums(jnp.vdot(d, s)[None], jnp.sum(weighted)[None], jnp.vdot(weighted, s)[None, None])


def whole_shard(model: Model, bins: tuple[Bin, ...]) -> Shard:
    """The shard of all pairs of all bins."""
    by_pairs = model.components is None
    return Shard(
        np.arange(len(bins)),
        tuple(
            _listed(bin, *_used_pairs(bin)) if by_pairs or bin.pair_weight is not None else whole_portion(bin)
            for bin in bins
        ),
        _stacked([bin.summed for bin in bins]),
        np.array([bin.moments.pairs for bin in bins]),
    )


def _stacked(moments: list[Moments[float]]) -> Moments[AnyArray]:
    return Moments(*np.array(moments, dtype=float).reshape(-1, 4).T)


def whole_portion(bin: Bin) -> Portion:
    """All pairs of a bin."""
    values, content = bin.values, bin.d
    if isinstance(values, Whitened):
        assert isinstance(values.d, np.ndarray)
        content = WhitenedMatrix(values.d, values.factor)
    return Portion(bin.t, bin.nodes, bin.weight, content, _skipped(bin, bin.skipped))


def _skipped(bin: Bin, pairs: np.ndarray) -> PairList:
    """These of the pairs (m, 2) that the bin skips, whose data are 0."""
    first, second = pairs.T
    return PairList(first, second, bin.weight[first] * bin.weight[second], np.zeros(len(pairs)))


def _used_pairs(bin: Bin) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.nonzero(np.triu(bin.weights() > 0, 1))
    return first, second


def _listed(bin: Bin, first: np.ndarray, second: np.ndarray) -> Portion:
    """These pairs of a bin."""
    content = PairList(first, second, bin.weights()[first, second], bin.d[first, second])
    return Portion(bin.t, bin.nodes, bin.weight, content, _skipped(bin, bin.skipped[:0]))


def pair_shards(bins: tuple[Bin, ...], count: int, seed: int) -> list[Shard]:
    """All pairs of all bins dealt out at random, each to one of ``count`` shards, evenly over the lags."""
    rng = np.random.default_rng(seed)
    dealt = []
    for bin in bins:
        first, second = _used_pairs(bin)
        order = _shuffled_in_bands(second - first, rng)
        turns = [order[k::count] for k in range(count)]
        dealt.append(_of_one_shape([_listed(bin, first[turn], second[turn]) for turn in turns]))
    return [_shard_of(bins, portions) for portions in zip(*dealt, strict=True)]


def _of_one_shape(portions: list[Portion]) -> list[Portion]:
    """The portions with their lists filled up to common lengths, so that one compiled code serves all shards."""
    lists = [(portion.content, portion.skipped) for portion in portions]
    lengths = jax.tree.map(lambda *columns: max(len(column) for column in columns), *lists)
    filled = [jax.tree.map(_filled_up, of_portion, lengths) for of_portion in lists]
    return [
        portion._replace(content=content, skipped=skipped)
        for portion, (content, skipped) in zip(portions, filled, strict=True)
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
    tiles = [np.argwhere(np.triu(_used_tiles(bin, size))) for bin in bins]
    owner = np.repeat(np.arange(len(bins)), [len(of_bin) for of_bin in tiles])
    row, column = np.concatenate(tiles).T
    order = _shuffled_in_bands(column - row + (row != column), rng, owner)
    dealt = []
    for number, bin in enumerate(bins):
        turns = [turn[owner[turn] == number] for turn in (order[k::count] for k in range(count))]
        dealt.append(_of_one_shape([_tiles(bin, row[turn], column[turn], size) for turn in turns]))
    return [_shard_of(bins, portions) for portions in zip(*dealt, strict=True)]


def tile_size(bins: tuple[Bin, ...], count: int) -> int:
    """The frames per tile, the most of which every bin has enough tiles for ``count`` shards, or the fewest."""

    def enough(size: int) -> bool:
        return all(np.sum(np.triu(_used_tiles(bin, size))) >= _FEWEST_TILES * count for bin in bins)

    return next((size for size in _SIZES if enough(size)), _SIZES[-1])


def _used_tiles(bin: Bin, size: int) -> np.ndarray:
    blocks = len(bin.t) // size
    used = (bin.weights() > 0).reshape(blocks, size, blocks, size)
    return np.any(used, axis=(1, 3))


def _tiles(bin: Bin, row: np.ndarray, column: np.ndarray, size: int) -> Portion:
    """These tiles of a bin."""
    blocks = len(bin.t) // size
    tiles = bin.d.reshape(blocks, size, blocks, size).swapaxes(1, 2)
    near = row == column
    content = TileList(
        row[near],
        tiles[row[near], row[near]] * np.triu(np.ones((size, size)), 1),
        row[~near],
        column[~near],
        tiles[row[~near], column[~near]],
    )
    held = np.zeros((blocks, blocks), dtype=bool)
    held[row, column] = True
    first, second = bin.skipped.T // size
    return Portion(bin.t, bin.nodes, bin.weight, content, _skipped(bin, bin.skipped[held[first, second]]))


def _shard_of(bins: tuple[Bin, ...], portions: tuple[Portion, ...]) -> Shard:
    """The shard of these portions, one of each bin, without those that hold no pair."""
    held, moments = [], []
    for number, (bin, portion) in enumerate(zip(bins, portions, strict=True)):
        w, d = weights_and_data(portion)
        if np.any(w > 0):
            square = np.divide(d**2, w, out=np.zeros_like(d), where=w > 0)
            moments.append(Moments(w.sum(), bin.moments.reference, d.sum(), square.sum()))
            held.append(number)
    stacked = _stacked(moments)
    return Shard(
        np.array(held, dtype=int), tuple(portions[number] for number in held), stacked, stacked.pairs
    )


def weights_and_data(portion: Portion) -> tuple[np.ndarray, np.ndarray]:
    """W and d of every pair of a portion, (pairs,) each, pairs that are left out with -W and 0."""
    tiles = portion.content
    if isinstance(tiles, PairList):
        return tiles.weight, tiles.d
    assert isinstance(tiles, TileList)
    of_block, of_row, of_column = (
        np.asarray(_frame_weights(portion, block, tiles.size))
        for block in (tiles.block, tiles.row, tiles.column)
    )
    near = of_block[:, :, None] * of_block[:, None, :] * np.triu(np.ones((tiles.size, tiles.size)), 1)
    far = of_row[:, :, None] * of_column[:, None, :]
    weight = np.concatenate([near.ravel(), far.ravel(), -portion.skipped.weight])
    data = np.concatenate([tiles.near.ravel(), tiles.far.ravel(), np.zeros(len(portion.skipped.weight))])
    return weight, data


def bin_shards(whole: Shard, count: int, seed: int) -> list[Shard]:
    """The bins of a shard dealt out at random, whole bins each to one of ``count`` shards."""
    order = np.random.default_rng(seed).permutation(len(whole.portions))
    return [_of_bins(whole, np.sort(order[k::count])) for k in range(count)]


def _of_bins(whole: Shard, mine: np.ndarray) -> Shard:
    return Shard(
        whole.bins[mine],
        tuple(whole.portions[number] for number in mine),
        Moments(*(np.asarray(column)[mine] for column in whole.moments)),
        np.asarray(whole.pairs)[mine],
    )
