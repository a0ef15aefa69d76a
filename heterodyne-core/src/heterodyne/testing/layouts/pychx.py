"""NSLS-II results as pyCHX exports them: arrays at the root, all else in attributes of arrays of one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.data.two_time import TwoTime


def write_pychx(
    path: Path,
    data: TwoTime,
    c2: np.ndarray | None = None,
    *,
    regions: Sequence[Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    lags: np.ndarray | None = None,
    as_text: bool = False,
) -> Path:
    """Write ``data`` with its matrices as in ``c2`` (bins, frames, frames); returns the path.

    ``regions`` replaces what `qval_dict` lists, [q] or [q, azimuth], ``settings`` adds to `md`, None taking away, and
    ``lags`` are those of g2 in `taus2`. ``as_text``: attributes are the text of their values.
    """
    listed = [np.array([q] if np.isnan(phi) else [q, phi]) for q, phi in zip(data.q, data.phi, strict=True)]
    md = {
        "frame_time": data.dt,
        "uid": "0123abcd",
        "count_time": 0.9 * data.dt,
        "scattering": "ang_saxs",
        **(settings or {}),
    }
    with h5py.File(path, "w") as file:
        file["g12b"] = np.moveaxis(np.asarray(data.c2 if c2 is None else c2), 0, -1)
        for name, held in (
            ("qval_dict", dict(enumerate(listed if regions is None else regions))),
            ("md", md),
        ):
            file[name] = np.array([1], dtype=np.int32)
            for key, value in held.items():
                if value is not None:
                    file[name].attrs[str(key)] = str(value) if as_text else value
        file["taus2"] = data.dt * np.arange(1, data.n_frames) if lags is None else lags
        file["roi_mask"] = np.zeros((4, 4), dtype=np.int64)
    return path
