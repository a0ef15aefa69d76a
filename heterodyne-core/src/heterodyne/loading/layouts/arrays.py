"""NumPy arrays: .npz with c2[bin, frame, frame], q, phi, dt and optional age; .npy with those given.

What a file does not hold is taken from the selection, whose q and phi are then statements: one value for
all bins or one per bin. An .npz may also hold bad_pairs and weight, as `TwoTime` has them. Pickled objects
are never read.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from heterodyne.data.matrices import Windows, of_array, of_whole
from heterodyne.data.selection import Selection, choose_bins, choose_frames
from heterodyne.data.triangle import symmetric
from heterodyne.data.two_time import TwoTime, renumbered, within
from heterodyne.data.validation import numbers, pair_list, weights
from heterodyne.errors import DataError
from heterodyne.loading.times import frame_times, settled

_KEYS = ("c2", "q", "phi", "dt", "age", "bad_pairs", "weight")

_PIECE = 2**20  # bytes


@dataclass(frozen=True)
class ArrayMatrices:
    """Symmetric matrices of an .npy or .npz file, cut to ``frames``; indexing reads one of them."""

    path: Path
    bins: tuple[int, ...]
    frames: slice

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


def load(path: Path, selection: Selection) -> TwoTime:
    """The selected bins; raises `DataError` saying which of q, phi and dt the file lacks."""
    with _reading(path):
        shape, stored = _npz_fields(path) if _is_npz(path) else (_mapped(path).shape, {})
    if len(shape) != 3 or shape[1] != shape[2]:
        raise DataError(f"{path}: c2 must be (frames, frames) or (bins, frames, frames), not {shape}")
    missing = [name for name in ("q", "phi") if name not in stored and not getattr(selection, name)]
    missing += ["dt"] if "dt" not in stored and selection.dt is None else []
    if missing:
        flags, words = (", ".join(form.format(name) for name in missing) for form in ("--{}", "{}="))
        raise DataError(f"{path} does not say {', '.join(missing)}: give {flags} (in Python {words})")
    q, phi = (_per_bin(path, name, stored.get(name), selection, shape[0]) for name in ("q", "phi"))
    choice = replace(selection, **{name: () for name in ("q", "phi") if name not in stored})
    chosen = choose_bins(q, phi, choice)
    frames = choose_frames(shape[1], selection)
    dt, dt_source = settled("dt", selection.dt, _single(path, stored, "dt"), "dt in the file")
    stated_age = _single(path, stored, "age") if "age" in stored else 0.0
    age_source = "age in the file" if "age" in stored else "age is not in the file, taken as 0"
    age, age_source = settled("age", selection.age, stated_age, age_source, "age" in stored)
    t, first_age = frame_times(dt, age, frames)
    bad_pairs, weight = _pairs_and_weight(path, stored, *shape[:2])
    return TwoTime(
        c2=ArrayMatrices(path, tuple(int(bin) for bin in chosen), frames),
        q=q[chosen],
        phi=phi[chosen],
        t=t,
        dt=dt,
        age=first_age,
        bad_pairs=within(renumbered(bad_pairs, chosen), frames),
        weight=None if weight is None else weight[(chosen, *[frames] * (weight.ndim - 1))],
        provenance={
            **{f"{name}_source": "the file" if name in stored else "given" for name in ("q", "phi")},
            "dt_source": dt_source,
            "age_source": age_source,
            "frames": [frames.start + 1, frames.stop],
        },
    )


def _pairs_and_weight(
    path: Path, stored: dict[str, np.ndarray], bins: int, frames: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The bad pairs and the weights of the whole file."""
    try:
        pairs = pair_list(stored.get("bad_pairs", ()), bins, frames)
        return pairs, weights(stored["weight"], bins, frames) if "weight" in stored else None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


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


def _per_bin(
    path: Path, name: str, stored: np.ndarray | None, selection: Selection, n_bins: int
) -> np.ndarray:
    given: tuple[Any, ...] = getattr(selection, name)
    if stored is None and any(isinstance(value, tuple) for value in given):
        raise DataError(f"{path} does not say {name}: give values, one or one per bin, not a range")
    values = np.asarray(given if stored is None else stored, dtype=float)
    if len(values) not in (1, n_bins):
        raise DataError(f"{path}: {len(values)} values of {name} for {n_bins} bins")
    return np.broadcast_to(values, n_bins)


def _single(path: Path, stored: dict[str, np.ndarray], name: str) -> float:
    values = stored.get(name, np.array([np.nan]))
    if len(values) != 1:
        raise DataError(f"{path}: {name} must be one number, not {len(values)}")
    return float(values[0])
