"""g2 of multi-tau groups: where every layout has it, in which order and in which unit its lags are.

A row of `LAYOUTS` says where g2, its errors and its lags stand, which axis the bins are, what tells the bins, and how
long a frame is. Lags count frames unless they declare a unit of time; pyCHX has them in s. The lag 0, the counts of
one frame with themselves, is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from heterodyne.data.one_time import OneTime
from heterodyne.data.selection import Selection
from heterodyne.errors import DataError, unknown
from heterodyne.loading.fields import Bins
from heterodyne.loading.frame_clock import Stated, clock_of, count_of, period_of
from heterodyne.loading.hdf5 import array, attribute, dataset, declared_unit, group, numbers, opened
from heterodyne.loading.layouts.aps_legacy import results_group
from heterodyne.loading.multitau_bins import aps_legacy_bins, aps_u_bins, nxxpcs_bins, pychx_bins
from heterodyne.loading.times import settled
from heterodyne.loading.units import factor

_SAME = 0.01  # relative; lags and frame times in float32 or with few digits
_FRAMES = ("", "1", "frame", "frames", "count", "counts", "au", "a.u.")
_LEGACY = "measurement/instrument/detector"
_DETECTOR = "entry/instrument/detector_1"


class Spacing(NamedTuple):
    """The spacing of frames in s, and where it comes from."""

    dt: float
    source: str


class Layout(NamedTuple):
    """Where a layout has g2 (lags, bins); ``{results}`` stands for the group that a legacy file names.

    ``bins`` gives the bins of so many columns, ``spacing`` the spacing of the frames that lags count.
    """

    name: str
    g2: str
    error: str
    lag: str
    bins: Callable[[h5py.File, int, Selection], Bins]
    spacing: Callable[[h5py.File, Selection, str], Spacing]


def read(path: Path, given: Selection, loader: str | None = None) -> tuple[OneTime, str]:
    """All bins and lags of the one-time data of a file, and the name of its layout.

    Raises `DataError` for a file that has none or contradicts itself, and for a ``loader`` that reads none.
    """
    if not h5py.is_hdf5(path):
        raise DataError(
            f"{path} is not an HDF5 file: one-time data are read from results in HDF5, or made of arrays in Python "
            "(heterodyne.OneTime)"
        )
    with opened(path, given.allow_links) as file:
        layout = _chosen(file, loader)
        keys = {name: _place(file, getattr(layout, name)) for name in ("g2", "error", "lag")}
        lags = numbers(file, keys["lag"])
        g2 = _values(file, keys["g2"], len(lags))
        error = _values(file, keys["error"], len(lags)) if keys["error"] in file else None
        if error is not None and error.shape != g2.shape:
            raise DataError(f"{path}: {keys['g2']} is {g2.shape}, but {keys['error']} {error.shape}")
        spacing = layout.spacing(file, given, keys["lag"])
        tau = _in_seconds(file, keys["lag"], lags, spacing.dt)
        bins = layout.bins(file, len(g2), given)
    sources = {**bins.sources, "dt_source": spacing.source, "g2": keys["g2"]}
    sources["error_source"] = "not in the file" if error is None else keys["error"]
    positive = tau > 0
    if not positive.all():
        sources["left_out"] = "the lag 0, the counts of one frame with themselves"
    data = OneTime(
        g2[:, positive],
        bins.q,
        bins.phi,
        tau[positive],
        None if error is None else error[:, positive],
        spacing.dt,
        bins.dq,
        bins.dphi,
        sources,
    )
    return data, layout.name


def holds(file: h5py.File) -> bool:
    """Whether a file has one-time data in a layout that is known."""
    return any(_is_there(file, layout) for layout in LAYOUTS)


def _is_there(file: h5py.File, layout: Layout) -> bool:
    return all(_place(file, key) in file for key in (layout.g2, layout.lag))


def _chosen(file: h5py.File, loader: str | None) -> Layout:
    """The layout of a file; raises `DataError` if it has none or several."""
    names = list(dict.fromkeys(layout.name for layout in LAYOUTS))
    if loader is not None and loader not in names:
        raise DataError(f"{file.filename}: {unknown('loader of one-time data', loader, names)}")
    found = [layout for layout in LAYOUTS if loader in (None, layout.name) and _is_there(file, layout)]
    if not found:
        raise DataError(
            f"{file.filename} holds no one-time data (g2 over the lag) that is known; looked for "
            f"{', '.join(_place(file, layout.g2) for layout in LAYOUTS)} with their lags"
        )
    several = list(dict.fromkeys(layout.name for layout in found))
    if len(several) > 1:
        raise DataError(
            f"{file.filename} holds one-time data of the layouts {' and '.join(several)}: choose with "
            f'--loader {several[0]} or loader="{several[0]}"'
        )
    return found[0]


def _place(file: h5py.File, key: str) -> str:
    """The path with the group of results that a legacy file names."""
    if "{results}" not in key:
        return key
    return key.format(results=results_group(file))


def _values(file: h5py.File, key: str, lags: int) -> np.ndarray:
    """The values at ``key``, (bins, lags); raises `DataError` unless it has one row per lag."""
    stored = array(file, key)
    if stored.dtype.kind not in "fiu":
        raise DataError(f"{file.filename}: {key} must hold numbers, not {stored.dtype}")
    values = stored.reshape(-1, 1) if stored.ndim == 1 else stored
    if values.ndim != 2 or len(values) != lags or not values.shape[1]:
        raise DataError(
            f"{file.filename}: {key} must be (lags, bins) with {lags} lags, not of shape {stored.shape}"
        )
    return values.T.astype(float)


def _in_seconds(file: h5py.File, key: str, lags: np.ndarray, dt: float) -> np.ndarray:
    """The lags in s; raises `DataError` for fractions of frames and for lags that do not rise."""
    where, unit = f"{file.filename}: {key}", declared_unit(dataset(file, key)) or ""
    if not np.isfinite(lags).all() or (lags < 0).any() or (np.diff(lags) <= 0).any():
        raise DataError(f"{where} must be increasing lags from 0 on")
    if key in _IN_SECONDS:
        return lags * (dt / _shortest(lags))
    if unit.strip().lower() not in _FRAMES:
        return lags * factor("time", unit, where)
    if (away := np.abs(lags - np.rint(lags))).max(initial=0.0) > _SAME:
        raise DataError(f"{where} must count frames, and {lags[away.argmax()]:g} is no whole number")
    return np.rint(lags) * dt


def _shortest(lags: np.ndarray) -> float:
    return float(lags[lags > 0].min(initial=np.inf))


def _aps_u_spacing(file: h5py.File, given: Selection, lag: str) -> Spacing:
    stride, average = (
        count_of(file, f"xpcs/multitau/config/{name}") for name in ("stride_frame", "avg_frame")
    )
    return _of_clock(file, given, (f"{_DETECTOR}/frame_time", f"{_DETECTOR}/count_time"), stride, average)


def _of_clock(
    file: h5py.File, given: Selection, keys: tuple[str, str], stride: Stated, average: Stated
) -> Spacing:
    period = period_of(file, *keys, given.dt)
    clock = clock_of(file, given, period, stride, average, Stated("first frame", 0), 0)
    return Spacing(clock.dt, clock.sources["dt_source"])


def _legacy_spacing(file: h5py.File, given: Selection, lag: str) -> Spacing:
    stride, average = (count_of(file, f"xpcs/{name}") for name in ("stride_frames", "avg_frames"))
    if given.dt is None and (stride.value or 1) * (average.value or 1) > 1:
        raise DataError(
            f"{file.filename}: stride_frames is {stride.value or 1} and avg_frames {average.value or 1}: whether "
            f"{lag} counts raw frames or stored ones is not in the file; give dt, the time it counts in, in s"
        )
    keys = (f"{_LEGACY}/exposure_period", f"{_LEGACY}/exposure_time")
    return _of_clock(file, given, keys, Stated("stride_frames", 1), Stated("avg_frames", 1))


def _nxxpcs_spacing(file: h5py.File, given: Selection, lag: str) -> Spacing:
    home = "entry/instrument"
    named = (
        [name for name in map(str, group(file, home)) if f"{home}/{name}/frame_time" in file]
        if home in file
        else []
    )
    if len(named) > 1:
        raise DataError(
            f"{file.filename}: {' and '.join(named)} in {home} have a frame_time: which is it? give dt in s"
        )
    detector = f"{home}/{named[0] if named else 'detector'}"
    one = Stated("stride", 1), Stated("average", 1)
    return _of_clock(file, given, (f"{detector}/frame_time", f"{detector}/count_time"), *one)


def _pychx_spacing(file: h5py.File, given: Selection, lag: str) -> Spacing:
    """The shortest lag, which is one frame; raises `DataError` if md says another frame time and dt is not given."""
    shortest = _shortest(numbers(file, lag))
    words = attribute(dataset(file, "md"), "frame_time") if "md" in file else ""
    try:
        stated = float(words) if words else shortest
    except ValueError:
        raise DataError(f"{file.filename}: frame_time in md is no number but {words[:40]!r}") from None
    if given.dt is None and not abs(stated - shortest) <= _SAME * stated:
        raise DataError(
            f"{file.filename}: {lag} begins at {shortest:g} s, but frame_time in md is {stated:g} s: are the lags in "
            "frames? give dt, the shortest lag, in s"
        )
    return Spacing(*settled("dt", given.dt, stated, f"frame_time in md and {lag}"))


_IN_SECONDS = ("taus", "taus2")

LAYOUTS = (
    Layout(
        "aps-u",
        "xpcs/multitau/normalized_g2",
        "xpcs/multitau/normalized_g2_err",
        "xpcs/multitau/delay_list",
        aps_u_bins,
        _aps_u_spacing,
    ),
    Layout(
        "aps-legacy",
        "{results}/norm-0-g2",
        "{results}/norm-0-stderr",
        "{results}/tau",
        aps_legacy_bins,
        _legacy_spacing,
    ),
    Layout(
        "nxxpcs",
        "entry/data/g2",
        "entry/data/g2_derr",
        "entry/data/delay_difference",
        nxxpcs_bins,
        _nxxpcs_spacing,
    ),
    Layout("pychx", "g2", "no errors", "taus", pychx_bins, _pychx_spacing),
    Layout("pychx", "g2b", "no errors", "taus2", pychx_bins, _pychx_spacing),
)
"""What is known; of two rows of one name the first counts: pyCHX averages g2b from its two-time data."""
