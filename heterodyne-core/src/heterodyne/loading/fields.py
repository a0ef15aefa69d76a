"""What results from beamlines say beside matrices, held to what it must be: numbers with units, maps, bins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import h5py
import numpy as np

from heterodyne.errors import DataError
from heterodyne.loading.hdf5 import array, dataset, declared_unit, number, numbers
from heterodyne.loading.pixels import Geometry
from heterodyne.loading.units import factor

_LARGEST_MAP = 2**26  # pixels; several times the largest detector
_MOST_FRAMES = 10**9  # raw ones: no recording has more


class Bins(NamedTuple):
    """Per bin: q in Å⁻¹, azimuth in degrees (NaN for a ring), full widths (NaN if unknown); where they come from."""

    q: np.ndarray
    phi: np.ndarray
    dq: np.ndarray
    dphi: np.ndarray
    sources: dict[str, Any]


def single(values: np.ndarray, what: str) -> None:
    """Raises `DataError` naming the first value that is there twice."""
    found, times = np.unique(values, return_counts=True)
    if (times > 1).any():
        raise DataError(f"{what} {found[times > 1][0]} is there {times[times > 1][0]} times")


def in_unit(file: h5py.File, key: str, quantity: str, usual: str) -> float | None:
    """The number at ``key`` in the unit of this program, ``usual`` being its unit if it declares none."""
    value = number(file, key)
    if value is None:
        return None
    return value * factor(quantity, declared_unit(dataset(file, key)) or usual, f"{file.filename}: {key}")


def whole(file: h5py.File, key: str) -> int | None:
    """The whole number at ``key``, such as that of a frame; None if there is none."""
    if key not in file:
        return None
    values = numbers(file, key, np.int64)
    if len(values) != 1:
        raise DataError(f"{file.filename}: {key} must be one number, not {len(values)}")
    if abs(values[0]) >= _MOST_FRAMES:
        raise DataError(f"{file.filename}: {key} is {values[0]}, more frames than any recording has")
    return int(values[0])


def label_map(file: h5py.File, key: str) -> np.ndarray:
    """The label of every pixel, (rows, columns), 0 for pixels of no bin."""
    stored = dataset(file, key)
    if (
        stored.ndim != 2
        or stored.dtype.kind not in "iu"
        or not 0 < np.prod(stored.shape, dtype=float) <= _LARGEST_MAP
    ):
        raise DataError(
            f"{file.filename}: {key} must be whole numbers (rows, columns), not {stored.dtype} of {stored.shape}"
        )
    labels = array(file, key)
    if labels.min() < 0 or labels.max() > labels.size:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise DataError(f"{file.filename}: {key} has the label {wrong}; labels count from 1")
    return labels


def geometry(
    file: h5py.File, fields: Mapping[str, tuple[str, str]], label_key: str
) -> tuple[Geometry | None, str]:
    """Where the detector stands, or None and what is lacking to tell bins by the pixels at ``label_key``.

    ``fields`` says, in the order of `Geometry`, where its numbers are, of which quantity, and in which unit if the
    file does not declare one.
    """
    if label_key not in file:
        return None, f"there is no {label_key}"
    found = []
    for key, (quantity, unit) in fields.items():
        value = in_unit(file, key, quantity, unit)
        if value is None:
            return None, f"there is no {key}"
        if not np.isfinite(value) or (value <= 0.0 and quantity != "pixels"):
            return None, f"{key} is {value:g}"
        found.append(value)
    return Geometry(*found), ""
