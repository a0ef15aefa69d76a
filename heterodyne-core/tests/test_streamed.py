"""Streamed bins against bins in memory: the checks, the moments and all sums, whatever file they come from."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

import heterodyne as het
from experiments import experiment
from heterodyne.bins import streaming
from heterodyne.bins.excerpts import excerpts
from heterodyne.bins.nodes import bin_nodes
from heterodyne.bins.reading import read_bin
from heterodyne.bins.streaming import stream_bin, stream_bins
from heterodyne.bins.tiles import Tiles
from heterodyne.data.matrices import windows
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.evaluators import streamed, structured
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.evaluators.sums import pair_sums
from heterodyne.loading import lazy
from heterodyne.loading.lazy import FileMatrices, Place
from heterodyne.solution.residuals import examine_residuals
from tolerances import LAST_DIGITS, NOTHING, REORDERED, TWO_WAYS

ROOM = 1e9
MODELS = ("static-reference", "no-flow", "equilibrium")


def two_bins(frames=300, model="two-component", **changes):
    return experiment(frames, model, phi=(0.0, 40.0), seed=1, **changes)


def troubled(frames=300):
    """Masked and dark frames, gaps where nothing is used, bad pairs, and weights."""
    rng = np.random.default_rng(7)
    mask = np.ones((2, frames), dtype=bool)
    mask[:, [0, 70, frames - 1]] = False
    bad = np.array([[0, 5, 200], [0, 63, 64], [1, 3, 4]])
    data = two_bins(frames, mask=mask, bad_pairs=bad, weight=rng.uniform(0.3, 2.0, (2, frames)))
    c2 = np.array(data.c2)
    c2[:, 70], c2[:, :, 70] = np.nan, np.inf
    c2[0, 5, 200] = c2[0, 200, 5] = np.nan
    c2[0, 33], c2[0, :, 33] = 0.0, 0.0
    return replace(data, c2=c2)


def theta_of(data, model):
    return np.array([data.provenance["truth"]["params"][name] for name in model.parameters]) * 1.05


def assert_same_bin(one, other):
    frames = min(len(one.weight), len(other.weight))
    np.testing.assert_allclose(one.weight[:frames], other.weight[:frames], rtol=LAST_DIGITS)
    assert not one.weight[frames:].any()
    assert not other.weight[frames:].any()
    np.testing.assert_array_equal(one.skipped, other.skipped)
    ours, theirs = one.moments, other.moments
    assert ours.pairs == theirs.pairs
    assert ours.reference == pytest.approx(theirs.reference, rel=LAST_DIGITS)
    assert ours.square == pytest.approx(theirs.square, rel=REORDERED)
    assert abs(ours.total - theirs.total) < 1e-11 * np.sqrt(ours.pairs * ours.square)


def assert_same_sums(sums, expected, size_of_cross):
    """Relative to the norms behind each sum, as sums of mixed signs may cancel."""
    norm = np.sqrt(np.diag(expected.gram))
    np.testing.assert_array_less(
        np.abs(sums.cross - expected.cross), REORDERED * norm * size_of_cross + NOTHING
    )
    np.testing.assert_allclose(sums.total, expected.total, rtol=REORDERED, atol=NOTHING)
    np.testing.assert_allclose(
        sums.gram, expected.gram, rtol=REORDERED, atol=REORDERED * np.outer(norm, norm).min()
    )


@pytest.mark.slow
@pytest.mark.parametrize("skip", [0, 3])
@pytest.mark.parametrize(("make", "size"), [(two_bins, 64), (troubled, 64), (troubled, 128)])
def test_a_streamed_bin_is_the_bin_in_memory(make, size, skip):
    data, model = make(), het.create_model("two-component")
    theta = theta_of(data, model)
    for index in range(2):
        whole, parts = read_bin(data, index, skip), stream_bin(data, index, skip, ROOM, size)
        assert_same_bin(parts, whole)
        for jacobian in (True, False):
            expected = structured.bin_sums(model, theta, whole, jacobian)
            assert_same_sums(
                streamed.bin_sums(model, theta, parts, jacobian), expected, np.sqrt(whole.moments.square)
            )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "frames"), [*((name, 100) for name in MODELS), *(("static", n) for n in (64, 65, 128))]
)
def test_every_model_and_number_of_frames_gives_the_same_sums(name, frames):
    data, model = two_bins(frames, model=name), het.create_model(name)
    theta = theta_of(data, model)
    expected = pair_sums(model, theta, (read_bin(data, 0, 1), read_bin(data, 1, 1)))
    found = pair_sums(model, theta, stream_bins((data,), 1, ROOM, 64))
    for index in range(2):
        of = [Sums(*(values[index] for values in sums.model)) for sums in (found, expected)]
        assert_same_sums(*of, np.sqrt(expected.data.square[index]))


@pytest.mark.slow
def test_nodes_of_a_finite_bin_are_averaged_over():
    data, model = two_bins(100, "equilibrium"), het.create_model("equilibrium")
    nodes = bin_nodes(0.01, 40.0, 1e-4, 5.0, 2, 3)
    whole, parts = (
        replace(one, nodes=nodes) for one in (read_bin(data, 1), stream_bin(data, 1, 0, ROOM, 64))
    )
    sums = (kernel.bin_sums(model, theta_of(data, model), one) for kernel, one in
            ((streamed, parts), (structured, whole)))  # fmt: skip
    assert_same_sums(*sums, np.sqrt(whole.moments.square))


@pytest.mark.parametrize(("rate", "tiles"), [(1e-30, 15), (3e6, 9), (1e9, 5)])
def test_extreme_decays_are_summed_and_empty_tiles_not_read(rate, tiles, monkeypatch):
    data, model = two_bins(model="static"), het.create_model("static")
    theta = np.array([rate, 0.0, 0.0])
    whole, parts = read_bin(data, 0), stream_bin(data, 0, 0, 0.0, 64)
    read, original = [], Tiles.read
    monkeypatch.setattr(Tiles, "read", lambda self, wanted: read.extend(wanted) or original(self, wanted))
    sums = streamed.bin_sums(model, theta, parts)
    assert_same_sums(sums, structured.bin_sums(model, theta, whole), np.sqrt(whole.moments.square))
    assert len(read) == tiles


def stored_file(path, c2, kind):
    """A file with c2 of one bin: a half in one compressed chunk, in tiles, contiguous, or a stack of bins."""
    halves = {"upper": np.triu, "lower": np.tril, "full": np.asarray}
    half, layout = kind.split()
    values = halves[half](c2)
    with h5py.File(path, "w") as file:
        if layout == "chunk":
            file.create_dataset("c2", data=values, chunks=values.shape, compression="gzip")
        elif layout == "tiles":
            file.create_dataset("c2", data=values, chunks=(50, 50), compression="gzip", shuffle=True)
        elif layout == "stack":
            file["c2"] = np.stack([np.zeros_like(values), values], axis=-1)
        else:
            file["c2"] = values
    place = Place("c2", 1, 2) if layout == "stack" else Place("c2")
    return FileMatrices(path, (place,), slice(10, len(c2) - 7))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("half", ["upper", "lower", "full"])
@pytest.mark.parametrize("layout", ["chunk", "tiles", "contiguous", "stack"])
@pytest.mark.parametrize("room", [0.0, 70_000.0, ROOM])
def test_every_layout_gives_the_same_tiles(tmp_path, layout, half, dtype, room, monkeypatch):
    monkeypatch.setattr(lazy, "_LARGEST_PART", 64)
    data, model = two_bins(220, "static"), het.create_model("static")
    matrices = stored_file(tmp_path / "a.h5", np.asarray(data.c2[0]).astype(dtype), f"{half} {layout}")
    one = replace(
        data.bins([0]),
        c2=matrices,
        t=data.t[10:213],
        age=float(data.t[9]),
        mask=True,
        provenance=data.provenance,
    )
    assert matrices.windows(0).whole == (layout == "chunk")
    whole, parts = read_bin(one, 0, 2), stream_bin(one, 0, 2, room, 64)
    assert_same_bin(parts, whole)
    theta = theta_of(data, model)
    expected = structured.bin_sums(model, theta, whole)
    assert_same_sums(streamed.bin_sums(model, theta, parts), expected, np.sqrt(whole.moments.square))
    kept = sum(tile.nbytes for tile in parts.tiles.kept.values())
    assert kept <= room
    assert all(tile.dtype == dtype for tile in parts.tiles.kept.values())


def test_our_own_file_and_numpy_files_are_read_in_parts(tmp_path):
    data = two_bins(200)
    np.save(tmp_path / "a.npy", np.asarray(data.c2))
    np.savez(tmp_path / "a.npz", c2=data.c2, q=data.q, phi=data.phi, dt=data.dt)
    paths = [data.save(tmp_path / "a.h5"), tmp_path / "a.npy", tmp_path / "a.npz"]
    expected = stream_bin(data, 1, 0, ROOM, 64)
    for path, whole in zip(paths, (False, False, True), strict=True):
        extra = {"q": [0.01], "phi": [0.0, 40.0], "dt": 0.1} if path.suffix == ".npy" else {}
        one = het.load(path, **extra)
        assert windows(one.c2, 1).whole == whole
        assert windows(one.bins([1]).c2, 0).whole == whole
        assert_same_bin(stream_bin(one, 1, 0, ROOM, 64), expected)


def test_tiles_are_kept_as_far_as_memory_allows_and_read_again_beyond(tmp_path):
    data = het.load(two_bins(300).save(tmp_path / "a.h5"))
    tile = 64 * 64 * 8
    assert [len(stream_bin(data, 0, 0, k * tile, 64).tiles.kept) for k in (0, 4, 20)] == [0, 4, 15]
    memory = 300 * streaming._WORK + 4 * tile
    assert [len(one.tiles.kept) for one in stream_bins((data,), 0, memory, 64)] == [4, 0]


def test_a_matrix_that_memory_cannot_hold_whole_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lazy, "_LARGEST_PART", 64)
    c2 = np.asarray(two_bins(300).c2[0])
    matrices = stored_file(tmp_path / "a.h5", c2, "upper chunk")
    data = TwoTime(matrices, 0.01, 0.0, np.arange(1, 284) * 0.1, 0.1)
    needed = 2 * 8 * 283**2 + streaming._WORK * 283
    assert len(stream_bins((data,), 0, needed, 64)) == 1
    with pytest.raises(DataError, match=r"gives this matrix only whole.*raise memory"):
        stream_bins((data,), 0, needed - 1, 64)


def broken(change):
    data = two_bins(130)
    c2, options = np.array(data.c2), {}
    if change == "gaps":
        c2[0, 100, 7] = c2[0, 7, 100] = np.nan
        c2[0, 3, 120] = c2[0, 120, 3] = c2[0, 90, 90] = np.inf
    if change == "dark":
        c2[0, 2:] = 0.0
        c2[0, :, 2:] = 0.0
    if change == "masked":
        options["mask"] = np.arange(130) < 2
    if change == "constant":
        c2[0] = 1.25
        c2[0, 70] = c2[0, :, 70] = 0.0
    if change == "zeros":
        c2[0, 7, 100:] = c2[0, 100:, 7] = 0.0
        c2[0, 90] = c2[0, :, 90] = 0.0
    if change == "large":
        c2[0, 7, 100] = c2[0, 100, 7] = -1e60
    if change == "pairs":
        options["bad_pairs"] = np.array([[0, i, j] for i in range(130) for j in range(max(i + 1, 2), 130)])
    if change == "weights":
        options["weight"] = np.ones((2, 130, 130))
    return replace(data, c2=c2, **options)


@pytest.mark.parametrize("change", ["gaps", "dark", "masked", "constant", "zeros", "large", "pairs"])
def test_data_that_cannot_be_used_are_refused_in_the_same_words(change):
    data = broken(change)
    with pytest.raises(DataError) as whole:
        read_bin(data, 0)
    with pytest.raises(DataError) as parts:
        stream_bin(data, 0, 0, ROOM, 64)
    assert str(parts.value) == str(whole.value)


def test_weights_per_pair_and_frames_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="weights per pair need the matrix in memory"):
        stream_bin(broken("weights"), 0, 0, ROOM, 64)
    data = two_bins(130)
    with pytest.raises(DataError, match="the matrix has 130 frames, its time axis 129"):
        stream_bin(replace(data, t=data.t[:-1], mask=True), 0, 0, ROOM, 64)


def test_a_zero_between_frames_that_are_not_dark_is_no_value():
    with pytest.raises(
        DataError, match="c2 is 0 at 30 pairs of frames in use, among frames 8 and 101:130 of those"
    ):
        read_bin(broken("zeros"), 0)


def test_zeros_of_frames_with_few_photons_are_values_and_a_lost_part_of_them_is_not():
    data = het.simulate_speckle(
        "static", {"D0": 1e4}, frames=130, phi=0.0, pixels=1000, modes=2, counts=0.05, seed=1
    )
    c2 = np.array(data.c2[0])
    assert 0.05 < np.mean(c2 == 0.0) < 0.15
    whole, parts = read_bin(data, 0), stream_bin(data, 0, 0, ROOM, 64)
    np.testing.assert_allclose(
        parts.moments, whole.moments, rtol=TWO_WAYS, atol=TWO_WAYS * whole.moments.pairs
    )
    assert whole.moments.pairs == 130 * 129 / 2
    c2[:50, 80:] = c2[80:, :50] = 0.0
    lost = replace(data, c2=[c2])
    with pytest.raises(DataError, match="c2 is 0 at") as in_memory:
        read_bin(lost, 0)
    with pytest.raises(DataError) as in_tiles:
        stream_bin(lost, 0, 0, ROOM, 64)
    assert str(in_memory.value).startswith(str(in_tiles.value)[:40])


def test_two_halves_that_disagree_are_refused_with_the_place(tmp_path):
    c2 = np.array(two_bins(220).c2[0])
    c2[200, 30] += 0.1
    matrices = stored_file(tmp_path / "a.h5", c2, "full tiles")
    data = TwoTime(matrices, 0.01, 0.0, np.arange(1, 204) * 0.1, 0.1)
    with pytest.raises(DataError, match=r"a\.h5: c2: the matrix is neither .* c2\(21, 191\)"):
        stream_bin(data, 0, 0, ROOM, 64)


def test_neighbour_noise_of_tiles_leaves_out_only_neighbours_in_two_tiles():
    data, model = troubled(), het.create_model("two-component")
    params = data.provenance["truth"]["params"]
    whole, parts, one_tile = (
        read_bin(data, 0),
        stream_bin(data, 0, 0, ROOM, 64),
        stream_bin(data, 0, 0, ROOM, 320),
    )
    expected = examine_residuals(model, params, whole, 0.15, 1.0).noise
    assert examine_residuals(model, params, one_tile, 0.15, 1.0).noise == pytest.approx(
        expected, rel=REORDERED
    )
    assert examine_residuals(model, params, parts, 0.15, 1.0).noise == pytest.approx(expected, rel=5e-3)


IN_PARTS = pytest.mark.parametrize(
    "read",
    [lambda data: stream_bin(data, 0, 0, 0.0, 64), lambda data: read_bin(data, 0)],
    ids=["tiles", "dense"],
)


def collected(bin, parts):
    """W and W c2 of these parts, (M, M)."""
    weights, products = np.zeros((2, len(bin.t), len(bin.t)))
    for first, second, c2, w in parts:
        place = np.s_[first : first + c2.shape[0], second : second + c2.shape[1]]
        weights[place] += w
        products[place] += w * np.where(w > 0, c2, 0.0)
    return weights, products


@IN_PARTS
def test_parts_hold_every_pair_once_and_only_those_that_are_needed_are_read(read, monkeypatch):
    data = troubled()
    bin, frames, tiles = read(data), data.n_frames, []
    weights, products = collected(bin, bin.parts())
    used = np.triu(bin.weights(), 1)
    np.testing.assert_array_equal(weights, used)
    used = used[:frames, :frames]
    expected = np.where(used > 0, used * np.nan_to_num(data.c2[0]), 0.0)
    np.testing.assert_allclose(products[:frames, :frames], expected, rtol=REORDERED)
    original = Tiles.read
    monkeypatch.setattr(Tiles, "read", lambda self, wanted: tiles.extend(wanted) or original(self, wanted))
    parts = list(bin.parts(lambda rows, columns: rows.start <= 70 < rows.stop))
    assert {part.first for part in parts} == {64}
    assert len(tiles) == (0 if bin.values.in_memory else len(parts))
    some, _ = collected(bin, parts)
    np.testing.assert_array_equal(some[64:128], weights[64:128])


@IN_PARTS
def test_excerpts_hold_the_same_values_at_fewer_pairs(read):
    data = troubled()
    one = read(data)
    used = np.setdiff1d(np.arange(300), [0, 33, 70, 299])
    chosen = [*(used[start : start + 50] for start in (0, 82, 164, 246)), used[::3]]
    found = excerpts(one, windows=4, window=50, thinned=100)
    for part, frames in zip((*found.windows, *found.thinned), chosen, strict=True):
        np.testing.assert_array_equal(part.t[: len(frames)], data.t[frames])
        w = part.weights()
        i, j = np.nonzero(np.triu(w))
        assert len(i) == len(frames) * (len(frames) - 1) // 2 - len(part.skipped)
        np.testing.assert_allclose(w[i, j] / w[0, 1], np.outer(*2 * (data.weight[0][frames],))[i, j]
                                   / np.prod(data.weight[0][frames[:2]]), rtol=REORDERED)  # fmt: skip
        np.testing.assert_allclose(
            part.d[i, j] / w[i, j] + part.moments.reference, data.c2[0][frames[i], frames[j]], rtol=REORDERED
        )
    assert len(found.windows[0].skipped) == 0
    assert len(found.windows) == 4
    assert len(excerpts(read(two_bins(90)), 4, 50, 100).windows) == 1
