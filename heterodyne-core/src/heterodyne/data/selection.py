"""Which bins and frames of a file are wanted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heterodyne.data.geometry import SAME_AZIMUTH, SAME_RING, between_directions, ring_of
from heterodyne.errors import DataError

Range = tuple[float, float]


@dataclass(frozen=True)
class Selection:
    """Bins, frames and times asked for; None or empty keeps everything or what the file says.

    ``q``: values, each the ring nearest to it, or (low, high) ranges, Å⁻¹. ``phi``: values, each the azimuth
    nearest to it among the selected rings, NaN being rings without azimuth, or (low, high) ranges in degrees, low >
    high wrapping through ±180. ``frames``: (first, last), counted from 1, both included. ``dt`` and ``age`` in s
    replace what the file says. ``allow_links``: other files that an HDF5 file names may be read.

    `heterodyne.loading.load.load` applies all of it to what a loader returns. A loader takes from it what its
    file does not say and has to be known: ``dt``, and ``q`` and ``phi`` of bare arrays, values that are then those
    of the bins, one for all or one per bin.
    """

    q: tuple[float | Range, ...] = ()
    phi: tuple[float | Range, ...] = ()
    frames: tuple[int, int] | None = None
    dt: float | None = None
    age: float | None = None
    allow_links: bool = False


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
    nearest = int(np.argmin(np.abs(q - wanted)))
    if abs(q[nearest] - wanted) > SAME_RING * q[nearest]:
        warnings.warn(f"no ring at q = {wanted:g} 1/Å: the nearest is {q[nearest]:.4g}", stacklevel=2)
    ring = ring_of(q)
    return ring == ring[nearest]


def _near_phi(phi: np.ndarray, candidates: np.ndarray, wanted: float | Range) -> np.ndarray:
    if isinstance(wanted, Sequence):
        low, high = wanted
        span = (high - low) % 360.0 if abs(high - low) < 360.0 else 360.0
        return (phi - low) % 360.0 <= span
    if np.isnan(wanted):
        return np.isnan(phi)
    distance = between_directions(phi, wanted)
    reachable = distance[candidates & np.isfinite(distance)]
    return distance <= (reachable.min() if len(reachable) else np.nan) + SAME_AZIMUTH


def _say(wanted: Sequence[float | Range]) -> str:
    return ", ".join(f"{w[0]:g}:{w[1]:g}" if isinstance(w, Sequence) else f"{w:g}" for w in wanted)


def _listing(values: np.ndarray) -> str:
    distinct = sorted({f"{value:.4g}" for value in values}, key=float)
    shown = distinct if len(distinct) <= 12 else [*distinct[:6], "...", *distinct[-6:]]
    return ", ".join(shown)
