"""Axes of stored correlations: lists with a unit, times that count from 0, and what a user states of bins."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from heterodyne.data.selection import Selection
from heterodyne.errors import DataError
from heterodyne.loading.hdf5 import dataset, declared_unit, numbers
from heterodyne.loading.units import factor


def list_in_unit(file: h5py.File, key: str, quantity: str, usual: str) -> np.ndarray:
    """The numbers at ``key`` in the unit of this program, ``usual`` being their unit if they declare none."""
    unit = declared_unit(dataset(file, key)) or usual
    return numbers(file, key) * factor(quantity, unit, f"{file.filename}: {key}")


def after_start(t: np.ndarray, dt: float) -> np.ndarray:
    """Frame times in s with that of the first frame dt where they count from 0, as raw frame n has (n + 1) dt."""
    return t + dt if abs(t[0]) < 0.01 * dt else t


def stated(path: Path, name: str, given: Selection, n_bins: int) -> np.ndarray | None:
    """The ``name``, q or phi, that a user states of every bin, one value for all or one per bin; None if none.

    Raises `DataError` for another number of values.
    """
    values = getattr(given, name)
    if not values or any(isinstance(value, tuple) for value in values):
        return None
    if len(values) not in (1, n_bins):
        raise DataError(f"{path} does not say {name}: {len(values)} values are given for {n_bins} bins")
    return np.broadcast_to(np.asarray(values, dtype=float), n_bins).copy()
