"""Checks of one two-time matrix on its way into a fit: shape, dtype, finite values, dark frames."""

from __future__ import annotations

import math
import reprlib
import warnings
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from heterodyne.errors import DataError, EmptyBin
from heterodyne.words import first_listed, spans

FEWEST_FRAMES = 3
"""Two lags from one frame: fewer frames cannot tell contrast from offset."""

FEWEST_PAIRS = 3
"""What 3 frames make."""

_WIDEST = 1e12
"""The largest weight over the smallest: beyond it, rounding of the large drowns the small."""

_FEWEST_PHOTONS, _MOST_PHOTONS = 1.8, 1e3
"""Photons in common pixels of two frames: with fewer, c2 is no more uneven; of more, none is 0."""

_MOST_UNEVEN = 12.0
"""The largest c2 over the mean of few photons: single wild values would pass for these."""

LARGEST = 1e50
"""Sums of squares of larger values would overflow, and c2 is of order 1."""


def numbers(name: str, values: ArrayLike) -> np.ndarray:
    """``values`` as an array of float64; raises `DataError` naming them where they are not numbers.

    Truth values, text, complex numbers, durations and masked values are none.
    """
    try:
        given = np.asarray(values)
    except (ValueError, OverflowError):  # lists of unequal lengths, whole numbers beyond 1e308
        raise DataError(f"{name} must hold numbers, not {values!r}") from None
    if not given.size:
        return np.zeros(given.shape)
    if given.dtype.kind not in "iuf":
        raise DataError(f"{name} must hold numbers, not {given.dtype}: {reprlib.repr(given.tolist())}")
    if np.ma.is_masked(values):
        raise DataError(f"{name} has masked values: every bin and frame needs its own")
    return given.astype(float)


def number(name: str, value: object) -> float:
    """``value`` as one float; raises `DataError` naming it where it is not a number."""
    try:
        if isinstance(value, Real) and not isinstance(value, bool | np.timedelta64):
            return float(value)
    except OverflowError:
        raise DataError(f"{name} must be a number, not one beyond 1e308") from None
    raise DataError(f"{name} must be a number, not {value!r}")


def frame_mask(given: ArrayLike) -> np.ndarray:
    """Which frames to use as truth values; raises `DataError` for anything but those, 0 and 1."""
    values = np.asarray(given)
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all() or np.ma.is_masked(given):
        raise DataError("mask must be True for frames to use and False for others")
    return values.astype(bool)


def square(matrix: np.ndarray) -> np.ndarray:
    """The matrix as a real (frames, frames) array, (1, F, F) being one too; else raises `DataError`."""
    values = np.asarray(_filled_with_nan(matrix))
    if values.ndim > 2:
        values = values.reshape([n for n in values.shape if n != 1] or [1])
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise DataError(f"a two-time matrix must be square, not of shape {np.shape(matrix)}")
    kept_dtype(values.dtype)
    return values


def _filled_with_nan(matrix: np.ndarray) -> np.ndarray:
    """A masked array with NaN where it hides values; any other array as it is."""
    if isinstance(matrix, np.ma.MaskedArray):
        return np.ma.filled(matrix.astype(kept_dtype(matrix.dtype)), np.nan)
    return matrix


def kept_dtype(dtype: np.dtype) -> type[np.floating]:
    """The native type for stored values: float32 for floats of at most 4 bytes, else float64.

    Raises `DataError` for a type that is not real.
    """
    if dtype.kind not in "fiu":
        raise DataError(f"a two-time matrix must hold real numbers, not {dtype}")
    return np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64


def pair_list(given: ArrayLike, bins: int, frames: int) -> np.ndarray:
    """Single pairs to leave out as whole numbers (n, 3): rows [bin, i, j] with i < j, sorted, each once.

    Pairs of a frame with itself are dropped, as the diagonal is never used. Raises `DataError` for what is
    no list of such rows and for bins or frames that do not exist.
    """
    rows = np.asarray(given)
    if not rows.size:
        return np.zeros((0, 3), dtype=np.int64)
    if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype.kind not in "iu":
        raise DataError(
            f"bad_pairs must be whole numbers in rows [bin, frame, frame], not {rows.dtype} of {rows.shape}"
        )
    for name, values, count in (("bin", rows[:, 0], bins), ("frame", rows[:, 1:], frames)):
        if values.min() < 0 or values.max() >= count:
            wrong = values.min() if values.min() < 0 else values.max()
            raise DataError(f"bad_pairs names {name} {wrong}; counted from 0, there are {count}")
    rows = np.unique(np.column_stack([rows[:, 0], np.sort(rows[:, 1:], axis=1)]), axis=0).astype(np.int64)
    return rows[rows[:, 1] < rows[:, 2]]


def weights(given: ArrayLike, bins: int, frames: int) -> np.ndarray:
    """Weights as float64, per frame (bins, frames) or per pair (bins, frames, frames).

    Raises `DataError` for other shapes, negative or infinite values, and pairs of unequal halves.
    """
    values = numbers("weight", given)
    if values.shape not in ((bins, frames), (bins, frames, frames)):
        raise DataError(
            f"weight must have shape {(bins, frames)}, one per frame, or {(bins, frames, frames)}, "
            f"one per pair, not {values.shape}"
        )
    if not np.all(np.isfinite(values) & (values >= 0)):
        raise DataError("weight must hold finite numbers, 0 or more")
    smallest = values.min(initial=np.inf, where=values > 0)
    if values.max(initial=0.0) > _WIDEST * smallest:
        raise DataError(f"weight must not span more than {_WIDEST:g}, from {smallest:g} to {values.max():g}")
    if values.ndim == 3 and not np.allclose(values, values.swapaxes(1, 2), rtol=1e-6, atol=0.0):
        raise DataError("weight per pair must be symmetric: w(i, j) = w(j, i)")
    return values


def checked(
    matrix: np.ndarray, mask: np.ndarray, where: str, left_out: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The matrix as native float32 or float64, and the frames (frames,) to use: ``mask`` less those without data.

    A dark frame had no counts: its correlation with every other used frame is 0. A frame that is NaN with
    every other has no data either, and a warning names it. The diagonal is never looked at. Values of unused
    frames that are not finite come back as 0, so that 0 · NaN cannot spread, and so does whatever stands at
    the single pairs ``left_out`` (n, 2). ``where`` names file and bin in the messages. Raises `DataError` if
    shape or dtype is wrong, a value that is used is NaN or infinite, or fewer than 3 frames or 3 pairs are
    left, or the values used are all the same, exactly 0 where photons are not few, or too large to be squared.
    """
    try:
        values = square(matrix)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    if len(values) != len(mask):
        raise DataError(f"{where}: the matrix has {len(values)} frames, its time axis {len(mask)}")
    values = values.astype(kept_dtype(values.dtype), copy=False)
    use = np.array(mask, dtype=bool)
    values = values if left_out is None else _filled(values, left_out, 0.0)
    sums = _row_sums(values, use)
    if not np.isfinite(sums).all():
        values, use = _without_gaps(values, use, where)
        sums = _row_sums(values, use)
    use[_dark(values, use, sums)] = False
    if use.sum() < FEWEST_FRAMES:
        raise too_few_frames(where, use)
    compared = values
    if left_out is not None:
        compared = _filled(values, left_out, _first_used(values, use, left_out, where))
    _check_signal(compared if use.all() else compared[np.ix_(use, use)], where)
    _check_zeros(compared, use, where)
    return values, use


def _filled(values: np.ndarray, pairs: np.ndarray, level: float) -> np.ndarray:
    """A copy with ``level`` at these pairs."""
    filled = values.copy()
    first, second = pairs.T
    filled[first, second] = filled[second, first] = level
    return filled


def _first_used(values: np.ndarray, use: np.ndarray, left_out: np.ndarray, where: str) -> float:
    """The value at the first pair that is used; raises `DataError` if there are too few of them."""
    used = np.triu(use & use[:, None], 1)
    first, second = left_out.T
    used[np.minimum(first, second), np.maximum(first, second)] = False
    if (count := int(used.sum())) < FEWEST_PAIRS:
        raise too_few_pairs(where, count)
    return values.ravel()[used.argmax()]


def _check_signal(used: np.ndarray, where: str) -> None:
    pairs = _off_diagonal(used)
    largest = float(max(pairs.max(), -pairs.min()))
    if largest > LARGEST:
        raise not_normalised(where, largest)
    level = used[0, 1]
    rounding = 4.0 * np.finfo(used.dtype).eps * abs(level)
    constant = np.ptp(used[0, 1:]) <= rounding and np.ptp(used[np.triu_indices(len(used), 1)]) <= rounding
    if constant:
        raise constant_values(where, level)


def _check_zeros(values: np.ndarray, use: np.ndarray, where: str) -> None:
    """Raise `DataError` where values between frames in use are exactly 0 and not for want of photons."""
    if values.min() > 0.0:
        return
    used = np.triu(use & use[:, None], 1)
    zeros = used & (values == 0.0)
    count = int(np.count_nonzero(zeros))
    if not count:
        return
    c2 = values[used & ~zeros].astype(float)
    moments = float(c2.mean()), float(np.mean(c2**2)), float(c2.max())
    if count > most_without_photons(len(c2) + count, *moments):
        raise lost_values(where, np.flatnonzero(zeros.any(axis=0) | zeros.any(axis=1)), count)


def most_without_photons(pairs: int, mean: float, square: float, largest: float) -> float:
    """How many of so many pairs may have a c2 of 0 because their frames have no photons in a common pixel.

    Where the others have this ``mean`` and mean ``square``, c2 is taken for a number of such photons, scaled, that
    follows Poisson's distribution of mean λ: square/mean² = (1 + 1/λ)(1 - e^-λ), and e^-λ are 0. Half as many more,
    and five standard deviations, are let pass. None are where the ``largest`` is more than photons make of such a mean.
    """
    from scipy.optimize import root_scalar  # only few files need it, and all would wait for it

    if not 0.0 < largest <= _MOST_UNEVEN * mean:
        return 0.0
    ratio = square / mean**2

    def more(photons: float) -> float:
        return (1.0 + 1.0 / photons) * -math.expm1(-photons) - ratio

    if more(_MOST_PHOTONS) >= 0.0:
        return 0.0
    photons = _FEWEST_PHOTONS
    if more(photons) > 0.0:
        photons = root_scalar(more, bracket=(photons, _MOST_PHOTONS)).root
    expected = pairs * math.exp(-photons)
    return 1.5 * expected + 5.0 * math.sqrt(expected)


def _off_diagonal(matrix: np.ndarray) -> np.ndarray:
    """The values off the diagonal, (n - 1, n): in one piece of memory the diagonal is every (n + 1)th value."""
    n = len(matrix)
    return np.ascontiguousarray(matrix).reshape(-1)[1:].reshape(n - 1, n + 1)[:, :-1]


def _row_sums(values: np.ndarray, use: np.ndarray) -> np.ndarray:
    # one BLAS pass finds both every value that is not finite (also where use is 0) and the rows of zeros
    with np.errstate(invalid="ignore", over="ignore"):
        return values @ use.astype(values.dtype)


def _without_gaps(values: np.ndarray, use: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """The upper half without what is not finite, mirrored, and the frames to use less those without any value.

    Warns of such frames; raises `DataError` if other pairs of frames in use are not finite.
    """
    upper = np.triu(values, 1)
    gaps = ~np.isfinite(upper)
    upper[gaps] = 0.0
    diagonal = values.diagonal()
    whole = upper + upper.T
    np.fill_diagonal(whole, np.where(np.isfinite(diagonal), diagonal, 0.0))
    both = use & use[:, None]
    seen = with_values((upper != 0.0) & both)
    wrong = gaps & seen & seen[:, None]
    if wrong.any():
        first, second = np.unravel_index(int(wrong.argmax()), wrong.shape)
        raise gap(where, values[first, second], int(first), int(second), 2 * int(wrong.sum()))
    lost = with_values(gaps & both) & ~seen
    if lost.any():
        warn_lost(where, lost)
    return whole, use & ~lost


def warn_of_gaps(matrix: np.ndarray, mask: np.ndarray, left_out: np.ndarray, where: str) -> None:
    """Warn where values between used frames (frames,), but for the pairs ``left_out`` (n, 2), are not finite."""
    if np.isfinite(matrix.sum()):
        return
    values = matrix.astype(kept_dtype(matrix.dtype), copy=False)
    try:
        _without_gaps(_filled(values, left_out, 0.0), mask, where)
    except DataError as error:
        warnings.warn(f"written although a fit refuses it: {error}", stacklevel=2)


def with_values(pairs: np.ndarray) -> np.ndarray:
    """Which frames are in one of these pairs, (frames, frames) over the upper half."""
    return np.logical_or(pairs.any(axis=0), pairs.any(axis=1))


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


def gap(where: str, value: float, first: int, second: int, count: int) -> DataError:
    """The error for a ``value`` that is not finite at frames (first, second), one of ``count`` such places."""
    kind = "NaN" if np.isnan(value) else "infinite"
    more = f" and at {count - 1} more places" if count > 1 else ""
    return DataError(
        f"{where}: c2 is {kind} at frames ({first + 1}, {second + 1}) of those read{more}; leave frames out "
        "with --exclude-frames (in Python exclude_frames=), or list single pairs in bad_pairs, counted from 0"
    )


def warn_lost(where: str, lost: np.ndarray) -> None:
    """Warn of the frames that have no value with any other."""
    names = first_listed([str(frame + 1) for frame in np.flatnonzero(lost)])
    frames = "frame" if lost.sum() == 1 else "frames"
    warnings.warn(f"{where}: left out as NaN with every other: {frames} {names} of those read", stacklevel=3)


def too_few_frames(where: str, use: np.ndarray) -> EmptyBin:
    """The error for fewer than `FEWEST_FRAMES` frames in use."""
    return EmptyBin(
        f"{where}: {use.sum()} of {len(use)} frames are neither masked nor dark (zero counts) nor NaN; "
        f"at least {FEWEST_FRAMES} are needed"
    )


def too_few_pairs(where: str, count: int) -> EmptyBin:
    """The error for fewer than `FEWEST_PAIRS` pairs in use."""
    return EmptyBin(f"{where}: {count} pairs of frames are left; at least {FEWEST_PAIRS} are needed")


def not_normalised(where: str, largest: float) -> DataError:
    """The error for values beyond `LARGEST`."""
    return DataError(f"{where}: c2 reaches {largest:g}: it is not normalised (c2 is 1 without correlation)")


def lost_values(where: str, frames: np.ndarray, count: int) -> DataError:
    """The error for ``count`` pairs of values of exactly 0 between frames in use, which are among ``frames``."""
    names = first_listed(spans((np.asarray(frames) + 1).tolist()))
    return DataError(
        f"{where}: c2 is 0 at {count} pairs of frames in use, among frames {names} of those read, as where a part of a "
        "file was lost; leave out such frames (exclude_frames), or list single pairs in bad_pairs"
    )


def constant_values(where: str, level: float) -> EmptyBin:
    """The error for values that are all the same."""
    return EmptyBin(f"{where}: c2 is {level:g} at every pair of frames: there is no correlation to fit")
