"""What every number among the options of an optimizer keeps."""

from __future__ import annotations

import pytest

from heterodyne.errors import ConfigError
from heterodyne.plugins.records import Option


def assert_both_limits_hold(option: Option) -> None:
    """Its least and its greatest value are taken, and what lies beyond them is refused by name."""
    for limit in (option.low, option.high):
        assert option.convert(limit) == limit
    for beyond, words in ((2 * option.high + 1, "at most"), (option.low - 1, "at least")):
        with pytest.raises(ConfigError, match=f"option '{option.name}' must be {words} "):
            option.convert(beyond)
