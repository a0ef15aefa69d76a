"""Bins of multi-tau g2 by column, from the lists of every layout and, where the file has them, the pixels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import h5py
import numpy as np

from heterodyne.data.geometry import between_directions
from heterodyne.data.selection import Selection
from heterodyne.errors import DataError, reading
from heterodyne.loading.fields import geometry, label_map
from heterodyne.loading.hdf5 import attribute, dataset, declared_unit, group, number, numbers
from heterodyne.loading.layouts.aps_u.bins import Bins, bins_of_labels
from heterodyne.loading.layouts.aps_u.fields import QMAP, ROI_MAP
from heterodyne.loading.pixels import PixelBins, bins_of_pixels
from heterodyne.loading.units import factor

_AGREES = 0.02  # relative; q of list and pixels are means over the same pixels
_TURNED = 1.0  # degrees between an azimuth as given and as listed

_ACQUISITION, _DETECTOR = "measurement/instrument/acquisition", "measurement/instrument/detector"
_LEGACY_GEOMETRY = {
    f"{_ACQUISITION}/beam_center_y": ("pixels", "pixels"),
    f"{_ACQUISITION}/beam_center_x": ("pixels", "pixels"),
    f"{_DETECTOR}/distance": ("length", "mm"),
    f"{_DETECTOR}/x_pixel_size": ("length", "mm"),
    "measurement/instrument/source_begin/energy": ("energy", "keV"),
}

_MASKS = "entry/instrument/masks"


def aps_u_bins(file: h5py.File, columns: int, given: Selection) -> Bins:
    """The bins of APS-U: column k is label k + 1 of the q map, each bin that is not empty in turn."""
    mapping = f"{QMAP}/dynamic_index_mapping"
    key = mapping if mapping in file else ROI_MAP
    labels = len(numbers(file, key, np.int64)) if key == mapping else int(label_map(file, key).max())
    _check_count(file, columns, labels, key)
    return bins_of_labels(file, np.arange(1, columns + 1))


def aps_legacy_bins(file: h5py.File, columns: int, given: Selection) -> Bins:
    """The bins of APS before 2025: column k is the k-th cell of the lists that is not NaN.

    A map of one azimuth is of rings, unless the pixels say otherwise.
    """
    q, phi = numbers(file, "xpcs/dqlist"), numbers(file, "xpcs/dphilist")
    if len(q) != len(phi):
        raise DataError(f"{file.filename}: xpcs/dqlist has {len(q)} values and xpcs/dphilist {len(phi)}")
    filled = np.isfinite(q)
    _check_count(file, columns, int(filled.sum()), "xpcs/dqlist (without NaN)")
    alone = number(file, "xpcs/dnophi") == 1.0
    sources = {"q_source": "dqlist", "phi_source": "dphilist"}
    return _with_pixels(file, q[filled], phi[filled], sources, _LEGACY_GEOMETRY, "xpcs/dqmap", alone)


def nxxpcs_bins(file: h5py.File, columns: int, given: Selection) -> Bins:
    """The bins of NXxpcs: column k is entry k of the lists of the dynamic map; without azimuths they are rings."""
    q = _list_of(file, f"{_MASKS}/dynamic_q_list", "q", "Å⁻¹")
    _check_count(file, columns, len(q), f"{_MASKS}/dynamic_q_list")
    key = f"{_MASKS}/dynamic_phi_list"
    phi = _list_of(file, key, "phi", "deg") if key in file else np.full(columns, np.nan)
    _check_count(file, columns, len(phi), key)
    sources = {"q_source": "dynamic_q_list", "phi_source": "dynamic_phi_list" if key in file else "no list"}
    return _with_pixels(
        file, q, phi, sources, _nxxpcs_geometry(file), f"{_MASKS}/dynamic_roi_map", key not in file
    )


def pychx_bins(file: h5py.File, columns: int, given: Selection) -> Bins:
    """The bins of pyCHX: column k is attribute k of ``qval_dict``, [q] of a ring or [q, azimuth].

    Where there are fewer columns, they are the bins whose q and φ are given, one after the other.
    """
    node = dataset(file, "qval_dict")
    with reading(f"{file.filename}: qval_dict"):
        keys = sorted((name for name in node.attrs if name.isdecimal()), key=int)
    rows = [_row(node, key) for key in keys]
    q, phi = np.array([(row[0], row[1] if len(row) > 1 else np.nan) for row in rows]).reshape(-1, 2).T
    if columns != len(keys):
        chosen = _stated(file, q, phi, columns, given)
        q, phi = q[chosen], phi[chosen]
    if "md" in file and attribute(dataset(file, "md"), "scattering").startswith("gi"):
        raise DataError(
            f"{file.filename}: the second values of qval_dict are qz of grazing incidence, no azimuths"
        )
    unknown = np.full(columns, np.nan)
    return Bins(q, phi, unknown, unknown, {"q_source": "qval_dict", "phi_source": "qval_dict"})


def _stated(file: h5py.File, q: np.ndarray, phi: np.ndarray, columns: int, given: Selection) -> list[int]:
    """Which of the bins with these q and φ the columns are, as given; raises `DataError` unless that is clear."""
    problem = (
        f"{file.filename}: g2 has {columns} bins, but qval_dict names {len(q)}, and which they are is not in the file: "
        "give q and phi of every one in its order (--q, --phi)"
    )
    wanted = [given.q, given.phi or (np.nan,) * columns]
    if any(len(values) != columns or any(isinstance(one, tuple) for one in values) for values in wanted):
        raise DataError(problem)
    found = []
    for at, towards in np.array(wanted, dtype=float).T:
        same = (np.isnan(phi) & np.isnan(towards)) | (between_directions(phi, towards) <= _TURNED)
        near = np.flatnonzero(same & (np.abs(q - at) <= _AGREES * at))
        if len(near) != 1 or near[0] in found:
            raise DataError(f"{problem}; {len(near)} bins are q = {at:g}, phi = {towards:g}")
        found.append(int(near[0]))
    return found


def _row(node: h5py.Dataset, key: str) -> list[float]:
    """The numbers of an attribute, which may be their text, such as "[ 0.01 -90. ]"."""
    where = f"{node.file.filename}: qval_dict {key}"
    with reading(where):
        if node.attrs.get_id(key).shape not in ((), (1,), (2,)):
            raise DataError(f"{where} must be q, or q and azimuth")
        values = np.asarray(node.attrs[key]).reshape(-1)
    words = attribute(node, key).strip("[]() ").replace(",", " ").split()
    try:
        row = [float(value) for value in (words if values.dtype.kind in "OSU" else values)]
    except (TypeError, ValueError):
        row = []
    if len(row) not in (1, 2):
        raise DataError(f"{where} must be q, or q and azimuth")
    return row


def _check_count(file: h5py.File, columns: int, listed: int, where: str) -> None:
    if columns != listed:
        raise DataError(
            f"{file.filename}: g2 has {columns} bins, but {where} names {listed}: which they are cannot be known"
        )


def _list_of(file: h5py.File, key: str, quantity: str, usual: str) -> np.ndarray:
    """The numbers at ``key`` in the unit of this program, ``usual`` being theirs if they declare none."""
    unit = declared_unit(dataset(file, key))
    if unit is None:
        warnings.warn(f"{file.filename}: {key} declares no unit; taken as {usual}", stacklevel=2)
    return numbers(file, key) * factor(quantity, unit or usual, f"{file.filename}: {key}")


def _nxxpcs_geometry(file: h5py.File) -> dict[str, tuple[str, str]]:
    """Where the numbers of the geometry are, in the detector that has a beam centre."""
    home = "entry/instrument"
    named = [name for name in map(str, group(file, home)) if f"{home}/{name}/beam_center_x" in file]
    detector = f"{home}/{named[0] if named else 'detector'}"
    return {
        f"{detector}/beam_center_y": ("pixels", "pixels"),
        f"{detector}/beam_center_x": ("pixels", "pixels"),
        f"{detector}/distance": ("length", "m"),
        f"{detector}/x_pixel_size": ("length", "m"),
        f"{home}/incident_beam/incident_energy": ("energy", "keV"),
    }


def _with_pixels(
    file: h5py.File,
    q: np.ndarray,
    phi: np.ndarray,
    sources: dict[str, str],
    fields: Mapping[str, tuple[str, str]],
    key: str,
    alone: bool,
) -> Bins:
    """The bins of the lists, with widths and rings by the pixels where these have the same q.

    Where the pixels do not tell, bins are rings if ``alone``, and have the azimuths of the list if not.
    """
    seen, lacking = _seen(file, q, fields, key)
    if seen is None:
        unknown = np.full(len(q), np.nan)
        said = {name: f"{words}; the widths are unknown, as {lacking}" for name, words in sources.items()}
        if alone:
            said["phi_source"] = f"one azimuth: taken for rings, as the pixels do not tell ({lacking})"
        return Bins(q, unknown if alone else phi, unknown, unknown, said)
    ring = seen.ring | (~seen.known & alone)
    said = {name: f"{words}; widths and rings by the pixels" for name, words in sources.items()}
    dq, dphi = np.where(seen.known, seen.dq, np.nan), np.where(seen.known & ~ring, seen.dphi, np.nan)
    return Bins(q, np.where(ring, np.nan, phi), dq, dphi, said)


def _seen(
    file: h5py.File, q: np.ndarray, fields: Mapping[str, tuple[str, str]], key: str
) -> tuple[PixelBins | None, str]:
    """The bins by their pixels, or None and why these do not tell."""
    place, lacking = geometry(file, fields, key)
    if place is None:
        return None, lacking
    seen = bins_of_pixels(label_map(file, key), np.arange(1, len(q) + 1), place)
    if not seen.known.any():
        return None, f"no bin has 3 pixels in {key}"
    off = np.where(seen.known, np.abs(seen.q - q) / q, 0.0)
    if off.max() > _AGREES:
        lacking = f"q = {q[off.argmax()]:.4g} 1/Å in the list, but {seen.q[off.argmax()]:.4g} by its pixels in {key}"
        warnings.warn(f"{file.filename}: {lacking}; the list is taken", stacklevel=2)
        return None, lacking
    return seen, ""
