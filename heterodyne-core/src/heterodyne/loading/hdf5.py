"""Opening HDF5 files and reading their small fields; what is wrong comes in one line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.errors import DataError, reading
from heterodyne.loading.checked_file import CheckedFile
from heterodyne.loading.storage import check_written

_MULTITAU = (
    "xpcs/multitau/normalized_g2",
    "xpcs/norm-0-g2",
    "exchange/norm-0-g2",
    "entry/data/g2",
    "entry/XPCS/data/g2",
)

_LARGEST = 2**28
"""Bytes that a field may declare whose shape nothing else tells."""


def check_readable(path: Path) -> None:
    """Raises `DataError` unless ``path`` is a file that can be opened and is not empty."""
    try:
        if not path.is_file() and path.exists() and not path.is_dir():
            raise DataError(f"{path} is not a file: a pipe or a device is not read")
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
def opened(path: Path, allow_links: bool = False) -> Iterator[CheckedFile]:
    """The HDF5 file, read-only and checked; whatever it causes while the block reads is a `DataError` naming it.

    ``allow_links``: whether other files that it names, except sources of virtual datasets beside it, are read.
    """
    with opened_file(path, allow_links) as file, reading(path):
        yield file


def recognised(path: Path, is_one: Callable[[CheckedFile], bool]) -> bool:
    """Whether a file is HDF5 and one of a layout; False for what cannot be read."""
    try:
        with opened(path) as file:
            return is_one(file)
    except DataError:
        return False


def opened_file(path: Path, allow_links: bool = False, guarded: bool = True) -> CheckedFile:
    """The HDF5 file, to be closed; raises `DataError` saying why it cannot be opened."""
    try:
        return CheckedFile(path, allow_links, guarded)
    except OSError as error:
        check_readable(path)
        if not h5py.is_hdf5(path):
            raise DataError(f"{path} is not an HDF5 file") from None
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} is truncated or still being written: {reason}") from None


def member(file: h5py.File, key: str) -> Any:
    """The group or dataset at ``key``; raises `DataError` naming it, and the target if it is a dead link."""
    return file[key]


def group(file: h5py.File, key: str) -> h5py.Group:
    """The group at ``key``; raises `DataError` if there is none."""
    found = file[key]
    if not isinstance(found, h5py.Group):
        raise DataError(f"{file.filename}: {key} is not a group")
    return found


def dataset(file: h5py.File, key: str) -> h5py.Dataset:
    """The dataset at ``key``; raises `DataError` if there is none."""
    found = file[key]
    if not isinstance(found, h5py.Dataset):
        raise DataError(f"{file.filename}: {key} is a group, not a dataset")
    return found


def array(file: h5py.File, key: str, shape: tuple[int | None, ...] | None = None) -> np.ndarray:
    """The values of the dataset at ``key``, of this shape (None is any length); for all but matrices.

    Raises `DataError` for another shape, and for a dataset that is null, too large, or lacks values.
    """
    found, where = dataset(file, key), f"{file.filename}: {key}"
    if found.shape is None:
        raise DataError(f"{where} is null: it holds no values")
    if shape is not None and not _fits(found.shape, shape):
        wanted = " × ".join("n" if n is None else str(n) for n in shape) or "one value"
        raise DataError(f"{where} must be {wanted}, not of shape {found.shape}")
    declared = max(math.prod(found.shape), math.prod(found.chunks or ()))
    if declared * found.dtype.itemsize > _LARGEST and (shape is None or None in shape):
        raise DataError(f"{where} declares {declared:.3g} values, which is too many")
    with reading(where):
        check_written(found, where)
        return np.asarray(found[()])


def numbers(file: h5py.File, key: str, dtype: type = float, length: int | None = None) -> np.ndarray:
    """The dataset at ``key`` as a one-dimensional array of numbers; axes of length 1 beside it are left out.

    Raises `DataError` for another ``length``, for what is no list of numbers, and for numbers that ``dtype`` does
    not hold, as fractions where it is of whole numbers.
    """
    where, shape = f"{file.filename}: {key}", dataset(file, key).shape
    if shape is not None and sum(n > 1 for n in shape) > 1:
        raise DataError(f"{where} must be a list of numbers, not of shape {shape}")
    stored = array(file, key).reshape(-1)
    if stored.dtype.kind not in "fiu" or h5py.check_enum_dtype(stored.dtype):
        raise DataError(f"{where} must hold numbers, not {stored.dtype}")
    if length is not None and len(stored) != length:
        raise DataError(f"{where} has {len(stored)} values, not {length}")
    with np.errstate(invalid="ignore"):
        values = stored.astype(dtype)
    if np.dtype(dtype).kind != "f" and not np.array_equal(values, stored):
        raise DataError(f"{where} must hold whole numbers, not {stored[values != stored][0]:g}")
    return values


def number(file: h5py.File, key: str) -> float | None:
    """The single number at ``key``, stored as a scalar or as (1, 1); None if there is none."""
    if key not in file:
        return None
    if (size := dataset(file, key).size) != 1:
        raise DataError(f"{file.filename}: {key} must be one number, not {size}")
    return float(numbers(file, key)[0])


def switches(file: h5py.File, key: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """The dataset at ``key`` as booleans; whole numbers must be 0 or 1."""
    stored = array(file, key, shape)
    if stored.dtype.kind not in "biu" or stored.max(initial=0) > 1 or stored.min(initial=0) < 0:
        raise DataError(f"{file.filename}: {key} must hold true and false, or 1 and 0, not {stored.dtype}")
    return stored.astype(bool)


def string(file: h5py.File, key: str) -> str:
    """The text at ``key``."""
    stored = array(file, key)
    if stored.size != 1 or stored.dtype.kind not in "OSU":
        raise DataError(
            f"{file.filename}: {key} must be one text, not {stored.dtype} of shape {stored.shape}"
        )
    return text(stored)


def text(value: Any) -> str:
    """A string that may be stored as bytes or str, alone or in an array of one; "" for what holds none."""
    values = np.asarray(value, dtype=object).reshape(-1)
    first = values[0] if len(values) and not isinstance(values[0], h5py.Empty) else ""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def attribute(node: h5py.Group | h5py.Dataset, name: str) -> str:
    """The attribute as text, "" where there is none or where it is no single value."""
    with reading(f"{node.file.filename}: attribute {name} of {node.name}"):
        if name not in node.attrs or math.prod(node.attrs.get_id(name).shape) != 1:
            return ""
        return text(node.attrs[name])


def declared_unit(field: h5py.Dataset) -> str | None:
    """The unit in the attributes ``units`` or ``unit``, if there is one."""
    return attribute(field, "units").strip() or attribute(field, "unit").strip() or None


def numbered(members: h5py.Group) -> dict[int, str]:
    """The members of a group whose names end in a number (c2_00001, 1), by that number, ascending.

    Raises `DataError` naming a member without a number, one of another kind, and two of the same number.
    """
    found: dict[int, str] = {}
    stems: dict[str, str] = {}
    for name in map(str, members):
        match = re.fullmatch(r"(.*[^0-9])?0*([0-9]{1,18})", name, re.DOTALL)
        if match is None:
            raise DataError(f"{name:.40} in {members.name} is no matrix: its name must end in its number")
        stems.setdefault(match[1] or "", name)
        if len(stems) > 1:
            raise DataError(
                f"{' and '.join(stems.values())} in {members.name} are named differently: which are the matrices?"
            )
        if (number := int(match[2])) in found:
            raise DataError(f"{found[number]} and {name} in {members.name} have the same number")
        found[number] = name
    return dict(sorted(found.items()))


def counted(members: h5py.Group) -> list[str]:
    """The members of a group that are numbered 1, 2, ..., by number; raises `DataError` naming a gap."""
    found = numbered(members)
    for expected, (number, name) in enumerate(found.items(), 1):
        if number != expected:
            raise DataError(f"{members.name} has no matrix {expected}; {name} comes in its place")
    return list(found.values())


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        n in (None, given) for n, given in zip(wanted, shape, strict=True)
    )


def without_two_time(file: h5py.File) -> str:
    """The line for an HDF5 file that no loader takes: what it holds instead of two-time data."""
    for key in _MULTITAU:
        if key in file:
            return (
                f"{file.filename} holds multi-tau g2 only ({key}), no two-time correlation: ask for it with "
                "--one-time (in Python one_time=True)"
            )
    holds = ", ".join(sorted(file)) or "nothing"
    return (
        f"{file.filename} holds no two-time correlation that an installed loader knows; at its top: {holds}"
    )
