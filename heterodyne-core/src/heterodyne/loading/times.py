"""Which of two times counts: what the user gives or what the file says."""

from __future__ import annotations

import warnings

import numpy as np

_SAME = 1e-6  # relative; a float32 frame time is not a discrepancy


def settled(
    name: str, given: float | None, stated: float, source: str, known: bool = True
) -> tuple[float, str]:
    """The value in s to use and its source: the one given, with a warning if the file states another.

    ``known`` is False where ``stated`` is only what is assumed if neither says anything.
    """
    if given is None or (known and given == stated):
        return stated, source
    if not known or not np.isfinite(stated) or abs(given - stated) <= _SAME * abs(stated):
        return given, "given"
    warnings.warn(f"{name} = {given:g} s as given, not {stated:g} s as in the file ({source})", stacklevel=2)
    return given, f"given; the file says {stated:g} s ({source})"
