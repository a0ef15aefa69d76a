"""Times of the stored frames.

With stride s and average a, stored frame k, from 1, is the mean of the a raw frames begin + (k - 1) s a + j s, j from
0. Raw frame n, from 0, has the time (n + 1) τ with τ the frame time, and a stored frame the mean of its own:
t_k = k dt + age with dt = s a τ and age = (begin + 1 - s (a + 1) / 2) τ.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from heterodyne.data.selection import Selection
from heterodyne.errors import DataError
from heterodyne.loading.hdf5 import numbers
from heterodyne.loading.layouts.aps_u.fields import in_unit
from heterodyne.loading.times import settled

_CONFIG = "xpcs/twotime/config"
_DETECTOR = "entry/instrument/detector_1"

_MOST_FRAMES = 10**9  # raw ones: no recording has more
_LONGEST = 1e6  # s, 12 days
_PLACEHOLDER = 1.0  # s; what control systems write when nobody set the frame time
_ROUNDING = 1e-3  # relative; frame time and exposure are rounded to float32 and to clock ticks


@dataclass(frozen=True)
class Clock:
    """dt and the age before the first stored frame in s, and where they come from."""

    dt: float
    age: float
    sources: dict[str, Any]

    def times(self, frames: int) -> np.ndarray:
        """The times of so many stored frames, (frames,), in s."""
        return self.age + self.dt * np.arange(1, frames + 1)


def read_clock(file: h5py.File, given: Selection, frames: int) -> Clock:
    """The times of so many stored frames; raises `DataError` where they are unknown and not given, or contradictory."""
    stride, average = (_count(file, name) for name in ("stride_frame", "avg_frame"))
    words = "".join(
        f" × {name} {value or '1 (not in the file)'}"
        for name, value in (("stride_frame", stride), ("avg_frame", average))
    )
    s, a = stride or 1, average or 1
    if given.dt is None:
        _check_range(file, s * a, frames)
    period, doubt = _frame_time(file, given.dt)
    source = f"frame_time{words}" + (f" ({doubt})" if doubt else "")
    dt, dt_source = settled("dt", given.dt, period * s * a, source)
    age, age_source = _age(file, given.age, s, a, dt / (s * a))
    sources = {
        "dt_source": dt_source,
        "age_source": age_source,
        "count_time": in_unit(file, f"{_DETECTOR}/count_time", "time", "s"),
    }
    return Clock(dt, age, {name: value for name, value in sources.items() if value not in ("", None)})


def _check_range(file: h5py.File, per_frame: int, frames: int) -> None:
    """Raises `DataError` if the range of raw frames cannot make so many stored ones."""
    begin, end = (_whole(file, f"{which}_frame") for which in ("begin", "end"))
    if begin is None or end is None or begin < 0 or end <= 0:
        return  # counted from the end of a recording of unknown length
    if frames * per_frame > end - begin:
        raise DataError(
            f"{file.filename}: {frames} frames, each for {per_frame} raw ones, do not come from begin_frame {begin} "
            f"to end_frame {end} in {_CONFIG}; give dt, the time between stored frames, in s"
        )


def _age(file: h5py.File, given: float | None, stride: int, average: int, period: float) -> tuple[float, str]:
    """The age and its source, "" where the file has none."""
    begin = _whole(file, "begin_frame")
    if begin is not None and begin < 0:
        if given is None:
            raise DataError(
                f"{file.filename}: begin_frame = {begin} counts from the end of a recording whose length is not in "
                "the file: the age is unknown; give it, in s, by --age or age="
            )
        return given, f"given, as begin_frame {begin} counts from the end"
    age = ((begin or 0) + 1 - stride * (average + 1) / 2) * period
    averaged = ", mean of the raw frames" if average > 1 else ", first of the stride" if stride > 1 else ""
    if begin is None:
        return age, f"begin_frame is not in the file, taken as 0{averaged}" if averaged else ""
    return age, f"begin_frame {begin} (counted from 0) × frame period{averaged}"


def _count(file: h5py.File, name: str) -> int | None:
    """How many raw frames; None if the file does not say."""
    value = _whole(file, name)
    if value is not None and value < 1:
        raise DataError(f"{file.filename}: {_CONFIG}/{name} is {value}, but must be at least 1")
    return value


def _whole(file: h5py.File, name: str) -> int | None:
    key = f"{_CONFIG}/{name}"
    if key not in file:
        return None
    values = numbers(file, key, np.int64)
    if len(values) != 1:
        raise DataError(f"{file.filename}: {key} must be one number, not {len(values)}")
    if abs(values[0]) >= _MOST_FRAMES:
        raise DataError(f"{file.filename}: {key} is {values[0]}, more frames than any recording has")
    return int(values[0])


def _frame_time(file: h5py.File, given_dt: float | None) -> tuple[float, str]:
    """The frame time in s, NaN if it is unusable and dt given, and what is doubtful about it ("" if nothing is)."""
    period, exposure = (
        in_unit(file, f"{_DETECTOR}/{name}", "time", "s") for name in ("frame_time", "count_time")
    )
    usable = period is not None and 0.0 < period < _LONGEST
    wrong = doubt = ""
    if period is None:
        wrong = f"there is no {_DETECTOR}/frame_time"
    elif not usable:
        wrong = f"frame_time is {period:g} s"
    elif exposure is not None and period < exposure * (1 - _ROUNDING):
        wrong = f"frame_time {period:g} s is shorter than count_time {exposure:g} s"
    elif period == _PLACEHOLDER:
        doubt = f"frame_time is {period:g} s, which is often a placeholder"
    if given_dt is None and wrong:
        raise DataError(f"{file.filename}: {wrong}; give dt, the time between stored frames, in s")
    if given_dt is None and doubt:
        warnings.warn(f"{file.filename}: {doubt}; give dt if that is wrong", stacklevel=2)
    return period if usable and period is not None else np.nan, wrong or doubt
