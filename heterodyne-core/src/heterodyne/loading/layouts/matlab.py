"""MATLAB files of version 7.3, HDF5 behind a user block, with c2, q, phi, dt and more under the names of arrays.

MATLAB stores columns first, so that an array c2(frame, frame, bin) lies in the file as (bin, frame, frame). Text is
stored as codes of its letters, a structure as a group.
"""

from __future__ import annotations

import warnings
from math import prod
from pathlib import Path

import h5py
import numpy as np

from heterodyne.data.selection import Selection
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.loading.array_facts import Arrays, two_time
from heterodyne.loading.hdf5 import array, attribute, dataset, opened
from heterodyne.loading.lazy import FileMatrices, Place
from heterodyne.loading.names import layout_of, matrices_name
from heterodyne.loading.npz import Header

_HEADER = b"MATLAB 7.3 MAT-file"
_OLDER = b"MATLAB 5.0 MAT-file"  # of versions 5 to 7.2

_UNREAD = ("bad_pairs", "weight")
"""Arrays that count bins and frames from 0 or have bins first, which those made in MATLAB do not."""


def sniff(path: Path) -> float:
    """0.8 for a file that begins as MATLAB's do, 0.5 for another HDF5 file of that suffix, else 0."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(_HEADER))
    except OSError:
        return 0.0
    if begin in (_HEADER, _OLDER):
        return 0.8
    return 0.5 if path.suffix.lower() == ".mat" and begin else 0.0


def load(path: Path, given: Selection) -> TwoTime:
    """All bins; raises `DataError` saying which of q, phi and dt neither the file nor the user says."""
    _check_version(path)
    with opened(path, given.allow_links) as file:
        key = matrices_name(path, _inside(file), given.key)
        within = key.rpartition("/")[0]
        names = {name: _header(file[name]) for name in _inside(file) if name.rpartition("/")[0] == within}
        layout = layout_of(path, key, names[key].shape)
        headers = {name.rpartition("/")[2]: header for name, header in names.items()}
        if unread := [name for name in _UNREAD if headers.pop(name, None)]:
            warnings.warn(f"{path}: not used: {', '.join(unread)}", stacklevel=3)
        prefix = f"{within}/" if within else ""
        arrays = Arrays(path, headers, lambda name: _read(file, prefix + name), key.rpartition("/")[2])
        count = layout.bins if len(names[key].shape) == 3 else 0
        places = [Place(key, bin, 2 if layout.last else 0) for bin in range(count)] or [Place(key)]
        c2 = FileMatrices(path, tuple(places), allow_links=given.allow_links)
        return two_time(arrays, c2, layout, given)


def _check_version(path: Path) -> None:
    """Raises `DataError` for a file of an older version, which is no HDF5."""
    if not h5py.is_hdf5(path):
        with path.open("rb") as file:
            begin = file.read(len(_HEADER))
        if begin != _HEADER:
            raise DataError(
                f"{path} is a MATLAB file of a version before 7.3, or none: write it anew with save -v7.3 "
                "(save FILE.mat c2 q phi dt -v7.3)"
            )


def _inside(file: h5py.File) -> list[str]:
    """The arrays at the top, then those in structures there; without empty ones, which are stored as their sizes."""
    tops, inner = [], []
    for name in (name for name in map(str, file) if not name.startswith("#")):
        found = file[name]
        if isinstance(found, h5py.Group) and not attribute(found, "MATLAB_sparse"):
            inner += [f"{name}/{own}" for own in found]
        tops.append(name)
    datasets = {name: found for name in (*tops, *inner) if isinstance(found := file[name], h5py.Dataset)}
    return [name for name, found in datasets.items() if attribute(found, "MATLAB_empty") in ("", "0")]


def _header(stored: h5py.Dataset) -> Header:
    """Shape in the file and type; a text is one word."""
    if attribute(stored, "MATLAB_class") == "char":
        return Header((1,), False, np.dtype(f"U{min(prod(stored.shape or ()), 1000)}"))
    return Header(stored.shape or (), False, stored.dtype)


def _read(file: h5py.File, key: str) -> np.ndarray:
    """The array at ``key`` as MATLAB shows it, without axes of length 1."""
    values = array(file, key)
    if attribute(dataset(file, key), "MATLAB_class") == "char":
        return np.array(["".join(map(chr, values.reshape(-1).tolist()))])
    return np.squeeze(values.T)
