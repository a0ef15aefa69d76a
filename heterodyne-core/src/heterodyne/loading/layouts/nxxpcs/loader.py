"""NXxpcs, the application definition of NeXus: ``twotime/two_time_corr_func`` of any NXentry, or of a group XPCS in it.

The field says how it is stored by its attributes: ``storage_mode`` (one array with the bins first or last, or one
dataset per bin, named by its label), ``baseline_reference``, ``time_origin_location`` (lower_left: the rows begin with
the last frame) and ``populated_elements``. Label l, from 1, belongs to entry l - 1 of ``dynamic_q_list`` and
``dynamic_phi_list`` and to the pixels of that value in ``dynamic_roi_map``. Masks beside the map are not read: of those
in use some mark pixels to take and some pixels to leave out, and the map is above 0 only where pixels were taken.
Frame k, from 1, has the time k ``frame_time``, unless the axes of the NXdata group say times.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from heterodyne.data.selection import Selection
from heterodyne.data.triangle import Stated
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.loading.baseline import based
from heterodyne.loading.checked_file import CheckedFile
from heterodyne.loading.frame_clock import period_of
from heterodyne.loading.hdf5 import (
    attribute,
    dataset,
    declared_unit,
    member,
    numbered,
    numbers,
    opened,
    recognised,
    without_two_time,
)
from heterodyne.loading.layouts.nxxpcs.bins import bins_of_labels
from heterodyne.loading.lazy import FileMatrices, Place, side
from heterodyne.loading.times import reconciled, settled
from heterodyne.loading.units import factor

_FIELD = "twotime/two_time_corr_func"
_BELOW = ("", "/XPCS")  # of an entry; the second in files of the first years

_ARRAYS = {"one_array_q_first": 0, "one_array_q_last": 2}
_KEYS = "data_exchange_keys"
_MODES = (*_ARRAYS, _KEYS, "other", "")
_ORIGINS = ("upper_left", "lower_left", "")
_HALVES: dict[str, Stated | None] = {"all": "full", "upper_half": "upper", "lower_half": "lower", "": None}


class _Field(NamedTuple):
    """The field of the matrices: its key, its place in messages, and what it says of itself, "" where nothing."""

    key: str
    where: str
    mode: str
    baseline: str
    origin: str
    populated: str


def sniff(path: Path) -> float:
    """0.8 for a file with two_time_corr_func in an entry, else 0."""
    return 0.8 if recognised(path, lambda file: bool(_homes(file))) else 0.0


def load(path: Path, given: Selection) -> TwoTime:
    """All bins; raises `DataError` where attributes, lists and matrices do not fit together."""
    with opened(path, given.allow_links) as file:
        home = _home(file, given.key)
        field = _field(file, home)
        places, labels = _matrices(file, field)
        frames = side(file, places[0])
        t, dt, age, clock = _times(file, home, given, frames)
        bins = bins_of_labels(file, _instrument(file, home), labels, one_array=places[0].key == field.key)
        if "heterodyne_schema" in file.attrs:
            warnings.warn(
                f"{path} is a file of this program: loader 'nxxpcs' reads neither its widths nor its masks, bad pairs "
                "and weights",
                stacklevel=2,
            )
    # in which half is not held against a field that is upside down: writers count it before or after turning
    stated = None if places[0].upwards and field.populated != "all" else _HALVES[field.populated]
    matrices = FileMatrices(path, places, allow_links=given.allow_links, stated=stated)
    level = _level(field)
    c2, shifted = based(matrices, frames, level, given.baseline, f"{field.where}: baseline_reference")
    origin = {"origin_of_time": "lower left in the file: rows are reversed"} if places[0].upwards else {}
    sources = {"c2_source": field.key, **clock, **bins.sources, **shifted, **origin}
    return TwoTime(c2, bins.q, bins.phi, t, dt, age, bins.dq, bins.dphi, provenance=sources)


def _homes(file: CheckedFile) -> list[str]:
    """The groups that have the field, such as entry and entry/XPCS; one under two names is there once."""
    found: dict[Any, str] = {}
    for name in map(str, file):
        for home in (f"{name}{below}" for below in _BELOW):
            try:
                if isinstance(file.get(name), h5py.Group) and f"{home}/{_FIELD}" in file:
                    found.setdefault(file[f"{home}/{_FIELD}"], home)
            except DataError:  # an entry that cannot be opened is none
                continue
    return list(found.values())


def _home(file: CheckedFile, key: str | None) -> str:
    """The group whose field is read; raises `DataError` if there is none, and if none is chosen of several."""
    homes = _homes(file)
    if not homes:
        raise DataError(without_two_time(file))
    if key is not None:
        homes = [home for home in homes if key.strip("/") in (home, f"{home}/{_FIELD}")] or homes
        if len(homes) > 1 or key.strip("/") not in (homes[0], f"{homes[0]}/{_FIELD}"):
            raise DataError(
                f"{file.filename}: there is no two-time correlation at {key}; there is at {_said(homes)}"
            )
    if len(homes) > 1:
        raise DataError(
            f"{file.filename}: there are two-time correlations at {_said(homes)}: choose by --key {homes[0]} (in "
            "Python key=)"
        )
    return homes[0]


def _said(homes: list[str]) -> str:
    return ", ".join(homes)


def _instrument(file: CheckedFile, home: str) -> str:
    """The group of the instrument, beside the correlations or in their entry."""
    return next(
        (key for key in (f"{home}/instrument", f"{home.partition('/')[0]}/instrument") if key in file),
        f"{home}/instrument",
    )


def _field(file: CheckedFile, home: str) -> _Field:
    """The field and its attributes, which may stand at its group; raises `DataError` for words that mean nothing."""
    key = f"{home}/{_FIELD}"
    nodes = (member(file, key), member(file, f"{home}/twotime"))
    mode, baseline, origin, populated = (
        next((words for node in nodes if (words := attribute(node, name).strip())), "")
        for name in ("storage_mode", "baseline_reference", "time_origin_location", "populated_elements")
    )
    for name, said, known in (
        ("storage_mode", mode, _MODES),
        ("time_origin_location", origin, _ORIGINS),
        ("populated_elements", populated, tuple(_HALVES)),
    ):
        if said not in known:
            raise DataError(
                f"{file.filename}: {name} of {key} is {said!r}; it may be {', '.join(filter(None, known))}"
            )
    return _Field(key, f"{file.filename}: {key}", mode, baseline, origin, populated)


def _level(field: _Field) -> float | None:
    """c2 where nothing is correlated, None if the file does not say; raises `DataError` for no number."""
    try:
        return float(field.baseline) if field.baseline else None
    except ValueError:
        raise DataError(f"{field.where}: baseline_reference must be 0 or 1, not {field.baseline!r}") from None


def _matrices(file: CheckedFile, field: _Field) -> tuple[tuple[Place, ...], np.ndarray]:
    """Where the matrices are, and the label of each."""
    stored, upwards = member(file, field.key), field.origin == "lower_left"
    if isinstance(stored, h5py.Group):
        if field.mode in _ARRAYS:
            raise DataError(f"{field.where} is a group, but its storage_mode is {field.mode}")
        names = numbered(stored)
        if not names or min(names) < 1:
            said = f"has a matrix {min(names)}; labels count from 1" if names else "has no matrices"
            raise DataError(f"{field.where} {said}")
        return tuple(Place(f"{field.key}/{name}", upwards=upwards) for name in names.values()), np.array(
            [*names]
        )
    shape = stored.shape or ()
    if field.mode == _KEYS:
        raise DataError(f"{field.where} is one array of shape {shape}, but its storage_mode is {_KEYS}")
    if len(shape) == 2:
        return (Place(field.key, upwards=upwards),), np.array([1])
    axis = _axis(shape, field)
    places = (Place(field.key, bin, axis, upwards=upwards) for bin in range(shape[axis]))
    return tuple(places), np.arange(1, shape[axis] + 1)


def _axis(shape: tuple[int, ...], field: _Field) -> int:
    """The axis of the bins, 0 or 2; raises `DataError` if it is not said and cannot be told."""
    square = {0: len(shape) == 3 and shape[1] == shape[2], 2: len(shape) == 3 and shape[0] == shape[1]}
    axes = [_ARRAYS[field.mode]] if field.mode in _ARRAYS else [axis for axis in square if square[axis]]
    if len(axes) == 2:
        raise DataError(
            f"{field.where} has as many bins as frames ({shape[0]}), and no storage_mode says whether the bins are "
            "first or last: set it to one_array_q_first or one_array_q_last"
        )
    if not axes or not square[axes[0]]:
        said = f", which contradicts its storage_mode {field.mode}" if field.mode in _ARRAYS else ""
        raise DataError(
            f"{field.where} must be (bins, frames, frames) or (frames, frames, bins), not {shape}{said}"
        )
    if not shape[axes[0]]:
        raise DataError(f"{field.where} has no matrices")
    return axes[0]


def _times(
    file: CheckedFile, home: str, given: Selection, frames: int
) -> tuple[np.ndarray, float, float, dict[str, str]]:
    """t, dt and age in s and where they come from; raises `DataError` where they are unknown or contradictory."""
    detector = _detector(file, _instrument(file, home))
    axis = _time_axis(file, f"{home}/twotime", frames)
    if axis is not None and f"{detector}/frame_time" not in file:
        t, dt, age = reconciled(axis, None, None, given.dt, given.age)
        return t, dt, age, {"dt_source": "the axis of two_time_corr_func", "age_source": "its first time"}
    period = period_of(file, f"{detector}/frame_time", f"{detector}/count_time", given.dt)
    if axis is not None and math.isfinite(period.value):
        t, dt, age = reconciled(axis, period.value, None, given.dt, given.age)
        return t, dt, age, {"dt_source": period.name, "age_source": "the axis of two_time_corr_func"}
    source = period.name + (f" ({period.doubt})" if period.doubt else "")
    dt, dt_source = settled("dt", given.dt, period.value, source)
    return dt * np.arange(1, frames + 1), dt, 0.0, {"dt_source": dt_source}


def _detector(file: CheckedFile, instrument: str) -> str:
    """The group of the detector that has frame_time; raises `DataError` if several have different ones."""
    if instrument not in file:
        return f"{instrument}/detector"
    names = [f"{instrument}/{name}" for name in member(file, instrument)]
    with_time = {name: numbers(file, f"{name}/frame_time") for name in names if f"{name}/frame_time" in file}
    if len({tuple(times) for times in with_time.values()}) > 1:
        raise DataError(f"{file.filename}: frame_time differs between {', '.join(with_time)}")
    return next(iter(with_time), f"{instrument}/detector")


def _time_axis(file: CheckedFile, key: str, frames: int) -> np.ndarray | None:
    """The frame times in s if an axis of the NXdata group is one, with a unit of time, else None."""
    group = member(file, key)
    axes = np.asarray(group.attrs.get("axes", ()), dtype=object).reshape(-1)
    for name in dict.fromkeys(
        axis.decode("utf-8", "replace") if isinstance(axis, bytes) else str(axis) for axis in axes
    ):
        if name in (".", "") or f"{key}/{name}" not in file:
            continue
        field = dataset(file, f"{key}/{name}")
        try:
            to_seconds = factor("time", declared_unit(field) or "", name)
        except DataError:  # frames, bins, q
            continue
        return numbers(file, f"{key}/{name}", length=frames) * to_seconds
    return None
