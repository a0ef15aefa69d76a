"""European XFEL MID results as midtools writes them: every train at every q, and trains with others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from heterodyne.data.two_time import TwoTime


def write_midtools(
    path: Path,
    data: TwoTime,
    c2: np.ndarray | None = None,
    *,
    trains: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    from_zero: bool = False,
) -> Path:
    """Write ``data``, whose bins are those of one train after another, with matrices as in ``c2``; returns the path.

    ``trains`` are the identifiers of the trains, of one if there are none. With ``strides`` there is an axis for them;
    where one is not 0, trains are correlated with others, and c2 is 1. ``from_zero``: t begins with 0.
    """
    count = 1 if trains is None else len(trains)
    n_q = data.n_bins // count
    shape = (count, n_q, data.n_frames, data.n_frames)
    values = np.asarray(list(data.c2) if c2 is None else c2).reshape(shape)
    with h5py.File(path, "w") as file:
        base = "train_resolved/correlation"
        if strides is not None:
            values = np.stack([values if stride == 0 else np.ones_like(values) for stride in strides])
            file[f"{base}/stride"] = np.asarray(strides)
        file[f"{base}/ttc"] = values
        file[f"{base}/q"] = 10.0 * data.q[:n_q]
        file[f"{base}/t"] = data.t - (data.t[0] if from_zero else 0.0)
        if trains is not None:
            file["identifiers/train_ids"] = np.asarray(trains)
    return path
