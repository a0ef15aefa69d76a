"""The project's own two-time file: an NXxpcs tree, upper halves in tiles, and the group /entry/heterodyne.

NXxpcs readers find the matrices (storage mode data_exchange_keys) with their q and phi lists. Validators know that mode
by its attribute alone and would ask for one array, so that its group is a collection, which they leave alone; NeXus
viewers plot the matrices, linked in /entry/data, over the frame times. /entry/heterodyne holds what NXxpcs has no place
for: frame times, age, bin widths, mask, pairs to leave out and weights where there are any, truth of simulated data,
provenance. What NXxpcs requires and the data do not say is NaN or empty. Every part has a checksum: Fletcher-32 the
tiles and other large arrays, HDF5's own of its headers the small ones, which are stored there. Texts have a fixed
length, because heaps of HDF5 have no checksum.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from heterodyne.atomic import replacing
from heterodyne.data.matrices import Matrices
from heterodyne.data.output_stream import CheckedMatrices, OutputStream, written
from heterodyne.data.validation import square, warn_of_gaps
from heterodyne.errors import DataError
from heterodyne.words import as_utf8

SCHEMA = "twotime/1"
"""The root attribute ``heterodyne_schema`` of these files."""

MATRICES = "entry/twotime/two_time_corr_func"

MASKS = "entry/instrument/masks"

OWN = "entry/heterodyne"

_CHUNK = 256
"""Rows and columns of a chunk of a stored matrix; those below the diagonal are never written and take no space."""

_SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs")

# against lzf on noisy float32: a tenth smaller, as fast to read, and every HDF5 library can read it
_PACKED: Mapping[str, Any] = {
    "compression": "gzip",
    "compression_opts": 1,
    "shuffle": True,
    "fletcher32": True,
}

_MOST_PLOTTED = 100  # names in an attribute, which lies in a header of at most 64 KiB

_IN_HEADER = 2**15
"""Bytes of an array that may lie in the header of its dataset, which ends at 64 KiB."""

_FORMAT = "v110"
"""HDF5 1.10: the first whose headers and indices of chunks have checksums."""


def matrix_name(number: int) -> str:
    """The name of the matrix of this bin, counted from 1."""
    return f"c2_{number:05d}"


class Content(NamedTuple):
    """What a file holds, the fields of `heterodyne.data.two_time.TwoTime`."""

    c2: Matrices
    q: np.ndarray
    phi: np.ndarray
    t: np.ndarray
    dt: float
    age: float
    dq: np.ndarray
    dphi: np.ndarray
    mask: np.ndarray
    provenance: Mapping[str, Any]
    bad_pairs: np.ndarray
    weight: np.ndarray | None


def write_two_time(content: Content, path: Path) -> Path:
    """Write the data, one matrix at a time; returns the path. The file appears whole or not at all.

    Raises `DataError` if the name is not that of an HDF5 file or nothing can be written there.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise DataError(f"two-time data are written as HDF5: {path} must end in {', '.join(_SUFFIXES)}")
    if not len(content.q):
        raise DataError("there are no bins to write")
    with replacing(path) as temporary:
        written(temporary, partial(_write, content, as_utf8(path.stem)))
    return path


def _write(content: Content, name: str, stream: OutputStream) -> None:
    content = content._replace(c2=CheckedMatrices(content.c2, stream))
    with h5py.File(stream, "w", libver=(_FORMAT, _FORMAT)) as file:
        _attribute(file, "heterodyne_schema", SCHEMA)
        _attribute(file, "default", "entry")
        _attribute(file, "NX_class", "NXroot")
        entry = _group(file, "entry", "NXentry")
        _attribute(entry, "default", "data")
        _dataset(entry, "definition", "NXxpcs")
        _dataset(entry, "entry_identifier", name)
        _dataset(entry, "scan_number", np.zeros(0, dtype=np.int64))  # required, though deprecated
        for unknown in (
            "start_time",
            "end_time",
            "entry_identifier_uuid",
        ):  # validators ask for the optional two
            _dataset(entry, unknown, "")
        _write_instrument(entry, content)
        _write_own(entry, content)
        matrices = _write_matrices(entry, content)
        _write_plot(entry, matrices)


def _group(parent: h5py.Group, name: str, nexus_class: str) -> h5py.Group:
    group = parent.create_group(name)
    _attribute(group, "NX_class", nexus_class)
    return group


def _attribute(node: h5py.Group | h5py.Dataset, name: str, value: str) -> None:
    node.attrs[name] = _fixed(value)


def _field(group: h5py.Group, name: str, value: Any, units: str) -> None:
    _attribute(_dataset(group, name, value), "units", units)


def _dataset(group: h5py.Group, name: str, value: Any) -> h5py.Dataset:
    """Store the value in the header of its dataset, or in chunks with checksums if it is large."""
    values = _fixed(value) if isinstance(value, str) else np.asarray(value)
    if values.nbytes > _IN_HEADER and values.ndim:
        return group.create_dataset(name, data=values, **_PACKED)
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if values.nbytes <= _IN_HEADER:
        layout.set_layout(h5py.h5d.COMPACT)
    return group.create_dataset(name, data=values, dcpl=layout)


def _fixed(words: str) -> np.ndarray:
    """The text as one of fixed length in UTF-8; a text of no letters has one, which is null."""
    encoded = words.encode("utf-8", "surrogateescape")
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(len(encoded), 1)))


def _write_instrument(entry: h5py.Group, content: Content) -> None:
    instrument = _group(entry, "instrument", "NXinstrument")
    _field(_group(instrument, "incident_beam", "NXbeam"), "incident_energy", np.nan, "keV")
    detector = _group(instrument, "detector", "NXdetector")
    _field(detector, "frame_time", content.dt, "s")
    _field(detector, "count_time", np.nan, "s")
    for axis in "xy":
        _field(detector, f"beam_center_{axis}", np.nan, "m")
    masks = _group(instrument, "masks", "NXnote")
    _field(masks, "dynamic_roi_map", np.full((1, 1), np.nan), "au")
    _field(masks, "dynamic_q_list", content.q, "1/angstrom")
    _field(masks, "dynamic_phi_list", content.phi, "degree")


def _write_own(entry: h5py.Group, content: Content) -> None:
    group = _group(entry, "heterodyne", "NXcollection")
    for name in ("t", "dt", "age"):
        _field(group, name, getattr(content, name), "s")
    _field(group, "dq", content.dq, "1/angstrom")
    _field(group, "dphi", content.dphi, "degree")
    _dataset(group, "mask", content.mask)
    if len(content.bad_pairs):
        _dataset(group, "bad_pairs", content.bad_pairs)
    if content.weight is not None:
        group.create_dataset("weight", data=content.weight, **_PACKED)
    origin = dict(content.provenance)
    if "truth" in origin:
        _dataset(group, "truth", _json(origin.pop("truth")))
    _dataset(group, "provenance", _json(origin))


def _write_matrices(entry: h5py.Group, content: Content) -> h5py.Group:
    twotime = _group(entry, "twotime", "NXcollection")
    twotime["t"] = h5py.SoftLink(f"/{OWN}/t")
    _texts(twotime, "axes", ["t", "t"])
    matrices = _group(twotime, "two_time_corr_func", "NXcollection")
    _attribute(matrices, "storage_mode", "data_exchange_keys")
    _attribute(matrices, "populated_elements", "upper_half")
    matrices.attrs["baseline_reference"] = 1
    _attribute(matrices, "time_origin_location", "upper_left")
    for bin in range(len(content.q)):
        matrix = square(content.c2[bin])
        if len(matrix) != len(content.t):
            raise DataError(f"bin {bin + 1}: the matrix has {len(matrix)} frames, the times {len(content.t)}")
        left_out = content.bad_pairs[content.bad_pairs[:, 0] == bin, 1:]
        warn_of_gaps(matrix, content.mask[bin], left_out, f"bin {bin + 1}")
        _write_upper(matrices, matrix_name(bin + 1), matrix)
    return matrices


def _write_upper(group: h5py.Group, name: str, matrix: np.ndarray) -> None:
    n = len(matrix)
    chunk = min(_CHUNK, n)
    dtype = np.float32 if matrix.dtype == np.float32 else np.float64
    target = group.create_dataset(name, shape=(n, n), dtype=dtype, chunks=(chunk, chunk), **_PACKED)
    for start in range(0, n, chunk):
        band = np.array(matrix[start : start + chunk, start:], dtype=target.dtype)
        band[:, : len(band)] = np.triu(band[:, : len(band)])
        target[start : start + chunk, start:] = band


def _write_plot(entry: h5py.Group, matrices: h5py.Group) -> None:
    """Let viewers plot the first matrix over the frame times, and the others beside it."""
    plot = _group(entry, "data", "NXdata")
    plot["t"] = h5py.SoftLink(f"/{OWN}/t")
    for name in matrices:
        plot[name] = h5py.SoftLink(f"/{MATRICES}/{name}")
    first, *others = map(str, matrices)
    _attribute(plot, "signal", first)
    _texts(plot, "axes", ["t", "t"])
    if others:
        _texts(plot, "auxiliary_signals", others[:_MOST_PLOTTED])
    plot.attrs["t_indices"] = [0, 1]


def _texts(node: h5py.Group, name: str, words: list[str]) -> None:
    longest = max(map(len, words))
    node.attrs[name] = np.array([word.encode() for word in words], dtype=h5py.string_dtype("utf-8", longest))


def _json(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """What JSON has no word for: arrays and scalars of NumPy, mappings, paths."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
