"""APS-U results as boost_corr and pySimpleMask write them, scaled down, with everything adjustable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SHAPE = (120, 108)
GEOMETRY = {
    "beam_center_x": 53.65,
    "beam_center_y": 60.9,
    "detector_distance": 3.42,
    "pixel_size": 1.5e-4,
    "energy": 12.0,
}


def aps_u_matrix(cell: int, frames: int, dtype: Any = np.float32) -> np.ndarray:
    """The full matrix of a grid cell; its baseline tells the cell."""
    lag = np.abs(np.subtract.outer(np.arange(frames), np.arange(frames)))
    return (1 + cell / 1000 + 0.1 * np.exp(-lag / 7)).astype(dtype)


def q_and_phi(
    geometry: Mapping[str, float] = GEOMETRY, shape: tuple[int, int] = SHAPE
) -> tuple[np.ndarray, np.ndarray]:
    """q in Å⁻¹ and the azimuth in degrees of every pixel, as the writer defines them."""
    row, column = np.indices(shape)
    y, x = row - geometry["beam_center_y"], column - geometry["beam_center_x"]
    angle = np.arctan(np.hypot(x, y) * geometry["pixel_size"] / geometry["detector_distance"])
    q = 4 * np.pi * geometry["energy"] / 12.39841984 * np.sin(angle / 2)
    return q, -np.degrees(np.arctan2(y, x))


@dataclass(frozen=True)
class Partition:
    """A q map: the label of every pixel, the centres on both axes, and the grid cell of every label."""

    roi: np.ndarray
    lists: tuple[np.ndarray, np.ndarray]
    natural: np.ndarray
    names: tuple[str, str] = ("q", "phi")
    units: tuple[str, str] = ("Å⁻¹", "deg")
    merged: bool = False
    geometry: Mapping[str, Any] = field(default_factory=lambda: GEOMETRY)

    def write(self, qmap: h5py.Group) -> None:
        """Write the fields of the map with the types that the writer gives them."""
        text = h5py.string_dtype()
        qmap["map_names"] = np.array([name.encode() for name in self.names], dtype=object).astype(text)
        qmap["map_units"] = np.array(list(self.units), dtype=text)
        qmap["dynamic_num_pts"] = np.array([len(values) for values in self.lists])
        for dim, values in enumerate(self.lists):
            qmap[f"dynamic_v_list_dim{dim}"] = values
            if not (self.merged and dim == 0):
                attributes = {"unit": self.units[dim], "name": self.names[dim], "size": len(values)}
                qmap[f"dynamic_v_list_dim{dim}"].attrs.update(attributes)
        qmap["dynamic_index_mapping"] = self.natural.astype(np.int64 if self.merged else np.uint8)
        roi = self.roi.astype(np.uint32 if self.merged else np.uint8)
        qmap.create_dataset("dynamic_roi_map", data=roi, compression=None if self.merged else "lzf")
        for name, value in self.geometry.items():
            qmap[name] = value


def partition(
    first: np.ndarray, second: np.ndarray, used: np.ndarray, shape: tuple[int, int], **changes: Any
) -> Partition:
    """Equal bins between the extremes of two quantities of the used pixels, as the writer makes them."""
    (index_0, list_0), (index_1, list_1) = (
        _equal_bins(values, used, count) for values, count in zip((first, second), shape, strict=True)
    )
    cell = np.where(used, index_0 * shape[1] + index_1, -1)
    natural = np.unique(cell[used])
    roi = np.where(used, np.searchsorted(natural, cell) + 1, 0)
    return Partition(roi, (list_0, list_1), natural, **changes)


def _equal_bins(values: np.ndarray, used: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    edges = np.linspace(values[used].min(), values[used].max(), count + 1)
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, count - 1), (
        edges[1:] + edges[:-1]
    ) / 2


def sectors(
    bins: tuple[int, int] = (2, 6), q: tuple[float, float] = (0.0085, 0.0115), arm: bool = True
) -> Partition:
    """Rings cut into sectors, less the shadow of a beam stop's arm at azimuths 58 to 122 degrees."""
    q_of, phi_of = q_and_phi()
    used = (q_of >= q[0]) & (q_of <= q[1])
    if arm:
        used &= ~((phi_of > 58) & (phi_of < 122))
    return partition(q_of, phi_of, used, bins)


def merged(parts: Sequence[Partition]) -> Partition:
    """Maps over separate pixels as one, with running labels that mean no cell."""
    roi, count = np.zeros(SHAPE, int), 0
    for part in parts:
        roi = np.where(part.roi > 0, part.roi + count, roi)
        count += len(part.natural)
    azimuths = max((part.lists[1] for part in parts), key=len)
    lists = (np.concatenate([part.lists[0] for part in parts]), azimuths)
    return Partition(roi, lists, np.arange(count), merged=True)


def write_aps_u(
    path: Path,
    *,
    q: Any = None,
    phi: Any = (-60.0, 0.0, 60.0),
    frames: int = 20,
    empty: Any = (4, 11),
    labels: Any = None,
    names: tuple[str, str] = ("q", "phi"),
    units: tuple[str, str] = ("Å⁻¹", "deg"),
    q_scale: float = 1.0,
    mapping: bool = True,
    mapping_dtype: Any = np.uint8,
    key: str = "c2_{:05d}",
    store: Callable[[np.ndarray], np.ndarray] = np.triu,
    shape_2d: tuple[int, ...] = (),
    frame_time: Any = 0.1,
    count_time: Any = 0.09,
    config: Mapping[str, Any] | None = None,
    map: Partition | None = None,
    matrices: Any = None,
) -> Path:
    """Write the tree; ``labels`` are the processed ones (all by default), ``store`` what half is kept.

    ``map`` replaces the grid of ``q`` and ``phi``, which has no pixels, and ``matrices``, one per label, those that
    tell their cell.
    """
    with h5py.File(path, "w") as file:
        qmap = file.create_group("xpcs/qmap")
        qmap.attrs["hash"] = "0" * 64
        if map is None:
            values = {
                "q": np.linspace(0.004, 0.022, 10) if q is None else np.asarray(q),
                "phi": np.asarray(phi),
            }
            values["q"] = values["q"] * q_scale
            lists = tuple(values.get(name, np.arange(3.0)) for name in names)
            natural = np.setdiff1d(np.arange(len(lists[0]) * len(lists[1])), empty)
            _write_grid(qmap, lists, natural, names, units, mapping_dtype if mapping else None)
        else:
            natural = map.natural
            map.write(qmap)
        labels = np.arange(1, len(natural) + 1) if labels is None else np.asarray(labels)
        group = file.create_group("xpcs/twotime/correlation_map")
        for counter, label in enumerate(labels, start=1):
            cell = natural[(int(label) - 1) % len(natural)]
            full = (
                aps_u_matrix(cell, frames)
                if matrices is None
                else np.asarray(matrices[counter - 1], np.float32)
            )
            half = store(full).reshape(shape_2d or full.shape)
            group.create_dataset(key.format(counter), data=half, chunks=half.shape, compression="lzf")
        _write_settings(file, labels, config or {}, {"frame_time": frame_time, "count_time": count_time})
    return path


def _write_settings(
    file: h5py.File, labels: np.ndarray, config: Mapping[str, Any], times: Mapping[str, Any]
) -> None:
    """The processed labels, the settings of the correlator and the times of the detector; None is left out."""
    whole = np.array_equal(labels, np.rint(labels))
    file["xpcs/twotime/processed_bins"] = labels.astype(np.int32) if whole else labels
    usual = {"stride_frame": 1, "avg_frame": 1, "begin_frame": 0, "end_frame": -1}
    fields = {f"xpcs/twotime/config/{name}": value for name, value in {**usual, **config}.items()}
    fields |= {f"entry/instrument/detector_1/{name}": value for name, value in times.items()}
    for name, value in fields.items():
        if value is not None:
            file[name] = value
    file["xpcs/twotime/config/raw"] = np.array(["a.bin", "b.bin"], dtype=h5py.string_dtype())
    file["xpcs/multitau/normalized_g2"] = np.ones((5, 3), np.float32)
    file["entry/definition"] = "NXxpcs"


def _write_grid(
    qmap: h5py.Group, lists: Any, natural: np.ndarray, names: Any, units: Any, mapping_dtype: Any
) -> None:
    """A q map whose pixels tell nothing: one for every label, and no geometry."""
    text = h5py.string_dtype()
    qmap["map_names"] = np.array([name.encode() for name in names], dtype=object).astype(text)
    qmap["map_units"] = np.array(list(units), dtype=text)
    qmap["dynamic_num_pts"] = np.array([len(values) for values in lists])
    for dim, values in enumerate(lists):
        qmap[f"dynamic_v_list_dim{dim}"] = values
        if units[dim]:
            qmap[f"dynamic_v_list_dim{dim}"].attrs["unit"] = units[dim]
    if mapping_dtype is not None:
        qmap["dynamic_index_mapping"] = natural.astype(mapping_dtype)
    qmap["dynamic_roi_map"] = np.arange(len(natural) + 1, dtype=np.uint16)[None]
