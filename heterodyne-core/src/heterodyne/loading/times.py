"""Which times count: what the user gives or what the file says, and what if the file contradicts itself."""

from __future__ import annotations

import warnings

import numpy as np

from heterodyne.data.facts import check_times, is_age, is_spacing
from heterodyne.errors import DataError

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


def reconciled(
    t: np.ndarray, dt: float | None, age: float | None, given_dt: float | None, given_age: float | None
) -> tuple[np.ndarray, float, float]:
    """t, dt and age as a file states them, or rebuilt from what is given where they contradict one another.

    dt and age that the file does not state (None) are those of t. Raises `DataError` for times that are not
    increasing and for a contradiction in what is not given.
    """
    check_times(t - t[:1].sum() + 1.0)  # times that begin at 0 are mended below
    dt = float(np.median(np.diff(t))) if dt is None else dt
    if not is_spacing(t, dt):
        spacing = np.median(np.diff(t))
        if given_dt is None:
            raise DataError(
                f"the file says dt = {dt:g} s, but its frames are {spacing:g} s apart: give the right one with "
                "--dt (in Python dt=)"
            )
        warnings.warn(
            f"the frame times of the file, {spacing:g} s apart, give way to dt = {given_dt:g} s", stacklevel=2
        )
        age = given_age if given_age is not None else age or 0.0
        return age + given_dt * np.arange(1, len(t) + 1), given_dt, age
    age = _age_of(t, dt) if age is None else age
    if t[0] > 0 and is_age(t, dt, age):
        return t, dt, age
    if given_age is None:
        raise DataError(
            f"the file says age = {age:g} s and dt = {dt:g} s, but its first frame is at {t[0]:g} s, which must be "
            "age + dt and positive: give the age with --age (in Python age=)"
        )
    return t - t[0] + dt + given_age, dt, given_age


def _age_of(t: np.ndarray, dt: float) -> float:
    """t[0] - dt, 0 where only rounding is left of it."""
    age = float(t[0]) - dt
    return 0.0 if abs(age) < _SAME * dt else age
