"""`fit.npz`: the result as plain arrays, no pickle."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from heterodyne.atomic import replacing
from heterodyne.data.one_time import FirstRow
from heterodyne.data.two_time import TwoTime
from heterodyne.result.fit import BinScaling, Fit

_PER_PARAMETER = ("value", "error", "error_independent", "low", "high", "start", "vary", "status", "interval")

_PER_CURVE = ("name", "unit", "error", "low", "high")

_OF_DRAWS = ("inner_low", "inner_high")


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write `fit.npz` into ``folder``."""
    path = folder / "fit.npz"
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays(fit))
    return [path]


def arrays(fit: Fit) -> dict[str, np.ndarray]:
    """The result as arrays by name.

    Per parameter ``name``, ``value``, ``error``, ``interval`` (P, 2) and the rest of `Estimate`; per bin ``q``,
    ``phi``, ``contrast``, ``offset`` and the rest of `BinScaling`; ``covariance`` over ``covariance_names``. While
    the data are in memory also ``t``, the frame times of all files one after the other, and ``n_frames`` per
    file (of one-time data the lags ``tau`` and ``n_lags``), and ``bin_file``, the file of every bin, from 0.
    Where the fit has derived curves, ``curve_name``
    (C,), ``curve_unit`` (C,), ``curve_t`` (T,), and ``curve``, ``curve_error``, ``curve_low`` and
    ``curve_high`` (C, T), NaN where undetermined.
    """
    found = {"name": np.array([row.name for row in fit.estimates])}
    found |= {key: np.array([getattr(row, key) for row in fit.estimates]) for key in _PER_PARAMETER}
    found |= {f.name: np.array([getattr(row, f.name) for row in fit.scaling]) for f in fields(BinScaling)}
    found["covariance"] = np.asarray(fit.covariance, dtype=float)
    found["covariance_names"] = np.array(fit.covariance_names, dtype=str)
    if fit.curves:
        found |= {f"curve_{key}": np.array([getattr(one, key) for one in fit.curves]) for key in _PER_CURVE}
        inner = [key for key in _OF_DRAWS if getattr(fit.curves[0], key) is not None]
        found |= {f"curve_{key}": np.array([getattr(one, key) for one in fit.curves]) for key in inner}
        found["curve"], found["curve_t"] = np.array([one.value for one in fit.curves]), fit.curves[0].t
    if fit.problem is not None:
        data = fit.problem.data
        found |= _axis(data)
        found["bin_file"] = np.repeat(np.arange(len(data)), [part.n_bins for part in data])
    return found


def _axis(data: tuple[TwoTime, ...]) -> dict[str, np.ndarray]:
    """The times, or the lags of one-time data, of all files, and how many each has."""
    rows = [part for part in data if isinstance(part, FirstRow)]
    if rows:
        lags = [part.tau for part in rows]
        return {"tau": np.concatenate(lags), "n_lags": np.array([len(tau) for tau in lags])}
    return {
        "t": np.concatenate([part.t for part in data]),
        "n_frames": np.array([part.n_frames for part in data]),
    }
