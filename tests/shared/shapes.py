"""What checks the types and shapes in annotations while tests run; conftest.py switches it on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPepUnsupportedException

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as for other type checkers


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its checks; without them where it hands on a generic NamedTuple, unknown to beartype."""
    try:
        return _check(function)
    except BeartypeDecorHintPepUnsupportedException as error:
        if "NamedTuple" not in str(error):
            raise
        return function
