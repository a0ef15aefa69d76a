"""The diagonal for display: made of its neighbours, once and for all, and of no use to any fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bin
from heterodyne.data.diagonal import diagonal_from_neighbours
from heterodyne.data.picture import block_means, picture

DATA = het.simulate("static", phi=[0.0, 90.0], frames=30, seed=3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_diagonal_is_the_mean_of_its_neighbours_and_a_second_time_changes_nothing(dtype):
    matrix = DATA.c2[0].astype(dtype)
    kept = matrix.copy()
    once = diagonal_from_neighbours(matrix)
    assert once.dtype == dtype
    np.testing.assert_allclose(once[4, 4], (matrix[3, 4] + matrix[4, 5]) / 2, rtol=1e-6)
    assert (once[0, 0], once[-1, -1]) == (matrix[0, 1], matrix[-2, -1])
    np.testing.assert_array_equal(once - np.diag(once.diagonal()), matrix - np.diag(matrix.diagonal()))
    np.testing.assert_array_equal(diagonal_from_neighbours(once), once)
    np.testing.assert_array_equal(matrix, kept)


def test_neighbours_without_a_value_are_passed_over():
    matrix = np.array(DATA.c2[0])
    matrix[7], matrix[:, 7] = np.nan, np.nan
    shown = diagonal_from_neighbours(matrix).diagonal()
    assert np.flatnonzero(np.isnan(shown)).tolist() == [7]
    assert shown[6] == matrix[5, 6]


def test_no_fit_sees_a_diagonal_and_nothing_but_pictures_makes_one():
    bins = []
    for mended in (True, False):
        c2 = [diagonal_from_neighbours(m) if mended else m + 50.0 * np.eye(30) for m in DATA.c2]
        bins.append(read_bin(replace(DATA, c2=c2), 0))
    np.testing.assert_array_equal(bins[0].d, bins[1].d)
    assert bins[0].moments == bins[1].moments
    home = Path(het.__file__).parent
    users = [
        p.relative_to(home).as_posix() for p in home.rglob("*.py") if "data.diagonal" in p.read_text("utf-8")
    ]
    assert users == ["data/picture.py"]


def test_pictures_are_block_means_without_what_is_not_used():
    np.testing.assert_array_equal(
        block_means(np.array([[1.0, 3.0, 5.0], [np.nan, 2.0, 7.0], [np.nan, np.nan, 9.0]]), 2),
        [[2.0, 6.0], [np.nan, 9.0]],
    )
    mask = np.arange(30) != 3
    shown = picture(replace(DATA, mask=np.array([mask, mask]), bad_pairs=[[1, 8, 20]]), 1, 30)
    assert np.isnan(shown.values[3]).all()
    assert np.isnan(shown.values[20, 8])
    assert np.isfinite(np.delete(np.delete(shown.values, [3, 8, 20], 0), [3, 8, 20], 1)).all()
    assert "diagonal replaced by the mean of its neighbours" in shown.caption
    small = picture(DATA, 0, 8)
    assert (small.values.shape, small.width) == ((8, 8), 4)
    assert "4 × 4 frames" in small.caption
    np.testing.assert_allclose(small.values[0, 2], DATA.c2[0][:4, 8:12].mean())
