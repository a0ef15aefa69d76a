"""What the lists of the q map say of the bins.

Label l, counted from 1 over the bins that are not empty, belongs to cell ``dynamic_index_mapping[l - 1]`` of the grid
``dynamic_num_pts``, second axis fastest, whose centres are ``dynamic_v_list_dim0`` and ``_dim1`` in the order of
``map_names``. The spacing of the centres bounds where the mean of a bin can lie; it is not the width of a bin, of
which a mask may have left a part.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import h5py
import numpy as np

from heterodyne.data.geometry import between_directions
from heterodyne.errors import DataError
from heterodyne.loading.fields import label_map, single
from heterodyne.loading.hdf5 import dataset, declared_unit, numbers
from heterodyne.loading.layouts.aps_u.fields import LABELS, QMAP, ROI_MAP, axis_texts
from heterodyne.loading.units import factor

_MAPPING = f"{QMAP}/dynamic_index_mapping"
_ASSUMED = {"q": "Å⁻¹", "phi": "deg"}


@dataclass(frozen=True)
class ListedBins:
    """Per bin: q in Å⁻¹ and azimuth in degrees, and the spacing of the grid there, NaN where one value has none.

    ``azimuths`` is the number of azimuths of the grid. ``missing`` says why the lists do not tell the bins, "" if
    they do; all else is NaN then. ``doubt`` is what only the pixels can confirm, "" for nothing.
    """

    q: np.ndarray
    phi: np.ndarray
    cell_q: np.ndarray
    cell_phi: np.ndarray
    azimuths: int
    missing: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class _Axis:
    """One axis of the bin grid: "q" or "phi", its bin centres and their spacing in Å⁻¹ or degrees."""

    name: str
    centres: np.ndarray
    spacing: np.ndarray


def listed_bins(file: h5py.File, labels: np.ndarray) -> ListedBins:
    """The bins of these labels as the lists of the q map say; raises `DataError` where these contradict themselves."""
    names = axis_texts(file, "map_names")
    if sorted(names) != ["phi", "q"]:
        return _not_listed(labels, f"the bins are over ({', '.join(names)}); two-time fits need q and phi")
    units = axis_texts(file, "map_units") if f"{QMAP}/map_units" in file else ["", ""]
    first, second = (_axis(file, dim, names[dim], units[dim]) for dim in range(2))
    shape = _grid_shape(file, first, second)
    mapping = _mapping(file, shape)
    if labels.max() > len(mapping):
        raise DataError(
            f"{file.filename}: label {labels.max()} in {LABELS} is not mapped; {_MAPPING} ends at {len(mapping)}"
        )
    if _merged(file, mapping, shape, first):
        return _not_listed(labels, f"the q map was merged from several, so {_MAPPING} does not tell the bins")
    _check_cells(file, mapping, shape)
    cells = dict(zip(names, np.divmod(mapping[labels - 1], shape[1]), strict=True))
    grid = {axis.name: axis for axis in (first, second)}
    q, phi = (grid[name].centres[cells[name]] for name in ("q", "phi"))
    cell_q, cell_phi = (grid[name].spacing[cells[name]] for name in ("q", "phi"))
    return ListedBins(q, phi, cell_q, cell_phi, len(grid["phi"].centres), doubt=_doubt(mapping, shape))


def _not_listed(labels: np.ndarray, missing: str) -> ListedBins:
    unknown = np.full(len(labels), np.nan)
    return ListedBins(unknown, unknown, unknown, unknown, 0, missing)


def _axis(file: h5py.File, dim: int, name: str, map_unit: str) -> _Axis:
    key = f"{QMAP}/dynamic_v_list_dim{dim}"
    unit = declared_unit(dataset(file, key)) or map_unit.strip()
    if not unit:
        unit = _ASSUMED[name]
        warnings.warn(f"{file.filename}: {key} declares no unit; taken as {unit}", stacklevel=2)
    centres = numbers(file, key) * factor(name, unit, f"{file.filename}: {key}")
    if not len(centres) or not np.isfinite(centres).all():
        raise DataError(f"{file.filename}: {key} is {'not finite' if len(centres) else 'empty'}")
    return _Axis(name, centres, _spacing(name, centres))


def _spacing(name: str, centres: np.ndarray) -> np.ndarray:
    """The distance of every centre to its neighbours: of q to the farther one, of azimuths the usual one."""
    if len(centres) == 1:
        return np.full(1, np.nan)
    if name == "phi":
        return np.full(len(centres), np.median(between_directions(centres[1:], centres[:-1])))
    steps = np.abs(np.diff(centres))
    return np.maximum(np.append(steps, 0.0), np.insert(steps, 0, 0.0))


def _grid_shape(file: h5py.File, first: _Axis, second: _Axis) -> tuple[int, int]:
    shape = (len(first.centres), len(second.centres))
    key = f"{QMAP}/dynamic_num_pts"
    stated = tuple(int(n) for n in numbers(file, key, np.int64))
    if stated != shape:
        raise DataError(f"{file.filename}: {key} says {stated}, but the lists of centres have {shape} values")
    return shape


def _mapping(file: h5py.File, shape: tuple[int, int]) -> np.ndarray:
    """The grid cell of every label, from 0; int64, as the stored uint8 would overflow in any arithmetic."""
    if _MAPPING in file:
        return numbers(file, _MAPPING, np.int64)
    n_cells = shape[0] * shape[1]
    filled = np.unique(label_map(file, ROI_MAP))
    if not np.array_equal(filled[filled > 0], np.arange(1, n_cells + 1)):
        raise DataError(
            f"{file.filename} has no {_MAPPING}, and not all {n_cells} bins are filled: "
            "which q and phi a label means cannot be known"
        )
    return np.arange(n_cells)


def _merged(file: h5py.File, mapping: np.ndarray, shape: tuple[int, int], first: _Axis) -> bool:
    """Whether the map was merged from several: the mapping is then a running label, and means no cell."""
    if not np.array_equal(mapping, np.arange(len(mapping))):
        return False
    steps = np.diff(first.centres)
    ordered = np.all(steps > 0) or np.all(steps < 0)
    # one map has its mapping in the smallest unsigned type, and lists with attributes
    stored = _MAPPING in file and dataset(file, _MAPPING).dtype == np.int64
    bare = not len(dataset(file, f"{QMAP}/dynamic_v_list_dim0").attrs)
    return bool((stored and bare) or (len(mapping) < shape[0] * shape[1] and not ordered))


def _check_cells(file: h5py.File, mapping: np.ndarray, shape: tuple[int, int]) -> None:
    outside = mapping[(mapping < 0) | (mapping >= shape[0] * shape[1])]
    if len(outside):
        raise DataError(
            f"{file.filename}: {_MAPPING} points to cell {outside[0]} of a grid of {shape[0]} × {shape[1]}"
        )
    single(mapping, f"{file.filename}: {_MAPPING} must name every cell once: cell")


def _doubt(mapping: np.ndarray, shape: tuple[int, int]) -> str:
    n_cells = shape[0] * shape[1]
    if len(mapping) == n_cells or not np.array_equal(mapping, np.arange(len(mapping))):
        return ""
    return (
        f"the last {n_cells - len(mapping)} of {n_cells} bins are empty; "
        "if the q map was merged from several, q and phi may be wrong"
    )
