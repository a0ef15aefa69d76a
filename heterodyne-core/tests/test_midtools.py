"""European XFEL MID results: trains are repeats, and strides other than 0 are no two-time correlation."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import heterodyne as het
from heterodyne.data.geometry import ring_of
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.testing.layouts.midtools import write_midtools

TRAINS = (1001, 1003, 1008)
Q = (0.01, 0.02)


@pytest.fixture
def data():
    """Three trains at two q; c2 tells bin and lag."""
    k = np.arange(1, 13)
    lag = np.abs(np.subtract.outer(k, k))
    c2 = np.stack([1.0 + 0.01 * bin + 0.1 * np.exp(-lag / 3.0) for bin in range(6)])
    return TwoTime(c2, np.tile(Q, 3), np.full(6, np.nan), 0.1 * k, 0.1)


@pytest.fixture
def written(tmp_path, data):
    """A function that writes these data with the given differences and returns the path."""
    return lambda **options: write_midtools(tmp_path / "r0041.h5", data, **{"trains": TRAINS, **options})


def bins_of(found) -> list[int]:
    """The bins that were written, told by the end of their matrices."""
    return [round(100 * (matrix[0, -1] - 1.0 - 0.1 * np.exp(-11 / 3.0))) for matrix in found.c2]


@pytest.mark.parametrize("strides", [None, (0, 1, 10), (10, 0), (0,)])
def test_every_train_has_its_bin_at_every_q(written, strides):
    found = het.load(written(strides=strides))
    assert bins_of(found) == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(found.q, np.tile(Q, 3))
    assert found.provenance["trains"] == "3, each with 2 q: 1001, 1003 and 1008"


def test_trains_are_no_other_rings(written):
    found = het.load(written())
    assert ring_of(found.q, found.phi).tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("key", "bins"), [("1003", [2, 3]), ("1008, 1001", [4, 5, 0, 1]), ("1001,1003,1008", list(range(6)))]
)
def test_trains_are_chosen_by_key(written, key, bins):
    assert bins_of(het.load(written(), key=key)) == bins


@pytest.mark.parametrize("key", ["1", "1001,1001", "1001,", "1001:1003"])
def test_trains_that_are_not_there_are_refused(written, key):
    with pytest.raises(DataError, match=r"must list trains, each once; the file has 1001, 1003 and 1008"):
        het.load(written(), key=key)


def test_trains_without_names_are_numbered(written):
    path = written()
    with h5py.File(path, "r+") as file:
        del file["identifiers"]
    assert bins_of(het.load(path, key="3", q=0.02)) == [5]


@pytest.mark.parametrize("from_zero", [False, True])
def test_the_first_pulse_is_at_dt(written, from_zero):
    found = het.load(written(from_zero=from_zero))
    np.testing.assert_allclose(found.t, 0.1 * np.arange(1, 13))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("stride", np.array([1, 10]), "which of its strides is 0"),
        ("stride", np.array([0]), "which of its strides is 0"),
        ("q", np.array([0.1, 0.2, 0.3]), r"is not \(train, q, t1, t2\).* with 3 q"),
        ("t", 0.1 * np.arange(11), "11 times in train_resolved/correlation/t for 12 frames"),
        ("t", np.zeros(12), "must be positive"),
        ("ttc", np.ones((3, 12, 2)), r"of shape \(3, 12, 2\) is not \(train, q, t1, t2\)"),
        ("ttc", np.ones((2, 3, 2, 12, 11)), "must be square"),
    ],
)
def test_axes_that_do_not_fit_are_refused(written, name, value, said):
    path = written(strides=(0, 1))
    with h5py.File(path, "r+") as file:
        del file[f"train_resolved/correlation/{name}"]
        file[f"train_resolved/correlation/{name}"] = value
    with pytest.raises(DataError, match=said):
        het.load(path)


@pytest.mark.parametrize(
    ("trains", "said"), [((1001, 1001, 1008), "train 1001 is there 2 times"), ((1, 2), "has 2 values, not 3")]
)
def test_names_of_trains_that_cannot_be_are_refused(written, trains, said):
    path = written()
    with h5py.File(path, "r+") as file:
        del file["identifiers/train_ids"]
        file["identifiers/train_ids"] = np.array(trains)
    with pytest.raises(DataError, match=said):
        het.load(path)
