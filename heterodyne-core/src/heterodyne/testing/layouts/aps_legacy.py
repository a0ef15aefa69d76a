"""8-ID-I results before 2025, as xpcs-eigen, boost_corr of 2023 and MATLAB wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.data.two_time import TwoTime

DETECTOR = "measurement/instrument/detector"
STAGE = "measurement/instrument/acquisition"


def write(
    path: Path,
    data: TwoTime,
    c2: Sequence[np.ndarray] | None = None,
    *,
    results: str = "exchange",
    matrices: str = "C2T_all/g2_{:05d}",
    numbers: Sequence[int] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Path:
    """Write the bins of ``data``, a grid of q and azimuths with q slowest, and its matrices as in ``c2``.

    Upper halves are stored if ``c2`` is not given. ``matrices`` is where they are in the group ``results``, by their
    ``numbers``, 1, 2, ... if these are not given. The age is to be a multiple of dt. ``fields`` replaces values by
    their paths; None leaves one out. Rings are one azimuth, listed as 0.
    """
    stored = [np.triu(matrix) for matrix in data.c2] if c2 is None else c2
    count, azimuths = data.n_bins, len(np.unique(data.phi))
    one = np.ones((1, 1), np.uint64)
    values: dict[str, Any] = {
        "xpcs/analysis_type": "Twotime",
        "xpcs/Version": "1.0",
        "xpcs/output_data": f"/{results}",
        "xpcs/dqlist": data.q[None],
        "xpcs/dphilist": np.nan_to_num(data.phi)[None],
        "xpcs/dnoq": np.full((1, 1), float(count // azimuths)),
        "xpcs/dnophi": np.full((1, 1), float(azimuths)),
        "xpcs/qphi_bin_to_process": np.arange(1, len(stored) + 1),
        "xpcs/stride_frames": one,
        "xpcs/avg_frames": one,
        "xpcs/data_begin_todo": one * (round(data.age / data.dt) + 1),
        f"{DETECTOR}/exposure_period": np.full((1, 1), data.dt),
        f"{DETECTOR}/exposure_time": np.full((1, 1), 0.9 * data.dt),
        f"{results}/tau": np.arange(1.0, 49.0, dtype=np.float32)[None],
        **(fields or {}),
    }
    with h5py.File(path, "w") as file:
        for key, value in values.items():
            if value is not None:
                file[key] = value
        for number, matrix in zip(numbers or range(1, len(stored) + 1), stored, strict=True):
            half = np.asarray(matrix, np.float32)
            key = f"{results}/{matrices.format(number)}"
            file.create_dataset(key, data=half, chunks=half.shape, compression="gzip")
    return path
