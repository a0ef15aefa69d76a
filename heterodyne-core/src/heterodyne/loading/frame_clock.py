"""Times of stored frames that are means of raw ones.

With stride s and average a, stored frame k, from 1, is the mean of the a raw frames n0 + (k - 1) s a + j s, j from 0.
Raw frame n, from 0, has the time (n + 1) τ with τ the frame period, and a stored frame the mean of its own:
t_k = k dt + age with dt = s a τ and age = (n0 + 1 - s (a + 1) / 2) τ.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import h5py
import numpy as np

from heterodyne.data.selection import Selection
from heterodyne.errors import DataError
from heterodyne.loading.fields import in_unit, whole
from heterodyne.loading.times import settled

_LONGEST = 1e6  # s, 12 days
_PLACEHOLDER = 1.0  # s; what control systems write when nobody set the frame time
_ROUNDING = 1e-3  # relative; period and exposure are rounded to float32 and to clock ticks


@dataclass(frozen=True)
class Clock:
    """dt and the age before the first stored frame in s, and where they come from."""

    dt: float
    age: float
    sources: dict[str, Any]

    def times(self, frames: int) -> np.ndarray:
        """The times of so many stored frames, (frames,), in s."""
        return self.age + self.dt * np.arange(1, frames + 1)


class Period(NamedTuple):
    """The period of raw frames in s (NaN if unusable), its name in the file, what is doubtful ("" if nothing is).

    ``exposure`` in s, None if the file does not say.
    """

    name: str
    value: float
    doubt: str
    exposure: float | None


class Stated(NamedTuple):
    """A whole number of a file: its name there, and its value, None if the file has none; why it tells nothing."""

    name: str
    value: int | None
    wrong: str = ""


def last_name(key: str) -> str:
    """The last part of the path of a field."""
    return key.rpartition("/")[2]


def count_of(file: h5py.File, key: str) -> Stated:
    """A number of raw frames; raises `DataError` unless it is at least 1."""
    value = whole(file, key)
    if value is not None and value < 1:
        raise DataError(f"{file.filename}: {key} is {value}, but must be at least 1")
    return Stated(last_name(key), value)


def period_of(file: h5py.File, key: str, exposure_key: str, given_dt: float | None) -> Period:
    """The period of raw frames; raises `DataError` if it is unusable and dt, between stored frames, is not given."""
    period, exposure = (in_unit(file, one, "time", "s") for one in (key, exposure_key))
    name, exposure_name = last_name(key), last_name(exposure_key)
    usable = period is not None and 0.0 < period < _LONGEST
    wrong = doubt = ""
    if period is None:
        wrong = f"there is no {key}"
    elif not usable:
        wrong = f"{name} is {period:g} s"
    elif exposure is not None and period < exposure * (1 - _ROUNDING):
        wrong = f"{name} {period:g} s is shorter than {exposure_name} {exposure:g} s"
    elif period == _PLACEHOLDER:
        doubt = f"{name} is {period:g} s, which is often a placeholder"
    if given_dt is None and wrong:
        raise DataError(f"{file.filename}: {wrong}; give dt, the time between stored frames, in s")
    if given_dt is None and doubt:
        warnings.warn(f"{file.filename}: {doubt}; give dt if that is wrong", stacklevel=2)
    return Period(name, period if usable and period is not None else np.nan, wrong or doubt, exposure)


def check_enough(file: h5py.File, frames: int, per_frame: int, raw: int, said: str) -> None:
    """Raises `DataError` if so many ``raw`` frames, which the file names as ``said``, cannot make the stored ones."""
    if frames * per_frame > raw:
        raise DataError(
            f"{file.filename}: {frames} frames, each for {per_frame} raw ones, do not come from {said}; "
            "give dt, the time between stored frames, in s"
        )


def clock_of(
    file: h5py.File,
    given: Selection,
    period: Period,
    stride: Stated,
    average: Stated,
    begin: Stated,
    counted_from: int,
) -> Clock:
    """The times of frames whose first begins at raw frame ``begin``, counted from 0 or 1.

    Raises `DataError` if the age is needed, as ``begin`` is wrong, and not given.
    """
    s, a = stride.value or 1, average.value or 1
    words = "".join(f" × {name} {value or '1 (not in the file)'}" for name, value, _ in (stride, average))
    source = f"{period.name}{words}" + (f" ({period.doubt})" if period.doubt else "")
    dt, dt_source = settled("dt", given.dt, period.value * s * a, source)
    first = counted_from if begin.value is None else begin.value
    age = (first - counted_from + 1 - s * (a + 1) / 2) * dt / (s * a)
    age_source = _age_source(begin, counted_from, s, a)
    if begin.wrong:
        if given.age is None:
            raise DataError(
                f"{file.filename}: {begin.name} = {begin.value} {begin.wrong}: the file does not tell how many "
                "frames came before, so the age is unknown; give it, in s, by --age or age="
            )
        age, age_source = given.age, f"given, as {begin.name} {begin.value} {begin.wrong}"
    sources = {"dt_source": dt_source, "age_source": age_source, "count_time": period.exposure}
    return Clock(dt, age, {name: value for name, value in sources.items() if value not in ("", None)})


def _age_source(begin: Stated, counted_from: int, stride: int, average: int) -> str:
    """Where the age comes from, "" if the file has none."""
    averaged = ", mean of the raw frames" if average > 1 else ", first of the stride" if stride > 1 else ""
    if begin.value is None:
        return f"{begin.name} is not in the file, taken as {counted_from}{averaged}" if averaged else ""
    return f"{begin.name} {begin.value} (counted from {counted_from}) × frame period{averaged}"
