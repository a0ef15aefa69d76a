"""NXxpcs files as the definition allows them, with everything adjustable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.data.two_time import TwoTime


def write(
    path: Path,
    data: TwoTime,
    c2: Sequence[np.ndarray] | None = None,
    *,
    home: str = "entry",
    mode: str = "one_array_q_first",
    origin: str = "upper_left",
    baseline: int = 1,
    axis: bool = False,
    labels: Sequence[int] | None = None,
    chunk: int | None = None,
    attributes: Mapping[str, Any] | None = None,
    fields: Mapping[str, Any] | None = None,
    units: Mapping[str, str | None] | None = None,
) -> Path:
    """Write the bins of ``data`` and its matrices as in ``c2``, whole ones if that is not given; returns the path.

    ``home`` is the group of the correlations, an entry or one below it. ``mode`` is storage_mode, ``origin``
    time_origin_location, ``baseline`` what c2 is stored with. ``axis`` writes the frame times, ``labels`` are those
    of matrices with keys of their own, ``chunk`` the frames of a chunk. ``attributes`` of the matrices, ``fields`` of
    the instrument by their paths, and ``units`` of these replace others; None leaves one out.
    """
    matrices = [np.asarray(matrix, dtype=float) for matrix in (data.c2 if c2 is None else c2)]
    stored = [np.where(matrix == 0.0, 0.0, matrix - 1.0 + baseline) for matrix in matrices]
    if origin == "lower_left":
        stored = [matrix[::-1] for matrix in stored]
    with h5py.File(path, "a") as file:
        entry = file.require_group(home.partition("/")[0])
        entry.attrs["NX_class"] = "NXentry"
        twotime = file.create_group(f"{home}/twotime")
        twotime.attrs["NX_class"] = "NXdata"
        if axis:
            twotime.attrs["axes"] = ["bin", "t", "t"]
            twotime["t"] = data.t
            twotime["t"].attrs["units"] = "s"
        written = _write_matrices(twotime, stored, mode, labels, chunk)
        said = {
            "storage_mode": mode,
            "baseline_reference": baseline,
            "time_origin_location": origin,
            **(attributes or {}),
        }
        written.attrs.update({name: value for name, value in said.items() if value is not None})
        _write_instrument(file, f"{home}/instrument", data, fields or {}, units or {})
    return path


def _write_matrices(
    group: h5py.Group, stored: list[np.ndarray], mode: str, labels: Sequence[int] | None, chunk: int | None
) -> h5py.Group | h5py.Dataset:
    if mode == "data_exchange_keys":
        keys = group.create_group("two_time_corr_func")
        for label, matrix in zip(labels or range(1, len(stored) + 1), stored, strict=True):
            keys.create_dataset(f"g2_{label:05d}", data=matrix, chunks=chunk and (chunk, chunk))
        return keys
    last = mode == "one_array_q_last"
    chunks = (chunk, chunk, 1) if last else (1, chunk, chunk)
    return group.create_dataset(
        "two_time_corr_func", data=np.stack(stored, axis=-1 if last else 0), chunks=chunks if chunk else None
    )


def _write_instrument(
    file: h5py.File,
    instrument: str,
    data: TwoTime,
    fields: Mapping[str, Any],
    units: Mapping[str, str | None],
) -> None:
    values = {
        "detector/frame_time": data.dt,
        "detector/count_time": 0.9 * data.dt,
        "masks/dynamic_q_list": data.q,
        "masks/dynamic_phi_list": data.phi,
        **fields,
    }
    said = {
        "detector/frame_time": "s",
        "detector/count_time": "s",
        "masks/dynamic_q_list": "1/angstrom",
        "masks/dynamic_phi_list": "degree",
        **units,
    }
    for key, value in values.items():
        if value is not None:
            file[f"{instrument}/{key}"] = value
            if said.get(key) is not None:
                file[f"{instrument}/{key}"].attrs["units"] = said[key]
