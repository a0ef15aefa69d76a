"""The project's own two-time file (schema "twotime/1"), as `heterodyne.data.own_file` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.data.own_file import MASKS, MATRICES, OWN, SCHEMA
from heterodyne.data.selection import Selection
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.loading.hdf5 import dataset, declared_unit, member, number, numbered, numbers, opened, text
from heterodyne.loading.lazy import FileMatrices, Place
from heterodyne.loading.times import reconciled
from heterodyne.loading.units import factor

_OF_THE_FILE = ("file", "size", "sha256", "mtime_ns", "loader", "selection", "frames", "origin")
"""Provenance of the file that the data came from, kept under ``origin`` when this file takes its place."""


def sniff(path: Path) -> float:
    """1 for a file whose root attribute ``heterodyne_schema`` is that of two-time data, else 0."""
    try:
        with opened(path) as file:
            return 1.0 if _schema(file).startswith("twotime/") else 0.0
    except DataError:
        return 0.0


def load(path: Path, given: Selection) -> TwoTime:
    """All bins and frames as they were saved; raises `DataError` for another schema."""
    with opened(path) as file:
        if _schema(file) != SCHEMA:
            stated = _schema(file) or "absent"
            raise DataError(f"{path}: heterodyne_schema is {stated}; this version reads {SCHEMA}")
        q, phi = (_values(file, f"{MASKS}/dynamic_{name}_list", name) for name in ("q", "phi"))
        dq, dphi = (_values(file, f"{OWN}/d{name}", name) for name in ("q", "phi"))
        places = tuple(Place(f"{MATRICES}/{key}") for key in numbered(member(file, MATRICES)))
        if not len(places) == len(q) == len(phi):
            raise DataError(f"{path}: {len(places)} matrices but {len(q)} q and {len(phi)} phi")
        return TwoTime(
            FileMatrices(path, places),
            q,
            phi,
            *reconciled(
                numbers(file, f"{OWN}/t"), _stored(file, "dt"), _stored(file, "age"), given.dt, given.age
            ),
            dq,
            dphi,
            dataset(file, f"{OWN}/mask")[()],
            _provenance(file),
            **_optional(path, file, len(q)),
        )


def _optional(path: Path, file: h5py.File, bins: int) -> dict[str, Any]:
    """Bad pairs, and weights per frame or, left in the file, per pair, where it has them."""
    kept: dict[str, Any] = {}
    if f"{OWN}/bad_pairs" in file:
        kept["bad_pairs"] = dataset(file, f"{OWN}/bad_pairs")[()]
    if f"{OWN}/weight" in file:
        weight = dataset(file, f"{OWN}/weight")
        places = tuple(Place(f"{OWN}/weight", bin) for bin in range(bins))
        kept["weight"] = FileMatrices(path, places) if weight.ndim == 3 else weight[()]
    return kept


def _schema(file: h5py.File) -> str:
    return text(file.attrs.get("heterodyne_schema", ""))


def _values(file: h5py.File, key: str, quantity: str) -> np.ndarray:
    unit = declared_unit(dataset(file, key))
    if unit is None:
        raise DataError(f"{file.filename}: {key} declares no units")
    return numbers(file, key) * factor(quantity, unit, f"{file.filename}: {key}")


def _stored(file: h5py.File, name: str) -> float:
    value = number(file, f"{OWN}/{name}")
    if value is None:
        raise DataError(f"{file.filename} has no {OWN}/{name}")
    return value


def _document(file: h5py.File, key: str) -> Any:
    try:
        return json.loads(text(dataset(file, key)[()]))
    except json.JSONDecodeError as error:
        raise DataError(f"{file.filename}: {key} is not JSON: {error}") from None


def _provenance(file: h5py.File) -> dict[str, Any]:
    stored = _document(file, f"{OWN}/provenance")
    if f"{OWN}/truth" in file:
        stored["truth"] = _document(file, f"{OWN}/truth")
    origin = {name: stored.pop(name) for name in _OF_THE_FILE if name in stored}
    sources = {"dt_source": "the file", "age_source": "the file"}
    return {**sources, **stored, **({"origin": origin} if origin else {})}
