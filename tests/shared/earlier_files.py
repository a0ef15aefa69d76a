"""Own files as they were before all matrices were one array."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

C2 = "entry/twotime/two_time_corr_func"


def as_earlier(path: Path) -> Path:
    """The own file with every matrix in a dataset of its own, c2_00001 and so on; returns its path."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        stack = file[C2]
        attrs = {name: stack.attrs[name] for name in ("populated_elements", "baseline_reference")}
        packed = {"chunks": stack.chunks[1:], "compression": "gzip", "shuffle": True, "fletcher32": True}
        matrices = stack[()]
        del file["entry/data"], file[C2]
        file.create_group("entry/data").attrs["NX_class"] = np.bytes_(b"NXdata")
        group = file.create_group(C2)
        said = {"NX_class": b"NXcollection", "storage_mode": b"data_exchange_keys"}
        group.attrs.update({**attrs, **{name: np.bytes_(words) for name, words in said.items()}})
        for bin, matrix in enumerate(matrices, 1):
            group.create_dataset(f"c2_{bin:05d}", data=matrix, **packed)
    return path
