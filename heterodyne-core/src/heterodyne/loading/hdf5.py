"""Opening HDF5 files and reading their small fields; what is wrong comes in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.errors import DataError

_MULTITAU = (
    "xpcs/multitau/normalized_g2",
    "xpcs/norm-0-g2",
    "exchange/norm-0-g2",
    "entry/data/g2",
    "entry/XPCS/data/g2",
)


def check_readable(path: Path) -> None:
    """Raises `DataError` unless ``path`` is a file that can be opened and is not empty."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise DataError(f"{path} is empty")
    except FileNotFoundError:
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        near = get_close_matches(path.name, names, n=1)
        hint = f"; did you mean {path.with_name(near[0])}?" if near else ""
        raise DataError(f"there is no file {path}{hint}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; name a file in it") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file, read-only and without locks (network file systems, files being copied)."""
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        check_readable(path)
        if not h5py.is_hdf5(path):
            raise DataError(f"{path} is not an HDF5 file") from None
        raise DataError(f"{path} is truncated or still being written: {_brief(error)}") from None
    with file:
        yield file


def member(file: h5py.File, key: str) -> Any:
    """The group or dataset at ``key``; raises `DataError` naming it, and the target if it is a dead link."""
    try:
        return file[key]
    except (KeyError, OSError):
        link = file.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise DataError(
                f"{file.filename}: {key} is a link to {link.path} in {link.filename}, which cannot be "
                "opened; put that file beside this one"
            ) from None
        raise DataError(f"{file.filename} has no {key}") from None


def dataset(file: h5py.File, key: str) -> h5py.Dataset:
    """The dataset at ``key``; raises `DataError` if there is none."""
    found = member(file, key)
    if not isinstance(found, h5py.Dataset):
        raise DataError(f"{file.filename}: {key} is a group, not a dataset")
    return found


def numbers(file: h5py.File, key: str, dtype: type = float) -> np.ndarray:
    """The dataset at ``key`` as a one-dimensional array of numbers, whatever its shape."""
    values = np.asarray(dataset(file, key)[()]).reshape(-1)
    if values.dtype.kind not in "fiub":
        raise DataError(f"{file.filename}: {key} must hold numbers, not {values.dtype}")
    return values.astype(dtype)


def number(file: h5py.File, key: str) -> float | None:
    """The single number at ``key``, stored as a scalar or as (1, 1); None if there is none."""
    if key not in file:
        return None
    values = numbers(file, key)
    if len(values) != 1:
        raise DataError(f"{file.filename}: {key} must be one number, not {len(values)}")
    return float(values[0])


def text(value: Any) -> str:
    """A string that may be stored as bytes or str, alone or in an array of one."""
    value = np.asarray(value, dtype=object).reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def declared_unit(field: h5py.Dataset) -> str | None:
    """The unit in the attributes ``units`` or ``unit``, if there is one."""
    for name in ("units", "unit"):
        if name in field.attrs and text(field.attrs[name]).strip():
            return text(field.attrs[name]).strip()
    return None


def numbered(group: h5py.Group) -> list[str]:
    """The members of a group whose names end in a number (c2_00001, 1), by that number."""
    names = [str(name) for name in group]
    found = [(int(match[0]), name) for name in names if (match := re.search(r"\d+$", name))]
    return [name for _, name in sorted(found)]


def without_two_time(file: h5py.File) -> str:
    """The line for an HDF5 file that no loader takes: what it holds instead of two-time data."""
    for key in _MULTITAU:
        if key in file:
            return f"{file.filename} holds multi-tau g2 only ({key}), no two-time correlation"
    holds = ", ".join(sorted(file)) or "nothing"
    return (
        f"{file.filename} holds no two-time correlation that an installed loader knows; at its top: {holds}"
    )


def _brief(error: OSError) -> str:
    return str(error).splitlines()[0]
