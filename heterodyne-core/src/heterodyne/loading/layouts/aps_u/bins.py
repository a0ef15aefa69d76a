"""q, azimuth and full widths of the bins: from their pixels, where the lists of the q map agree with these."""

from __future__ import annotations

import warnings

import h5py
import numpy as np

from heterodyne.data.geometry import between_directions
from heterodyne.errors import DataError
from heterodyne.loading.fields import Bins, geometry, label_map
from heterodyne.loading.layouts.aps_u.fields import QMAP, ROI_MAP
from heterodyne.loading.layouts.aps_u.qmap import ListedBins, listed_bins
from heterodyne.loading.pixels import PixelBins, bins_of_pixels

_PIXELS = "pixels of dynamic_roi_map"
_LISTS = "lists of the q map"

_GEOMETRY = {
    f"{QMAP}/beam_center_y": ("pixels", "pixels"),
    f"{QMAP}/beam_center_x": ("pixels", "pixels"),
    f"{QMAP}/detector_distance": ("length", "m"),
    f"{QMAP}/pixel_size": ("length", "m"),
    f"{QMAP}/energy": ("energy", "keV"),
}

_ROOM = 0.6  # of a cell in φ: the mean of pixels within one lies within half a cell of its centre
_BENT = 0.2  # of a cell in q: the mean of its pixels lies off its centre, farther if bins are logarithmic
_GAPPED = 1.8  # times the cell: pixels at its two edges alone spread over √3 cells
_SLACK = 1.0  # degrees
_ELSEWHERE = 20.0  # times: q of lists and pixels are not of one map
_ELLIPTIC = 3.0, 0.1  # times the q of the pixels, and Å⁻¹: radii of ellipses are of order 1


def bins_of_labels(file: h5py.File, labels: np.ndarray) -> Bins:
    """The bins of these labels; raises `DataError` naming the cause where lists and pixels exclude one another."""
    listed = listed_bins(file, labels)
    place, lacking = geometry(file, _GEOMETRY, ROI_MAP)
    seen = None if place is None else bins_of_pixels(label_map(file, ROI_MAP), labels, place)
    bins = _settled(file, listed, seen, lacking)
    if seen is None:
        return bins
    return bins._replace(sources={**bins.sources, "pixels": seen.number.tolist()})


def _settled(file: h5py.File, listed: ListedBins, seen: PixelBins | None, lacking: str) -> Bins:
    if listed.missing:
        return _by_pixels(file, listed, seen, lacking)
    if seen is None or not seen.known.any():
        return _by_lists(file, listed, lacking or "no bin has 3 pixels in dynamic_roi_map")
    q, dq, q_source = _q(file, listed, seen)
    phi, dphi, phi_source = _phi(file, listed, seen)
    return Bins(q, phi, dq, dphi, {"q_source": q_source, "phi_source": phi_source})


def _by_pixels(file: h5py.File, listed: ListedBins, seen: PixelBins | None, lacking: str) -> Bins:
    """The bins that the lists do not tell, φ as the writer counts it: from higher columns to lower rows."""
    if seen is None or not seen.known.all():
        reason = lacking or "nor do the pixels, as a bin has fewer than 3 in dynamic_roi_map"
        raise DataError(f"{file.filename}: {listed.missing}; {reason}")
    phi, dphi = _unless_ring(seen, -seen.phi, seen.dphi)
    source = f"{_PIXELS} ({listed.missing})"
    return Bins(seen.q, phi, seen.dq, dphi, {"q_source": source, "phi_source": source})


def _by_lists(file: h5py.File, listed: ListedBins, lacking: str) -> Bins:
    for doubt in filter(None, (listed.doubt, _ring_or_sector(listed, lacking))):
        warnings.warn(f"{file.filename}: {doubt}", stacklevel=2)
    unknown = np.full(len(listed.q), np.nan)
    source = f"{_LISTS}; the widths are unknown, as {lacking}"
    return Bins(listed.q, listed.phi, unknown, unknown, {"q_source": source, "phi_source": source})


def _ring_or_sector(listed: ListedBins, lacking: str) -> str:
    if listed.azimuths != 1:
        return ""
    return (
        f"the one azimuth, {listed.phi[0]:.4g}°, may stand for a whole ring, which only the pixels tell, "
        f"but {lacking}; if it does, fit no model with flow"
    )


def _q(file: h5py.File, listed: ListedBins, seen: PixelBins) -> tuple[np.ndarray, np.ndarray, str]:
    """q, its widths and their source: the pixels, unless they lie more than a bin away from what the list says."""
    off = np.where(seen.known, np.abs(listed.q - seen.q), 0.0)
    cell = np.minimum(np.fmax(listed.cell_q, seen.dq), seen.q)
    apart = off > cell
    if not apart.any():
        if np.any(off > 0.5 * (cell - seen.dq) + _BENT * cell):
            said = (
                f"q differs by up to {100.0 * np.nanmax(off / seen.q):.2g} % between the list and the pixels"
            )
            warnings.warn(f"{file.filename}: {said}; the pixels are taken", stacklevel=2)
        widths = np.where(seen.known, seen.dq, np.nan)
        return np.where(seen.known, seen.q, listed.q), widths, _named(seen)
    ratio = np.where(apart, listed.q / seen.q, 1.0)
    worst = int(np.argmax(np.abs(np.log(np.maximum(ratio, 1e-300)))))
    said = (
        f"{file.filename}: q = {listed.q[worst]:.4g} 1/Å in the list, but {seen.q[worst]:.4g} by its pixels "
        "with beam centre, distance, pixel size and energy"
    )
    times, radius = _ELLIPTIC
    elliptic = np.any((ratio > times) & (listed.q > radius))
    if elliptic or not 1.0 / _ELSEWHERE < ratio[worst] < _ELSEWHERE:
        raise DataError(
            f"{said}: the q map is elliptic (eq-ephi), or of another geometry; reduce with a map that is not"
        )
    warnings.warn(f"{said}; the list is taken, and the width in q is unknown", stacklevel=2)
    return listed.q, np.full(len(listed.q), np.nan), f"{_LISTS}; its pixels contradict it"


def _phi(file: h5py.File, listed: ListedBins, seen: PixelBins) -> tuple[np.ndarray, np.ndarray, str]:
    """Azimuths, their widths and their source: the pixels; raises `DataError` if they are not where the list says."""
    sense, doubt = _sense(listed, seen)
    if sense == 0.0:
        raise DataError(f"{file.filename}: {doubt}; reduce with a map over q and phi that is not")
    if doubt:
        warnings.warn(f"{file.filename}: {doubt}; the pixels are taken", stacklevel=2)
    phi = sense * seen.phi
    if listed.azimuths > 1:  # counted as the list counts, 0 to 360 or -180 to 180
        phi = listed.phi + (phi - listed.phi + 180.0) % 360.0 - 180.0
    phi, dphi = _unless_ring(seen, phi, seen.dphi)
    one_ring = listed.azimuths == 1 and seen.ring.any()
    phi = np.where(seen.known, phi, np.nan if one_ring else listed.phi)
    turned = ", counted from higher columns to higher rows as the list is" if sense > 0.0 else ""
    return phi, np.where(seen.known, dphi, np.nan), _named(seen) + turned


def _sense(listed: ListedBins, seen: PixelBins) -> tuple[float, str]:
    """How the list counts azimuths: -1 towards lower rows, as the writer does, 1 towards higher ones; and a doubt.

    0 if the pixels lie where the list does not say; the doubt is the likely cause then.
    """
    several = listed.azimuths > 1
    if several and np.any(seen.known & (seen.dphi > _GAPPED * listed.cell_phi + 2.0 * _SLACK)):
        return 0.0, _cause(listed, seen, folded=True)
    towards_lower, towards_higher = _apart(listed, seen, -1.0), _apart(listed, seen, 1.0)
    far, near = _room(listed, seen)
    if np.all(towards_lower <= near):
        return -1.0, ""
    if np.all(towards_higher <= near):
        other = "phi is counted from higher columns to higher rows in the list, or it is shifted"
        return 1.0, "" if several else other
    if np.all(towards_lower <= far):
        return -1.0, f"phi differs by up to {towards_lower.max():.3g}° between the list and the pixels"
    return 0.0, _cause(listed, seen, folded=False)


def _apart(listed: ListedBins, seen: PixelBins, sense: float) -> np.ndarray:
    """Degrees between list and pixels, (sectors,), the latter counted with this sense."""
    apart = between_directions(listed.phi, sense * seen.phi)[_sectors(seen)]
    # one bin is listed as the middle between its ends: opposite to its pixels if these cross ±180
    return np.minimum(apart, 180.0 - apart) if listed.azimuths == 1 else apart


def _room(listed: ListedBins, seen: PixelBins) -> tuple[np.ndarray, np.ndarray]:
    """How far apart list and pixels may be at most, and can be if pixels fill the rest of a cell, (sectors,)."""
    sectors = _sectors(seen)
    if listed.azimuths == 1:
        most = np.full(sectors.sum(), _ROOM * np.max(seen.dphi[seen.known]) + _SLACK)
        return most, most
    cell, width = np.fmax(listed.cell_phi, seen.dphi)[sectors], seen.dphi[sectors]
    return _ROOM * cell + _SLACK, 0.5 * (cell - width) + (_ROOM - 0.5) * cell + _SLACK


def _cause(listed: ListedBins, seen: PixelBins, folded: bool) -> str:
    """Why the list and the pixels exclude one another, in words."""
    worst = int(np.argmax(np.where(seen.known, between_directions(listed.phi, -seen.phi), -1.0)))
    said = (
        f"phi = {listed.phi[worst]:.4g}° in the list, but {-seen.phi[worst]:.4g}° by its pixels: the q map is"
    )
    if listed.azimuths > 1 and np.abs(listed.phi).max() < 3.2:
        return f"{said} elliptic, in radians (eq-ephi)"
    if folded:
        cell = np.nanmin(listed.cell_phi)
        return (
            f"the pixels of one bin, {cell:.3g}° in the list, lie at several azimuths: "
            "the q map is folded (--symmetry-fold)"
        )
    turn = np.mean(np.exp(1j * np.radians(listed.phi + seen.phi))[_sectors(seen)])
    if abs(turn) > 0.9:
        return f"{said} shifted by {np.degrees(np.angle(turn)):.0f}° (--phi-offset)"
    return f"{said} shifted or folded (--phi-offset, --symmetry-fold)"


def _sectors(seen: PixelBins) -> np.ndarray:
    return seen.known & ~seen.ring


def _unless_ring(seen: PixelBins, phi: np.ndarray, dphi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.where(seen.ring, np.nan, phi), np.where(seen.ring, np.nan, dphi)


def _named(seen: PixelBins) -> str:
    few = int((~seen.known).sum())
    return _PIXELS if not few else f"{_PIXELS}; for {few} bins with fewer than 3 the {_LISTS}, widths unknown"
