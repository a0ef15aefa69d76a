"""Every partition is one: the union of the shards is all pairs in use, and nothing is in two of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

import heterodyne as het
from experiments import experiment
from heterodyne.bins.reading import read_bins
from heterodyne.errors import ConfigError
from heterodyne.model import Model
from heterodyne_cmc.calibration import uncalibrated
from heterodyne_cmc.partition import partitioned
from heterodyne_cmc.prepare import Prepared
from heterodyne_cmc.shards import (
    PairList,
    TileList,
    bin_shards,
    pair_shards,
    shard_sums,
    tile_shards,
    weights_and_data,
    whole_shard,
)
from tolerances import REORDERED, TWO_WAYS

MODEL = het.create_model("two-component")
FRAMES = 250  # in blocks of 64, 32 or 16 frames the last one is not full


def left_out(kind):
    """Simulated data of three bins with what can be left out of them."""
    data = partial(experiment, FRAMES, seed=1)
    rng = np.random.default_rng(0)
    if kind == "masks":
        mask = np.ones((3, FRAMES), dtype=bool)
        mask[0, 10:90] = False  # a whole block of bin 1 among them
        mask[2, ::7] = False
        return data(mask=mask), 0
    if kind == "weights":
        return data(weight=rng.uniform(0.2, 1.0, (3, FRAMES))), 0
    if kind == "bad pairs":
        first = rng.integers(0, FRAMES - 1, 200)
        second = rng.integers(first + 1, FRAMES)
        bad = np.unique(np.stack([rng.integers(0, 3, 200), first, second], axis=1), axis=0)
        return data(bad_pairs=bad), 0
    if kind == "skipped lags":
        return data(), 3
    if kind == "pair weights":
        half = rng.uniform(0.1, 0.5, (3, FRAMES, FRAMES))
        return data(weight=half + half.swapaxes(1, 2)), 0
    return data(), 0


def bins_of(kind):
    data, skip = left_out(kind)
    return read_bins((data,), skip)


def coverage(shard, count, size):
    """W and d of every pair of every bin that a shard holds, and how often it holds each, (bins, M, M)."""
    weight, d, times = (np.zeros((count, size, size)) for _ in range(3))
    for number, portion in zip(shard.bins, shard.portions, strict=True):
        for first, second, w, value in listed(portion):
            np.add.at(weight[number], (first, second), w)
            np.add.at(d[number], (first, second), value)
            np.add.at(times[number], (first, second), 1.0 * (w > 0) - 1.0 * (w < 0))
    return weight, d, times


def listed(portion):
    """Frames, weights and data of the pairs of a portion, those left out with negative weights."""
    w, d = weights_and_data(portion)
    if isinstance(portion.content, PairList):
        yield portion.content.first, portion.content.second, w, d
        return
    tiles = portion.content
    assert isinstance(tiles, TileList)
    size = tiles.size
    i, j = (x.ravel() for x in np.indices((size, size)))
    for rows, columns, offset in (
        (tiles.block, tiles.block, 0),
        (tiles.row, tiles.column, len(tiles.block) * size**2),
    ):
        for k, (row, column) in enumerate(zip(rows, columns, strict=True)):
            here = slice(offset + k * size**2, offset + (k + 1) * size**2)
            yield row * size + i, column * size + j, w[here], d[here]
    rest = (len(tiles.block) + len(tiles.row)) * size**2
    yield portion.skipped.first, portion.skipped.second, w[rest:], d[rest:]


CASES = [
    (kind, partition, count)
    for kind in ("plain", "masks", "weights", "bad pairs", "skipped lags", "pair weights")
    for partition, count in (("tiles", 5), ("pairs", 7), ("bins", 2))
    if kind != "pair weights" or partition == "pairs"
]


def shards_of(partition, bins, count, seed=0):
    if partition == "bins":
        return bin_shards(whole_shard(MODEL, bins), count, seed)
    return {"tiles": tile_shards, "pairs": pair_shards}[partition](bins, count, seed)


@pytest.mark.parametrize(("kind", "partition", "count"), [case for case in CASES if case[1] != "bins"])
def test_the_union_is_every_pair_and_nothing_is_there_twice(kind, partition, count):
    bins = bins_of(kind)
    size = len(bins[0].t)
    shards = shards_of(partition, bins, count)
    assert len(shards) == count
    covered = [coverage(shard, len(bins), size) for shard in shards]
    weight, d, times = (np.sum(each, axis=0) for each in zip(*covered, strict=True))
    for number, one in enumerate(bins):
        upper = np.triu(one.weights(), 1)
        used = upper > 0
        assert set(np.unique(times[number][used])) == {1.0}
        assert not times[number][~used].any()
        np.testing.assert_allclose(weight[number], upper, atol=REORDERED)
        np.testing.assert_allclose(d[number], np.triu(one.d, 1) * used, atol=REORDERED)


@pytest.mark.parametrize("count", [2, 3])
def test_bins_are_dealt_out_whole_and_once(count):
    shards = bin_shards(whole_shard(MODEL, bins_of("plain")), count, 0)
    assert sorted(np.concatenate([shard.bins for shard in shards])) == [0, 1, 2]
    assert [len(shard.portions) for shard in shards] == [len(shard.bins) for shard in shards]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "partition", "count"), CASES)
def test_sums_over_shards_add_up_to_those_of_the_whole(kind, partition, count):
    """Of the model (structured, tiles and single pairs are three evaluators) and of the data."""
    bins = bins_of(kind)
    truth = het.simulate(frames=8).provenance["truth"]["params"]
    theta = np.array(list(MODEL.parameters.complete(truth).values()))
    sums = jax.jit(shard_sums, static_argnums=0)
    whole = whole_shard(MODEL, bins)
    expected = sums(MODEL, theta, whole)
    shards = shards_of(partition, bins, count)
    for name in expected._fields:
        exact = np.asarray(getattr(expected, name))
        total = np.zeros_like(exact)
        for shard in shards:
            total[shard.bins] += np.asarray(getattr(sums(MODEL, theta, shard), name))
        np.testing.assert_allclose(total, exact, rtol=TWO_WAYS, atol=TWO_WAYS * np.abs(exact).max())
    for name in ("pairs", "total", "square"):
        total = np.zeros(len(bins))
        for shard in shards:
            total[shard.bins] += getattr(shard.moments, name)
        exact = np.array([getattr(bin.moments, name) for bin in bins])
        np.testing.assert_allclose(total, exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("partition", ["tiles", "pairs"])
def test_shards_are_even_over_the_lags_and_of_one_shape(partition):
    bins = bins_of("plain")
    shards = shards_of(partition, bins, 3)
    shapes = {tuple(np.shape(leaf) for leaf in jax.tree.leaves(shard)) for shard in shards}
    assert len(shapes) == 1
    for number in range(len(bins)):
        counts = np.array([lag_counts(shard.portions[number]) for shard in shards])
        assert counts.sum() > 0
        assert np.ptp(counts, axis=0).max() <= 1


def lag_counts(portion):
    """How many tiles or pairs there are in every band of lags, a band per factor of 2."""
    content = portion.content
    if isinstance(content, PairList):
        lag = (content.second - content.first)[content.weight > 0]
    else:
        near = np.zeros(np.count_nonzero(content.block >= 0), dtype=int)
        far = (content.column - content.row)[content.row >= 0] + 1
        lag = np.concatenate([near, far])
    return np.bincount(np.floor(np.log2(np.maximum(lag, 1))).astype(int), minlength=10)


@pytest.mark.parametrize(
    ("frames", "count", "size"), [(250, 1, 32), (250, 5, 16), (250, 12, 8), (600, 2, 64)]
)
def test_tiles_are_as_small_as_it_takes_for_every_shard_to_have_many(frames, count, size):
    bins = read_bins((het.simulate(frames=frames, phi=[0.0]),))
    shards = tile_shards(bins, count, 0)
    assert {portion.content.size for shard in shards for portion in shard.portions} == {size}


@pytest.mark.parametrize("partition", ["tiles", "pairs"])
def test_the_seed_decides_which_shard_a_pair_is_in(partition):
    bins = bins_of("plain")
    size = len(bins[0].t)
    one, same, other = (coverage(shards_of(partition, bins, 3, s)[0], 3, size)[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other)


def solution(problem):
    """Start values as the solution, with the noise of the simulation."""
    p, bins = len(problem.varying), sum(data.n_bins for data in problem.data)
    values, noise = problem.column("start"), np.full(bins, 0.02)
    calibration, none = uncalibrated(p, bins)._replace(precision=np.eye(p)), np.full(bins, np.nan)
    return Prepared(values, noise, np.ones(2, dtype=int), calibration, values, none, noise)


def flow_problem(frames=64, phi=(0.0, 30.0, 70.0), vary=("D0_sample", "v0", "phi0"), **choices):
    data = het.simulate(frames=frames, phi=phi)
    truth = data.provenance["truth"]["params"]
    fix = {name: value for name, value in truth.items() if name not in vary}
    return het.problem.create_problem(
        data, MODEL, het.problem.Choices(fix=fix, start={n: truth[n] for n in vary}, **choices)
    )


def divided(problem, kind, count):
    bins = read_bins(problem.data, problem.choices.skip_lags)
    return partitioned(problem, bins, kind, count, 0, solution(problem))


def test_bins_that_alone_do_not_determine_the_flow_are_refused_with_its_names():
    with pytest.raises(
        ConfigError, match=r"shard of bins alone \(q=0.01 phi=\d+\) does not determine v0, phi0"
    ):
        divided(flow_problem(), "bins", 3)


def test_bins_that_each_determine_everything_are_taken():
    problem = flow_problem(vary=("D0_sample", "v0"))
    shards = divided(problem, "bins", 3)
    assert [len(shard.bins) for shard in shards] == [1, 1, 1]
    two_each = divided(flow_problem(phi=(0.0, 30.0, 50.0, 70.0)), "bins", 2)
    assert [len(shard.bins) for shard in two_each] == [2, 2]


@pytest.mark.parametrize(
    ("kind", "count", "frames", "line"),
    [
        ("bins", 4, 64, "fill 3 of 4 shards of bins: take fewer shards$"),
        ("tiles", 120, 64, "fill 108 of 120 shards of tiles: take fewer shards, or --partition pairs$"),
        ("tiles", 60, 66, r"shard \d would hold 1 pairs of bin q=0.01 phi=\d+: take fewer shards, or --part"),
        ("pairs", 500, 64, r"shard 1 would hold 5 pairs of bin q=0.01 phi=0: take fewer shards$"),
    ],
)
def test_more_shards_than_the_data_fill_are_refused(kind, count, frames, line):
    with pytest.raises(ConfigError, match=line):
        divided(flow_problem(frames, vary=("D0_sample", "v0")), kind, count)


def test_tiles_of_a_model_that_is_not_separable_are_refused_and_its_pairs_are_listed():
    dense = Model("dense", MODEL.parameters, MODEL.profiles, MODEL.pair)
    problem = replace(flow_problem(), model=dense)
    with pytest.raises(ConfigError, match=r"tiles need a separable model .* add --partition pairs"):
        divided(problem, "tiles", 2)
    (whole,) = divided(problem, "tiles", 1)
    assert all(isinstance(portion.content, PairList) for portion in whole.portions)
    assert sum(len(portion.content.first) for portion in whole.portions) == 3 * 64 * 63 // 2


def test_tiles_of_weighted_pairs_are_refused_whichever_bin_has_them():
    weighted = replace(het.simulate(frames=64, phi=20.0), weight=np.full((1, 64, 64), 0.5))
    problem = flow_problem(vary=("D0_sample", "v0"))
    problem = replace(problem, data=(*problem.data, weighted))
    with pytest.raises(ConfigError, match=r"weights per frame: add --partition pairs"):
        divided(problem, "tiles", 2)
