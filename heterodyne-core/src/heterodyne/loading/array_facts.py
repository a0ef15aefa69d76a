"""What arrays beside c2 say, and what is given in their place: q, azimuth, times, widths, masks, their units."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.data.matrices import Matrices
from heterodyne.data.selection import Selection
from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import numbers
from heterodyne.errors import DataError
from heterodyne.loading.baseline import based
from heterodyne.loading.names import Layout, named
from heterodyne.loading.npz import Header
from heterodyne.loading.times import reconciled
from heterodyne.loading.units import factor, say_if_radians

_PER_BIN = ("q", "phi", "dq", "dphi")
_SINGLE = ("dt", "age", "baseline")
_KEPT = ("mask", "weight", "bad_pairs")
_KEYS = ("c2", "q", "phi", "dt", "age", "bad_pairs", "weight", "t", "mask", "dq", "dphi", "baseline")

_QUANTITY = {"q": "q", "dq": "q", "phi": "phi", "dphi": "phi", "dt": "time", "t": "time", "age": "time"}
"""Of which quantity arrays are that may have a unit: in the key NAME_unit, or QUANTITY_unit for all of it."""

_AXES = ("t1", "t2")
"""The two axes of c2 in caches of earlier programs: the same times."""


@dataclass(frozen=True)
class Arrays:
    """The arrays of a file: what each says of itself, and how to read one; ``c2`` names that of the matrices."""

    path: Path
    headers: Mapping[str, Header]
    read: Callable[[str], np.ndarray]
    c2: str | None = None


def two_time(arrays: Arrays, c2: Matrices, layout: Layout, given: Selection) -> TwoTime:
    """All bins; raises `DataError` saying which of q, phi and dt neither the file nor the user says."""
    path, stored = arrays.path, _stored(arrays, layout)
    missing = [name for name in ("q", "phi") if name not in stored and not getattr(given, name)]
    missing += ["dt"] if "dt" not in stored and "t" not in stored and given.dt is None else []
    if missing:
        flags, words = (", ".join(form.format(name) for name in missing) for form in ("--{}", "{}="))
        raise DataError(f"{path} does not say {', '.join(missing)}: give {flags} (in Python {words})")
    q, phi = (_per_bin(path, name, stored.get(name), given, layout.bins) for name in ("q", "phi"))
    if layout.bins > 1 and not stored.keys() & {"q", "phi"} and len(given.q) == len(given.phi) == 1:
        raise DataError(
            f"{path} holds {layout.bins} matrices, and would have all of them at one q and phi: repeat --q or "
            "--phi, one per matrix (in Python a list)"
        )
    level = float(stored["baseline"][0]) if "baseline" in stored else None
    raised, shifted = based(c2, layout.frames, level, given.baseline, f"{path}: baseline")
    times, counted = _counted(arrays, stored, given)
    return TwoTime(
        raised,
        q,
        phi,
        *_times(times, given, layout.frames),
        **{name: stored[name] for name in ("dq", "dphi", *_KEPT) if name in stored},
        provenance={
            **{f"{name}_source": "the file" if name in stored else "given" for name in ("q", "phi")},
            **_time_sources(stored),
            **counted,
            **shifted,
            **({"c2_source": f"array {arrays.c2}"} if arrays.c2 is not None else {}),
        },
    )


def _stored(arrays: Arrays, layout: Layout) -> dict[str, np.ndarray]:
    """The arrays beside c2 by what they are, in Å⁻¹, degrees and s."""
    path, held = arrays.path, arrays.headers
    beside = [name for name in held if name != arrays.c2]
    found = {name: own for name in _KEYS[1:] if (own := named(path, beside, name)) is not None}
    units = {name: key for name in found if name in _QUANTITY and (key := _unit_key(name, found[name], held))}
    second = [_AXES[1]] if found.get("t") == _AXES[0] and _AXES[1] in held else []
    _say_unused(path, set(beside) - {*found.values(), *units.values(), *second})
    for name, own in (
        *found.items(),
        *(("t", own) for own in second),
        *(("", key) for key in units.values()),
    ):
        _check_size(path, name, own, held[own], layout)
    stored = {name: arrays.read(found[name]) for name in _KEPT if name in found}
    for name in (*_PER_BIN, "t", *_SINGLE):
        if name in found:
            stored[name] = _numbers(arrays, found[name])
    if second and not np.array_equal(stored["t"], _numbers(arrays, second[0])):
        raise DataError(f"{path}: {' and '.join(_AXES)} differ, but c2 has the same times on both axes")
    for name, key in units.items():
        unit = arrays.read(key).reshape(-1)[0]
        words = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit)
        stored[name] = stored[name] * factor(_QUANTITY[name], words, f"{path}: {key}")
    if "phi" in stored and "phi" not in units:
        say_if_radians(stored["phi"], f"{path}: {found['phi']}", "if they are, add phi_unit, rad")
    return stored


def _numbers(arrays: Arrays, name: str) -> np.ndarray:
    return numbers(f"{arrays.path}: {name}", _in_seconds(arrays.read(name).reshape(-1)))


def _say_unused(path: Path, unused: set[str]) -> None:
    """Warn of arrays that are not used; raises `DataError` for a unit of nothing that is."""
    if strange := [name for name in sorted(unused) if "unit" in name.lower()]:
        raise DataError(
            f"{path}: {strange[0]} is the unit of nothing that is read; units are keys such as q_unit"
        )
    if unused:
        words = f"not used: {', '.join(sorted(unused))} (used: {', '.join(_KEYS)})"
        warnings.warn(f"{path}: {words}", stacklevel=4)


def _unit_key(name: str, own: str, held: Mapping[str, Header]) -> str | None:
    """The key that states the unit of an array, if there is one; a duration has its own."""
    if held[own].dtype.kind == "m":
        return None
    return next((key for key in _unit_keys(name, own) if key in held), None)


def _unit_keys(name: str, own: str) -> Iterator[str]:
    return (f"{of}_{word}" for of in (own, name, _QUANTITY[name]) for word in ("unit", "units"))


def _check_size(path: Path, name: str, own: str, header: Header, layout: Layout) -> None:
    """Raise `DataError`, before anything is read, for an array that is not of the size of these bins and frames."""
    size, n_bins, side = prod(header.shape), layout.bins, layout.frames
    if name in _PER_BIN and size not in (1, n_bins):
        raise DataError(f"{path}: {size} values of {own} for {n_bins} bins")
    if name in _SINGLE and size != 1:
        raise DataError(f"{path}: {own} must be one number, not {size}")
    if name == "t" and size != side:
        raise DataError(f"{path}: {size} times {own} for {side} frames")
    if name == "bad_pairs" and size > 3 * n_bins * side**2:
        raise DataError(f"{path}: bad_pairs has {size} values, more than there are pairs")
    if name in ("mask", "weight") and size > n_bins * side ** (1 if name == "mask" else 2):
        raise DataError(f"{path}: {name} of shape {header.shape} does not fit {n_bins} bins of {side} frames")
    if not name and (size != 1 or header.dtype.kind not in "US" or header.dtype.itemsize > 1000):
        raise DataError(f"{path}: {own} must be one word, the name of a unit")


def _in_seconds(values: np.ndarray) -> np.ndarray:
    """Durations of a known unit in seconds, other values as they are."""
    if values.dtype.kind == "m" and np.datetime_data(values.dtype)[0] not in ("generic", "Y", "M"):
        return values / np.timedelta64(1, "s")
    return values


def _counted(
    arrays: Arrays, stored: dict[str, np.ndarray], given: Selection
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """What is stored, with axes t1 and t2 that count frames from 0 moved to begin at dt, and a note of that."""
    t = stored.get("t")
    if t is None or named(arrays.path, arrays.headers, "t") != _AXES[0] or len(t) < 3 or t[0] != 0.0:
        return stored, {}
    if given.age is not None or "age" in stored:
        return stored, {}
    words = "t1 begins at 0: taken for numbers of frames times dt, the first frame being at dt"
    warnings.warn(f"{arrays.path}: {words}; give --age (in Python age=) if it is not", stacklevel=4)
    return {**stored, "t": t + (t[1] - t[0])}, {"age_source": words}


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


def _per_bin(path: Path, name: str, stored: np.ndarray | None, given: Selection, n_bins: int) -> np.ndarray:
    stated: tuple[Any, ...] = getattr(given, name)
    if stored is None and any(isinstance(value, tuple) for value in stated):
        raise DataError(f"{path} does not say {name}: give values, one or one per bin, not a range")
    values = np.asarray(stated if stored is None else stored, dtype=float)
    if len(values) not in (1, n_bins):
        raise DataError(f"{path}: {len(values)} values of {name} for {n_bins} bins")
    return np.broadcast_to(values, n_bins)
