"""A scaled-down APS-U result as boost_corr and pySimpleMask write it, with everything adjustable."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest


def aps_u_matrix(cell: int, frames: int, dtype=np.float32) -> np.ndarray:
    """The full matrix of a grid cell; its baseline tells the cell."""
    lag = np.abs(np.subtract.outer(np.arange(frames), np.arange(frames)))
    return (1 + cell / 1000 + 0.1 * np.exp(-lag / 7)).astype(dtype)


def write_aps_u(
    path: Path,
    *,
    q=None,
    phi=(-60.0, 0.0, 60.0),
    frames=20,
    empty=(4, 11),
    labels=None,
    names=("q", "phi"),
    units=("Å⁻¹", "deg"),
    q_scale=1.0,
    mapping=True,
    mapping_dtype=np.uint8,
    key="c2_{:05d}",
    store=np.triu,
    shape_2d=(),
    frame_time=0.1,
    count_time=0.09,
    config=None,
) -> Path:
    """Write the tree; ``labels`` are the processed ones (all by default), ``store`` what half is kept."""
    q = np.linspace(0.004, 0.022, 10) if q is None else np.asarray(q)
    values = {"q": q * q_scale, "phi": np.asarray(phi)}
    n0, n1 = (len(values[name]) if name in values else 3 for name in names)
    natural = np.setdiff1d(np.arange(n0 * n1), empty)
    labels = np.arange(1, len(natural) + 1) if labels is None else np.asarray(labels)
    with h5py.File(path, "w") as file:
        text = h5py.string_dtype()
        qmap = file.create_group("xpcs/qmap")
        qmap.attrs["hash"] = "0" * 64
        qmap["map_names"] = np.array([name.encode() for name in names], dtype=object).astype(text)
        qmap["map_units"] = np.array(list(units), dtype=text)
        qmap["dynamic_num_pts"] = np.array([n0, n1])
        for dim, name in enumerate(names):
            qmap[f"dynamic_v_list_dim{dim}"] = values.get(name, np.arange(3.0))
            if units[dim]:
                qmap[f"dynamic_v_list_dim{dim}"].attrs["unit"] = units[dim]
        if mapping:
            qmap["dynamic_index_mapping"] = natural.astype(mapping_dtype)
        qmap["dynamic_roi_map"] = np.arange(len(natural) + 1, dtype=np.uint16)[None]
        group = file.create_group("xpcs/twotime/correlation_map")
        for counter, label in enumerate(labels, start=1):
            full = aps_u_matrix(natural[(label - 1) % len(natural)], frames)
            half = store(full).reshape(shape_2d or full.shape)
            group.create_dataset(key.format(counter), data=half, chunks=half.shape, compression="lzf")
        file["xpcs/twotime/processed_bins"] = labels.astype(np.int32)
        settings = {"stride_frame": 1, "avg_frame": 1, "begin_frame": 0, "end_frame": -1}
        for name, value in (settings | (config or {})).items():
            if value is not None:
                file[f"xpcs/twotime/config/{name}"] = value
        file["xpcs/twotime/config/raw"] = np.array(["a.bin", "b.bin"], dtype=text)
        file["xpcs/multitau/normalized_g2"] = np.ones((5, 3), np.float32)
        file["entry/definition"] = "NXxpcs"
        for name, value in {"frame_time": frame_time, "count_time": count_time}.items():
            if value is not None:
                file[f"entry/instrument/detector_1/{name}"] = value
    return path


@pytest.fixture
def aps_u(tmp_path):
    """A function that writes the tree with the given differences and returns its path."""
    return lambda **options: write_aps_u(tmp_path / "A073_results.hdf", **options)


@pytest.fixture
def cell_matrix():
    """A function: the full matrix that belongs to a grid cell."""
    return aps_u_matrix


@pytest.fixture
def matrices_read(monkeypatch):
    """The names of the two-dimensional datasets read from here on."""
    read = []
    original = h5py.Dataset.__getitem__

    def counting(self, *arguments, **options):
        if self.ndim >= 2 and "c2_" in self.name:
            read.append(self.name.rsplit("/", 1)[-1])
        return original(self, *arguments, **options)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    return read
