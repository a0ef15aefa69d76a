"""APS-U results: boost_corr matrices under /xpcs/twotime with the q map of pySimpleMask (2025 on).

Matrix k (by its counter) belongs to label ``processed_bins[k]``; label l, counted from 1 over the non-empty
bins, belongs to cell ``dynamic_index_mapping[l - 1]`` of the grid ``dynamic_num_pts``, second axis fastest,
whose bin centres are ``dynamic_v_list_dim0`` and ``_dim1`` in the order of ``map_names``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from heterodyne.data.selection import Selection
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.loading.hdf5 import (
    array,
    counted,
    dataset,
    declared_unit,
    group,
    number,
    numbers,
    opened,
    text,
    without_two_time,
)
from heterodyne.loading.lazy import FileMatrices, Place, side
from heterodyne.loading.times import settled
from heterodyne.loading.units import factor

_MATRICES = "xpcs/twotime/correlation_map"
_LABELS = "xpcs/twotime/processed_bins"
_CONFIG = "xpcs/twotime/config"
_QMAP = "xpcs/qmap"
_MAPPING = f"{_QMAP}/dynamic_index_mapping"

_DETECTOR = "entry/instrument/detector_1"
_ASSUMED = {"q": "Å⁻¹", "phi": "deg"}

_PLACEHOLDER = 1.0  # s; what control systems write when nobody set the frame time
_ROUNDING = 1e-3  # relative; frame time and exposure are rounded to float32 and to clock ticks


@dataclass(frozen=True)
class _Axis:
    """One axis of the bin grid: "q" or "phi", its bin centres and full widths in Å⁻¹ or degrees."""

    name: str
    centres: np.ndarray
    widths: np.ndarray


@dataclass(frozen=True)
class _Clock:
    dt: float
    age: float
    sources: dict[str, str]


def sniff(path: Path) -> float:
    """0.9 for a file with /xpcs/twotime/correlation_map, else 0."""
    try:
        with opened(path) as file:
            return 0.9 if _MATRICES in file else 0.0
    except DataError:
        return 0.0


def load(path: Path, given: Selection) -> TwoTime:
    """All bins; raises `DataError` where the q map, the labels or the times do not fit together."""
    with opened(path, given.allow_links) as file:
        places, labels = _matrices(file)
        axes = _axes(file)
        cells = dict(zip((axis.name for axis in axes), _cells(file, labels, axes), strict=True))
        grid = {axis.name: axis for axis in axes}
        q, phi = (grid[name].centres[cells[name]] for name in ("q", "phi"))
        dq, dphi = (grid[name].widths[cells[name]] for name in ("q", "phi"))
        clock = _clock(file, given.dt)
        t = clock.age + clock.dt * np.arange(1, side(file, places[0]) + 1)
    return TwoTime(
        FileMatrices(path, places, allow_links=given.allow_links),
        q,
        phi,
        t,
        clock.dt,
        clock.age,
        dq,
        dphi,
        provenance=clock.sources,
    )


def _matrices(file: h5py.File) -> tuple[tuple[Place, ...], np.ndarray]:
    """The matrices in counter order and the label of each."""
    matrices = group(file, _MATRICES) if _MATRICES in file else ()
    if not matrices:
        raise DataError(without_two_time(file))
    labels = numbers(file, _LABELS, np.int64)
    if len(labels) != len(matrices):
        raise DataError(
            f"{file.filename}: {len(matrices)} matrices in {_MATRICES} but {len(labels)} labels in {_LABELS}"
        )
    if labels.min() < 1:
        raise DataError(f"{file.filename}: label {labels.min()} in {_LABELS}; labels count from 1")
    return tuple(Place(f"{_MATRICES}/{key}") for key in counted(matrices)), labels


def _axes(file: h5py.File) -> tuple[_Axis, _Axis]:
    names = _texts(file, "map_names")
    if sorted(names) != ["phi", "q"]:
        raise DataError(
            f"{file.filename}: the bins are over ({', '.join(names)}); two-time fits need q and phi"
        )
    units = _texts(file, "map_units") if f"{_QMAP}/map_units" in file else [""] * len(names)
    first, second = (_axis(file, dim, names[dim], units[dim]) for dim in range(2))
    return first, second


def _axis(file: h5py.File, dim: int, name: str, map_unit: str) -> _Axis:
    key = f"{_QMAP}/dynamic_v_list_dim{dim}"
    unit = declared_unit(dataset(file, key)) or map_unit.strip()
    if not unit:
        unit = _ASSUMED[name]
        warnings.warn(f"{file.filename}: {key} declares no unit; taken as {unit}", stacklevel=2)
    centres = numbers(file, key) * factor(name, unit, f"{file.filename}: {key}")
    if not np.isfinite(centres).all():
        raise DataError(f"{file.filename}: {key} is not finite")
    return _Axis(name, centres, _widths(np.unwrap(centres, period=360.0) if name == "phi" else centres))


def _widths(centres: np.ndarray) -> np.ndarray:
    """The spacing of the centres at each of them; NaN where one value or an unordered list does not tell."""
    steps = np.diff(centres)
    if len(steps) == 0 or not (np.all(steps > 0) or np.all(steps < 0)):
        return np.full(len(centres), np.nan)
    return np.abs(np.gradient(centres))


def _cells(file: h5py.File, labels: np.ndarray, axes: tuple[_Axis, _Axis]) -> tuple[np.ndarray, np.ndarray]:
    """The position of every label on the two axes of the grid."""
    shape = _grid_shape(file, axes)
    mapping = _mapping(file, shape, axes[0])
    if labels.max() > len(mapping):
        raise DataError(
            f"{file.filename}: label {labels.max()} in {_LABELS} is not mapped; "
            f"{_MAPPING} ends at {len(mapping)}"
        )
    natural = mapping[labels - 1]
    if natural.min() < 0 or natural.max() >= np.prod(shape):
        raise DataError(
            f"{file.filename}: {_MAPPING} points to cell {natural.max()} of a grid of {shape[0]} × {shape[1]}"
        )
    first, second = np.divmod(natural, shape[1])
    return first, second


def _grid_shape(file: h5py.File, axes: tuple[_Axis, _Axis]) -> tuple[int, int]:
    shape = (len(axes[0].centres), len(axes[1].centres))
    key = f"{_QMAP}/dynamic_num_pts"
    stated = tuple(int(n) for n in numbers(file, key, np.int64))
    if stated != shape:
        raise DataError(f"{file.filename}: {key} says {stated}, but the lists of centres have {shape} values")
    return shape


def _mapping(file: h5py.File, shape: tuple[int, int], first: _Axis) -> np.ndarray:
    """The grid cell of every label, from 0."""
    n_cells = shape[0] * shape[1]
    if _MAPPING not in file:
        filled = np.unique(array(file, f"{_QMAP}/dynamic_roi_map"))
        if not np.array_equal(filled[filled > 0], np.arange(1, n_cells + 1)):
            raise DataError(
                f"{file.filename} has no {_MAPPING}, and not all {n_cells} bins are filled: "
                "which q and phi a label means cannot be known"
            )
        return np.arange(n_cells)
    # stored in the smallest type that holds it: uint8 overflows in any arithmetic
    mapping = numbers(file, _MAPPING, np.int64)
    # merged q maps carry a running label instead of the cell, with the q lists one after the other
    if np.array_equal(mapping, np.arange(len(mapping))) and len(mapping) < n_cells:
        if np.isnan(first.widths).any() and shape[0] > 1:
            raise DataError(
                f"{file.filename}: the q map was merged from several, so {_MAPPING} does not tell the bins; "
                "reduce the parts separately"
            )
        warnings.warn(
            f"{file.filename}: the last {n_cells - len(mapping)} of {n_cells} bins are empty; "
            "if the q map was merged from several, q and phi may be wrong",
            stacklevel=2,
        )
    return mapping


def _clock(file: h5py.File, given_dt: float | None) -> _Clock:
    per_frame, words = _raw_frames_per_frame(file)
    period, doubt = _frame_time(file)
    if given_dt is None and not period > 0:
        raise DataError(f"{file.filename}: {doubt}; give dt, the time between stored frames, in s")
    if given_dt is None and doubt:
        warnings.warn(f"{file.filename}: {doubt}; give dt if that is wrong", stacklevel=2)
    source = f"frame_time{words}" + (f" ({doubt})" if doubt else "")
    dt, dt_source = settled("dt", given_dt, period * per_frame if period > 0 else np.nan, source)
    begin = number(file, f"{_CONFIG}/begin_frame")
    if begin is None:
        return _Clock(dt, 0.0, {"dt_source": dt_source})
    age_source = f"begin_frame {begin:g} (counted from 0) × frame period"
    return _Clock(dt, begin * dt / per_frame, {"dt_source": dt_source, "age_source": age_source})


def _raw_frames_per_frame(file: h5py.File) -> tuple[float, str]:
    """How many raw frames lie between two stored ones, and the factors in words."""
    product, words = 1.0, ""
    for name in ("stride_frame", "avg_frame"):
        value = number(file, f"{_CONFIG}/{name}")
        words += f" × {name} 1 (not in the file)" if value is None else f" × {name} {value:g}"
        product *= 1.0 if value is None else value
    if product < 1:
        raise DataError(f"{file.filename}: frame_time{words}: stride and average must be at least 1")
    return product, words


def _frame_time(file: h5py.File) -> tuple[float, str]:
    """The frame time in s (NaN if unusable) and what is doubtful about it ("" if nothing is)."""
    key = f"{_DETECTOR}/frame_time"
    period = number(file, key)
    if period is None:
        return np.nan, f"there is no {key}"
    period *= factor("time", declared_unit(dataset(file, key)) or "s", f"{file.filename}: {key}")
    if not (np.isfinite(period) and period > 0):
        return np.nan, f"frame_time is {period:g} s"
    if period == _PLACEHOLDER:
        return period, f"frame_time is {period:g} s, which is often a placeholder"
    exposure = number(file, f"{_DETECTOR}/count_time")
    if exposure is not None and period < exposure * (1 - _ROUNDING):
        return period, f"frame_time {period:g} s is shorter than count_time {exposure:g} s"
    return period, ""


def _texts(file: h5py.File, name: str) -> list[str]:
    values = array(file, f"{_QMAP}/{name}").reshape(-1)
    if len(values) != 2:
        raise DataError(f"{file.filename}: {_QMAP}/{name} must name the two axes of the bins")
    return [text(value) for value in values]
