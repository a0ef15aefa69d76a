"""`TwoTime` as it is made by hand: halves are made whole, what does not fit is rejected."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from heterodyne.bins.reading import read_bin
from heterodyne.bins.streaming import stream_bin
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.loading.load import load
from heterodyne.problem.checks import check_count
from heterodyne.problem.choices import Choices
from heterodyne.simulation.simulate import simulate


def test_a_half_matrix_in_memory_is_made_whole():
    whole = simulate("static", frames=12, phi=0.0)
    half = replace(whole, c2=np.triu(np.asarray(whole.c2)))
    assert np.array_equal(half.c2[0], whole.c2[0])
    assert replace(half, age=0.0).c2[0] is half.c2[0]


@pytest.mark.parametrize(
    "change",
    [
        {"q": "a"},
        {"q": np.inf},
        {"q": [0.01 + 0j]},
        {"q": np.ma.array([0.01], mask=[True])},
        {"phi": np.inf},
        {"phi": 1e30},
        {"phi": [False]},
        {"dt": "a"},
        {"dt": 7.0},
        {"dt": np.timedelta64(100, "ms")},
        {"age": np.nan},
        {"age": 1e6},
        {"age": 0.1},
        {"t": 2.0 + 0.1 * np.arange(1, 13)},
        {"t": np.arange(1, 13) * 1.0},
        {"t": np.zeros(0)},
        {"dq": [1, 2, 3]},
        {"dq": -1.0},
        {"dq": 1.0},
        {"dq": np.inf},
        {"dphi": -1.0},
        {"dphi": 720.0},
        {"dphi": np.inf},
        {"mask": [True] * 5},
        {"mask": np.ones((9, 50), bool)},
        {"mask": np.full(12, 0.5)},
        {"mask": np.full(12, np.nan)},
        {"mask": np.array(["True"] * 12)},
        {"weight": np.ones((1, 50))},
        {"weight": np.ma.masked_equal(np.arange(12.0), 3)},
    ],
    ids=str,
)
def test_two_time_data_take_only_numbers_that_fit(change: dict):
    with pytest.raises(DataError):
        replace(simulate("static", frames=12, phi=0.0), **change)


def test_a_bin_that_does_not_exist_is_named():
    with pytest.raises(DataError, match="no bin 1; bins are 0 to 0"):
        simulate("static", frames=12, phi=0.0).bins([1])


def test_the_age_is_that_of_the_first_frame_if_it_is_not_given():
    data = simulate("static", frames=12, phi=0.0, age=4.0)
    assert TwoTime(data.c2, data.q, data.phi, data.t, data.dt).age == pytest.approx(4.0)


@pytest.mark.parametrize("dt", [0.1, 0.1004])
def test_clocks_may_jitter_and_pause(dt):
    data = simulate("static", frames=40, phi=0.0)
    jitter = data.t + 2e-3 * np.random.default_rng(0).normal(size=40)
    jitter[20:] += 5.0
    assert replace(data, t=jitter.astype(np.float32), dt=dt, age=float(jitter[0] - dt)).dt == dt


def hidden(shape, *places):
    mask = np.zeros(shape, dtype=bool)
    for place in places:
        mask[place] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "frames", "pairs"),
    [
        (hidden((12, 12), np.s_[5], np.s_[:, 5]), [5], []),
        (hidden((12, 12), np.s_[5], np.s_[:, 5], (2, 9)), [5], [[0, 2, 9]]),
        (hidden((12, 12), (9, 2)), [], [[0, 2, 9]]),
        (hidden((12, 12), (3, 3)), [], []),
        (np.tril(np.ones((12, 12), bool), -1), [], []),
        (np.tril(np.ones((12, 12), bool), -1) | hidden((12, 12), (1, 4)), [], [[0, 1, 4]]),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_what_masked_arrays_hide_is_not_used(mask, frames, pairs, listed):
    clean = simulate("static", frames=12, phi=0.0, noise=0.01)
    wild = np.where(mask, 37462.0, clean.c2[0])
    c2 = np.ma.array(wild, mask=mask)
    data = replace(clean, c2=[c2] if listed else c2[None])
    assert np.flatnonzero(~data.mask[0]).tolist() == frames
    assert data.bad_pairs.tolist() == pairs
    here, there = (
        read_bin(one, 0) for one in (data, replace(clean, mask=data.mask, bad_pairs=data.bad_pairs))
    )
    np.testing.assert_array_equal(here.d, there.d)


@pytest.mark.parametrize("wild", [1e7, 1e20, 1e60, -1e7, np.nan, np.inf])
def test_the_diagonal_changes_nothing(wild):
    clean = simulate("static", frames=40, phi=0.0, noise=0.01)
    c2 = np.array(clean.c2)
    c2[0, np.arange(40), np.arange(40)] = wild
    data = replace(clean, c2=c2, bad_pairs=[[0, k, k] for k in range(40)])
    here, there = read_bin(data, 0), read_bin(clean, 0)
    np.testing.assert_array_equal(here.d, there.d)
    assert here.moments == there.moments
    streamed = stream_bin(data, 0, 0, 0.0, 16).moments
    np.testing.assert_allclose(streamed, stream_bin(clean, 0, 0, 0.0, 16).moments, rtol=1e-13)


def lost_frames(c2):
    c2[:, [7, 30]] = c2[:, :, [7, 30]] = np.nan


def lost_and_dark_frames(c2):
    lost_frames(c2)
    c2[:, 11] = c2[:, :, 11] = 0.0


@pytest.mark.parametrize(("spoil", "left_out"), [(lost_frames, [7, 30]), (lost_and_dark_frames, [7, 11, 30])])
def test_frames_that_are_nan_throughout_are_left_out_with_a_warning(spoil, left_out):
    clean = simulate("static", frames=40, phi=0.0, noise=0.01)
    c2 = np.array(clean.c2)
    spoil(c2)
    masked = replace(clean, mask=~np.isin(np.arange(40), left_out))
    with pytest.warns(UserWarning, match=r"left out as NaN with every other: frames 8 and 31 of those read"):
        here = read_bin(replace(clean, c2=c2), 0)
    np.testing.assert_array_equal(here.d, read_bin(masked, 0).d)
    with pytest.warns(UserWarning, match=r"left out as NaN with every other: frames 8 and 31"):
        streamed = stream_bin(replace(clean, c2=c2), 0, 0, 0.0, 16)
    np.testing.assert_array_equal(streamed.weight, stream_bin(masked, 0, 0, 0.0, 16).weight)
    np.testing.assert_allclose(streamed.moments, stream_bin(masked, 0, 0, 0.0, 16).moments, rtol=1e-12)


@pytest.mark.parametrize(
    "read", [lambda data: read_bin(data, 0), lambda data: stream_bin(data, 0, 0, 0.0, 16)]
)
def test_gaps_beside_lost_frames_are_named_in_memory_and_in_tiles(read):
    clean = simulate("static", frames=40, phi=0.0, noise=0.01)
    c2 = np.array(clean.c2)
    lost_frames(c2)
    c2[0, 20, 3] = c2[0, 3, 20] = np.nan
    with pytest.raises(DataError, match=r"c2 is NaN at frames \(4, 21\) of those read and at 1 more places"):
        read(replace(clean, c2=c2))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("empty", [0.0, np.nan])
@pytest.mark.parametrize("half", [np.triu, np.tril])
def test_an_empty_half_may_be_nan(empty, half):
    clean = simulate("static", frames=40, phi=0.0, noise=0.01)
    c2 = np.where(half(np.ones((40, 40), bool)), clean.c2[0], empty)
    np.testing.assert_array_equal(replace(clean, c2=c2[None]).c2[0], clean.c2[0])


def test_pairs_of_a_bin_without_used_frames_are_not_counted_off():
    data = simulate("static", frames=12, q=[0.01, 0.02], phi=0.0, noise=0.01)
    empty = replace(
        data, mask=np.array([[True], [False]]) & np.ones(12, bool), bad_pairs=[[1, 0, 1], [1, 2, 3]]
    )
    with pytest.raises(DataError, match="66 pairs of frames cannot determine 106 numbers"):
        check_count((empty,), Choices(contrast=0.1, offset=1.0), 106)


def test_gaps_that_a_fit_refuses_are_told_when_they_are_written(tmp_path):
    data = simulate("static", frames=12, phi=0.0, noise=0.01)
    c2 = np.array(data.c2)
    c2[0, 2, 5] = c2[0, 5, 2] = c2[0, 1, 1] = np.nan
    with pytest.warns(
        UserWarning, match=r"written although a fit refuses it: bin 1: c2 is NaN at frames \(3, 6\)"
    ):
        replace(data, c2=c2).save(tmp_path / "run.h5")
    with warnings.catch_warnings(action="error"):
        replace(data, c2=c2, bad_pairs=[[0, 2, 5]]).save(tmp_path / "run.h5")


def test_a_part_without_the_nominal_spacing_has_its_own(tmp_path):
    data = simulate("static", t=[0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 1.1, 1.2], phi=0.0, noise=0.01)
    part = data.cut(slice(2, 6))
    assert (data.dt, part.dt, part.age) == pytest.approx((0.1, 0.2, 0.1))
    loaded = load(data.save(tmp_path / "run.h5"), frames=(3, 6))
    assert (loaded.dt, loaded.age) == pytest.approx((0.2, 0.1))
