"""The options of the optimizer: every number has a least and a greatest value."""

from __future__ import annotations

import pytest

from heterodyne.errors import ConfigError
from heterodyne_nlsq.plugin import OPTIONS


@pytest.mark.parametrize("name", [one.name for one in OPTIONS if one.type in (int, float)])
def test_every_number_has_both_limits(name):
    option = next(one for one in OPTIONS if one.name == name)
    for limit in (option.low, option.high):
        assert option.convert(limit) == limit
    for beyond, words in ((2 * option.high + 1, "at most"), (option.low - 1, "at least")):
        with pytest.raises(ConfigError, match=f"option '{name}' must be {words} "):
            option.convert(beyond)
