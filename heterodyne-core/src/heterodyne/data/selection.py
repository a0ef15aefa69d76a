"""Which bins and frames of a file are wanted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heterodyne.errors import DataError

Range = tuple[float, float]
_SAME_RING = 0.05  # legacy files store the mean q of each sector's pixels, so q differs along one ring
_SAME_AZIMUTH = 0.5  # degrees


@dataclass(frozen=True)
class Selection:
    """Bins, frames and times asked for; None or empty keeps everything or what the file says.

    ``q``: values (the nearest ring, all bins within 5 % of it) or (low, high) ranges, Å⁻¹.
    ``phi``: (low, high) ranges in degrees, low > high wraps through ±180, or values (nearest azimuth).
    ``frames``: (first, last), counted from 1, both included. ``dt`` and ``age`` in s override the file.
    For arrays that carry no q, phi or dt (.npy) the values given here are taken as theirs.
    """

    q: tuple[float | Range, ...] = ()
    phi: tuple[float | Range, ...] = ()
    frames: tuple[int, int] | None = None
    dt: float | None = None
    age: float | None = None


def choose_bins(q: np.ndarray, phi: np.ndarray, selection: Selection) -> np.ndarray:
    """Indices of the selected bins, ascending; raises `DataError` listing what exists if there are none."""
    if not len(q):
        raise DataError("there are no bins: the lists of q and phi are empty")
    keep = np.ones(len(q), dtype=bool)
    if selection.q:
        keep &= np.any([_near_q(q, wanted) for wanted in selection.q], axis=0)
    if not keep.any():
        raise DataError(f"no bin with q in {_say(selection.q)}; the file has q = {_listing(q)}")
    if selection.phi:
        matching = np.any([_near_phi(phi, keep, wanted) for wanted in selection.phi], axis=0)
        if not (keep & matching).any():
            raise DataError(
                f"no bin with phi in {_say(selection.phi)}; the selected q have phi = {_listing(phi[keep])}"
            )
        keep &= matching
    return np.flatnonzero(keep)


def choose_frames(n_frames: int, selection: Selection) -> slice:
    """The selected frames as a slice from 0; raises `DataError` if the range does not lie in the file."""
    if selection.frames is None:
        return slice(0, n_frames)
    first, last = selection.frames
    if not 1 <= first < last <= n_frames:
        raise DataError(
            f"frames {first}:{last} cannot be selected; the file has frames 1:{n_frames}, and first < last"
        )
    return slice(first - 1, last)


def _near_q(q: np.ndarray, wanted: float | Range) -> np.ndarray:
    if isinstance(wanted, Sequence):
        low, high = wanted
        return (q >= low) & (q <= high)
    nearest = q[np.argmin(np.abs(q - wanted))]
    if abs(nearest - wanted) > _SAME_RING * nearest:
        warnings.warn(f"no ring at q = {wanted:g} 1/Å: the nearest is {nearest:.4g}", stacklevel=2)
    return np.abs(q - nearest) <= _SAME_RING * nearest


def _near_phi(phi: np.ndarray, candidates: np.ndarray, wanted: float | Range) -> np.ndarray:
    if isinstance(wanted, Sequence):
        low, high = wanted
        span = (high - low) % 360.0 if abs(high - low) < 360.0 else 360.0
        return (phi - low) % 360.0 <= span
    distance = np.abs((phi - wanted + 180.0) % 360.0 - 180.0)
    reachable = distance[candidates & np.isfinite(distance)]
    return distance <= (reachable.min() if len(reachable) else np.nan) + _SAME_AZIMUTH


def _say(wanted: Sequence[float | Range]) -> str:
    return ", ".join(f"{w[0]:g}:{w[1]:g}" if isinstance(w, Sequence) else f"{w:g}" for w in wanted)


def _listing(values: np.ndarray) -> str:
    distinct = sorted({f"{value:.4g}" for value in values}, key=float)
    shown = distinct if len(distinct) <= 12 else [*distinct[:6], "...", *distinct[-6:]]
    return ", ".join(shown)
