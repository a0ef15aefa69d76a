"""Tables as text for people, and as comma-separated values for figures."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from heterodyne.errors import escaped


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The rows under their header, columns aligned, control characters escaped."""
    cells = [[escaped(str(cell)) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def significant(value: float, error: float) -> str:
    """``value +/- error`` with two digits of the error, which is above 0, and the value to the same place."""
    place = _second_digit(error)
    if not _is_plain(max(abs(value), error)):
        return f"{_to_place(value, place)} +/- {error:.2g}"
    return " +/- ".join(f"{round(number, place) + 0.0:.{max(place, 0)}f}" for number in (value, error))


def between(low: float, high: float, error: float) -> str:
    """``[low, high]`` to the place of the second digit of an error, which is above 0, or of their own first digit."""
    place = _second_digit(error)
    ends = [_to_place(end, max(place, _second_digit(end) - 1) if end else place) for end in (low, high)]
    return f"[{', '.join(ends)}]"


def to_error(value: float, error: float) -> str:
    """The value to the place of the second digit of its error, which is above 0."""
    return _to_place(value, _second_digit(error))


def _second_digit(number: float) -> int:
    """The decimal place of the second digit of a number."""
    return 1 - int(f"{number:.1e}".partition("e")[2] or 0)


def _is_plain(size: float) -> bool:
    return 1e-4 <= size < 1e7


def _to_place(number: float, place: int) -> str:
    """The number to this decimal place, with an exponent where it is very large or small."""
    if not math.isfinite(number) or number == 0.0:
        return f"{number:g}"
    if _is_plain(abs(number)):
        return f"{round(number, place) + 0.0:.{max(place, 0)}f}"
    return f"{number:.{max(place - _second_digit(number) + 1, 0)}e}"


def as_utf8(name: str) -> str:
    """The name of a file as text that UTF-8 can hold: a byte that is none of it as in ``bad\\xff.h5``."""
    bytes_shown = re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", name)
    return bytes_shown.encode("utf-8", "backslashreplace").decode("utf-8")


_SHOWN = 6  # bins and spans of frames named in one line


def listed(names: Sequence[str]) -> str:
    """The names as in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def spans(numbers: Sequence[int]) -> list[str]:
    """Rising whole numbers as ``first:last`` where they follow one another, else one by one."""
    among = set(numbers)
    starts = [number for number in numbers if number - 1 not in among]
    ends = [number for number in numbers if number + 1 not in among]
    return [f"{a}" if a == b else f"{a}:{b}" for a, b in zip(starts, ends, strict=True)]


def first_listed(labels: Sequence[str]) -> str:
    """The first six of the labels, and how many more there are."""
    shown = listed(labels[:_SHOWN])
    return shown if len(labels) <= _SHOWN else f"{shown} and {len(labels) - _SHOWN} more"
