"""ESRF ID02 results of both versions: c2 over age and lag, NaN where there is no pair of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.data.two_time import TwoTime


def age_lag(matrix: np.ndarray) -> np.ndarray:
    """c2(t, t + lag) in row t and column lag, (frames, frames), of a matrix over two times; NaN beyond its end."""
    n = len(matrix)
    age, lag = np.indices((n, n))
    return np.where(age + lag < n, matrix[age, np.minimum(age + lag, n - 1)], np.nan)


def write_esrf_id02(
    path: Path,
    data: TwoTime,
    c2: np.ndarray | None = None,
    *,
    version: int = 2,
    analyses: Sequence[str] = ("full",),
    ages: Any = slice(None),
    lags: Any = slice(None),
    replaced: Mapping[str, Any] | None = None,
    q_index: Sequence[int] | None = None,
) -> Path:
    """Write ``data`` with its matrices as in ``c2``, in every one of ``analyses``; returns the path.

    ``ages`` and ``lags`` choose rows and columns to store, ``replaced`` are other values of `ttcf`, `age` and `lag`,
    and ``q_index`` the bins of an analysis in version 1, all by default. q is written in nm⁻¹, times in s.
    """
    values = np.stack([age_lag(np.asarray(matrix)) for matrix in (data.c2 if c2 is None else c2)])
    after = np.arange(data.n_frames) * data.dt
    stored = {"ttcf": values[:, ages][:, :, lags], "age": (data.age + after)[ages], "lag": after[lags]}
    stored |= replaced or {}
    with h5py.File(path, "w") as file:
        if version == 2:
            file.attrs["MagicString"] = "XPCSResultFile_v2.0"
            bases = [f"entry_0000/correlations/{name}" for name in analyses]
        else:
            file["entry_0000/title"] = np.array([b"XPCSResultFile"])
            file["entry_0000"].attrs["version"] = "1.1"
            bases = [f"entry_0000/dynamix/correlations/directions/{name}" for name in analyses]
            edges = np.column_stack([np.arange(1, data.n_bins + 1), 9.5 * data.q, 10.5 * data.q])
            file["entry_0000/dynamix/correlations/q_index_min_max"] = edges
        for base in bases:
            _write_analysis(file, base, version, stored, data.q)
            if version == 1:
                file[f"{base}/q_index"] = np.arange(1, data.n_bins + 1) if q_index is None else q_index
    return path


def _write_analysis(
    file: h5py.File, base: str, version: int, stored: Mapping[str, Any], q: np.ndarray
) -> None:
    if version == 2:
        for name, value in stored.items():
            file[f"{base}/twotime/{name}"] = value
        file[f"{base}/parameters/q"] = 10.0 * q
        file[f"{base}/parameters/q"].attrs["unit"] = "nm^-1"
    else:
        for name, value in stored.items():
            file[f"{base}/2times_correlation/{'timeshift' if name == 'lag' else name}"] = value
