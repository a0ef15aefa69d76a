"""NumPy arrays: .npz with c2[bin, frame, frame], q, phi, dt and more of what `TwoTime` has; .npy with those given.

What a file does not hold is taken from what the user gave, q and phi being statements then: one value for
all bins or one per bin. Keys such as q_unit and dt_unit state units. Pickled objects are never read.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.data.matrices import ALL, Windows, of_array, of_whole, sliced
from heterodyne.data.selection import Selection
from heterodyne.data.triangle import Symmetrise, symmetric
from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import numbers
from heterodyne.errors import DataError
from heterodyne.loading import npz
from heterodyne.loading.baseline import based
from heterodyne.loading.times import reconciled
from heterodyne.loading.units import factor

_PER_BIN = ("q", "phi", "dq", "dphi")
_SINGLE = ("dt", "age", "baseline")
_KEPT = ("mask", "weight", "bad_pairs")
_KEYS = ("c2", "q", "phi", "dt", "age", "bad_pairs", "weight", "t", "mask", "dq", "dphi", "baseline")

_QUANTITY = {"q": "q", "dq": "q", "phi": "phi", "dphi": "phi", "dt": "time", "t": "time", "age": "time"}
"""Of which quantity arrays are that may have a unit: in the key NAME_unit, or QUANTITY_unit for all of it."""


@dataclass(frozen=True)
class ArrayMatrices:
    """Symmetric matrices of an .npy or .npz file, cut to ``frames``; indexing reads one of them.

    ``last`` says that the bins are the last axis of the array, not the first.
    """

    path: Path
    bins: tuple[int, ...]
    side: int
    last: bool = False
    symmetrise: Symmetrise | None = None
    frames: slice = field(default_factory=lambda: ALL)

    def __len__(self) -> int:
        return len(self.bins)

    def __getitem__(self, bin: int, /) -> np.ndarray:
        index = self.bins[bin]
        if npz.is_npz(self.path):
            matrix = _npz_matrix(self.path, index, self.last)
        else:
            matrix = _mapped(self.path, self.last)[index]
        try:
            return symmetric(np.array(matrix[self.frames, self.frames]), self.symmetrise)
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

    def symmetrised(self, symmetrise: Symmetrise) -> ArrayMatrices:
        """The same with what to take where two halves differ."""
        return replace(self, symmetrise=symmetrise)

    def windows(self, bin: int) -> Windows:
        """How to read one of them: in parts from an .npy file, whole from an archive."""
        if npz.is_npz(self.path):
            return of_whole(self, bin)
        index = self.bins[bin]
        matrix = _mapped(self.path, self.last)[index][self.frames, self.frames]
        where = f"{self.path}, bin {index + 1}"
        return Windows(
            lambda: nullcontext(of_array(matrix)),
            len(matrix),
            matrix.dtype,
            where,
            symmetrise=self.symmetrise,
        )


def sniff(path: Path) -> float:
    """0.9 for a name in .npz or .npy, else 0."""
    return 0.9 if path.suffix.lower() in (".npz", ".npy") else 0.0


def load(path: Path, given: Selection) -> TwoTime:
    """All bins; raises `DataError` saying which of q, phi and dt neither the file nor the user says."""
    npz.check_kind(path)
    held = npz.headers(path) if npz.is_npz(path) else {}
    n_bins, side, last = _layout(path, _c2_shape(path, held))
    stored = _fields(path, held, n_bins, side)
    missing = [name for name in ("q", "phi") if name not in stored and not getattr(given, name)]
    missing += ["dt"] if "dt" not in stored and "t" not in stored and given.dt is None else []
    if missing:
        flags, words = (", ".join(form.format(name) for name in missing) for form in ("--{}", "{}="))
        raise DataError(f"{path} does not say {', '.join(missing)}: give {flags} (in Python {words})")
    q, phi = (_per_bin(path, name, stored.get(name), given, n_bins) for name in ("q", "phi"))
    level = float(stored["baseline"][0]) if "baseline" in stored else None
    matrices = ArrayMatrices(path, tuple(range(n_bins)), side, last)
    c2, shifted = based(matrices, side, level, given.baseline, f"{path}: baseline")
    return TwoTime(
        c2,
        q,
        phi,
        *_times(stored, given, side),
        **{name: stored[name] for name in ("dq", "dphi", *_KEPT) if name in stored},
        provenance={
            **{f"{name}_source": "the file" if name in stored else "given" for name in ("q", "phi")},
            **_time_sources(stored),
            **shifted,
        },
    )


def _c2_shape(path: Path, held: Mapping[str, npz.Header]) -> tuple[int, ...]:
    """The shape of c2, which is not read."""
    if not npz.is_npz(path):
        with npz.reading(path):
            return np.load(path, mmap_mode="r", allow_pickle=False).shape
    if "c2" not in held:
        raise DataError(f"{path} has no array c2; it has {', '.join(held) or 'none'}")
    return held["c2"].shape


def _layout(path: Path, shape: tuple[int, ...]) -> tuple[int, int, bool]:
    """How many bins, how many frames, and whether the bins are the last axis."""
    if len(shape) == 2 and shape[0] == shape[1]:
        return 1, shape[0], False
    if len(shape) == 3 and shape[1] == shape[2]:
        return shape[0], shape[1], False
    if len(shape) == 3 and shape[0] == shape[1]:
        return shape[2], shape[0], True
    raise DataError(f"{path}: c2 must be (frames, frames) or (bins, frames, frames), not {shape}")


def _fields(path: Path, held: Mapping[str, npz.Header], n_bins: int, side: int) -> dict[str, np.ndarray]:
    """The arrays beside c2, in Å⁻¹, degrees and s."""
    units = {name: key for name in _QUANTITY if name in held and (key := _unit_key(name, held))}
    if unused := sorted(set(held) - set(_KEYS) - set(units.values())):
        if strange := [key for key in unused if "unit" in key.lower()]:
            raise DataError(
                f"{path}: {strange[0]} is the unit of nothing that is read; units are keys such as q_unit"
            )
        warnings.warn(f"{path}: not used: {', '.join(unused)} (used: {', '.join(_KEYS)})", stacklevel=3)
    for name in (*_KEYS[1:], *units.values()):
        if name in held:
            _check_size(path, name, held[name], n_bins, side)
    stored = {name: npz.array(path, name) for name in _KEPT if name in held}
    for name in (*_PER_BIN, "t", *_SINGLE):
        if name in held:
            values = _in_seconds(npz.array(path, name).reshape(-1))
            stored[name] = numbers(f"{path}: {name}", values)
    for name, key in units.items():
        unit = npz.array(path, key).reshape(-1)[0]
        words = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit)
        stored[name] = stored[name] * factor(_QUANTITY[name], words, f"{path}: {key}")
    return stored


def _unit_key(name: str, held: Mapping[str, npz.Header]) -> str | None:
    """The key that states the unit of an array, if there is one; a duration has its own."""
    keys = (f"{of}_{word}" for of in (name, _QUANTITY[name]) for word in ("unit", "units"))
    return None if held[name].dtype.kind == "m" else next((key for key in keys if key in held), None)


def _check_size(path: Path, name: str, header: npz.Header, n_bins: int, side: int) -> None:
    """Raise `DataError`, before anything is read, for an array that is not of the size of these bins and frames."""
    size = prod(header.shape)
    if name in _PER_BIN and size not in (1, n_bins):
        raise DataError(f"{path}: {size} values of {name} for {n_bins} bins")
    if name in _SINGLE and size != 1:
        raise DataError(f"{path}: {name} must be one number, not {size}")
    if name == "t" and size != side:
        raise DataError(f"{path}: {size} times t for {side} frames")
    if name == "bad_pairs" and size > 3 * n_bins * side**2:
        raise DataError(f"{path}: bad_pairs has {size} values, more than there are pairs")
    if name in ("mask", "weight") and size > n_bins * side ** (1 if name == "mask" else 2):
        raise DataError(f"{path}: {name} of shape {header.shape} does not fit {n_bins} bins of {side} frames")
    if name not in _KEYS and (size != 1 or header.dtype.kind not in "US" or header.dtype.itemsize > 1000):
        raise DataError(f"{path}: {name} must be one word, the name of a unit")


def _in_seconds(values: np.ndarray) -> np.ndarray:
    """Durations of a known unit in seconds, other values as they are."""
    if values.dtype.kind == "m" and np.datetime_data(values.dtype)[0] not in ("generic", "Y", "M"):
        return values / np.timedelta64(1, "s")
    return values


def _times(stored: Mapping[str, np.ndarray], given: Selection, side: int) -> tuple[np.ndarray, float, float]:
    """t, dt and age in s."""
    dt, age = (float(stored[name][0]) if name in stored else None for name in ("dt", "age"))
    if "t" in stored:
        return reconciled(stored["t"], dt, age, given.dt, given.age)
    dt = given.dt if dt is None or (not dt > 0 and given.dt) else dt
    assert dt is not None
    age = age or 0.0
    return np.arange(1, side + 1) * dt + age, dt, age


def _time_sources(stored: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Where dt comes from, and age if the file says one."""
    dt = "dt in the file" if "dt" in stored else "t in the file" if "t" in stored else "given"
    age = "age in the file" if "age" in stored else "t in the file" if "t" in stored else None
    return {"dt_source": dt, **({"age_source": age} if age else {})}


def _mapped(path: Path, last: bool) -> np.ndarray:
    with npz.reading(path):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0) if last else array


def _npz_matrix(path: Path, index: int, last: bool) -> np.ndarray:
    with npz.opened(path, "c2") as stream:
        shape, fortran, dtype = npz.header(stream)
        side = shape[1]
        if not fortran and not last:
            size = side * side * dtype.itemsize
            npz.skip(stream, index * size)
            return np.frombuffer(stream.read(size), dtype=dtype).reshape(side, side)
    # other orders interleave the bins: no matrix can be read alone
    stack = npz.array(path, "c2")
    return stack[..., index] if last else stack.reshape(-1, side, side)[index]


def _per_bin(path: Path, name: str, stored: np.ndarray | None, given: Selection, n_bins: int) -> np.ndarray:
    stated: tuple[Any, ...] = getattr(given, name)
    if stored is None and any(isinstance(value, tuple) for value in stated):
        raise DataError(f"{path} does not say {name}: give values, one or one per bin, not a range")
    values = np.asarray(stated if stored is None else stored, dtype=float)
    if len(values) not in (1, n_bins):
        raise DataError(f"{path}: {len(values)} values of {name} for {n_bins} bins")
    return np.broadcast_to(values, n_bins)
