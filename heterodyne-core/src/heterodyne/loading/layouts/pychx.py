"""NSLS-II results, as pyCHX exports them: c2 in ``g12b`` (frame, frame, region), all else in attributes.

Attribute k of ``qval_dict`` is [q] of a ring or [q, azimuth], in Å⁻¹ and degrees, as numbers or as their text; those of
``md`` have the time between frames.
"""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np

from heterodyne.data.geometry import between_directions
from heterodyne.data.selection import Selection
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError, reading
from heterodyne.loading.axes import stated
from heterodyne.loading.hdf5 import attribute, dataset, numbers, opened, recognised
from heterodyne.loading.lazy import FileMatrices, Place, side

_MATRICES, _REGIONS, _SETTINGS, _LAGS = "g12b", "qval_dict", "md", "taus2"
_PERIODS = ("frame_time", "cam_acquire_period")  # s; the first one counts

_MOST_VALUES = 16  # of an attribute
_SAME = 1e-3  # relative: times that are written with few digits
_NEAR = 0.02, 1.0  # of q, and degrees: a region that is stated is one of those listed


def sniff(path: Path) -> float:
    """0.9 for a file with a three-dimensional /g12b and /qval_dict, else 0."""
    return 0.9 if recognised(path, _is_result) else 0.0


def _is_result(file: h5py.File) -> bool:
    return _MATRICES in file and _REGIONS in file and dataset(file, _MATRICES).ndim == 3


def load(path: Path, given: Selection) -> TwoTime:
    """All regions; raises `DataError` where q or the time between frames is unknown or contradictory."""
    with opened(path, given.allow_links) as file:
        shape = dataset(file, _MATRICES).shape or ()
        if len(shape) != 3:
            raise DataError(f"{path}: {_MATRICES} must be (frames, frames, regions), not of shape {shape}")
        places = tuple(Place(_MATRICES, k, 2) for k in range(shape[2]))
        if not places:
            raise DataError(f"{path}: {_MATRICES} holds no region")
        frames = side(file, places[0])
        q, phi, named = regions(file, f"{_MATRICES} holds {len(places)} matrices", len(places), given)
        dt, source = _period(file, given)
    matrices = FileMatrices(path, places, allow_links=given.allow_links)
    sources = {"q_source": named, "phi_source": named, "dt_source": source}
    return TwoTime(matrices, q, phi, dt * np.arange(1, frames + 1), dt, 0.0, provenance=sources)


def regions(file: h5py.File, what: str, count: int, given: Selection) -> tuple[np.ndarray, np.ndarray, str]:
    """q and azimuth (NaN for rings) of so many matrices or columns, named ``what``, and where they come from.

    Raises `DataError` unless the regions are known for certain.
    """
    path = Path(file.filename)
    node = dataset(file, _REGIONS)
    with reading(f"{path}: {_REGIONS}"):
        keys = sorted((name for name in node.attrs if name.isdecimal()), key=int)
    rows = [_values(node, key) for key in keys]
    for key, row in zip(keys, rows, strict=True):
        if len(row) not in (1, 2):
            raise DataError(
                f"{path}: {_REGIONS} {key} holds {len(row)} values; a region has q, or q and azimuth"
            )
    if len(rows) < count:
        raise DataError(f"{path}: {_REGIONS} names {len(rows)} regions, but {what}")
    q, phi = np.array([(row[0], row[1] if len(row) > 1 else np.nan) for row in rows]).T
    _check_azimuths(file, phi)
    if len(rows) == count:
        return q, phi, f"attributes of {_REGIONS}"
    chosen = _chosen(path, q, phi, what, count, given)
    return q[chosen], phi[chosen], f"as given, of the {len(rows)} in {_REGIONS}"


def _check_azimuths(file: h5py.File, phi: np.ndarray) -> None:
    """Raise `DataError` where the second value of a region is another component of q, as at grazing incidence."""
    told = attribute(dataset(file, _SETTINGS), "scattering") if _SETTINGS in file else ""
    known = phi[np.isfinite(phi)]
    small = not told and len(known) and known.any() and np.abs(known).max() < 1.0
    if len(known) and (told.startswith("gi") or small):
        why = f"md says scattering = {told}" if told else f"they reach {np.abs(known).max():g}"
        raise DataError(
            f"{file.filename}: the second values of {_REGIONS} are no azimuths but qz ({why}): grazing incidence "
            "is not read; convert to an .npz file with the q along the flow"
        )


def _chosen(path: Path, q: np.ndarray, phi: np.ndarray, what: str, count: int, given: Selection) -> list[int]:
    """Which of the regions the user states these to be; raises `DataError` unless that is certain."""
    at = stated(path, "q", given, count)
    towards = np.full(count, np.nan) if np.isnan(phi).all() else stated(path, "phi", given, count)
    problem = (
        f"{path}: {what}, {_REGIONS} {len(q)} regions, and which of them is not in the file: give q and phi of every "
        "one in its order (--q, --phi)"
    )
    if at is None or towards is None:
        raise DataError(problem)
    away, turn = _NEAR
    found = []
    for one, angle in zip(at, towards, strict=True):
        same = (np.isnan(phi) & np.isnan(angle)) | (between_directions(phi, angle) <= turn)
        distance = np.where(same, np.abs(q - one), np.inf)
        if distance.min() > away * one:
            raise DataError(f"{problem}; there is no region q = {one:g}, phi = {angle:g}")
        found.append(int(distance.argmin()))
    if len(set(found)) < count:
        raise DataError(f"{problem}; the values given do not tell {count} different ones")
    return found


def _period(file: h5py.File, given: Selection) -> tuple[float, str]:
    """dt in s and its source; raises `DataError` where md and the lags of g2 contradict one another."""
    settings = dataset(file, _SETTINGS) if _SETTINGS in file else None
    held = {} if settings is None else {name: _values(settings, name) for name in _PERIODS}
    known = [(f"{name} in md", row[0]) for name, row in held.items() if len(row) == 1 and row[0] > 0]
    lags = numbers(file, _LAGS) if _LAGS in file else np.zeros(0)
    step = float(np.median(np.diff(lags))) if len(lags) > 1 else math.nan
    if step > 0 and abs(step - 1.0) > _SAME:  # lags that are 1 apart are counted in frames
        known.append((f"spacing of {_LAGS}", step))
    if given.dt is not None:
        return (given.dt, "given") if not known else (known[0][1], known[0][0])
    if not known:
        raise DataError(f"{file.filename}: neither md nor {_LAGS} says the time between frames; give dt in s")
    values = [value for _, value in known]
    if max(values) > (1.0 + _SAME) * min(values):
        said = ", ".join(f"{name} {value:g} s" for name, value in known)
        raise DataError(
            f"{file.filename}: {said}: frames may have been binned; give dt, the time between stored frames, in s"
        )
    return known[0][1], known[0][0]


def _values(node: h5py.Dataset, name: str) -> list[float]:
    """The numbers of an attribute, which may be their text, such as "[ 0.01 -90. ]"; none where there is none."""
    where = f"{node.file.filename}: attribute {name} of {node.name}"
    with reading(where):
        if name not in node.attrs:
            return []
        if math.prod(node.attrs.get_id(name).shape) > _MOST_VALUES:
            raise DataError(f"{where} holds more than {_MOST_VALUES} values")
        words = attribute(node, name).strip("[]() ").replace(",", " ").split()
        values = np.asarray(node.attrs[name]).reshape(-1)
    try:
        return [float(value) for value in (words if values.dtype.kind in "OSU" else values)]
    except (TypeError, ValueError):
        raise DataError(f"{where} must hold numbers, not {' '.join(words)[:40]!r}") from None
