"""Which bins and frames of a file are wanted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heterodyne.data.geometry import SAME_AZIMUTH, SAME_RING, between_directions, ring_of
from heterodyne.data.triangle import Symmetrise
from heterodyne.errors import DataError

Range = tuple[float, float]

_NEAR_AZIMUTH = 5.0
"""Degrees that a wanted azimuth may be off without a word."""


@dataclass(frozen=True)
class Selection:
    """Bins, frames and times asked for; None or empty keeps everything or what the file says.

    ``q``: values, each the ring nearest to it, or (low, high) ranges, Å⁻¹. ``phi``: values, each the azimuth
    nearest to it among the selected rings, NaN being rings without azimuth, or (low, high) ranges in degrees, low >
    high wrapping through ±180. ``frames``: (first, last), counted from 1, both included. ``dt`` and ``age`` in s
    replace what the file says, and so do ``dq`` (Å⁻¹) and ``dphi`` (degrees), the full widths of all bins.
    ``baseline`` is c2 without correlation, 0 or 1, as stored. ``exclude`` are (first, last) frames to leave out,
    and ``mask`` (frames,) or (bins, frames) is True for frames to use, over the whole file.
    ``allow_links``: other files that an HDF5 file names may be read. ``symmetrise``: what counts where the two
    halves of a matrix differ. ``key``: what to read of a file that holds several: the array that is
    c2, an analysis, trains.

    `heterodyne.loading.load.load` applies all of it to what a loader returns. A loader takes from it what its
    file does not say and has to be known: ``dt``, ``key``, and ``q`` and ``phi`` of bare arrays, values that are then
    those of the bins, one for all or one per bin.
    """

    q: tuple[float | Range, ...] = ()
    phi: tuple[float | Range, ...] = ()
    frames: tuple[int, int] | None = None
    dt: float | None = None
    age: float | None = None
    dq: float | None = None
    dphi: float | None = None
    baseline: float | None = None
    exclude: tuple[tuple[int, int], ...] = ()
    mask: np.ndarray | None = None
    allow_links: bool = False
    symmetrise: Symmetrise | None = None
    key: str | None = None


def choose_bins(q: np.ndarray, phi: np.ndarray, selection: Selection) -> np.ndarray:
    """Indices of the selected bins, ascending; raises `DataError` listing what exists if there are none."""
    if not len(q):
        raise DataError("there are no bins: the lists of q and phi are empty")
    keep = np.ones(len(q), dtype=bool)
    if selection.q:
        found = [_near_q(q, phi, wanted) for wanted in selection.q]
        if missed := [wanted for wanted, hit in zip(selection.q, found, strict=True) if not hit.any()]:
            raise DataError(f"no bin with q in {_say(missed)}; the file has q = {_listing(q)}")
        keep &= np.any(found, axis=0)
    if selection.phi:
        found = [keep & _near_phi(phi, keep, wanted) for wanted in selection.phi]
        if missed := [wanted for wanted, hit in zip(selection.phi, found, strict=True) if not hit.any()]:
            raise DataError(
                f"no bin with phi in {_say(missed)}; the selected q have phi = {_listing(phi[keep])}"
            )
        keep &= np.any(found, axis=0)
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


def frames_to_use(n_bins: int, n_frames: int, selection: Selection) -> np.ndarray:
    """Which frames of the file the user does not leave out (bins, frames).

    Raises `DataError` for frames that the file does not have and for a mask of another shape.
    """
    use = np.ones((n_bins, n_frames), dtype=bool)
    for first, last in selection.exclude:
        if not 1 <= first <= last <= n_frames:
            named = f"{first}" if first == last else f"{first}:{last}"
            raise DataError(f"frames {named} cannot be left out; the file has frames 1:{n_frames}")
        use[:, first - 1 : last] = False
    if selection.mask is None:
        return use
    if selection.mask.shape not in ((n_frames,), (n_bins, n_frames)):
        raise DataError(
            f"mask must have shape {(n_frames,)}, one per frame of the file, or {(n_bins, n_frames)}, "
            f"not {selection.mask.shape}"
        )
    return use & selection.mask


def _near_q(q: np.ndarray, phi: np.ndarray, wanted: float | Range) -> np.ndarray:
    if isinstance(wanted, Sequence):
        low, high = wanted
        return (q >= low) & (q <= high)
    nearest = float(q[np.argmin(np.abs(q - wanted))])
    away, near = abs(nearest - wanted), SAME_RING * nearest
    if away > max(near, _half_spacing(np.abs(np.unique(q) - nearest))):
        raise DataError(f"no bin with q near {wanted:g}; the file has q = {_listing(q)}")
    if away > near:
        warnings.warn(f"no ring at q = {wanted:g} 1/Å: the nearest is {nearest:.4g}", stacklevel=2)
    ring = ring_of(q, phi)
    return ring == ring[np.flatnonzero(q == nearest)[0]]


def _near_phi(phi: np.ndarray, candidates: np.ndarray, wanted: float | Range) -> np.ndarray:
    if isinstance(wanted, Sequence):
        low, high = wanted
        span = (high - low) % 360.0 if abs(high - low) < 360.0 else 360.0
        return (phi - low) % 360.0 <= span
    if np.isnan(wanted):
        return np.isnan(phi)
    known = abs(wanted) <= 360.0 or bool((phi == wanted).any())
    distance = between_directions(phi, wanted) if known else np.full(len(phi), np.inf)
    reachable = phi[candidates & np.isfinite(phi)]
    if not len(reachable):
        return np.zeros(len(phi), dtype=bool)
    away = float(distance[candidates & np.isfinite(phi)].min())
    nearest = float(phi[candidates & (distance == away)][0])
    if away > max(_NEAR_AZIMUTH, _half_spacing(between_directions(reachable, nearest))):
        if (distance <= SAME_AZIMUTH).any():  # at other q
            return np.zeros(len(phi), dtype=bool)
        raise DataError(f"no bin with phi near {wanted:g}; the selected q have phi = {_listing(reachable)}")
    if away > _NEAR_AZIMUTH:
        warnings.warn(f"no azimuth at phi = {wanted:g}: the nearest is {nearest:.4g}", stacklevel=2)
    return distance <= away + SAME_AZIMUTH


def _half_spacing(distances: np.ndarray) -> float:
    """Half the distance from one of several values to the next of them; 0 if it is the only one."""
    others = distances[distances > 0]
    return 0.5 * float(others.min()) if len(others) else 0.0


def _say(wanted: Sequence[float | Range]) -> str:
    return ", ".join(f"{w[0]:g}:{w[1]:g}" if isinstance(w, Sequence) else _word(w) for w in wanted)


def _word(value: float) -> str:
    return "ring" if np.isnan(value) else f"{value:.4g}"


def _listing(values: np.ndarray) -> str:
    distinct = list(dict.fromkeys(_word(value) for value in np.sort(values)))
    shown = distinct if len(distinct) <= 12 else [*distinct[:6], "...", *distinct[-6:]]
    return ", ".join(shown)
