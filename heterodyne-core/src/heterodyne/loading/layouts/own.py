"""The project's own two-time file (schema "twotime/1"), as `heterodyne.data.own_file` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.data.own_file import MASKS, MATRICES, OWN, SCHEMA
from heterodyne.data.selection import Selection, choose_bins, choose_frames
from heterodyne.data.two_time import TwoTime, renumbered, within
from heterodyne.data.validation import pair_list
from heterodyne.errors import DataError
from heterodyne.loading.hdf5 import dataset, declared_unit, member, number, numbered, numbers, opened, text
from heterodyne.loading.lazy import FileMatrices, Place, frame_count
from heterodyne.loading.times import settled
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


def load(path: Path, selection: Selection) -> TwoTime:
    """The selected bins and frames as they were saved; raises `DataError` for another schema."""
    with opened(path) as file:
        if _schema(file) != SCHEMA:
            stated = _schema(file) or "absent"
            raise DataError(f"{path}: heterodyne_schema is {stated}; this version reads {SCHEMA}")
        q, phi = (_values(file, f"{MASKS}/dynamic_{name}_list", name) for name in ("q", "phi"))
        dq, dphi = (_values(file, f"{OWN}/d{name}", name) for name in ("q", "phi"))
        places = tuple(Place(f"{MATRICES}/{key}") for key in numbered(member(file, MATRICES)))
        if not len(places) == len(q) == len(phi):
            raise DataError(f"{path}: {len(places)} matrices but {len(q)} q and {len(phi)} phi")
        chosen = choose_bins(q, phi, selection)
        places = tuple(places[bin] for bin in chosen)
        frames = choose_frames(frame_count(file, places), selection)
        mask = dataset(file, f"{OWN}/mask")[()][chosen][:, frames]
        bad_pairs, weight = _bad_pairs(file, len(q)), _weight(file, chosen, frames)
        provenance = _provenance(file)
        dt, dt_source = _settled(file, "dt", selection.dt, provenance)
        age, age_source = _settled(file, "age", selection.age, provenance)
        t = _times(file, dt, age)[frames]
    return TwoTime(
        c2=FileMatrices(path, places, frames),
        q=q[chosen],
        phi=phi[chosen],
        t=t,
        dt=dt,
        age=age if frames.start == 0 else float(t[0]) - dt,
        dq=dq[chosen],
        dphi=dphi[chosen],
        mask=mask,
        bad_pairs=within(renumbered(bad_pairs, chosen), frames),
        weight=weight,
        provenance={
            **provenance,
            "dt_source": dt_source,
            "age_source": age_source,
            "frames": [frames.start + 1, frames.stop],
        },
    )


def _bad_pairs(file: h5py.File, bins: int) -> np.ndarray:
    """Rows [bin, frame, frame] of the whole file; none where the file has no such list."""
    key = f"{OWN}/bad_pairs"
    if key not in file:
        return pair_list((), bins, 0)
    try:
        return pair_list(dataset(file, key)[()], bins, len(numbers(file, f"{OWN}/t")))
    except DataError as error:
        raise DataError(f"{file.filename}: {error}") from None


def _weight(file: h5py.File, chosen: np.ndarray, frames: slice) -> np.ndarray | None:
    """The weights of the chosen bins and frames, per frame or per pair; None where the file has none."""
    key = f"{OWN}/weight"
    if key not in file:
        return None
    stored = dataset(file, key)
    return np.stack([stored[(int(bin), *[frames] * (stored.ndim - 1))] for bin in chosen])


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


def _settled(
    file: h5py.File, name: str, given: float | None, provenance: dict[str, Any]
) -> tuple[float, str]:
    return settled(name, given, _stored(file, name), provenance.get(f"{name}_source", "the file"))


def _times(file: h5py.File, dt: float, age: float) -> np.ndarray:
    """The frame times of the whole file; another dt stretches the stored ones, another age shifts them."""
    t, stored_dt, stored_age = numbers(file, f"{OWN}/t"), _stored(file, "dt"), _stored(file, "age")
    if (dt, age) == (stored_dt, stored_age):
        return t
    return (t - stored_age) * (dt / stored_dt) + age


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
    return {**stored, "origin": origin} if origin else stored
