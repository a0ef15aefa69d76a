"""The project's own two-time file: an NXxpcs tree, upper halves in tiles, and the group /entry/heterodyne.

NXxpcs readers find the matrices (storage mode data_exchange_keys) with their q and phi lists;
/entry/heterodyne holds what NXxpcs has no place for: frame times, age, bin widths, mask, pairs to leave
out and weights where there are any, truth of simulated data, provenance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import square
from heterodyne.errors import DataError
from heterodyne.io.atomic import replacing

SCHEMA = "twotime/1"
"""The root attribute ``heterodyne_schema`` of these files."""

MATRICES = "entry/twotime/two_time_corr_func"
MASKS = "entry/instrument/masks"
OWN = "entry/heterodyne"
TILE = 256
"""Rows and columns of a stored tile; tiles below the diagonal are never written and take no space."""

_SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs")
# against lzf on noisy float32: a tenth smaller, as fast to read, and every HDF5 library can read it
_PACKED: Mapping[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


def write_two_time(data: TwoTime, path: Path) -> Path:
    """Write the data, one matrix at a time; returns the path. The file appears whole or not at all.

    Raises `DataError` if the name is not that of an HDF5 file or nothing can be written there.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise DataError(f"two-time data are written as HDF5: {path} must end in {', '.join(_SUFFIXES)}")
    with replacing(path) as temporary, h5py.File(temporary, "w", locking=False) as file:
        file.attrs["heterodyne_schema"] = SCHEMA
        file.attrs["default"] = "entry"
        file.attrs["NX_class"] = "NXroot"
        entry = _group(file, "entry", "NXentry")
        entry["definition"] = "NXxpcs"
        entry["entry_identifier"] = path.stem
        _group(entry, "data", "NXdata")
        _write_instrument(entry, data)
        _write_own(entry, data)
        _write_matrices(entry, data)
    return path


def _group(parent: h5py.Group, name: str, nexus_class: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nexus_class
    return group


def _field(group: h5py.Group, name: str, value: Any, units: str) -> None:
    group[name] = value
    group[name].attrs["units"] = units


def _write_instrument(entry: h5py.Group, data: TwoTime) -> None:
    instrument = _group(entry, "instrument", "NXinstrument")
    _field(_group(instrument, "detector", "NXdetector"), "frame_time", data.dt, "s")
    masks = _group(instrument, "masks", "NXnote")
    _field(masks, "dynamic_q_list", data.q, "1/angstrom")
    _field(masks, "dynamic_phi_list", data.phi, "degree")


def _write_own(entry: h5py.Group, data: TwoTime) -> None:
    group = _group(entry, "heterodyne", "NXcollection")
    for name in ("t", "dt", "age"):
        _field(group, name, getattr(data, name), "s")
    _field(group, "dq", data.dq, "1/angstrom")
    _field(group, "dphi", data.dphi, "degree")
    group.create_dataset("mask", data=data.mask, **_PACKED)
    if len(data.bad_pairs):
        group["bad_pairs"] = data.bad_pairs
    if data.weight is not None:
        group.create_dataset("weight", data=data.weight, **_PACKED)
    origin = dict(data.provenance)
    if "truth" in origin:
        group["truth"] = _json(origin.pop("truth"))
    group["provenance"] = _json(origin)


def _write_matrices(entry: h5py.Group, data: TwoTime) -> None:
    matrices = _group(_group(entry, "twotime", "NXdata"), "two_time_corr_func", "NXcollection")
    matrices.attrs["storage_mode"] = "data_exchange_keys"
    matrices.attrs["populated_elements"] = "upper_half"
    matrices.attrs["baseline_reference"] = 1
    matrices.attrs["time_origin_location"] = "upper_left"
    for bin in range(data.n_bins):
        matrix = square(data.c2[bin])
        if len(matrix) != data.n_frames:
            raise DataError(
                f"{data.label(bin)}: the matrix has {len(matrix)} frames, the times {data.n_frames}"
            )
        _write_upper(matrices, f"c2_{bin + 1:05d}", matrix)


def _write_upper(group: h5py.Group, name: str, matrix: np.ndarray) -> None:
    n = len(matrix)
    single = matrix.dtype == np.float32
    tile = min(TILE, n)
    target = group.create_dataset(
        name, shape=(n, n), dtype=np.float32 if single else np.float64, chunks=(tile, tile), **_PACKED
    )
    for start in range(0, n, tile):
        band = np.array(matrix[start : start + tile, start:], dtype=target.dtype)
        band[:, : len(band)] = np.triu(band[:, : len(band)])
        target[start : start + tile, start:] = band


def _json(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """What JSON has no word for: arrays and scalars of NumPy, mappings, paths."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
