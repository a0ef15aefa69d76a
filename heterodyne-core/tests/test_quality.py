"""What is said of matrices and files before any fit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.data.oddities import oddities, oddities_of_matrices
from heterodyne.data.quality import fringe_period, quality
from heterodyne.errors import DataError

FRAMES = 60
PARAMS = {"D0": 3e4, "alpha": 0.0, "D_offset": 0.0}
DATA = het.simulate("static", PARAMS, phi=[0.0, 90.0], frames=FRAMES, seed=1, contrast=0.2)


def changed(change, **fields):
    """The data with a change made to the first matrix, which is symmetric again afterwards."""
    c2 = np.array([np.array(matrix) for matrix in DATA.c2])
    change(c2[0])
    return replace(DATA, c2=c2, **fields)


def both(c2, frames, value):
    c2[frames], c2[:, frames] = value, value


def lines_of(data):
    return oddities_of_matrices([quality(data, bin) for bin in range(data.n_bins)])


def test_good_matrices_are_told_in_numbers_and_nothing_is_odd():
    found = quality(DATA, 0)
    matrix = DATA.c2[0]
    assert found.first_lag == pytest.approx(matrix.diagonal(1).mean())
    assert found.baseline == pytest.approx(matrix[np.triu_indices(FRAMES, 45)].mean())
    s = het.create_model("static").correlation(PARAMS, DATA.t, 0.01)
    assert found.contrast == pytest.approx(0.2 * s.diagonal(1).mean(), abs=0.01)
    assert (found.dark, found.bright, found.gaps, found.refused, found.masked) == ((), (), 0, "", 0.0)
    assert math.isnan(found.fringe)
    assert lines_of(DATA) == []


@pytest.mark.parametrize(
    ("change", "fields", "line"),
    [
        (lambda c2: both(c2, [4, 5], 0.0), {}, "bin 1: dark frames 5:6"),
        (lambda c2: both(c2, [30, 31], 1.6), {}, "bin 1: bright frames 31:32"),
        (lambda c2: both(c2, [30, 31], 0.2), {}, "bin 1: bright frames 31:32"),
        (lambda c2: c2.__setitem__(([2, 9], [9, 2]), np.nan), {}, "bin 1: c2 is not finite at up to 1 pairs"),
        (lambda c2: c2.__setitem__(..., DATA.c2[1]), {}, "bins 1:2 hold equal matrices"),
        (lambda c2: both(c2, range(58), 0.0), {}, "a fit refuses bin 1 (q=0.01 phi=0): 2 of 60 frames"),
    ],
)
def test_what_is_odd_about_a_matrix_is_a_line(change, fields, line):
    assert any(found.startswith(line) for found in lines_of(changed(change, **fields)))


def test_masked_frames_and_bad_pairs_are_not_told_again():
    mask = np.ones((2, FRAMES), dtype=bool)
    mask[0, 30] = False
    data = changed(lambda c2: both(c2, [30], np.nan), mask=mask, bad_pairs=[[0, 3, 9]])
    c2 = data.c2[0]
    c2[3, 9] = c2[9, 3] = np.nan
    assert quality(data, 0).gaps == 0
    assert quality(data, 0).masked == pytest.approx(1 / 60)
    assert lines_of(data) == []
    assert oddities(data)[-1] == "1 frames are masked in some bins, 0 in all"


def test_halves_that_differ_are_measured(tmp_path):
    c2 = np.array([np.array(matrix) for matrix in DATA.c2])
    c2[0] += np.triu(np.full((FRAMES, FRAMES), 0.01), 1)
    np.save(tmp_path / "a.npy", c2)
    data = het.load(tmp_path / "a.npy", q=0.01, phi=[0.0, 90.0], dt=0.1)
    found = quality(data, 0)
    assert found.halves == pytest.approx((0.01, 0.01))
    assert "neither a triangle nor symmetric" in found.refused
    assert found.baseline == pytest.approx(quality(DATA, 0).baseline + 0.005)
    assert lines_of(data) == ["bin 1: the halves differ by up to 0.01 (0.01 rms): choose by --symmetrise"]


def test_a_matrix_that_cannot_be_read_is_a_line():
    class Lost:
        def __len__(self):
            return 2

        def __getitem__(self, bin):
            raise DataError("run.h5: c2_00001 is lost")

    assert lines_of(replace(DATA, c2=Lost()).bins([0])) == ["a fit refuses run.h5: c2_00001 is lost"]


@pytest.mark.parametrize("period", [2.1, 2.6, 3.4])
def test_fast_fringes_are_told_with_their_period(period):
    lag = np.arange(1, 100)
    noise = 0.002 * np.random.default_rng(0).normal(size=99)
    wave = 1 + 0.1 * np.exp(-lag / 30) * (1 + 0.5 * np.cos(2 * np.pi * lag / period)) + noise
    assert fringe_period(wave) == pytest.approx(period, rel=0.03)


@pytest.mark.parametrize("seed", range(20))
def test_noise_decays_and_slow_fringes_are_no_fast_fringes(seed):
    lag = np.arange(1, 100)
    decay = 0.1 * np.exp(-lag / (0.5 + seed)) * (1 + 0.5 * np.cos(2 * np.pi * lag / (5 + seed)))
    assert math.isnan(fringe_period(1 + decay + 0.003 * np.random.default_rng(seed).normal(size=99)))


T = DATA.t


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"phi": np.zeros(2)}, "bins 1:2 have the same q and phi (q=0.01 phi=0)"),
        ({"phi": np.full(2, np.nan)}, "bins 1:2 have the same q and phi (q=0.01 ring)"),
        ({"phi": np.array([np.nan, 0.0])}, "1 of 2 bins are rings"),
        ({"phi": np.array([200.0, 0.0])}, "1 bins have phi outside"),
        (
            {"t": np.where(np.arange(60) < 20, T, T + 0.5)},
            "1 gaps in time, of about 5 frames; the first after frame 20",
        ),
        (
            {"t": T + np.where(np.arange(60) % 7 == 3, 0.01, 0.0)},
            "times are uneven: steps between frames differ",
        ),
        ({}, "the age before the first frame is unknown"),
        ({"t": 10 * T, "dt": 1.0, "age": 0.0}, "dt is 1 s, which is often a placeholder"),
        ({"provenance": {"count_time": 0.1}}, "dt = 0.1 s is not longer than the exposure of 0.1 s"),
    ],
)
def test_what_is_odd_about_bins_and_times_is_a_line(fields, line):
    stated = {"provenance": {"dt_source": "the file"}, **fields}
    assert any(found.startswith(line) for found in oddities(replace(DATA, **stated)))


def test_a_file_that_says_all_is_not_odd():
    known = {"dt_source": "frame_time", "age_source": "begin_frame", "count_time": 0.09}
    assert oddities(replace(DATA, provenance=known)) == []


@pytest.mark.parametrize("shift", [-1.0, 1.0, 99.0])
def test_a_level_that_is_not_1_is_odd(shift):
    data = replace(DATA, c2=np.array([np.array(matrix) + shift for matrix in DATA.c2]))
    assert any(
        f"bins 1:2: c2 is {1.0 + shift:.0f}"[:17] in line and "--baseline" in line for line in lines_of(data)
    )
