"""Times of the stored frames, by the settings of the correlator and the frame time of the detector."""

from __future__ import annotations

import h5py

from heterodyne.data.selection import Selection
from heterodyne.loading.fields import whole
from heterodyne.loading.frame_clock import Clock, Stated, check_enough, clock_of, count_of, period_of

_CONFIG = "xpcs/twotime/config"
_DETECTOR = "entry/instrument/detector_1"


def read_clock(file: h5py.File, given: Selection, frames: int) -> Clock:
    """The times of so many stored frames; raises `DataError` where they are unknown and not given, or contradictory."""
    stride, average = (count_of(file, f"{_CONFIG}/{name}") for name in ("stride_frame", "avg_frame"))
    begin = whole(file, f"{_CONFIG}/begin_frame")
    if given.dt is None:
        _check_range(file, begin, (stride.value or 1) * (average.value or 1), frames)
    period = period_of(file, f"{_DETECTOR}/frame_time", f"{_DETECTOR}/count_time", given.dt)
    wrong = "" if begin is None or begin >= 0 else "counts from the end"
    first = Stated("begin_frame", begin, wrong)
    return clock_of(file, given, period, stride, average, first, counted_from=0)


def _check_range(file: h5py.File, begin: int | None, per_frame: int, frames: int) -> None:
    """Raises `DataError` if the range of raw frames cannot make so many stored ones."""
    end = whole(file, f"{_CONFIG}/end_frame")
    if begin is None or end is None or begin < 0 or end <= 0:
        return  # counted from the end of a recording of unknown length
    said = f"begin_frame {begin} to end_frame {end} in {_CONFIG}"
    check_enough(file, frames, per_frame, end - begin, said)
