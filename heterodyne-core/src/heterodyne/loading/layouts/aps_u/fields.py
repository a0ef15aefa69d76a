"""Small fields of APS-U results that are held to what they must be."""

from __future__ import annotations

import h5py
import numpy as np

from heterodyne.errors import DataError
from heterodyne.loading.hdf5 import array, dataset, declared_unit, number, text
from heterodyne.loading.units import factor

QMAP = "xpcs/qmap"
LABELS = "xpcs/twotime/processed_bins"

_LARGEST_MAP = 2**26  # pixels; several times the largest detector


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


def axis_texts(file: h5py.File, name: str) -> list[str]:
    """The two strings that the q map has under ``name``, one per axis of the bins."""
    key = f"{QMAP}/{name}"
    values = array(file, key).reshape(-1)
    if len(values) != 2:
        raise DataError(f"{file.filename}: {key} must name the two axes of the bins")
    return [text(value) for value in values]


def roi_map(file: h5py.File) -> np.ndarray:
    """The label of every pixel, (rows, columns), 0 for pixels of no bin."""
    key = f"{QMAP}/dynamic_roi_map"
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
