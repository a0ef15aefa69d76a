"""What one matrix is worth before any fit: frames without counts or that stand out, gaps, contrast, baseline, fringes.

All numbers are over frames that the mask leaves in, without the diagonal. The baseline is the mean of c2 over lags of
at least three quarters of the series, which it is only if nothing is correlated there any more: a static reference
beats with nothing and does not show, slow dynamics does. The contrast is the mean at the first lag less the baseline,
and too small by what decays within one frame. Both are hints; a fit has its own.

Fringes: an oscillation of the mean over age at each lag, with fewer than four frames in a period. It is told where
three neighbours in the periodogram of such periods hold more of its power than noise would give them, whose share
follows a beta distribution (after Fisher, Proc. R. Soc. A 125 (1929) 54). One with
fewer than two frames shows with another period, or not at all: nothing in the file tells then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from scipy.special import betainc

from heterodyne.data.matrices import symmetrised, windows
from heterodyne.data.triangle import Read
from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import checked
from heterodyne.errors import DataError, EmptyBin

_NEIGHBOURS = 11  # frames; half of them may be bad in a row
_OUTSTANDING = 8.0  # robust standard deviations
_LEAST = 0.02  # of c2 = 1: less is no bad frame, whatever the scatter of the others
_FAR = 0.75  # of the series
_PEAK = 3  # ordinates
_ALIASED = 1e-4  # probability that noise alone has so strong a period
_VISIBLE = 0.05  # of the contrast
_BLOCK = 256


@dataclass(frozen=True)
class Quality:
    """One matrix in numbers.

    ``masked`` is the fraction of frames left out beforehand; ``dark`` frames have no counts, ``bright`` ones
    correlate with the others more or less than their neighbours do (flashes, a lost beam); both count from 1.
    ``gaps`` are pairs of frames in use whose c2 is not finite. ``fringe`` is the period of a fast oscillation in
    frames. ``halves`` is how far the two halves differ, at most and in the mean (rms), where they do; the other
    numbers are then those of their mean. ``refused`` is why a fit refuses the matrix, ``empty`` whether because there
    is nothing to fit. ``digest`` is the same for equal matrices. NaN and "" where unknown.
    """

    dtype: str = ""
    masked: float = math.nan
    dark: tuple[int, ...] = ()
    bright: tuple[int, ...] = ()
    gaps: int = 0
    diagonal: float = math.nan
    first_lag: float = math.nan
    baseline: float = math.nan
    fringe: float = math.nan
    halves: tuple[float, float] | None = None
    refused: str = ""
    empty: bool = False
    digest: str = ""

    @property
    def contrast(self) -> float:
        """The first lag less the baseline."""
        return self.first_lag - self.baseline


def quality(data: TwoTime, bin: int) -> Quality:
    """The numbers of this bin's matrix, which is read once; what cannot be read says so in ``refused``."""
    try:
        return _described(data, bin, data.c2[bin])
    except DataError as error:
        return _of_halves(data, bin, error)


def _of_halves(data: TwoTime, bin: int, error: DataError) -> Quality:
    """What can be said where the matrix cannot be read as it is: maybe because its halves differ."""
    try:
        mean = symmetrised(data.c2, "mean")
        stored = windows(data.c2, bin)
        with stored.opened() as read:
            halves = _difference(read, stored.frames)
        found = _described(data, bin, mean[bin])
    except DataError:
        return Quality(refused=str(error))
    return Quality(**{**vars(found), "halves": halves, "refused": str(error)})


def _described(data: TwoTime, bin: int, raw: np.ndarray) -> Quality:
    use, values = data.mask[bin].copy(), np.array(raw, dtype=np.result_type(raw, np.float32))
    if data.weight is not None and isinstance(data.weight, np.ndarray) and data.weight.ndim == 2:
        use &= data.weight[bin] > 0
    pairs = data.bad_pairs[data.bad_pairs[:, 0] == bin, 1:]
    refused, empty = _refusal(raw, use, f"bin {bin + 1} ({data.label(bin)})", pairs)
    diagonal = np.array(values.diagonal())
    np.fill_diagonal(values, np.nan)
    values[tuple(pairs.T)] = values[tuple(pairs.T[::-1])] = np.nan
    dark = use & _all_zero(values, use)
    seen = use & ~dark
    kept = values[np.ix_(seen, seen)]
    lost = ~np.isfinite(kept)
    known = len(kept) * (len(kept) - 1) // 2 - _inside(pairs, seen)
    lags = _by_lag(kept)
    far = kept[np.triu_indices(len(kept), max(1, math.ceil(_FAR * len(kept))))]
    return Quality(
        dtype=str(raw.dtype),
        masked=float(1.0 - use.mean()),
        dark=_numbers(dark),
        bright=_numbers(_places(seen, _outstanding(_mean(kept, axis=1)))),
        gaps=known - (lost.size - int(lost.sum())) // 2,
        diagonal=float(_mean(diagonal[seen])),
        first_lag=float(lags[0]) if len(lags) else math.nan,
        baseline=float(_mean(far)),
        fringe=fringe_period(lags),
        refused=refused,
        empty=empty,
        digest=sha256(np.ascontiguousarray(raw).tobytes()).hexdigest(),
    )


def _refusal(raw: np.ndarray, use: np.ndarray, where: str, pairs: np.ndarray) -> tuple[str, bool]:
    """Why a fit refuses the matrix, "" if it does not, and whether because nothing is in it."""
    try:
        checked(raw, use, where, pairs if len(pairs) else None)
    except DataError as error:
        return str(error), isinstance(error, EmptyBin)
    return "", False


def fringe_period(lags: np.ndarray) -> float:
    """The period in lags of an oscillation of ``lags`` (K,), means over age from lag 1, if shorter than 4; else NaN."""
    values = lags[: 2 * len(lags) // 3]
    if len(values) < 24 or not np.isfinite(values).all():
        return math.nan
    steps = np.diff(values)  # which take the decay away
    frequency = np.fft.rfftfreq(len(steps))
    fast = frequency > 0.25
    frequency, wave = frequency[fast], np.fft.rfft(steps)[fast]
    power = np.abs(wave / (2.0 * np.sin(math.pi * frequency))) ** 2
    peaks = np.convolve(power, np.ones(_PEAK), "same")  # a wave that decays has a broad one
    strongest, count = int(peaks.argmax()), len(power)
    share = float(peaks[strongest] / power.sum()) if power.any() else 0.0
    by_chance = count * float(betainc(count - _PEAK, _PEAK, 1.0 - min(share, 1.0)))
    amplitude = 2.0 * math.sqrt(float(peaks[strongest])) / len(steps)
    scale = abs(float(values[0] - lags[-(len(lags) // 4) :].mean()))
    if by_chance > _ALIASED or amplitude < _VISIBLE * scale:
        return math.nan
    around = slice(max(0, strongest - 1), strongest + 2)
    return float(power[around].sum() / (power[around] @ frequency[around]))


def _all_zero(values: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Which frames have no correlation but 0 with any frame in use."""
    return ~((values != 0.0) & ~np.isnan(values))[:, use].any(axis=1) & (values == 0.0)[:, use].any(axis=1)


def _outstanding(level: np.ndarray) -> np.ndarray:
    """Which of the frames' mean correlations (N,) stand out from their neighbours'."""
    if len(level) < _NEIGHBOURS:
        return np.zeros(len(level), dtype=bool)
    reach = _NEIGHBOURS // 2
    around = np.lib.stride_tricks.sliding_window_view(np.pad(level, reach, mode="reflect"), _NEIGHBOURS)
    with np.errstate(invalid="ignore"):
        off = np.abs(level - np.nanmedian(around, axis=1))
        return off > max(_OUTSTANDING * 1.4826 * float(np.nanmedian(off)), _LEAST)


def _by_lag(kept: np.ndarray) -> np.ndarray:
    """The mean over age at lags 1, 2, ... of the frames in use."""
    return np.array([_mean(kept.diagonal(lag)) for lag in range(1, len(kept))])


def _mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """The mean of what is finite, NaN where nothing is."""
    known = np.isfinite(values)
    total, count = np.where(known, values, 0.0).sum(axis=axis, dtype=float), known.sum(axis=axis)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def _inside(pairs: np.ndarray, seen: np.ndarray) -> int:
    """How many of the pairs are between these frames."""
    return int(seen[pairs].all(axis=1).sum()) if len(pairs) else 0


def _places(seen: np.ndarray, of_seen: np.ndarray) -> np.ndarray:
    """Truth values of the frames that are seen, as ones of all frames."""
    every = np.zeros_like(seen)
    every[np.flatnonzero(seen)] = of_seen
    return every


def _numbers(frames: np.ndarray) -> tuple[int, ...]:
    return tuple((np.flatnonzero(frames) + 1).tolist())


def _difference(read: Read, frames: int) -> tuple[float, float]:
    """How far the stored halves of a matrix differ, at most and rms, over the pairs that both have."""
    largest, total, count = 0.0, 0.0, 0
    for i in range(0, frames, _BLOCK):
        for j in range(i, frames, _BLOCK):
            rows, columns = slice(i, min(i + _BLOCK, frames)), slice(j, min(j + _BLOCK, frames))
            off = np.abs(np.subtract(read(rows, columns), read(columns, rows).T, dtype=float))
            off = off[np.isfinite(off)] if i != j else np.triu(off, 1)[np.triu(np.isfinite(off), 1)]
            if off.size:
                largest, total, count = (
                    max(largest, float(off.max())),
                    total + float(off @ off),
                    count + off.size,
                )
    return largest, math.sqrt(total / count) if count else 0.0
