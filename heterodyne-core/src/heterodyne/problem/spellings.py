"""Values as people spell them, in Python, in YAML or on the command line, and what they mean.

``40:50`` and ``[40, 50]`` are one range, ``v0=1000`` and ``{v0: 1000}`` one mapping, ``1e4`` and ``"1e4"`` one
number. What means nothing raises `ValueError`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any


def as_number(value: Any) -> float:
    """A finite number, from a number or from text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return number


def as_whole(value: Any) -> int:
    """A whole number, 0 or more, from a number or from text."""
    try:
        number = as_number(value)
    except ValueError:
        number = math.nan
    if not (number % 1 == 0 and number >= 0):
        raise ValueError(f"{value!r} is not a whole number, 0 or more")
    return int(number)


def as_range(value: Any) -> tuple[float, float]:
    """Two numbers, from ``LO:HI`` or a pair."""
    ends = value.split(":") if isinstance(value, str) else value
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise ValueError(f"{value!r} is not a range LO:HI")
    return as_number(ends[0]), as_number(ends[1])


def as_bounds(value: Any) -> tuple[float | None, float | None]:
    """Two ends, from ``LO:HI`` or a pair, None for one that is missing, None or infinite."""
    ends = [part.strip() for part in value.split(":")] if isinstance(value, str) else value
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise ValueError(f"{value!r} is not a range LO:HI")
    low, high = (
        None if end in (None, "", endless) else as_number(end)
        for end, endless in zip(ends, (-math.inf, math.inf), strict=True)
    )
    if low is None and high is None:
        raise ValueError(f"{value!r} names neither end of a range LO:HI")
    return low, high


def as_list(value: Any) -> list[Any]:
    """A list, also from one item alone."""
    is_several = isinstance(value, Iterable) and not isinstance(value, str | Mapping)
    return list(value) if is_several else [value]


def as_mapping(value: Any) -> dict[str, Any]:
    """A mapping, also from ``NAME=VALUE`` or a list of them; a name alone has the value None."""
    if value is None or isinstance(value, Mapping):
        return dict(value or {})
    pairs: dict[str, Any] = {}
    for item in as_list(value):
        name, equals, text = (part.strip() for part in str(item).partition("="))
        if name in pairs:
            raise ValueError(f"{name!r} is given twice")
        pairs[name] = text if equals else None
    return pairs


def as_assignments(value: Any) -> dict[str, Any]:
    """A mapping in which every name has a value, also from ``NAME=VALUE`` or a list of them."""
    pairs = as_mapping(value)
    for name, assigned in pairs.items():
        if assigned is None:
            raise ValueError(f"{name!r} has no value; write NAME=VALUE")
    return pairs
