"""Arrays of .npz archives, read as far as they are needed: each header is looked at before its content.

Whatever is wrong with a file becomes one line that names it and the array.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from heterodyne.errors import DataError

_PIECE = 2**20  # bytes
_KINDS = {b"PK": "an .npz archive", b"\x93N": "an .npy array"}


class Header(NamedTuple):
    """What an array says of itself: its shape, whether columns come first, its type."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype


@contextmanager
def reading(path: Path, array: str = "") -> Iterator[None]:
    """Turn whatever NumPy, zip and their decompressors raise on a damaged file into one `DataError`."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:  # a dozen types, from zlib.error and KeyError to tokenize.TokenError
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        if "object" in reason.lower():  # NumPy takes any file that does not start as its own for a pickle
            reason = "it holds Python objects, or something else altogether"
        if array:
            raise DataError(f"{path}: array {array} cannot be read: {reason}") from None
        kind = "an .npz archive" if is_npz(path) else "an .npy array"
        raise DataError(f"{path} cannot be read as {kind} of numbers: {reason}") from None


def is_npz(path: Path) -> bool:
    """Whether the file is an archive by its name."""
    return path.suffix.lower() == ".npz"


def check_kind(path: Path) -> None:
    """Raise `DataError` for an archive that is named as an array, and the reverse."""
    with path.open("rb") as file:
        kind = _KINDS.get(file.read(2))
    if kind not in (None, _KINDS[b"PK" if is_npz(path) else b"\x93N"]):
        right = path.with_suffix(".npy" if is_npz(path) else ".npz").name
        raise DataError(f"{path} is {kind} by its content: rename it to {right}")


def headers(path: Path) -> dict[str, Header]:
    """The arrays of an archive; raises `DataError` for one that is there twice, holds objects or is cut short."""
    found: dict[str, Header] = {}
    with reading(path), zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    for info in members:
        name = info.filename.removesuffix(".npy")
        if name in found:
            raise DataError(f"{path} holds the array {name} twice")
        with opened(path, name) as stream:
            found[name] = header(stream)
            size = prod(found[name].shape) * found[name].dtype.itemsize
            if stream.tell() + size != info.file_size:
                raise DataError(
                    f"{path}: array {name} declares {size} bytes and holds {info.file_size - stream.tell()}"
                )
    return found


def array(path: Path, name: str) -> np.ndarray:
    """One array of an archive, read to its end, so that its checksum is compared."""
    with opened(path, name) as stream:
        values = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)
    return values


@contextmanager
def opened(path: Path, name: str) -> Iterator[IO[bytes]]:
    """The bytes of one array."""
    with reading(path, name), zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
        yield stream


def header(stream: IO[bytes]) -> Header:
    """The header with which an array begins; raises `ValueError` for one of objects or of an impossible shape."""
    one = np.lib.format.read_magic(stream) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if one else np.lib.format.read_array_header_2_0
    found = Header(*read(stream))
    if found.dtype.hasobject:
        raise ValueError("object array")
    if any(n < 0 for n in found.shape):
        raise ValueError(f"shape {found.shape}")
    return found


def skip(stream: IO[bytes], size: int) -> None:
    """Read ``size`` bytes away."""
    # seeking forward in an archive reads 16 MiB at once
    while size > 0:
        size -= len(stream.read(min(size, _PIECE))) or size
