"""`TwoTime` as it is made by hand: halves are made whole, what does not fit is rejected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heterodyne.errors import DataError
from heterodyne.simulation.simulate import simulate


def test_a_half_matrix_in_memory_is_made_whole():
    whole = simulate("static", frames=12, phi=0.0)
    half = replace(whole, c2=np.triu(np.asarray(whole.c2)))
    assert np.array_equal(half.c2[0], whole.c2[0])
    assert replace(half, age=0.0).c2[0] is half.c2[0]


@pytest.mark.parametrize(
    "change",
    [{"q": "a"}, {"phi": np.inf}, {"dt": "a"}, {"age": np.nan}, {"dq": [1, 2, 3]}, {"mask": [True] * 5}],
)
def test_two_time_data_take_only_numbers_that_fit(change: dict):
    with pytest.raises(DataError):
        replace(simulate("static", frames=12, phi=0.0), **change)


def test_a_bin_that_does_not_exist_is_named():
    with pytest.raises(DataError, match="no bin 1; bins are 0 to 0"):
        simulate("static", frames=12, phi=0.0).bins([1])
