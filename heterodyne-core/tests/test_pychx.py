"""NSLS-II results: which region a matrix is of, and which time lies between frames."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import heterodyne as het
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.testing.layouts.pychx import write_pychx
from heterodyne.testing.loaders import example

REGIONS = [[q, phi] for q in (0.009, 0.011) for phi in (-150.0, -90.0, -30.0, 30.0, 150.0)]


@pytest.fixture
def written(tmp_path):
    """A function that writes example data with the given differences and returns its path."""
    return lambda data=None, **options: write_pychx(tmp_path / "Res.h5", data or example(age=0.0), **options)


def shown(path, **choices) -> tuple[list[float], list[float]]:
    data = het.load(path, **choices)
    return data.q.tolist(), data.phi.tolist()


def of_four() -> TwoTime:
    return example(age=0.0).bins([0, 1, 2, 3])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("as_text", [False, True])
def test_attributes_are_numbers_or_their_text(written, as_text):
    data = het.load(written(as_text=as_text))
    np.testing.assert_allclose(data.q, np.repeat([0.01, 0.02], 3))
    np.testing.assert_allclose(data.phi, [-60, 0, 60] * 2)
    assert data.provenance["dt_source"] == "frame_time in md"


def test_regions_are_numbered_and_not_in_the_order_of_their_names(written):
    regions = [[0.001 * (k + 1)] for k in range(12)]
    data = example(age=0.0)
    many = TwoTime([data.c2[0]] * 12, np.full(12, 0.01), np.full(12, np.nan), data.t, data.dt)
    assert shown(written(many, regions=regions))[0] == [row[0] for row in regions]


def test_q_is_the_last_axis_of_a_single_region_too(written):
    one = example(age=0.0).bins([2])
    data = het.load(written(one))
    np.testing.assert_array_equal(data.c2[0], one.c2[0])


def test_fewer_matrices_than_regions_have_to_be_told(written):
    path = written(of_four(), regions=REGIONS)
    with pytest.raises(DataError, match=r"holds 4 matrices, qval_dict 10 regions, .* \(--q, --phi\)$"):
        het.load(path)
    told = {"q": [0.011, 0.009, 0.009, 0.009], "phi": [-150.0, -90.3, -30.0, 150.0]}
    assert shown(path, **told) == ([0.011, 0.009, 0.009, 0.009], [-150.0, -90.0, -30.0, 150.0])


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"q": 0.009}, "--q, --phi"),
        ({"q": 0.009, "phi": 30.0}, "do not tell 4 different ones"),
        ({"q": 0.009, "phi": [-150.0, -90.0, -30.0, 45.0]}, "no region q = 0.009, phi = 45"),
        ({"q": 0.02, "phi": [-150.0, -90.0, -30.0, 30.0]}, "no region q = 0.02"),
        ({"q": [0.009, 0.011], "phi": 30.0}, "2 values are given for 4 bins"),
        ({"q": (0.0, 1.0), "phi": (-180.0, 180.0)}, "--q, --phi"),
    ],
)
def test_what_does_not_tell_the_matrices_is_refused(written, told, said):
    with pytest.raises(DataError, match=said):
        het.load(written(of_four(), regions=REGIONS), **told)


def test_rings_are_told_by_q_alone(written):
    path = written(example(age=0.0, phi=(np.nan,)), regions=[[0.01], [0.02], [0.03]])
    assert shown(path, q=[0.03, 0.01])[0] == [0.03, 0.01]


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        (REGIONS[:3], "names 3 regions, but g12b holds 6 matrices"),
        ([*REGIONS[:5], [0.01, 0.0, 0.1]], "qval_dict 5 holds 3 values"),
        ([*REGIONS[:5], "about 0.01"], "attribute 5 of /qval_dict must hold numbers, not 'about 0.01'"),
        ([*REGIONS[:5], np.arange(99.0)], "holds more than 16 values"),
        ([*REGIONS[:5], [-0.01, 30.0]], "q must be positive"),
    ],
)
def test_regions_that_cannot_be_are_refused(written, regions, said):
    with pytest.raises(DataError, match=said):
        het.load(written(regions=regions))


@pytest.mark.parametrize("scattering", ["gi_saxs", None])
def test_grazing_incidence_is_refused_by_name(written, scattering):
    regions = [[0.01 * (k + 1), 0.02 * (k + 1)] for k in range(6)]
    with pytest.raises(DataError, match=r"no azimuths but qz .*grazing incidence is not read"):
        het.load(written(regions=regions, settings={"scattering": scattering}))


@pytest.mark.parametrize(
    ("settings", "lags", "dt", "source"),
    [
        ({}, np.arange(9), 0.1, "frame_time in md"),  # counted in frames
        ({"frame_time": None, "cam_acquire_period": "0.2"}, np.arange(9), 0.2, "cam_acquire_period in md"),
        ({"frame_time": None}, None, 0.1, "spacing of taus2"),
    ],
)
def test_where_the_time_between_frames_is(written, settings, lags, dt, source):
    data = het.load(written(settings=settings, lags=lags))
    assert data.dt == pytest.approx(dt)
    assert data.provenance["dt_source"] == source


@pytest.mark.filterwarnings("ignore:dt = ")
@pytest.mark.parametrize(
    ("settings", "lags", "said"),
    [
        ({"frame_time": None}, np.arange(9), "neither md nor taus2 says the time"),
        ({"frame_time": 0.0}, np.arange(9), "neither md nor taus2 says the time"),
        (
            {},
            0.4 * np.arange(9),
            "frame_time in md 0.1 s, spacing of taus2 0.4 s: frames may have been binned",
        ),
        ({"cam_acquire_period": 0.3}, None, "cam_acquire_period in md 0.3 s"),
    ],
)
def test_times_that_are_unknown_or_contradictory_are_asked_for(written, settings, lags, said):
    path = written(settings=settings, lags=lags)
    with pytest.raises(DataError, match=said):
        het.load(path)
    assert het.load(path, dt=0.4).dt == 0.4


def test_matrices_that_are_not_square_are_refused(written):
    path = written()
    with h5py.File(path, "r+") as file:
        del file["g12b"]
        file["g12b"] = np.ones((9, 8, 6))
    with pytest.raises(DataError, match="g12b must be square"):
        het.load(path)
