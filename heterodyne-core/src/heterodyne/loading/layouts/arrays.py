"""NumPy arrays: .npz with c2[bin, frame, frame], q, phi, dt and optional age; .npy with those given.

What a file does not hold is taken from what the user gave, q and phi being statements then: one value for
all bins or one per bin. An .npz may also hold bad_pairs and weight, as `TwoTime` has them. Pickled objects
are never read.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from heterodyne.data.matrices import ALL, Windows, of_array, of_whole, sliced
from heterodyne.data.selection import Selection
from heterodyne.data.triangle import symmetric
from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import numbers
from heterodyne.errors import DataError

_KEYS = ("c2", "q", "phi", "dt", "age", "bad_pairs", "weight")

_PIECE = 2**20  # bytes


@dataclass(frozen=True)
class ArrayMatrices:
    """Symmetric matrices of an .npy or .npz file, cut to ``frames``; indexing reads one of them."""

    path: Path
    bins: tuple[int, ...]
    side: int
    frames: slice = field(default_factory=lambda: ALL)

    def __len__(self) -> int:
        return len(self.bins)

    def __getitem__(self, bin: int, /) -> np.ndarray:
        index = self.bins[bin]
        with _reading(self.path):
            matrix = _npz_matrix(self.path, index) if _is_npz(self.path) else _mapped(self.path)[index]
        try:
            return symmetric(np.array(matrix[self.frames, self.frames]))
        except DataError as error:
            raise DataError(f"{self.path}, bin {index + 1}: {error}") from None

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[bin] for bin in range(len(self)))

    def frame_count(self) -> int:
        """The frames of every one of them."""
        return len(range(self.side)[self.frames])

    def chosen(self, bins: Sequence[int], frames: slice) -> ArrayMatrices:
        """Those of these bins, cut to ``frames`` of the present ones."""
        return replace(self, bins=tuple(self.bins[bin] for bin in bins), frames=sliced(self.frames, frames))

    def windows(self, bin: int) -> Windows:
        """How to read one of them: in parts from an .npy file, whole from an archive."""
        if _is_npz(self.path):
            return of_whole(self, bin)
        index = self.bins[bin]
        with _reading(self.path):
            matrix = _mapped(self.path)[index][self.frames, self.frames]
        where = f"{self.path}, bin {index + 1}"
        return Windows(lambda: nullcontext(of_array(matrix)), len(matrix), matrix.dtype, where)


def sniff(path: Path) -> float:
    """0.9 for a name in .npz or .npy, else 0."""
    return 0.9 if path.suffix.lower() in (".npz", ".npy") else 0.0


def load(path: Path, given: Selection) -> TwoTime:
    """All bins; raises `DataError` saying which of q, phi and dt neither the file nor the user says."""
    with _reading(path):
        shape, stored = _npz_fields(path) if _is_npz(path) else (_mapped(path).shape, {})
    if len(shape) != 3 or shape[1] != shape[2]:
        raise DataError(f"{path}: c2 must be (frames, frames) or (bins, frames, frames), not {shape}")
    missing = [name for name in ("q", "phi") if name not in stored and not getattr(given, name)]
    missing += ["dt"] if "dt" not in stored and given.dt is None else []
    if missing:
        flags, words = (", ".join(form.format(name) for name in missing) for form in ("--{}", "{}="))
        raise DataError(f"{path} does not say {', '.join(missing)}: give {flags} (in Python {words})")
    q, phi = (_per_bin(path, name, stored.get(name), given, shape[0]) for name in ("q", "phi"))
    times = {"dt": np.array([given.dt]), "age": np.zeros(1)} | stored
    dt, age = (_single(path, times, name) for name in ("dt", "age"))
    return TwoTime(
        ArrayMatrices(path, tuple(range(shape[0])), shape[1]),
        q,
        phi,
        np.arange(1, shape[1] + 1) * dt + age,
        dt,
        age,
        **{name: stored[name] for name in ("bad_pairs", "weight") if name in stored},
        provenance={
            **{f"{name}_source": "the file" if name in stored else "given" for name in ("q", "phi")},
            "dt_source": "dt in the file" if "dt" in stored else "given",
            **({"age_source": "age in the file"} if "age" in stored else {}),
        },
    )


def _is_npz(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        kind = "an .npz archive" if _is_npz(path) else "an .npy array"
        reason = str(error).splitlines()[0]
        if "object" in reason.lower():  # NumPy takes any file that does not start as its own for a pickle
            reason = "it holds Python objects, or something else altogether"
        raise DataError(f"{path} cannot be read as {kind} of numbers: {reason}") from None


def _mapped(path: Path) -> np.ndarray:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array[None] if array.ndim == 2 else array


def _npz_fields(path: Path) -> tuple[tuple[int, ...], dict[str, np.ndarray]]:
    """The shape of c2, which is not read, and the small arrays."""
    with np.load(path, allow_pickle=False) as archive:
        if "c2" not in archive.files:
            raise DataError(f"{path} has no array c2; it has {', '.join(archive.files) or 'none'}")
        if unused := sorted(set(archive.files) - set(_KEYS)):
            warnings.warn(f"{path}: not used: {', '.join(unused)} (used: {', '.join(_KEYS)})", stacklevel=2)
        stored = {
            name: numbers(f"{path}: {name}", archive[name].reshape(-1))
            for name in ("q", "phi", "dt", "age")
            if name in archive.files
        }
        stored |= {name: archive[name] for name in ("bad_pairs", "weight") if name in archive.files}
    with _c2_stream(path) as stream:
        shape, _, _ = _header(stream)
    return (1, *shape) if len(shape) == 2 else shape, stored


@contextmanager
def _c2_stream(path: Path) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as archive, archive.open("c2.npy") as stream:
        yield stream


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    one = np.lib.format.read_magic(stream) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if one else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError("object array")
    return shape, fortran, dtype


def _npz_matrix(path: Path, index: int) -> np.ndarray:
    with _c2_stream(path) as stream:
        shape, fortran, dtype = _header(stream)
        side = shape[-1]
        if not fortran:
            size = side * side * dtype.itemsize
            _skip(stream, index * size)
            return np.frombuffer(stream.read(size), dtype=dtype).reshape(side, side)
    # column-major stacks interleave the bins: no matrix can be read alone
    with np.load(path, allow_pickle=False) as archive:
        return archive["c2"].reshape(-1, side, side)[index]


def _skip(stream: IO[bytes], size: int) -> None:
    # seeking forward in an archive reads 16 MiB at once
    while size > 0:
        size -= len(stream.read(min(size, _PIECE))) or size


def _per_bin(path: Path, name: str, stored: np.ndarray | None, given: Selection, n_bins: int) -> np.ndarray:
    stated: tuple[Any, ...] = getattr(given, name)
    if stored is None and any(isinstance(value, tuple) for value in stated):
        raise DataError(f"{path} does not say {name}: give values, one or one per bin, not a range")
    values = np.asarray(stated if stored is None else stored, dtype=float)
    if len(values) not in (1, n_bins):
        raise DataError(f"{path}: {len(values)} values of {name} for {n_bins} bins")
    return np.broadcast_to(values, n_bins)


def _single(path: Path, stored: dict[str, np.ndarray], name: str) -> float:
    if len(stored[name]) != 1:
        raise DataError(f"{path}: {name} must be one number, not {len(stored[name])}")
    return float(stored[name][0])
