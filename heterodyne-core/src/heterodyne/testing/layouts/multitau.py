"""Files with multi-tau g2 as programs of beamlines write it, in all layouts of `heterodyne.loading.multitau`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from heterodyne.data.one_time import OneTime

_MASKS = "entry/instrument/masks"
_UNITS = {f"{_MASKS}/dynamic_q_list": "1/angstrom", f"{_MASKS}/dynamic_phi_list": "degree"}

_TEXT = h5py.string_dtype()


def write(path: Path, data: OneTime, layout: str, fields: Mapping[str, Any] | None = None) -> Path:
    """Write ``data``, a grid of q and azimuths with q slowest, in the layout of this loader; lags are whole frames.

    ``fields`` replaces values by their paths; None leaves one out. A file that is there is added to.
    """
    values = {**_WRITERS[layout](data), **(fields or {})}
    with h5py.File(path, "a") as file:
        for key, value in values.items():
            if key in file:
                del file[key]
            if value is not None:
                file[key] = value
        for key, unit in _UNITS.items():
            if key in file:
                file[key].attrs["units"] = unit
        if layout == "pychx":
            rows = zip(data.q, data.phi, strict=True)
            for k, (q, phi) in enumerate(rows):
                file["qval_dict"].attrs[str(k)] = np.array([q] if np.isnan(phi) else [q, phi])
            file["md"].attrs["frame_time"] = str(data.dt)
    return path


def _frames(data: OneTime) -> np.ndarray:
    return np.rint(data.tau / data.dt).astype(np.int64)


def _columns(values: np.ndarray | None) -> np.ndarray | None:
    """(lags, bins) in float32, as most programs have it."""
    return None if values is None else values.T.astype(np.float32)


def _aps_u(data: OneTime) -> dict[str, Any]:
    q, phi = (np.array(list(dict.fromkeys(getattr(data, name).tolist()))) for name in ("q", "phi"))
    config = {f"xpcs/multitau/config/{name}": 1 for name in ("stride_frame", "avg_frame")}
    return {
        "xpcs/multitau/delay_list": _frames(data),
        "xpcs/multitau/normalized_g2": _columns(data.g2),
        "xpcs/multitau/normalized_g2_err": _columns(data.error),
        **config,
        "xpcs/qmap/map_names": np.array(["q", "phi"], dtype=_TEXT),
        "xpcs/qmap/map_units": np.array(["Å⁻¹", "deg"], dtype=_TEXT),
        "xpcs/qmap/dynamic_num_pts": np.array([len(q), len(phi)]),
        "xpcs/qmap/dynamic_v_list_dim0": q,
        "xpcs/qmap/dynamic_v_list_dim1": phi,
        "xpcs/qmap/dynamic_index_mapping": np.arange(data.n_bins, dtype=np.uint8),
        "entry/instrument/detector_1/frame_time": data.dt,
        "entry/instrument/detector_1/count_time": 0.9 * data.dt,
    }


def _aps_legacy(data: OneTime) -> dict[str, Any]:
    detector, one = "measurement/instrument/detector", np.ones((1, 1), np.uint64)
    return {
        "xpcs/analysis_type": "Multitau",
        "xpcs/output_data": "/exchange",
        "exchange/tau": _frames(data)[None].astype(np.float32),
        "exchange/norm-0-g2": _columns(data.g2),
        "exchange/norm-0-stderr": _columns(data.error),
        "xpcs/dqlist": data.q[None],
        "xpcs/dphilist": np.nan_to_num(data.phi)[None],
        "xpcs/dnophi": np.full((1, 1), float(len(set(np.nan_to_num(data.phi).tolist())))),
        "xpcs/stride_frames": one,
        "xpcs/avg_frames": one,
        f"{detector}/exposure_period": np.full((1, 1), data.dt),
        f"{detector}/exposure_time": np.full((1, 1), 0.9 * data.dt),
    }


def _nxxpcs(data: OneTime) -> dict[str, Any]:
    ring = np.isnan(data.phi).all()
    return {
        "entry/definition": "NXxpcs",
        "entry/data/g2": data.g2.T,
        "entry/data/g2_derr": None if data.error is None else data.error.T,
        "entry/data/delay_difference": _frames(data),
        f"{_MASKS}/dynamic_q_list": data.q,
        f"{_MASKS}/dynamic_phi_list": None if ring else data.phi,
        "entry/instrument/detector/frame_time": data.dt,
        "entry/instrument/detector/count_time": 0.9 * data.dt,
    }


def _pychx(data: OneTime) -> dict[str, Any]:
    none = np.zeros(1, np.int32)
    return {"g2": data.g2.T, "taus": data.tau, "qval_dict": none, "md": none}


_WRITERS: Mapping[str, Callable[[OneTime], dict[str, Any]]] = {
    "aps-u": _aps_u,
    "aps-legacy": _aps_legacy,
    "nxxpcs": _nxxpcs,
    "pychx": _pychx,
}

LAYOUTS = tuple(_WRITERS)
"""The layouts that can be written, by the names of their loaders."""
