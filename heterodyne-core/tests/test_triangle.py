"""Halves are mirrored, full matrices are left alone, anything else is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heterodyne.data.triangle import symmetric
from heterodyne.errors import DataError


def full(n, dtype=np.float64, seed=0):
    noise = np.random.default_rng(seed).normal(1, 0.1, (n, n)).astype(dtype)
    return np.triu(noise) + np.triu(noise, 1).T


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stored", [np.triu, np.tril, np.array], ids=["upper", "lower", "full"])
@pytest.mark.parametrize("n", [1, 2, 5, 255, 256, 257, 600])
def test_every_way_to_store_a_matrix_gives_the_same_one(n, stored, dtype):
    matrix = full(n, dtype)
    result = symmetric(stored(matrix))
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, matrix)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.data())
def test_dark_frames_do_not_change_what_is_recognised(n, data):
    dark = data.draw(st.sets(st.integers(0, n - 1), max_size=n))
    matrix = full(n)
    matrix[list(dark)] = 0
    matrix[:, list(dark)] = 0
    for stored in (np.triu, np.tril, np.array):
        np.testing.assert_array_equal(symmetric(stored(matrix)), matrix)


def test_the_raw_diagonal_is_kept():
    matrix = full(300, np.float32)
    np.fill_diagonal(matrix, 7.25)
    assert np.all(symmetric(np.triu(matrix)).diagonal() == 7.25)


def test_the_argument_is_not_written_to():
    half = np.triu(full(300))
    half.setflags(write=False)
    symmetric(half)


def test_a_single_leading_axis_is_dropped():
    np.testing.assert_array_equal(symmetric(np.triu(full(4))[None]), full(4))


def test_rounding_of_float32_sums_is_symmetric():
    matrix = full(300, np.float32)
    matrix[7, 200] *= 1 + 5e-7
    np.testing.assert_array_equal(symmetric(matrix), matrix)


def test_two_halves_that_disagree_are_refused_with_the_place():
    matrix = full(300)
    matrix[270, 3] += 0.01
    with pytest.raises(DataError, match=r"neither a triangle nor symmetric: c2\(4, 271\)"):
        symmetric(matrix)


def test_one_value_below_an_upper_half_is_refused():
    half = np.triu(full(600))
    half[599, 0] = 1.0
    with pytest.raises(DataError, match="neither"):
        symmetric(half)


def test_gaps_are_kept_for_validation_to_name():
    matrix = full(10)
    matrix[2, 5] = np.nan
    matrix[7, 1] = np.inf
    assert np.isnan(symmetric(matrix)[2, 5])
    assert np.isnan(symmetric(np.triu(matrix))[5, 2])


@pytest.mark.parametrize("shape", [(3,), (3, 4), (2, 3, 3), (1, 1, 5)])
def test_shapes_other_than_square_are_refused(shape):
    with pytest.raises(DataError, match="square"):
        symmetric(np.ones(shape))


@pytest.mark.parametrize("dtype", [complex, object, "U3", bool])
def test_values_other_than_real_numbers_are_refused(dtype):
    with pytest.raises(DataError, match="real numbers"):
        symmetric(np.ones((3, 3)).astype(dtype))


@pytest.mark.parametrize(
    ("symmetrise", "expected"),
    [
        ("upper", lambda m: np.triu(m) + np.triu(m, 1).T),
        ("lower", lambda m: np.tril(m) + np.tril(m, -1).T),
        ("mean", lambda m: (m + m.T) / 2),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_two_halves_that_differ_what_is_asked_for_counts(symmetrise, expected, dtype):
    matrix = np.random.default_rng(0).normal(1, 0.1, (300, 300)).astype(dtype)
    found = symmetric(matrix, symmetrise)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected(matrix).astype(dtype))


@pytest.mark.parametrize("stored", [np.triu, np.tril, np.array], ids=["upper", "lower", "full"])
def test_the_mean_of_one_half_is_this_half(stored):
    np.testing.assert_array_equal(symmetric(stored(full(300)), "mean"), full(300))


def test_a_half_without_values_cannot_be_taken():
    with pytest.raises(DataError, match="the lower half of the matrix holds no values"):
        symmetric(np.triu(full(9)), "lower")


@pytest.mark.parametrize("n", [9, 300])
def test_rows_that_run_backwards_are_named(n):
    with pytest.raises(DataError, match="rows run backwards, as from an origin at the lower left"):
        symmetric(full(n)[::-1])


def test_a_part_that_one_half_lost_has_no_mean():
    matrix = full(40) + 1e-3 * np.random.default_rng(1).normal(size=(40, 40))
    matrix[30:35, 10:15] = 0.0
    with pytest.raises(DataError, match=r"c2 is 0 at frames \(11, 31\) in one half alone"):
        symmetric(matrix, "mean")
    np.testing.assert_array_equal(symmetric(matrix, "upper"), np.triu(matrix) + np.triu(matrix, 1).T)
    matrix[10:15, 30:35] = 0.0
    assert np.all(symmetric(matrix, "mean")[10:15, 30:35] == 0.0)
