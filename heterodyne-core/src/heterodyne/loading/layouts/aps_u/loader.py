"""The loader: matrix k, by its number, belongs to label ``processed_bins[k]`` of the q map."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from heterodyne.data.selection import Selection
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.loading.fields import single
from heterodyne.loading.hdf5 import counted, group, numbers, opened, recognised, without_two_time
from heterodyne.loading.layouts.aps_u.bins import bins_of_labels
from heterodyne.loading.layouts.aps_u.clock import read_clock
from heterodyne.loading.layouts.aps_u.fields import LABELS
from heterodyne.loading.lazy import FileMatrices, Place, side

_MATRICES = "xpcs/twotime/correlation_map"


def sniff(path: Path) -> float:
    """0.9 for a file with /xpcs/twotime/correlation_map, else 0."""
    return 0.9 if recognised(path, lambda file: _MATRICES in file) else 0.0


def load(path: Path, given: Selection) -> TwoTime:
    """All bins; raises `DataError` where the q map, the labels or the times do not fit together."""
    with opened(path, given.allow_links) as file:
        places, labels = _matrices(file)
        frames = side(file, places[0])
        clock = read_clock(file, given, frames)
        bins = bins_of_labels(file, labels)
    sources = {**clock.sources, **bins.sources}
    t, matrices = clock.times(frames), FileMatrices(path, places, allow_links=given.allow_links)
    return TwoTime(matrices, bins.q, bins.phi, t, clock.dt, clock.age, bins.dq, bins.dphi, provenance=sources)


def _matrices(file: h5py.File) -> tuple[tuple[Place, ...], np.ndarray]:
    """The matrices in the order of their numbers and the label of each."""
    keys = counted(group(file, _MATRICES)) if _MATRICES in file else []
    if not keys:
        raise DataError(without_two_time(file))
    labels = numbers(file, LABELS, np.int64)
    if len(labels) != len(keys):
        raise DataError(
            f"{file.filename}: {len(keys)} matrices in {_MATRICES} but {len(labels)} labels in {LABELS}"
        )
    if labels.min() < 1:
        raise DataError(f"{file.filename}: label {labels.min()} in {LABELS}; labels count from 1")
    single(labels, f"{file.filename}: {LABELS} must name every bin once: label")
    return tuple(Place(f"{_MATRICES}/{key}") for key in keys), labels
