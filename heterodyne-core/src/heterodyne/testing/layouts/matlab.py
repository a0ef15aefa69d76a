"""MATLAB files of version 7.3: HDF5 behind a user block of 512 bytes, axes reversed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.data.two_time import TwoTime

_CLASSES = {"f4": "single", "f8": "double", "b1": "logical", "i4": "int32", "u1": "uint8"}


def write(
    path: Path,
    data: TwoTime,
    c2: Sequence[np.ndarray] | None = None,
    *,
    bins_first: bool = False,
    structure: str = "",
    variables: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``data`` as the variables c2, q, phi, dt and age, its matrices as in ``c2`` (bins, frames, frames).

    c2 is (frames, frames, bins) in MATLAB, or with ``bins_first`` (bins, frames, frames). ``structure`` names one
    whose fields the variables are. ``variables`` replaces values as MATLAB shows them; None leaves one out.
    """
    stack = np.stack([np.asarray(matrix) for matrix in (data.c2 if c2 is None else c2)])
    values: dict[str, Any] = {
        "c2": stack if bins_first else np.transpose(stack, (1, 2, 0)),
        "q": data.q,
        "phi": data.phi,
        "dt": data.dt,
        "age": data.age,
        **(variables or {}),
    }
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group(structure) if structure else file
        for name, value in values.items():
            if value is not None:
                _put(group, name, value)
    header = (
        b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan  1 00:00:00 2026 HDF5 schema 1.00 ."
    )
    with path.open("r+b") as raw:
        raw.write(header.ljust(124) + b"\x00\x02IM")
    return path


def _put(group: h5py.Group, name: str, value: Any) -> None:
    """A variable as MATLAB stores it: columns first, at least two axes, texts as codes of letters."""
    if isinstance(value, str):
        letters = np.array([[ord(letter)] for letter in value], np.uint16)
        group[name] = letters
        group[name].attrs["MATLAB_class"] = np.bytes_(b"char")
        return
    shown = np.asarray(value)
    columns = shown.reshape(shown.shape if shown.ndim > 1 else (1, -1)).T
    kind = _CLASSES.get(columns.dtype.str[1:], "double")
    group[name] = columns.astype(np.uint8) if kind == "logical" else columns
    group[name].attrs["MATLAB_class"] = np.bytes_(kind.encode())
