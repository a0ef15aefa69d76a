"""Checks of one two-time matrix on its way into a fit: shape, dtype, finite values, dark frames."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from heterodyne.errors import DataError

FEWEST_FRAMES = 3
"""Two lags from one frame: fewer frames cannot tell contrast from offset."""

_LARGEST = 1e50
"""Sums of squares of larger values would overflow, and c2 is of order 1."""


def numbers(name: str, values: ArrayLike) -> np.ndarray:
    """``values`` as an array of float64; raises `DataError` naming them where they are not numbers."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"{name} must hold numbers, not {values!r}") from None


def number(name: str, value: object) -> float:
    """``value`` as one float; raises `DataError` naming it where it is not a number."""
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise DataError(f"{name} must be a number, not {value!r}")


def square(matrix: np.ndarray) -> np.ndarray:
    """The matrix as a real (frames, frames) array, (1, F, F) being one too; else raises `DataError`."""
    values = np.asarray(matrix)
    if values.ndim > 2:
        values = values.reshape([n for n in values.shape if n != 1] or [1])
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise DataError(f"a two-time matrix must be square, not of shape {np.shape(matrix)}")
    if values.dtype.kind not in "fiu":
        raise DataError(f"a two-time matrix must hold real numbers, not {values.dtype}")
    return values


def checked(matrix: np.ndarray, mask: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """The matrix as native float32 or float64, and the frames (frames,) to use: ``mask`` less the dark ones.

    A dark frame had no counts: its correlation with every other used frame is 0. (A zero on the diagonal
    alone says nothing, as some writers blank the diagonal.) Values of unused frames that are not finite
    come back as 0, so that 0 · NaN cannot spread. ``where`` names file and bin in the messages. Raises
    `DataError` if shape or dtype is wrong, a value between used frames is NaN or infinite, or fewer than
    3 frames are left, the values between used frames are all the same, or too large to be squared.
    """
    try:
        values = square(matrix)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    if len(values) != len(mask):
        raise DataError(f"{where}: the matrix has {len(values)} frames, its time axis {len(mask)}")
    single = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    values = values.astype(np.float32 if single else np.float64, copy=False)
    use = np.array(mask, dtype=bool)
    sums = _row_sums(values, use)
    if not np.isfinite(sums).all():
        values = _without_unused_gaps(values, use, where)
        sums = _row_sums(values, use)
    use[_dark(values, use, sums)] = False
    if use.sum() < FEWEST_FRAMES:
        raise DataError(
            f"{where}: {use.sum()} of {len(use)} frames are neither masked nor dark (zero counts); "
            f"at least {FEWEST_FRAMES} are needed"
        )
    _check_signal(values if use.all() else values[np.ix_(use, use)], where)
    return values, use


def _check_signal(used: np.ndarray, where: str) -> None:
    largest = float(max(used.max(), -used.min()))
    if largest > _LARGEST:
        raise DataError(f"{where}: c2 reaches {largest:g}: it is not normalised (c2 is 1 without correlation)")
    level = used[0, 1]
    rounding = 4.0 * np.finfo(used.dtype).eps * abs(level)
    constant = np.ptp(used[0, 1:]) <= rounding and np.ptp(used[np.triu_indices(len(used), 1)]) <= rounding
    if constant:
        raise DataError(f"{where}: c2 is {level:g} at every pair of frames: there is no correlation to fit")


def _row_sums(values: np.ndarray, use: np.ndarray) -> np.ndarray:
    # one BLAS pass finds both every value that is not finite (also where use is 0) and the rows of zeros
    with np.errstate(invalid="ignore", over="ignore"):
        return values @ use.astype(values.dtype)


def _without_unused_gaps(values: np.ndarray, use: np.ndarray, where: str) -> np.ndarray:
    gaps = ~np.isfinite(values)
    wrong = gaps & use & use[:, None]
    count = int(wrong.sum())
    if count:
        first, second = np.unravel_index(int(wrong.argmax()), wrong.shape)
        kind = "NaN" if np.isnan(values[first, second]) else "infinite"
        more = f" and at {count - 1} more places" if count > 1 else ""
        raise DataError(
            f"{where}: c2 is {kind} at frames ({first + 1}, {second + 1}) of those read{more}; "
            "select frames without them or mask them"
        )
    return np.where(gaps, values.dtype.type(0), values)


def _dark(values: np.ndarray, use: np.ndarray, sums: np.ndarray) -> list[int]:
    candidates = np.flatnonzero(use & (sums == values.diagonal()))
    others = use.copy()
    dark = []
    for frame in candidates:
        others[frame] = False
        if not values[frame, others].any():
            dark.append(int(frame))
        others[frame] = True
    return dark
