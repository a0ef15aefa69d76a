"""ESRF ID02 results, of both versions that xpcsutilities reads: ``ttcf`` (bin, age, lag) of one or more analyses.

| version | analyses | q in nm⁻¹ |
|---|---|---|
| 2.0 | groups of /entry_0000/correlations | parameters/q of the analysis |
| 1 | groups of /entry_0000/dynamix/correlations/directions | middle of the range of its q_index in q_index_min_max |

An analysis may be of a ring or of a sector: azimuths are not in the file. Analyses may be of the same pixels, so
that only one is read.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from heterodyne.data.selection import Selection
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError, unknown
from heterodyne.loading.age_lag import AgeLagMatrices, Grid, grid_of
from heterodyne.loading.axes import list_in_unit, stated
from heterodyne.loading.hdf5 import (
    array,
    attribute,
    dataset,
    declared_unit,
    group,
    numbers,
    opened,
    recognised,
    string,
)

_ENTRY = "entry_0000"
_NAME = "XPCSResultFile"
_RANGES = f"{_ENTRY}/dynamix/correlations/q_index_min_max"


@dataclass(frozen=True)
class _Version:
    """Where analyses are, where in one its two-time correlation, and how the axis of lags may be called."""

    analyses: str
    twotime: str
    lags: tuple[str, ...]


_FIRST = _Version(f"{_ENTRY}/dynamix/correlations/directions", "2times_correlation", ("timeshift", "lag"))
_SECOND = _Version(f"{_ENTRY}/correlations", "twotime", ("lag",))


def sniff(path: Path) -> float:
    """0.9 for a file that calls itself a result file of XPCS, else 0."""
    return 0.9 if recognised(path, lambda file: _version(file) is not None) else 0.0


def load(path: Path, given: Selection) -> TwoTime:
    """The bins of the only analysis or of the one named ``key``; raises `DataError` where axes are not of frames."""
    with opened(path, given.allow_links) as file:
        version = _version(file)
        if version is None:
            raise DataError(f"{path} does not call itself {_NAME}")
        base = f"{version.analyses}/{_analysis(file, version, given.key)}"
        places, q, dq = _bins(file, base, version)
        grid = _grid(file, f"{base}/{version.twotime}", version, given)
    phi = stated(path, "phi", given, len(q))
    bad_pairs, used = grid.without(len(q))
    c2 = AgeLagMatrices(path, f"{base}/{version.twotime}/ttcf", places, grid, given.allow_links)
    return TwoTime(
        c2,
        q,
        np.full(len(q), np.nan) if phi is None else phi,
        grid.first + grid.dt * np.arange(1, grid.frames + 1),
        grid.dt,
        dq=dq,
        mask=np.broadcast_to(used, (len(q), grid.frames)),
        bad_pairs=bad_pairs,
        provenance={
            "c2_source": f"{base}/{version.twotime}/ttcf",
            "phi_source": "nothing in the file: rings" if phi is None else "given",
            "dt_source": f"spacing of the lags in {version.twotime}",
            "age_source": f"ages in {version.twotime}, those of the start of the earlier frame",
        },
    )


def _version(file: h5py.File) -> _Version | None:
    """Which of the two versions the file calls itself, None for neither."""
    if attribute(group(file, ""), "MagicString").startswith(f"{_NAME}_v2"):
        return _SECOND
    title = f"{_ENTRY}/title"
    if title in file and attribute(group(file, _ENTRY), "version") and string(file, title) == _NAME:
        return _FIRST
    return None


def _analysis(file: h5py.File, version: _Version, key: str | None) -> str:
    """The analysis to read; raises `DataError` listing those there are if that is not certain."""
    every = sorted(group(file, version.analyses)) if version.analyses in file else []
    names = [name for name in every if f"{version.analyses}/{name}/{version.twotime}/ttcf" in file]
    if not names:
        of = f" in its analyses {', '.join(every)}" if every else ""
        raise DataError(f"{file.filename} holds no two-time correlation{of}: no {version.twotime}/ttcf")
    if key is None and len(names) > 1:
        raise DataError(
            f"{file.filename} holds the analyses {', '.join(names)}, which may be of the same pixels: choose one "
            "with --key (in Python key=)"
        )
    if key is not None and key not in names:
        raise DataError(f"{file.filename}: {unknown('analysis', key, names)}")
    return names[0] if key is None else key


def _bins(file: h5py.File, base: str, version: _Version) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    """Places of the bins in ttcf, their q and full widths in Å⁻¹, these NaN where they are unknown."""
    key = f"{base}/{version.twotime}/ttcf"
    shape = dataset(file, key).shape or ()
    if len(shape) != 3:
        raise DataError(f"{file.filename}: {key} must be (bins, ages, lags), not of shape {shape}")
    if version is _SECOND:
        q = list_in_unit(file, f"{base}/parameters/q", "q", "1/nm")
        if len(q) != shape[0]:
            raise DataError(
                f"{file.filename}: {len(q)} values of {base}/parameters/q for {shape[0]} matrices"
            )
        return tuple(range(shape[0])), q, np.full(len(q), np.nan)
    wanted = numbers(file, f"{base}/q_index", np.int64)
    ranges = array(file, _RANGES, (None, 3)).astype(float)
    listed = {int(row[0]): row[1:] for row in ranges}
    lacking = [int(index) for index in wanted if int(index) not in listed]
    if lacking or len(listed) < len(ranges) or len(set(wanted.tolist())) < len(wanted):
        which = f"q_index {lacking[0]}" if lacking else "every q_index once"
        raise DataError(f"{file.filename}: {_RANGES} must have {which}, as {base} needs it")
    places = _places(file, key, wanted, shape[0], len(ranges))
    low, high = 0.1 * np.array([listed[int(index)] for index in wanted]).T
    return places, 0.5 * (low + high), high - low


def _places(file: h5py.File, key: str, wanted: np.ndarray, stored: int, listed: int) -> tuple[int, ...]:
    """The places of the bins with these q indices, which count from 1, among the stored matrices."""
    if len(wanted) == stored:
        return tuple(range(stored))
    if stored == listed and wanted.min() >= 1 and wanted.max() <= stored:
        return tuple(int(index) - 1 for index in wanted)
    raise DataError(f"{file.filename}: {stored} matrices in {key} for {len(wanted)} values of q_index")


def _grid(file: h5py.File, home: str, version: _Version, given: Selection) -> Grid:
    """The frames of ages and lags."""
    lag = next((f"{home}/{name}" for name in version.lags if f"{home}/{name}" in file), f"{home}/lag")
    key, age = f"{home}/ttcf", f"{home}/age"
    where, stored = f"{file.filename}: {key}", dataset(file, key)
    ages, lags = (list_in_unit(file, name, "time", "s") for name in (age, lag))
    if stored.shape[1:] != (len(ages), len(lags)):
        raise DataError(f"{where} is of shape {stored.shape}, for {len(ages)} ages and {len(lags)} lags")
    grid = grid_of(stored, ages, lags, where)
    if grid.dt == 1.0 and not declared_unit(dataset(file, lag)) and given.dt is None:
        warnings.warn(
            f"{where}: lags are 1 s apart, unless they are counted in frames; then give dt", stacklevel=3
        )
    gaps = np.diff(np.unique(grid.columns[grid.columns >= 0]))
    if (gaps > 1).any():
        warnings.warn(
            f"{where}: not every lag is stored; those that are stored are taken as of single pairs of frames",
            stacklevel=3,
        )
    return grid
