"""Results of 8-ID-I before 2025 (xpcs-eigen, boost_corr of 2023, MATLAB): settings below /xpcs, halves below /exchange.

The results lie where /xpcs/output_data says. The number of a matrix is the label of its bin, or counts the labels of
qphi_bin_to_process; label k is the k-th cell of dqlist and dphilist that is not NaN, each the mean of its pixels.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from heterodyne.data.geometry import between_directions
from heterodyne.data.selection import Selection
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.loading.fields import Bins, geometry, label_map, single, whole
from heterodyne.loading.frame_clock import (
    Clock,
    Stated,
    check_enough,
    clock_of,
    count_of,
    last_name,
    period_of,
)
from heterodyne.loading.hdf5 import (
    dataset,
    declared_unit,
    group,
    number,
    numbered,
    numbers,
    opened,
    recognised,
    string,
    without_two_time,
)
from heterodyne.loading.lazy import FileMatrices, Place, side
from heterodyne.loading.pixels import Geometry, PixelBins, bins_of_pixels
from heterodyne.loading.units import factor, say_if_radians

_SETTINGS = "xpcs"
_USUAL_RESULTS = "exchange"
_MATRICES = ("C2T_all", "TwoTime")
_STEMS = ("g2_", "C2T_", "C_")
_QMAPS = ("xpcs", "xpcs/qmap")  # the second for some days of 2025, when results lay in /xpcs too
_DETECTOR = "measurement/instrument/detector"
_STAGE = "measurement/instrument/acquisition"
_BLUESKY = "entry/instrument/bluesky/metadata"  # 2023

_GEOMETRY = {
    f"{_STAGE}/beam_center_y": ("pixels", "pixels"),
    f"{_STAGE}/beam_center_x": ("pixels", "pixels"),
    f"{_DETECTOR}/distance": ("length", "mm"),
    f"{_DETECTOR}/x_pixel_size": ("length", "mm"),
    "measurement/instrument/source_begin/energy": ("energy", "keV"),
}

_AGREES = 0.02  # relative; q of list and pixels are means over the same pixels
_FOLDED = 1.8  # times the widest cell that so many azimuths leave


class ListedBins(NamedTuple):
    """The cells that are not empty, by label - 1: q in Å⁻¹, azimuth in degrees; the number of azimuths, if known."""

    q: np.ndarray
    phi: np.ndarray
    azimuths: int | None


def sniff(path: Path) -> float:
    """0.9 for a file with matrices where /xpcs/output_data says, or that calls itself Twotime, else 0."""
    return (
        0.9 if recognised(path, lambda file: bool(_matrices(file)) or _analysis(file) == "twotime") else 0.0
    )


def load(path: Path, given: Selection) -> TwoTime:
    """All bins; raises `DataError` where lists, labels and matrices, or times do not fit together."""
    with opened(path, given.allow_links) as file:
        matrices, named = _numbered(file)
        listed = listed_bins(file)
        labels = _labels(file, list(named), len(listed.q))
        places = tuple(Place(f"{matrices}/{name}") for name in named.values())
        frames = side(file, places[0])
        clock = _clock(file, given, frames)
        bins = bins_of_labels(file, listed, labels)
    return TwoTime(
        FileMatrices(path, places, allow_links=given.allow_links),
        bins.q,
        bins.phi,
        clock.times(frames),
        clock.dt,
        clock.age,
        bins.dq,
        bins.dphi,
        provenance={**clock.sources, **bins.sources},
    )


def _analysis(file: h5py.File) -> str:
    key = f"{_SETTINGS}/analysis_type"
    return string(file, key).strip().lower() if key in file else ""


def results_group(file: h5py.File) -> str:
    """The group of the results."""
    key = f"{_SETTINGS}/output_data"
    return (string(file, key).strip().strip("/") if key in file else "") or _USUAL_RESULTS


def _matrices(file: h5py.File) -> str:
    """The group of the matrices, "" if there is none."""
    places = [f"{results}/{name}" for results in (results_group(file), _SETTINGS) for name in _MATRICES]
    return next((place for place in places if place in file), "")


def _numbered(file: h5py.File) -> tuple[str, dict[int, str]]:
    """The group of the matrices, and their names by number; raises `DataError` for other names."""
    found = _matrices(file)
    usual = f"{_USUAL_RESULTS}/{_MATRICES[0]}"
    if not found and usual in file:
        raise DataError(
            f"{file.filename}: output_data of /{_SETTINGS} says that the results are in {results_group(file)}, but the "
            f"matrices are in {usual}: correct it, if the settings in /{_SETTINGS} belong to them"
        )
    named = numbered(group(file, found)) if found else {}
    if not named:
        raise DataError(without_two_time(file))
    if strange := [name for name in named.values() if name.rstrip("0123456789") not in _STEMS]:
        known = ", ".join(f"{stem}00001" for stem in _STEMS)
        raise DataError(f"{file.filename}: {strange[0]:.40} in {found} is none of the names known: {known}")
    return found, named


def _setting(file: h5py.File, name: str) -> str:
    """Where a setting is: beside the results, if the program that made them left it there, or in /xpcs."""
    beside = f"{results_group(file)}/{name}"
    return beside if beside in file else f"{_SETTINGS}/{name}"


def _of_qmap(file: h5py.File, name: str) -> str:
    return _there(file, (f"{place}/{name}" for place in _QMAPS))


def _there(file: h5py.File, keys: Iterable[str]) -> str:
    """The first of some keys that is there, or the first of all."""
    every = list(keys)
    return next((key for key in every if key in file), every[0])


def listed_bins(file: h5py.File) -> ListedBins:
    """The cells that are not empty; raises `DataError` where the two lists do not go together."""
    q_key, phi_key = (_of_qmap(file, name) for name in ("dqlist", "dphilist"))
    q, phi = _values(file, q_key, "q", "Å⁻¹"), _values(file, phi_key, "phi", "deg")
    if len(q) != len(phi):
        raise DataError(f"{file.filename}: {len(q)} values in {q_key}, but {len(phi)} in {phi_key}")
    filled = ~np.isnan(q)
    if (~np.isnan(phi) & ~filled).any():
        cell = int(np.argmax(~np.isnan(phi) & ~filled)) + 1
        raise DataError(f"{file.filename}: value {cell} is NaN in {q_key} but not in {phi_key}")
    if not filled.any():
        raise DataError(f"{file.filename}: {q_key} holds no number: all bins are empty")
    rings, azimuths = (whole(file, _of_qmap(file, name)) for name in ("dnoq", "dnophi"))
    if rings is not None and azimuths is not None and len(q) > rings * azimuths:
        raise DataError(f"{file.filename}: {len(q)} values in {q_key} for {rings} q × {azimuths} phi")
    if azimuths != 1 and declared_unit(dataset(file, phi_key)) is None:
        say_if_radians(
            phi, f"{file.filename}: {phi_key}", "if they are, give the list an attribute units, rad"
        )
    return ListedBins(q[filled], phi[filled], azimuths)


def _values(file: h5py.File, key: str, quantity: str, usual: str) -> np.ndarray:
    unit = declared_unit(dataset(file, key)) or usual
    return numbers(file, key) * factor(quantity, unit, f"{file.filename}: {key}")


def _labels(file: h5py.File, found: list[int], count: int) -> np.ndarray:
    """The label of every matrix, by the numbers found and the labels listed; raises `DataError` if that is unclear."""
    key = _setting(file, "qphi_bin_to_process")
    listed = numbers(file, key, np.int64).tolist() if key in file else []
    told = f"{file.filename}: matrices are numbered {_shown(found)}, labels in {key} are {_shown(listed)}"
    if not listed or (set(listed) == {1} and len(found) > 1):  # absent, or as a q map's template has it
        if found != list(range(1, count + 1)):
            raise DataError(f"{told}: which of the {count} bins the matrices belong to cannot be known")
        return np.array(found)
    as_labels = found == sorted(listed)
    as_counters = found == list(range(1, len(listed) + 1))
    if as_labels and as_counters and found != listed:
        raise DataError(
            f"{told}: the numbers may be labels, or count the labels in their order; sort the list"
        )
    if not (as_labels or as_counters):
        raise DataError(f"{told}: the numbers are neither these labels nor do they count them")
    labels = np.array(found if as_labels else listed)
    single(labels, f"{file.filename}: {key} must name every bin once: label")
    if labels.min() < 1 or labels.max() > count:
        wrong = labels.min() if labels.min() < 1 else labels.max()
        raise DataError(f"{told}: there is no label {wrong}; the q map has {count} bins that are not empty")
    return labels


def _shown(values: list[int]) -> str:
    if not values:
        return "absent"
    return ", ".join(map(str, values[:12])) + (f", ... ({len(values)})" if len(values) > 12 else "")


def _clock(file: h5py.File, given: Selection, frames: int) -> Clock:
    """The times of so many stored frames; raises `DataError` where they are unknown and not given, or contradictory."""
    keys = {name: _setting(file, name) for name in ("stride_frames", "avg_frames", "data_begin_todo")}
    stride, average = count_of(file, keys["stride_frames"]), count_of(file, keys["avg_frames"])
    begin, end = whole(file, keys["data_begin_todo"]), whole(file, _setting(file, "data_end_todo"))
    if given.dt is None:
        _check_average(file, average)
    if given.dt is None and end and begin is not None:
        per_frame, said = (
            (stride.value or 1) * (average.value or 1),
            f"frames {begin} to {end} (data_end_todo)",
        )
        check_enough(file, frames, per_frame, end - begin + 1, said)
    period_key = _there(file, (f"{_DETECTOR}/exposure_period", f"{_BLUESKY}/t0"))
    exposure_key = _there(file, (f"{_DETECTOR}/exposure_time", f"{_BLUESKY}/t1"))
    period = period_of(file, period_key, exposure_key, given.dt)
    wrong = "" if begin is None or begin >= 1 else "does not count from 1"
    first = Stated(last_name(keys["data_begin_todo"]), begin, wrong)
    return clock_of(file, given, period, stride, average, first, counted_from=1)


def _check_average(file: h5py.File, average: Stated) -> None:
    """Raises `DataError` if the program that made the results says another number of averaged frames."""
    key = f"{results_group(file)}/frames_bin_size"
    size = count_of(file, key).value
    if size not in (None, average.value or 1):
        raise DataError(
            f"{file.filename}: {key} is {size}, but {average.name} {average.value or 'absent'}: how many raw frames "
            "are averaged is unclear; give dt, the time between stored frames, in s"
        )


def bins_of_labels(file: h5py.File, listed: ListedBins, labels: np.ndarray) -> Bins:
    """q, azimuth (NaN for a ring) and full widths (NaN if unknown) of these labels, and where they come from."""
    q, phi = listed.q[labels - 1], listed.phi[labels - 1]
    seen, lacking = _seen(file, q, labels)
    alone = listed.azimuths == 1
    source = {"q_source": "dqlist", "phi_source": "dphilist"}
    if seen is None:
        unknown = np.full(len(q), np.nan)
        source = {name: f"{words}; the widths are unknown, as {lacking}" for name, words in source.items()}
        if alone:
            ring = f"dnophi is 1: taken for rings, as the pixels do not tell ({lacking})"
            return Bins(q, unknown, unknown, unknown, {**source, "phi_source": ring})
        return Bins(q, phi, unknown, unknown, source)
    _check_azimuths(file, listed, phi, seen)
    without = seen.ring | (~seen.known & alone)
    dq, dphi = np.where(seen.known, seen.dq, np.nan), np.where(seen.known & ~without, seen.dphi, np.nan)
    source = {name: f"{words}; widths by the pixels of dqmap" for name, words in source.items()}
    return Bins(q, np.where(without, np.nan, phi), dq, dphi, source)


def _seen(file: h5py.File, q: np.ndarray, labels: np.ndarray) -> tuple[PixelBins | None, str]:
    """The bins by their pixels, or None and why these do not tell.

    The map may be stored turned, and the beam centre may be that of another place of the stage: that counts with
    which q of the pixels are q of the list.
    """
    key = _of_qmap(file, "dqmap")
    place, lacking = geometry(file, _GEOMETRY, key)
    if place is None:
        return None, lacking
    stored = label_map(file, key)
    views = [(roi, centre) for roi in (stored, stored.T) for centre in _centres(file, place)]
    seen = [bins_of_pixels(np.ascontiguousarray(roi), labels, centre) for roi, centre in views]
    best = min(seen, key=lambda bins: _off(bins, q))
    if not best.known.any():
        return None, f"no bin has 3 pixels in {key}"
    if _off(best, q) > 1.0:
        worst = int(np.argmax(np.where(best.known, np.abs(best.q - q), 0.0)))
        lacking = f"q = {q[worst]:.4g} 1/Å in dqlist, but {best.q[worst]:.4g} by its pixels in {key}"
        warnings.warn(f"{file.filename}: {lacking}; the list is taken, the widths are unknown", stacklevel=2)
        return None, lacking
    return best, ""


def _off(seen: PixelBins, q: np.ndarray) -> float:
    """How far the q of list and pixels are apart, at most, in units of what is let pass; infinity without pixels."""
    if not seen.known.any():
        return np.inf
    room = np.maximum(_AGREES * q, 0.5 * seen.dq)
    return float(np.max(np.abs(seen.q - q)[seen.known] / room[seen.known]))


def _centres(file: h5py.File, place: Geometry) -> list[Geometry]:
    """The geometry with the beam centre as stored, and moved with the stage either way."""
    moved = []
    for axis in "zx":
        now, zero = (number(file, f"{_STAGE}/stage{part}_{axis}") for part in ("", "_zero"))
        moved.append(0.0 if now is None or zero is None else (now - zero) * 1e-3 / place.pixel)  # mm
    row, column = moved
    shifts = {(sense * row, sense * column) for sense in (0.0, 1.0, -1.0) if np.isfinite(row + column)}
    return [
        Geometry(place.row + down, place.column + right, place.distance, place.pixel, place.energy)
        for down, right in sorted(shifts or {(0.0, 0.0)}, key=lambda shift: abs(shift[0]) + abs(shift[1]))
    ]


def _check_azimuths(file: h5py.File, listed: ListedBins, phi: np.ndarray, seen: PixelBins) -> None:
    """Raise `DataError` if one bin has pixels at several azimuths; warn if pixels do not lie as the list says."""
    if listed.azimuths is not None and listed.azimuths > 1:
        widest = 360.0 / listed.azimuths
        if np.any(seen.known & (seen.dphi > _FOLDED * widest + 2.0)):
            raise DataError(
                f"{file.filename}: the pixels of one of {listed.azimuths} azimuths lie at several, {widest:.3g}° wide "
                "at most: the q map is folded; reduce with a map that is not"
            )
    sectors = seen.known & ~seen.ring & np.isfinite(phi)
    if sectors.any():
        apart = min(_turned(phi[sectors], sense * seen.phi[sectors]) for sense in (-1.0, 1.0))
        if apart > 0.6 * float(seen.dphi[sectors].max()) + 1.0:
            warnings.warn(
                f"{file.filename}: phi of dphilist lies up to {apart:.3g}° from the pixels of dqmap, however these are "
                "turned; the list is taken",
                stacklevel=2,
            )


def _turned(phi: np.ndarray, seen: np.ndarray) -> float:
    """Degrees between two lists of azimuths, at most, after one is turned to the other as a whole."""
    turn = np.degrees(np.angle(np.mean(np.exp(1j * np.radians(phi - seen)))))
    return float(between_directions(phi, seen + turn).max())
