"""One matrix is checked: shape, dtype, finite values, dark frames."""

from __future__ import annotations

import numpy as np
import pytest

from heterodyne.data.validation import checked
from heterodyne.errors import DataError

EVERY = np.ones(8, dtype=bool)


def matrix(n=8, dtype=np.float64):
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return (1 + 0.1 * np.exp(-lag / 3)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_good_matrix_comes_back_as_it_is(dtype):
    given = matrix(dtype=dtype)
    values, use = checked(given, EVERY, "run.h5")
    assert values is given
    assert use.all()


def test_foreign_byte_order_and_whole_numbers_become_native_floats():
    assert checked(matrix().astype(">f4"), EVERY, "x")[0].dtype == np.dtype("=f4")
    assert (
        checked(np.add.outer(np.arange(8), np.arange(8)).astype(np.uint16), EVERY, "x")[0].dtype == np.float64
    )


def test_dark_frames_are_left_out():
    given = matrix()
    given[[2, 5]] = 0
    given[:, [2, 5]] = 0
    _, use = checked(given, EVERY, "x")
    np.testing.assert_array_equal(np.flatnonzero(~use), [2, 5])


def test_a_dark_frame_with_a_value_on_the_diagonal_is_dark():
    given = matrix()
    given[2] = given[:, 2] = 0
    given[2, 2] = 1.1
    assert not checked(given, EVERY, "x")[1][2]


def test_a_blank_diagonal_makes_no_frame_dark():
    given = matrix()
    np.fill_diagonal(given, 0)
    assert checked(given, EVERY, "x")[1].all()


def test_rows_that_sum_to_zero_are_not_dark():
    given = matrix()
    given[0, 1:] = given[1:, 0] = [1, -1, 1, -1, 1, -2, 1]
    assert checked(given, EVERY, "x")[1].all()


def test_a_frame_correlated_only_with_masked_frames_is_dark():
    given = matrix()
    given[2, :7] = given[:7, 2] = 0
    mask = EVERY.copy()
    mask[7] = False
    np.testing.assert_array_equal(np.flatnonzero(~checked(given, mask, "x")[1]), [2, 7])


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")])
def test_a_gap_is_an_error_naming_bin_and_place(value, word):
    given = matrix()
    given[1, 4] = given[4, 1] = value
    with pytest.raises(DataError, match=rf"^run.h5 q=0.01: c2 is {word} at frames \(2, 5\).*1 more") as error:
        checked(given, EVERY, "run.h5 q=0.01")
    assert "\n" not in str(error.value)


def test_gaps_of_masked_frames_become_zero_and_the_rest_is_kept():
    given = matrix(dtype=np.float32)
    given[3] = given[:, 3] = np.nan
    given[6] = given[:, 6] = 0
    mask = EVERY.copy()
    mask[3] = False
    values, use = checked(given, mask, "x")
    np.testing.assert_array_equal(np.flatnonzero(~use), [3, 6])
    assert values.dtype == np.float32
    assert not values[3].any()
    np.testing.assert_array_equal(values[np.ix_(use, use)], given[np.ix_(use, use)])
    assert np.isnan(given[3, 3])


def test_fewer_than_three_frames_left_is_an_error():
    given = matrix()
    given[2:] = 0
    given[:, 2:] = 0
    with pytest.raises(DataError, match="2 of 8 frames"):
        checked(given, EVERY, "x")
    with pytest.raises(DataError, match="0 of 8 frames"):
        checked(np.zeros((8, 8)), EVERY, "x")


def test_shape_size_and_dtype_are_checked():
    with pytest.raises(DataError, match=r"^bin 3: .*square.*\(8, 7\)"):
        checked(np.ones((8, 7)), EVERY, "bin 3")
    with pytest.raises(DataError, match="has 8 frames, its time axis 5"):
        checked(matrix(), EVERY[:5], "bin 3")
    with pytest.raises(DataError, match="real numbers, not complex128"):
        checked(matrix().astype(complex), EVERY, "bin 3")


def test_the_mask_given_is_not_written_to():
    given = matrix()
    given[2] = given[:, 2] = 0
    mask = EVERY.copy()
    checked(given, mask, "x")
    assert mask.all()


@pytest.mark.parametrize("level", [1.0, 0.7, -3.0])
def test_a_matrix_without_any_variation_is_rejected(level: float):
    constant = np.full((8, 8), level)
    np.fill_diagonal(constant, 2.0)
    with pytest.raises(DataError, match="no correlation to fit"):
        checked(constant, EVERY, "x")


@pytest.mark.parametrize("factor", [1e200, -1e200])
def test_values_too_large_to_be_squared_are_rejected(factor: float):
    with pytest.raises(DataError, match="not normalised"):
        checked(matrix() * factor, EVERY, "x")
