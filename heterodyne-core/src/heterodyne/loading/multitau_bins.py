"""Bins of multi-tau g2 by column, as the layouts have those of matrices."""

from __future__ import annotations

import h5py
import numpy as np

from heterodyne.data.selection import Selection
from heterodyne.errors import DataError
from heterodyne.loading.fields import Bins, label_map
from heterodyne.loading.hdf5 import numbers
from heterodyne.loading.layouts import aps_legacy, pychx
from heterodyne.loading.layouts.aps_u import bins as aps_u
from heterodyne.loading.layouts.aps_u.fields import QMAP, ROI_MAP
from heterodyne.loading.layouts.nxxpcs import bins as nxxpcs


def aps_u_bins(file: h5py.File, columns: int, given: Selection) -> Bins:
    """The bins of APS-U: column k is label k + 1 of the q map, each bin that is not empty in turn."""
    mapping = f"{QMAP}/dynamic_index_mapping"
    key = mapping if mapping in file else ROI_MAP
    labels = len(numbers(file, key, np.int64)) if key == mapping else int(label_map(file, key).max())
    _check_count(file, columns, labels, key)
    return aps_u.bins_of_labels(file, _labels(columns))


def aps_legacy_bins(file: h5py.File, columns: int, given: Selection) -> Bins:
    """The bins of APS before 2025: column k is the k-th cell of the lists that is not NaN."""
    listed = aps_legacy.listed_bins(file)
    _check_count(file, columns, len(listed.q), "dqlist (without NaN)")
    return aps_legacy.bins_of_labels(file, listed, _labels(columns))


def nxxpcs_bins(file: h5py.File, columns: int, given: Selection) -> Bins:
    """The bins of NXxpcs: column k is entry k of the lists of the dynamic map."""
    return nxxpcs.bins_of_labels(file, "entry/instrument", _labels(columns), one_array=True)


def pychx_bins(file: h5py.File, columns: int, given: Selection) -> Bins:
    """The bins of pyCHX: column k is attribute k of ``qval_dict``, or of these the one that is given."""
    q, phi, source = pychx.regions(file, f"g2 has {columns} columns", columns, given)
    unknown = np.full(columns, np.nan)
    return Bins(q, phi, unknown, unknown, {"q_source": source, "phi_source": source})


def _labels(columns: int) -> np.ndarray:
    return np.arange(1, columns + 1)


def _check_count(file: h5py.File, columns: int, listed: int, where: str) -> None:
    if columns != listed:
        raise DataError(
            f"{file.filename}: g2 has {columns} bins, but {where} names {listed}: which they are cannot be known"
        )
