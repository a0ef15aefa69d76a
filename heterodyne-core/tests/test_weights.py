"""Bad pairs and weights: what `TwoTime` takes, what files keep, and what a bin makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bin
from heterodyne.errors import DataError
from heterodyne.solution.residuals import examine_residuals
from tolerances import ELEMENTARY, LAST_DIGIT, LAST_DIGITS, REORDERED, TWO_WAYS

FRAMES = 12
GIVEN = het.simulate("static", frames=FRAMES, phi=[0.0, 40.0], noise=0.02)
PAIRS = [[0, 3, 1], [0, 1, 3], [1, 5, 6], [1, 2, 2], [0, 0, 11]]
PER_FRAME = np.random.default_rng(0).uniform(0.5, 2.0, (2, FRAMES))
PER_PAIR = PER_FRAME[:, :, None] + PER_FRAME[:, None, :]


def test_bad_pairs_are_kept_in_order_once_and_without_the_diagonal():
    data = replace(GIVEN, bad_pairs=PAIRS)
    assert data.bad_pairs.tolist() == [[0, 0, 11], [0, 1, 3], [1, 5, 6]]
    assert GIVEN.bad_pairs.shape == (0, 3)
    assert GIVEN.weight is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bad_pairs": [[0, 1]]}, r"rows \[bin, frame, frame\]"),
        ({"bad_pairs": [[0, 1.0, 2.0]]}, "whole numbers"),
        ({"bad_pairs": [[2, 1, 2]]}, "names bin 2; counted from 0, there are 2"),
        ({"bad_pairs": [[0, 1, 12]]}, "names frame 12; counted from 0, there are 12"),
        ({"bad_pairs": [[0, -1, 2]]}, "names frame -1"),
        ({"weight": np.ones(FRAMES)}, r"must have shape \(2, 12\), one per frame, or \(2, 12, 12\)"),
        ({"weight": -PER_FRAME}, "0 or more"),
        ({"weight": PER_FRAME * np.nan}, "finite"),
        ({"weight": np.triu(PER_PAIR)}, "must be symmetric"),
        ({"weight": "heavy"}, "must hold numbers"),
    ],
)
def test_what_is_no_list_of_pairs_or_no_weight_is_refused(change, words):
    with pytest.raises(DataError, match=words) as caught:
        replace(GIVEN, **change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weight", [PER_FRAME, PER_PAIR])
def test_chosen_bins_keep_their_pairs_and_weights(weight):
    chosen = replace(GIVEN, bad_pairs=PAIRS, weight=weight).bins([1])
    assert chosen.bad_pairs.tolist() == [[0, 5, 6]]
    np.testing.assert_array_equal(chosen.weight, weight[1:])


@pytest.mark.parametrize("weight", [None, PER_FRAME, PER_PAIR])
def test_the_own_file_keeps_pairs_and_weights(weight, tmp_path):
    data = replace(GIVEN, bad_pairs=PAIRS, weight=weight)
    path = data.save(tmp_path / "own.h5")
    back, part = het.load(path), het.load(path, phi=40.0, frames=(3, 8))
    np.testing.assert_array_equal(back.bad_pairs, data.bad_pairs)
    assert part.bad_pairs.tolist() == [[0, 3, 4]]
    if weight is None:
        assert back.weight is None
    else:
        np.testing.assert_array_equal(back.weight, weight)
        np.testing.assert_array_equal(
            part.weight, weight[1:, 2:8, ...][..., 2:8] if weight.ndim == 3 else weight[1:, 2:8]
        )


@pytest.mark.parametrize("weight", [PER_FRAME, PER_PAIR])
def test_an_archive_may_hold_pairs_and_weights(weight, tmp_path):
    fields = {"c2": np.array(GIVEN.c2), "q": GIVEN.q, "phi": GIVEN.phi, "dt": 0.1}
    np.savez(tmp_path / "run.npz", **fields, bad_pairs=PAIRS, weight=weight)
    part = het.load(tmp_path / "run.npz", phi=40.0, frames=(3, 8))
    assert part.bad_pairs.tolist() == [[0, 3, 4]]
    inner = (slice(1, 2), *[slice(2, 8)] * (weight.ndim - 1))
    np.testing.assert_array_equal(part.weight, weight[inner])
    np.savez(tmp_path / "bad.npz", **fields, bad_pairs=[[5, 0, 1]])
    with pytest.raises(DataError, match=r"bad\.npz: bad_pairs names bin 5"):
        het.load(tmp_path / "bad.npz")


def spoiled(data, pairs, value):
    """The data with ``value`` at these pairs, which are listed as bad."""
    matrices = np.array(data.c2)
    for bin, i, j in pairs:
        matrices[bin, i, j] = matrices[bin, j, i] = value
    return replace(data, c2=matrices, bad_pairs=pairs)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e80, 0.0])
@pytest.mark.parametrize("weight", [None, PER_FRAME, PER_PAIR])
def test_bad_pairs_may_hold_anything(weight, value):
    pairs = [[0, 1, 3], [0, 4, 9], [0, 0, 1]]
    clean, dirty = (
        read_bin(spoiled(replace(GIVEN, weight=weight), pairs, x), 0) for x in (GIVEN.c2[0][4, 9], value)
    )
    for name in ("d", "weight", "moments"):
        np.testing.assert_array_equal(getattr(clean, name), getattr(dirty, name))
    assert clean.moments.pairs == FRAMES * (FRAMES - 1) / 2 - 3


def test_pairs_and_frames_of_weight_0_are_left_out_and_may_hold_anything():
    matrices, of_frames, of_pairs = np.array(GIVEN.c2), PER_FRAME.copy(), PER_PAIR.copy()
    matrices[:, 2] = matrices[:, :, 2] = np.nan
    of_frames[:, 2] = of_pairs[:, 2] = of_pairs[:, :, 2] = 0.0
    of_pairs[0, 4, 7] = of_pairs[0, 7, 4] = 0.0
    frames = FRAMES - 1
    assert (
        read_bin(replace(GIVEN, c2=matrices, weight=of_frames), 0).moments.pairs == frames * (frames - 1) / 2
    )
    matrices[0, 4, 7] = matrices[0, 7, 4] = np.inf
    assert (
        read_bin(replace(GIVEN, c2=matrices, weight=of_pairs), 0).moments.pairs
        == frames * (frames - 1) / 2 - 1
    )


def test_nan_at_a_pair_that_is_not_listed_is_an_error():
    data = spoiled(GIVEN, [[0, 1, 3], [0, 4, 9]], np.nan)
    with pytest.raises(DataError, match=r"NaN at frames \(2, 4\).*bad_pairs"):
        read_bin(replace(data, bad_pairs=[[0, 4, 9]]), 0)


def test_too_few_pairs_are_an_error():
    every = [[0, i, j] for i in range(FRAMES) for j in range(i + 1, FRAMES)]
    with pytest.raises(DataError, match="2 pairs of frames are left"):
        read_bin(replace(GIVEN, bad_pairs=every[2:]), 0)


@pytest.mark.parametrize("weight", [PER_FRAME, PER_PAIR])
def test_only_ratios_of_weights_count(weight):
    one, other = (read_bin(replace(GIVEN, weight=x), 1) for x in (weight, 1e30 * weight))
    np.testing.assert_allclose(one.d, other.d, rtol=REORDERED, atol=LAST_DIGIT)
    assert np.triu(one.weights(), 1).sum() == pytest.approx(one.moments.pairs, rel=ELEMENTARY)


def test_sums_of_a_bin_are_those_of_weighted_pairs():
    data = replace(GIVEN, weight=PER_FRAME, bad_pairs=[[0, 1, 3]])
    general = replace(data, weight=PER_FRAME[:, :, None] * PER_FRAME[:, None, :])
    one, other = read_bin(data, 0), read_bin(general, 0)
    w, c2 = one.weights()[:FRAMES, :FRAMES], data.c2[0]
    upper = np.triu(np.ones_like(w), 1) > 0
    assert w[1, 3] == w[3, 1] == 0.0
    assert one.moments.reference == pytest.approx(np.average(c2[upper], weights=w[upper]))
    assert one.moments.square == pytest.approx(np.sum(w[upper] * (c2[upper] - one.moments.reference) ** 2))
    assert abs(one.moments.total) < REORDERED
    np.testing.assert_allclose(np.triu(one.d, 1), np.triu(other.d, 1), rtol=TWO_WAYS, atol=LAST_DIGITS)
    for name in ("pairs", "reference", "square"):
        assert getattr(one.moments, name) == pytest.approx(getattr(other.moments, name), rel=REORDERED)
    for lag in (1, 2, 5):
        np.testing.assert_allclose(one.weights_at(lag), np.diagonal(one.weights(), lag))
        np.testing.assert_allclose(other.weights_at(lag), np.diagonal(one.weights(), lag), rtol=REORDERED)


def test_noise_of_neighbours_follows_the_weights_and_leaves_bad_pairs_out():
    frames, rng = 200, np.random.default_rng(3)
    truth = {"D0": 3e3, "alpha": 0.0, "D_offset": 0.0}
    data = het.simulate("static", params=truth, frames=frames, phi=0.0, noise=0.0)
    weight = rng.uniform(0.2, 5.0, (1, frames))
    scatter = np.triu(rng.normal(0.0, 0.02, (frames, frames)) / np.sqrt(np.outer(weight[0], weight[0])), 1)
    matrix = data.c2[0] + scatter + scatter.T
    matrix[10, 50] = matrix[50, 10] = 7.0
    model, contrast = het.create_model("static"), data.provenance["truth"]["contrast"][0]
    noisy = replace(data, c2=[matrix], weight=weight)
    one = read_bin(replace(noisy, bad_pairs=[[0, 10, 50]]), 0)
    # of an element of mean weight
    scale = 0.02 / np.sqrt(np.mean(np.outer(weight[0], weight[0])[np.triu_indices(frames, 1)]))
    found = examine_residuals(model, truth, one, contrast, 1.0).noise
    assert found == pytest.approx(scale, rel=0.03)
    assert examine_residuals(model, truth, read_bin(noisy, 0), contrast, 1.0).noise > 1.5 * found
