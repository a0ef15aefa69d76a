"""What is stated of bins and times: impossible values and facts that contradict one another are refused."""

from __future__ import annotations

import numpy as np

from heterodyne.data.validation import number
from heterodyne.errors import DataError

SPACINGS = (1e-15, 1e9)
"""The spacing of frames, in s: from far below what any source resolves to decades."""

LATEST = 1e12
"""The greatest time, in s: powers of it up to the models' exponents stay finite."""

_Q = (1e-9, 100.0)
"""The wave-vector transfer, in Å⁻¹: from structures of a millimetre to back-scattering at 100 keV."""

_SAME = 0.01
"""Of the spacing of frames: what times in float32 and rounded clocks differ by."""


def check_bins(q: np.ndarray, phi: np.ndarray, dq: np.ndarray, dphi: np.ndarray) -> None:
    """Raise `DataError` for q, phi or full widths per bin that cannot be; phi and widths may be NaN."""
    check_q(q)
    if (wrong := np.abs(phi) > 720.0).any():
        raise DataError(
            f"phi must lie in -720 to 720 (in degrees), or be NaN for a ring, not {phi[wrong][0]:g}"
        )
    if (wrong := (dq < 0) | (dq > 2.0 * q)).any():
        raise DataError(
            f"dq = {dq[wrong][0]:g} is no full width of a bin at q = {q[wrong][0]:g} (in Å⁻¹): "
            "it lies in 0 to 2 q, or is NaN where it is unknown"
        )
    if (wrong := (dphi < 0) | (dphi > 360.0)).any():
        raise DataError(
            f"dphi = {dphi[wrong][0]:g} is no full width of a bin (in degrees): it lies in 0 to 360, or is NaN "
            "where it is unknown"
        )


def check_q(q: np.ndarray) -> None:
    """Raise `DataError` for q (bins,) in Å⁻¹ that cannot be."""
    if (wrong := ~(np.isfinite(q) & (q > 0))).any():
        raise DataError(f"q must be positive and finite (in Å⁻¹), not {q[wrong][0]:g}")
    if (wrong := (q < _Q[0]) | (q > _Q[1])).any():
        raise DataError(f"q must lie in {_Q[0]:g}:{_Q[1]:g} (in Å⁻¹), not {q[wrong][0]:g}")


def spacing(value: object) -> float:
    """``value`` as the spacing of frames in s; raises `DataError` for what is none."""
    dt = number("dt", value)
    if not dt > 0:
        raise DataError(f"dt must be positive (in s), not {dt:g}")
    if not SPACINGS[0] <= dt <= SPACINGS[1]:
        raise DataError(f"dt must lie in {SPACINGS[0]:g}:{SPACINGS[1]:g} s, not {dt:g}")
    return dt


def check_times(t: np.ndarray) -> None:
    """Raise `DataError` unless ``t`` holds at least 3 positive, increasing frame times."""
    if len(t) < 3:
        raise DataError(f"{len(t)} frames are too few: at least 3 are needed")
    if t.ndim != 1 or not np.all(np.isfinite(t)) or t[0] <= 0 or np.any(np.diff(t) <= 0):
        raise DataError("frame times must be positive and increasing (t_k = k dt + age, k from 1)")
    if t[-1] > LATEST:
        raise DataError(f"frame times must lie below {LATEST:g} s, not reach {t[-1]:g}")


def check_lags(tau: np.ndarray) -> None:
    """Raise `DataError` unless ``tau`` (lags,), in s, holds at least 3 positive, increasing lags."""
    if tau.ndim != 1 or not np.all(np.isfinite(tau)) or np.any(np.diff(tau) <= 0) or (tau[:1] <= 0).any():
        raise DataError("lags must be positive, finite and increasing (in s); leave the lag 0 out")
    if len(tau) < 3:
        raise DataError(f"{len(tau)} lags are too few: at least 3 are needed")
    if not SPACINGS[0] <= tau[0] <= tau[-1] <= LATEST:
        raise DataError(
            f"lags must lie in {SPACINGS[0]:g}:{LATEST:g} s, not {tau[0]:g}:{tau[-1]:g}: are they in s?"
        )


def check_clock(t: np.ndarray, dt: float, age: float) -> None:
    """Raise `DataError` for frame times, a spacing and an age (in s) that cannot be, or contradict one another."""
    spacing(dt)
    if not abs(age) <= LATEST:
        raise DataError(f"age must lie in {-LATEST:g}:{LATEST:g} s, not {age:g}")
    check_times(t)
    if not is_spacing(t, dt):
        raise DataError(f"dt = {dt:g} s contradicts t: the frames are {np.median(np.diff(t)):g} s apart")
    if not is_age(t, dt, age):
        raise DataError(
            f"age = {age:g} s contradicts t: the first frame is at {t[0]:g} s, which is age + dt (dt = {dt:g} s)"
        )


def is_spacing(t: np.ndarray, dt: float) -> bool:
    """Whether some frames are dt apart, or dt lies among the spacings of half of them, as with a clock that jitters."""
    steps = np.diff(t)
    low, high = np.quantile(steps, (0.25, 0.75))
    close = _SAME * dt + _rounding(t)
    return bool(low - close <= dt <= high + close or np.abs(steps - dt).min() <= close)


def spacing_within(t: np.ndarray, dt: float) -> float:
    """``dt``, or the median spacing of a part of the frames in which none are dt apart."""
    return dt if len(t) < 2 or is_spacing(t, dt) else float(np.median(np.diff(t)))


def is_age(t: np.ndarray, dt: float, age: float) -> bool:
    """Whether the first frame is at age + dt."""
    return abs(t[0] - dt - age) <= _SAME * dt + _rounding(t)


def _rounding(t: np.ndarray) -> float:
    """What times in float32 are off by."""
    return 2.0 * float(np.finfo(np.float32).eps) * float(np.abs(t).max())
