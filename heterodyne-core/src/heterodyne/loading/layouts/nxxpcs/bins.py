"""q, azimuth and full widths of the bins of an NXxpcs file: by its lists, and by its pixels where these tell."""

from __future__ import annotations

import re
import warnings

import h5py
import numpy as np

from heterodyne.data.geometry import between_directions
from heterodyne.errors import DataError
from heterodyne.loading.fields import Bins, label_map
from heterodyne.loading.hdf5 import array, dataset, declared_unit, group, number, text
from heterodyne.loading.pixels import Geometry, PixelBins, bins_of_pixels
from heterodyne.loading.units import factor, may_be_radians

_AGREES = 0.05  # of q: what list and pixels may differ by where bins are thin
_SLACK = 1.0  # degrees


def bins_of_labels(file: h5py.File, instrument: str, labels: np.ndarray, one_array: bool) -> Bins:
    """The bins of these labels; raises `DataError` if lists and pixels do not tell their q.

    ``one_array`` says that the labels are places in an array, which then has one for each entry of the lists.
    """
    q, phi = _listed(file, f"{instrument}/masks", labels, one_array)
    seen, lacking = _seen(file, instrument, labels)
    if seen is not None and (q is not None or seen.known.all()):
        return _with_pixels(file, q, phi, seen)
    if q is None:
        said = lacking or "a bin has fewer than 3 pixels in dynamic_roi_map"
        raise DataError(f"{file.filename}: there is no {instrument}/masks/dynamic_q_list, and {said}")
    return _by_lists(file, q, phi, lacking)


def _listed(
    file: h5py.File, masks: str, labels: np.ndarray, one_array: bool
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """q in Å⁻¹ and azimuth in degrees of these labels as the lists have them, None where they have none."""
    keys = [f"{masks}/dynamic_{name}_list" for name in ("q", "phi")]
    q_rows, phi_rows = (_rows(file, key, len(labels)) if key in file else None for key in keys)
    for key, rows in zip(keys, (q_rows, phi_rows), strict=True):
        if rows is not None:
            _check_length(f"{file.filename}: {key}", len(rows), labels, one_array)
    q = phi = None
    if q_rows is not None:
        if q_rows.shape[1] > 2:
            raise DataError(
                f"{file.filename}: {keys[0]} has {q_rows.shape[1]} numbers per bin, not q or (q, phi)"
            )
        unit = _unit(file, keys[0], "Å⁻¹")
        q = q_rows[labels - 1, 0] * factor("q", unit, f"{file.filename}: {keys[0]}")
        phi = q_rows[labels - 1, 1] if q_rows.shape[1] == 2 else None
    if phi_rows is not None:
        if phi_rows.shape[1] != 1:
            raise DataError(f"{file.filename}: {keys[1]} has {phi_rows.shape[1]} numbers per bin, not one")
        listed = phi_rows[labels - 1, 0] * _degrees(file, keys[1], phi_rows)
        if phi is not None and np.any(between_directions(phi, listed) > _SLACK):
            raise DataError(f"{file.filename}: phi in {keys[0]} and in {keys[1]} differ")
        phi = listed
    return q, phi


def _check_length(where: str, length: int, labels: np.ndarray, one_array: bool) -> None:
    if length < labels.max() or (one_array and length != len(labels)):
        said = f"{len(labels)} matrices" if one_array else f"a matrix of label {labels.max()}"
        raise DataError(f"{where} has {length} entries, but there are {said}")
    if length > len(labels) and np.array_equal(labels, np.arange(1, len(labels) + 1)):
        warnings.warn(
            f"{where} has {length} entries; matrices 1 to {len(labels)} are taken for those of labels 1 to "
            f"{len(labels)}",
            stacklevel=2,
        )


def _rows(file: h5py.File, key: str, bins: int) -> np.ndarray:
    """The entries of a list as numbers, (entries, numbers per entry); raises `DataError` for what are none.

    A list of n tuples is (n, m); (1, n) and (n, 1) are lists of numbers.
    """
    stored, where = array(file, key), f"{file.filename}: {key}"
    if stored.dtype.names:
        stored = np.stack([np.asarray(stored[name]) for name in stored.dtype.names], axis=-1)
    if stored.dtype.kind in "OSU":
        stored = _of_texts([text(one) for one in stored.reshape(-1)], where)
    if stored.dtype.kind not in "fiu":
        raise DataError(f"{where} must hold numbers, not {stored.dtype}")
    if stored.ndim > 2 or not stored.size:
        raise DataError(f"{where} must be a list, not of shape {stored.shape}")
    values = stored.astype(float)
    if stored.ndim < 2 or (1 in stored.shape and stored.shape[0] != bins):
        values = values.reshape(-1, 1)
    if len(values) > 1 and _counts(values) and (key.endswith("q_list") or stored.dtype.kind in "iu"):
        raise DataError(f"{where} counts the bins (1, 2, ...) and does not say where they are")
    return values


def _of_texts(texts: list[str], where: str) -> np.ndarray:
    """Numbers, or tuples of them, that are written as words."""
    rows = [re.split(r"[\s,;]+", words.strip().strip("()[]").strip()) for words in texts]
    try:
        found = [[float(word) for word in row] for row in rows]
    except ValueError:
        wrong = next(words for words, row in zip(texts, rows, strict=True) if not all(map(_is_number, row)))
        raise DataError(f"{where} holds {wrong!r}, which is no number: the bins are not told by it") from None
    if len({len(row) for row in found}) > 1:
        raise DataError(f"{where} holds entries of different lengths")
    return np.array(found)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _counts(values: np.ndarray) -> bool:
    """Whether a list holds running numbers."""
    flat = values.reshape(-1)
    return values.shape[1] == 1 and any(
        np.array_equal(flat, np.arange(first, first + len(flat))) for first in (0, 1)
    )


def _unit(file: h5py.File, key: str, usual: str) -> str:
    unit = declared_unit(dataset(file, key))
    if not unit:
        warnings.warn(f"{file.filename}: {key} declares no unit; taken as {usual}", stacklevel=2)
    return unit or usual


def _degrees(file: h5py.File, key: str, rows: np.ndarray) -> float:
    """What azimuths are multiplied with to be degrees.

    The definition of NXxpcs asks for a unit per length, which is no unit of angles: then, and where there is none,
    they count as degrees. Raises `DataError` if they may be radians.
    """
    unit, where = declared_unit(dataset(file, key)), f"{file.filename}: {key}"
    if unit and not _per_length(unit):
        return factor("phi", unit, where)
    said = f"has the unit {unit}, which is none of angles" if unit else "declares no unit"
    if may_be_radians(rows):
        raise DataError(f"{where} {said}, and may be in radians: set its attribute units to deg or rad")
    warnings.warn(f"{where} {said}; taken as degrees", stacklevel=2)
    return 1.0


def _per_length(unit: str) -> bool:
    try:
        factor("q", unit, "")
    except DataError:
        return unit.lower() in ("au", "any")
    return True


def _seen(file: h5py.File, instrument: str, labels: np.ndarray) -> tuple[PixelBins | None, str]:
    """The bins by their pixels, or None and why these do not tell."""
    key = f"{instrument}/masks/dynamic_roi_map"
    if key not in file:
        return None, f"there is no {key}"
    place, lacking = _geometry(file, instrument)
    if place is None:
        return None, lacking
    seen = bins_of_pixels(label_map(file, key), labels, place)
    return (seen, "") if seen.known.any() else (None, f"no bin has 3 pixels in {key}")


def _geometry(file: h5py.File, instrument: str) -> tuple[Geometry | None, str]:
    """Where the detector stands, or None and what the file does not say of it, or not in which unit."""
    groups = [f"{instrument}/{name}" for name in group(file, instrument)]
    detector = next((name for name in groups if f"{name}/beam_center_x" in file), f"{instrument}/detector")
    height, width = (_measured(file, f"{detector}/{axis}_pixel_size", "length") for axis in "yx")
    row = _centre(file, f"{detector}/beam_center_y", height)
    column = _centre(file, f"{detector}/beam_center_x", width)
    distance = _measured(file, f"{detector}/distance", "length")
    energy = _measured(file, f"{instrument}/incident_beam/incident_energy", "energy")
    positive = np.array([height, width, distance, energy])
    if not (np.isfinite([row, column]).all() and np.all(np.isfinite(positive) & (positive > 0.0))):
        return None, "beam centre, distance, pixel size and energy are not all in the file, with their units"
    if not np.isclose(height, width, rtol=1e-3):
        return None, "its pixels are not square"
    return Geometry(row, column, distance, height, energy), ""


def _measured(file: h5py.File, key: str, quantity: str) -> float:
    """The number at ``key``, NaN if there is none or its unit is not one of ``quantity``."""
    value = number(file, key)
    unit = None if value is None else declared_unit(dataset(file, key))
    if value is None or unit is None:
        return np.nan
    try:
        return value * factor(quantity, unit, key)
    except DataError:
        return np.nan


def _centre(file: h5py.File, key: str, size: float) -> float:
    """The place of the beam in pixels, which may be stated as a length."""
    pixels = _measured(file, key, "pixels")
    return pixels if np.isfinite(pixels) else _measured(file, key, "length") / size


def _by_lists(file: h5py.File, q: np.ndarray, phi: np.ndarray | None, lacking: str) -> Bins:
    """The bins without pixels; one azimuth of all of them may stand for rings, which is said."""
    unknown = np.full(len(q), np.nan)
    without = f"; the widths are unknown, as {lacking}"
    sources = {"q_source": f"dynamic_q_list{without}", "phi_source": f"dynamic_phi_list{without}"}
    if phi is None:
        sources["phi_source"] = "there is no dynamic_phi_list: taken for rings"
        return Bins(q, unknown, unknown, unknown, sources)
    if len(np.unique(phi)) == 1 and np.isfinite(phi[0]):
        warnings.warn(
            f"{file.filename}: the one azimuth, {phi[0]:.4g}°, may stand for a whole ring, which only the pixels tell, "
            f"but {lacking}; if it does, fit no model with flow",
            stacklevel=2,
        )
    return Bins(q, phi, unknown, unknown, sources)


def _with_pixels(file: h5py.File, q: np.ndarray | None, phi: np.ndarray | None, seen: PixelBins) -> Bins:
    """The bins as the lists have them, with the widths of their pixels where these agree, else unknown."""
    sources = {name: f"dynamic_{name[:-7]}_list; widths by the pixels" for name in ("q_source", "phi_source")}
    if q is None:
        q, sources["q_source"] = seen.q, "pixels of dynamic_roi_map"
    dq = np.where(seen.known, seen.dq, np.nan)
    off = np.where(seen.known, np.abs(q - seen.q), 0.0)
    if (apart := off > np.maximum(_AGREES * q, 0.5 * np.nan_to_num(seen.dq))).any():
        bin = int(np.argmax(apart))
        said = f"q = {q[bin]:.4g} 1/Å in dynamic_q_list, but {seen.q[bin]:.4g} by its pixels"
        warnings.warn(f"{file.filename}: {said}; the lists are taken, widths are unknown", stacklevel=2)
        return _by_lists(file, q, phi, said)
    if phi is None:
        phi, sources["phi_source"] = _unlisted(file, seen)
    ring = seen.ring | np.isnan(phi)
    sectors = seen.known & ~ring
    dphi = np.where(sectors, seen.dphi, np.nan)
    beyond = min(_beyond(phi, sense * seen.phi, seen.dphi, sectors) for sense in (-1.0, 1.0))
    if beyond > 0.0:
        warnings.warn(
            f"{file.filename}: phi of dynamic_phi_list lies up to {beyond:.3g}° beyond the pixels, however these are "
            "counted; the list is taken, widths in phi are unknown",
            stacklevel=2,
        )
        dphi = np.full(len(q), np.nan)
    return Bins(q, np.where(ring, np.nan, phi), dq, dphi, sources)


def _unlisted(file: h5py.File, seen: PixelBins) -> tuple[np.ndarray, str]:
    """Azimuths that no list says: of the pixels, from higher columns to higher rows, NaN for rings."""
    if not seen.known.all():
        raise DataError(
            f"{file.filename}: no list says phi, and a bin has fewer than 3 pixels in dynamic_roi_map"
        )
    return np.where(seen.ring, np.nan, seen.phi), "pixels of dynamic_roi_map"


def _beyond(phi: np.ndarray, turned: np.ndarray, dphi: np.ndarray, sectors: np.ndarray) -> float:
    """Degrees by which azimuths of sectors lie outside their pixels, at most."""
    return float((between_directions(phi, turned) - 0.6 * dphi - _SLACK)[sectors].max(initial=0.0))
