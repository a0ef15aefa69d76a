"""ESRF ID02 results: from age and lag to two times, and axes that are not those of pairs of frames."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import DataError
from heterodyne.testing.layouts.esrf_id02 import age_lag, write_esrf_id02
from heterodyne.testing.loaders import RING, example

FRAMES = 40


@pytest.fixture
def data():
    return example(FRAMES, RING, 0.0)


@pytest.fixture
def written(tmp_path, data):
    """A function that writes these data with the given differences and returns the path."""
    return lambda **options: write_esrf_id02(tmp_path / "id02.h5", data, **options)


def pairs_stored(found, bin=0):
    """Which pairs of frames are neither bad nor of a frame that is not used, (frames, frames), above the diagonal."""
    used = found.mask[bin]
    kept = np.triu(used & used[:, None], 1)
    rows = found.bad_pairs[found.bad_pairs[:, 0] == bin]
    kept[rows[:, 1], rows[:, 2]] = False
    return kept


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_give_the_matrices_over_two_times(written, data, version):
    found = het.load(written(version=version))
    np.testing.assert_allclose(found.q, [0.01, 0.02])
    np.testing.assert_allclose(found.t, data.t)
    for mine, its in zip(found.c2, data.c2, strict=True):
        np.testing.assert_array_equal(mine, its)
    assert len(found.bad_pairs) == 0
    np.testing.assert_allclose(found.dq, [0.001, 0.002] if version == 1 else np.nan)


@pytest.mark.filterwarnings("ignore:.*not every lag is stored")
@pytest.mark.parametrize(
    ("ages", "lags"),
    [
        (slice(7, None), slice(None)),  # the scan begins before the first age
        (slice(None), slice(1, None)),  # no lag 0
        (slice(None), slice(0, 12)),  # no long lags
        (slice(3, 20), slice(0, 30)),  # late frames are no earlier frame
        (np.delete(np.arange(40), [4, 5, 11]), slice(None)),
        (slice(None), [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32]),
        (np.delete(np.arange(40), [0]), [1, 2, 3, 5, 9, 20]),
    ],
)
def test_pairs_that_are_not_stored_are_left_out_and_all_others_kept(written, data, ages, lags):
    found = het.load(written(ages=ages, lags=lags))
    rows, columns = np.arange(FRAMES)[ages], np.arange(FRAMES)[lags]
    first = int(rows[0])
    stored = np.zeros((FRAMES, FRAMES), dtype=bool)
    for row in rows:
        stored[row, row + columns[row + columns < FRAMES]] = True
    stored = np.triu(stored, 1)
    np.testing.assert_allclose(found.t, data.t[first : first + found.n_frames])
    kept = pairs_stored(found)
    np.testing.assert_array_equal(kept, stored[first:, first:][: found.n_frames, : found.n_frames])
    assert kept.sum() == stored.sum()
    matrix = data.c2[1][first:, first:]
    np.testing.assert_array_equal(found.c2[1][kept], matrix[: found.n_frames, : found.n_frames][kept])


def test_frames_are_cut_with_their_bad_pairs(written, data):
    found = het.load(written(lags=slice(0, 12)), frames=(5, 24), q=0.02)
    np.testing.assert_array_equal(found.c2[0].diagonal(3), data.c2[1][4:24, 4:24].diagonal(3))
    assert pairs_stored(found).sum() == sum(20 - lag for lag in range(1, 12))


def test_padding_of_the_axes_is_left_out(written, data):
    after = data.dt * np.arange(FRAMES)
    values = np.pad(np.stack([age_lag(m) for m in data.c2]), ((0, 0), (0, 3), (0, 2)), constant_values=np.nan)
    replaced = {"ttcf": values, "age": np.pad(after, (0, 3), constant_values=np.nan)}
    replaced["lag"] = np.pad(after, (0, 2), constant_values=np.nan)
    found = het.load(written(replaced=replaced))
    np.testing.assert_array_equal(found.c2[0], data.c2[0])


def test_axes_in_float32_are_counted_right(tmp_path):
    axis = (2.3e-3 * np.arange(1000)).astype(np.float32)
    one = example(1000, RING, 0.0).bins([0])
    found = het.load(write_esrf_id02(tmp_path / "long.h5", one, replaced={"age": axis, "lag": axis}))
    assert (found.n_frames, len(found.bad_pairs)) == (1000, 0)
    assert found.dt == pytest.approx(2.3e-3)


def mean_ages(matrix, ages):
    """c2 over the mean of both times, which is one of ``ages`` or half a frame more, and lag."""
    n = len(matrix)
    lag = np.arange(n)
    first = np.asarray(ages)[:, None] - lag // 2
    inside = (first >= 0) & (first + lag < n)
    return np.where(inside, matrix[np.clip(first, 0, n - 1), np.clip(first + lag, 0, n - 1)], np.nan)


@pytest.mark.parametrize("ages", [range(40), range(20, 40)])
def test_ages_that_are_the_mean_of_both_times_are_refused(written, data, ages):
    values = np.stack([mean_ages(m, ages) for m in data.c2])
    lags = slice(None) if len(ages) == 40 else slice(0, 30)
    replaced = {"ttcf": values[:, :, lags], "age": 0.1 * np.array(ages)}
    with pytest.raises(DataError, match="the age is the mean of both times"):
        het.load(written(replaced=replaced, lags=lags))


def test_ages_of_unknown_meaning_are_refused(written):
    path = written(ages=slice(20, 30), lags=slice(0, 6))
    with pytest.raises(DataError, match="earlier frame or the mean of both cannot be told"):
        het.load(path)


@pytest.mark.parametrize(
    ("name", "axis", "said"),
    [
        ("lag", 0.1 * np.geomspace(1, 39, 40), "lag is not counted in frames"),
        ("age", 0.5 * np.arange(40), "ages are 0.5 s apart and lags 0.1 s: values are means"),
        ("age", 0.101 * np.arange(40), "ages are 0.101 s apart"),
        ("lag", 0.2 * np.arange(40), "ages are 0.1 s apart and lags 0.2 s: values are means"),
        ("lag", 0.05 + 0.1 * np.arange(40), "lag 0.05 s is no number of frames"),
        ("lag", 0.1 * np.arange(-1, 39), "lag -0.1 s is no number of frames"),
        ("age", 0.1 * np.arange(40)[::-1], "age must rise"),
        ("age", np.full(40, np.nan), "age must rise"),
        ("age", 0.1 * np.arange(39), "39 ages and 40 lags"),
    ],
)
def test_axes_that_are_not_of_frames_are_refused(written, name, axis, said):
    with pytest.raises(DataError, match=said) as caught:
        het.load(written(replaced={name: axis}))
    assert "\n" not in str(caught.value)


def test_too_many_pairs_that_are_not_stored_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("heterodyne.loading.age_lag.MOST_PAIRS", 1000)
    path = write_esrf_id02(tmp_path / "short.h5", example(FRAMES, RING, 0.0), lags=slice(0, 12))
    said = f"{sum(range(1, 29))} pairs of 40 frames are not stored, too many"
    assert len(het.load(path, q=0.01).bad_pairs) == 406
    monkeypatch.setattr("heterodyne.loading.age_lag.MOST_PAIRS", 800)
    with pytest.raises(DataError, match=said):
        het.load(path)


def test_times_in_a_declared_unit_and_in_none(written):
    path = written(replaced={name: 1.0 * np.arange(FRAMES) for name in ("age", "lag")})
    with pytest.warns(UserWarning, match="unless they are counted in frames; then give dt"):
        assert het.load(path).dt == 1.0
    with h5py.File(path, "r+") as file:
        for name in ("age", "lag"):
            file[f"entry_0000/correlations/full/twotime/{name}"].attrs["unit"] = "ms"
    assert het.load(path).dt == pytest.approx(1e-3)


def test_one_of_several_analyses_is_chosen_by_key(written):
    path = written(analyses=("full", "horizontal"))
    with pytest.raises(DataError, match=r"analyses full, horizontal, which may be of the same pixels.*--key"):
        het.load(path)
    assert het.load(path, key="horizontal").provenance["c2_source"].split("/")[-3] == "horizontal"
    with pytest.raises(DataError, match="no analysis named 'horizonal'; did you mean 'horizontal'"):
        het.load(path, key="horizonal")


def test_an_azimuth_may_be_stated(written):
    np.testing.assert_array_equal(het.load(written(), phi=90.0).phi, [90.0, 90.0])
    np.testing.assert_array_equal(het.load(written(), phi=[0.0, 90.0]).phi, [0.0, 90.0])
    assert np.isnan(het.load(written(), phi="ring").phi).all()


def test_q_indices_of_the_first_version_count_from_one(written, data):
    found = het.load(written(version=1, q_index=[2]))
    np.testing.assert_allclose(found.q, [0.02])
    np.testing.assert_array_equal(found.c2[0], data.c2[1])


@pytest.mark.parametrize("q_index", [[3], [1, 1], [1, 2, 3]])
def test_q_indices_that_cannot_be_are_refused(written, q_index):
    with pytest.raises(DataError, match="q_index"):
        het.load(written(version=1, q_index=q_index))


def test_a_file_without_two_time_correlation_says_so(written, tmp_path):
    path = written()
    with h5py.File(path, "r+") as file:
        del file["entry_0000/correlations/full/twotime"]
    with pytest.raises(DataError, match="no two-time correlation in its analyses full"):
        het.load(path)
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file.attrs["MagicString"] = "XPCSResultFile_v2.0"
    with pytest.raises(DataError, match="holds no two-time correlation: no twotime/ttcf"):
        het.load(tmp_path / "empty.h5")


def test_other_counts_of_q_are_refused(written):
    path = written()
    with h5py.File(path, "r+") as file:
        del file["entry_0000/correlations/full/parameters/q"]
        file["entry_0000/correlations/full/parameters/q"] = [0.1, 0.2, 0.3]
    with pytest.raises(DataError, match=r"3 values of .*parameters/q for 2 matrices"):
        het.load(path)
