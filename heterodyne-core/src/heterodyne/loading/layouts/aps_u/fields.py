"""Where the fields of APS-U results are."""

from __future__ import annotations

import h5py

from heterodyne.errors import DataError
from heterodyne.loading.hdf5 import array, text

QMAP = "xpcs/qmap"
ROI_MAP = f"{QMAP}/dynamic_roi_map"
LABELS = "xpcs/twotime/processed_bins"


def axis_texts(file: h5py.File, name: str) -> list[str]:
    """The two strings that the q map has under ``name``, one per axis of the bins."""
    key = f"{QMAP}/{name}"
    values = array(file, key).reshape(-1)
    if len(values) != 2:
        raise DataError(f"{file.filename}: {key} must name the two axes of the bins")
    return [text(value) for value in values]
