"""Names of data files, and patterns that stand for several: what a shell would do with them, where it did not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from glob import glob, has_magic

from heterodyne.errors import DataError


def expanded(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each pattern (``runs/*.h5``, ``**`` for folders) in place of which stand the files that it matches.

    They are sorted, numbers by their value. What exists under its own name is no pattern, and a file that several
    patterns match is taken once. Raises `DataError` for a pattern that matches nothing.
    """
    found: list[str] = []
    for name in names:
        if not _is_pattern(name):
            found.append(name)
            continue
        files = sorted((path for path in glob(name, recursive=True) if os.path.isfile(path)), key=_natural)
        if not files:
            raise DataError(f"no file matches {name}")
        found += [path for path in files if path not in found]
    return tuple(found)


def _is_pattern(name: str) -> bool:
    return has_magic(name) and not os.path.lexists(name)


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which run2 comes before run10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name)]
