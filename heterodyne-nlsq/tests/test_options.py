"""The options of the optimizer: every number has a least and a greatest value."""

from __future__ import annotations

import pytest

from heterodyne_nlsq.plugin import OPTIONS
from option_limits import assert_both_limits_hold

NUMBERS = {one.name: one for one in OPTIONS if one.type in (int, float)}


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_both_limits(name):
    assert_both_limits_hold(NUMBERS[name])
