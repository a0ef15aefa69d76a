"""The project's own two-time file (schema "twotime/1"), as `heterodyne.data.own_file` writes it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.data.own_file import MASKS, MATRICES, OWN, SCHEMA, matrix_name
from heterodyne.data.selection import Selection
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.loading.checked_file import CheckedFile
from heterodyne.loading.hdf5 import (
    array,
    attribute,
    counted,
    dataset,
    declared_unit,
    group,
    number,
    numbers,
    opened,
    recognised,
    string,
    switches,
)
from heterodyne.loading.lazy import FileMatrices, Place, side
from heterodyne.loading.times import reconciled
from heterodyne.loading.units import factor

_FRAME_TIME = "entry/instrument/detector/frame_time"

_STORAGE = {
    "storage_mode": "data_exchange_keys",
    "populated_elements": "upper_half",
    "baseline_reference": "1",
    "time_origin_location": "upper_left",
}
"""What the attributes of the matrices must say where they are there."""

_SAME = 1e-6  # relative; a float32 is not a discrepancy

_OF_THE_FILE = ("file", "size", "sha256", "mtime_ns", "loader", "selection", "frames", "origin", "linked")
"""Provenance of the file that the data came from, kept under ``origin`` when this file takes its place."""


def sniff(path: Path) -> float:
    """1 for a file with the root attribute ``heterodyne_schema``, else 0; its value is not read for that."""
    return 1.0 if recognised(path, lambda file: "heterodyne_schema" in file.attrs) else 0.0


def load(path: Path, given: Selection) -> TwoTime:
    """All bins and frames as they were saved; raises `DataError` for another schema and parts that do not fit."""
    with opened(path, given.allow_links) as file:
        if _schema(file) != SCHEMA:
            stated = _schema(file) or "absent"
            raise DataError(f"{path}: heterodyne_schema is {stated}; this version reads {SCHEMA}")
        places = _places(file)
        bins, frames = len(places), side(file, places[0])
        q, phi = (_values(file, f"{MASKS}/dynamic_{name}_list", name, bins) for name in ("q", "phi"))
        dt = _seconds(file, "dt")
        if given.dt is None:
            _check_frame_time(file, dt)
        dq, dphi = (_values(file, f"{OWN}/d{name}", name, bins) for name in ("q", "phi"))
        return TwoTime(
            FileMatrices(path, places, allow_links=given.allow_links),
            q,
            phi,
            *reconciled(
                _values(file, f"{OWN}/t", "time", frames), dt, _seconds(file, "age"), given.dt, given.age
            ),
            dq,
            dphi,
            switches(file, f"{OWN}/mask", (bins, frames)),
            _provenance(file),
            **_optional(file, bins, frames),
        )


def _check_frame_time(file: CheckedFile, dt: float) -> None:
    """Raise `DataError` if the frame time that other programs read is not dt."""
    stated = number(file, _FRAME_TIME)
    if stated is not None and not math.isclose(stated, dt, rel_tol=_SAME):
        raise DataError(
            f"{file.filename}: {_FRAME_TIME} is {stated:g} s, but {OWN}/dt is {dt:g} s; give dt, the time "
            "between frames, to say which counts"
        )


def _places(file: CheckedFile) -> tuple[Place, ...]:
    """Where the matrices of bins 1, 2, ... are; raises `DataError` for other names among them, or another storage."""
    matrices = group(file, MATRICES)
    for name, expected in _STORAGE.items():
        if (stated := attribute(matrices, name)) not in ("", expected):
            raise DataError(f"{file.filename}: {name} of {MATRICES} is {stated}; this layout has {expected}")
    q, phi = (dataset(file, f"{MASKS}/dynamic_{name}_list").size for name in ("q", "phi"))
    if not len(matrices) == q == phi:
        raise DataError(f"{file.filename}: {len(matrices)} matrices but {q} q and {phi} phi")
    names = counted(matrices)
    for bin, name in enumerate(names, 1):
        if name != matrix_name(bin):
            raise DataError(f"{file.filename}: {name} in {MATRICES} should be named {matrix_name(bin)}")
    if not names:
        raise DataError(f"{file.filename}: there are no matrices in {MATRICES}")
    return tuple(Place(f"{MATRICES}/{name}") for name in names)


def _optional(file: CheckedFile, bins: int, frames: int) -> dict[str, Any]:
    """Bad pairs, and weights per frame or, left in the file, per pair, where it has them."""
    kept: dict[str, Any] = {}
    if f"{OWN}/bad_pairs" in file:
        kept["bad_pairs"] = array(file, f"{OWN}/bad_pairs", (None, 3))
    if (key := f"{OWN}/weight") in file:
        if dataset(file, key).shape == (bins, frames, frames):
            places = tuple(Place(key, bin) for bin in range(bins))
            kept["weight"] = FileMatrices(file.path, places, allow_links=file.allow_links)
        else:
            kept["weight"] = array(file, key, (bins, frames))
    return kept


def _schema(file: CheckedFile) -> str:
    return attribute(file, "heterodyne_schema")


def _values(file: CheckedFile, key: str, quantity: str, length: int) -> np.ndarray:
    unit = declared_unit(dataset(file, key))
    if unit is None:
        raise DataError(f"{file.filename}: {key} declares no units")
    return numbers(file, key, length=length) * factor(quantity, unit, f"{file.filename}: {key}")


def _seconds(file: CheckedFile, name: str) -> float:
    key = f"{OWN}/{name}"
    if number(file, key) is None:
        raise DataError(f"{file.filename} has no {key}")
    return float(_values(file, key, "time", 1)[0])


def _document(file: CheckedFile, key: str) -> dict[str, Any]:
    try:
        found = json.loads(string(file, key))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file.filename}: {key} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise DataError(f"{file.filename}: {key} must be a mapping, not {type(found).__name__}")
    return found


def _provenance(file: CheckedFile) -> dict[str, Any]:
    stored = _document(file, f"{OWN}/provenance")
    if f"{OWN}/truth" in file:
        stored["truth"] = _document(file, f"{OWN}/truth")
    origin = {name: stored.pop(name) for name in _OF_THE_FILE if name in stored}
    sources = {"dt_source": "the file", "age_source": "the file"}
    return {**sources, **stored, **({"origin": origin} if origin else {})}
