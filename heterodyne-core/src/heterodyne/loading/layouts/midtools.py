"""European XFEL MID results, as midtools writes them: ``ttc`` ([stride,] train, q, t1, t2) with q in nm⁻¹ and t in s.

Each train is a repeat of the same experiment on another spot or later: its own matrix of every q, whose noise is
independent of the other trains. So a bin is one train at one q, and bins of equal q are one ring. Strides other than 0
correlate one train with another: they are no two-time correlation, and are left out.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from heterodyne.data.selection import Selection
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.loading.axes import after_start, list_in_unit
from heterodyne.loading.fields import single
from heterodyne.loading.hdf5 import dataset, numbers, opened, recognised
from heterodyne.loading.lazy import FileMatrices, Place, side
from heterodyne.words import first_listed

_HOME = "train_resolved/correlation"
_MATRICES, _STRIDES = f"{_HOME}/ttc", f"{_HOME}/stride"
_TRAINS = "identifiers/train_ids"


def sniff(path: Path) -> float:
    """0.9 for a file with /train_resolved/correlation/ttc, else 0."""
    return 0.9 if recognised(path, lambda file: _MATRICES in file) else 0.0


def load(path: Path, given: Selection) -> TwoTime:
    """Every q of every train, or of those that ``key`` lists, train by train; raises `DataError` for wrong axes."""
    with opened(path, given.allow_links) as file:
        if _MATRICES not in file:
            raise DataError(f"{path} holds no two-time correlation: no {_MATRICES}")
        q = list_in_unit(file, f"{_HOME}/q", "q", "1/nm")
        shape, more = _axes(file, len(q))
        ids = _train_ids(file, shape[0])
        trains = _wanted(path, ids, given.key)
        first = len(more)
        places = tuple(
            Place(_MATRICES, k, first + 1, (*more, (first, train))) for train in trains for k in range(len(q))
        )
        frames = side(file, places[0])
        t = list_in_unit(file, f"{_HOME}/t", "time", "s")
    if len(t) != frames or frames < 3:
        raise DataError(f"{path}: {len(t)} times in {_HOME}/t for {frames} frames")
    dt = float(np.median(np.diff(t)))
    return TwoTime(
        FileMatrices(path, places, allow_links=given.allow_links),
        np.tile(q, len(trains)),
        np.full(len(places), np.nan),
        after_start(t, dt),
        dt,
        provenance={
            "c2_source": _MATRICES,
            "trains": f"{len(trains)}, each with {len(q)} q: {first_listed([str(ids[k]) for k in trains])}",
            "phi_source": "nothing in the file: rings",
            "dt_source": f"spacing of {_HOME}/t",
            "age_source": f"{_HOME}/t",
        },
    )


def _axes(file: h5py.File, n_q: int) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Lengths of the axes from that of the trains on, and the axes before it with the index to take.

    Raises `DataError` for a shape that is not one of the writer's.
    """
    shape = tuple(int(n) for n in dataset(file, _MATRICES).shape or ())
    where = f"{file.filename}: {_MATRICES} of shape {shape}"
    if len(shape) not in (4, 5) or shape[-3] != n_q or not np.prod(shape):
        raise DataError(f"{where} is not (train, q, t1, t2), nor (stride, train, q, t1, t2), with {n_q} q")
    if len(shape) == 4:
        return shape, ()
    strides = numbers(file, _STRIDES, np.int64) if _STRIDES in file else np.zeros(1, dtype=np.int64)
    if len(strides) != shape[0] or 0 not in strides:
        raise DataError(f"{where}: which of its strides is 0, each train with itself, is not in {_STRIDES}")
    return shape[1:], ((0, int(np.flatnonzero(strides == 0)[0])),)


def _train_ids(file: h5py.File, count: int) -> list[int]:
    """The names of the trains, 1, 2, ... where the file has none; raises `DataError` for too many and equal ones."""
    if _TRAINS not in file:
        return list(range(1, count + 1))
    ids = numbers(file, _TRAINS, np.int64, count)
    single(ids, f"{file.filename}: {_TRAINS} must name every train once: train")
    return ids.tolist()


def _wanted(path: Path, ids: list[int], key: str | None) -> list[int]:
    """The places of the trains that ``key`` lists, apart by commas, or of all; raises `DataError` for others."""
    if key is None:
        return list(range(len(ids)))
    names = [str(one) for one in ids]
    chosen = [word.strip() for word in key.split(",")]
    wrong = [word for word in chosen if word not in names]
    if wrong or len(set(chosen)) < len(chosen):
        raise DataError(
            f"{path}: --key {key} must list trains, each once; the file has {first_listed(names)}"
        )
    return [names.index(word) for word in chosen]
