"""A fit of an APS-U result with 10 q × 3 φ, of which only the selected matrices are read."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import heterodyne as het
from tolerances import REORDERED, SIGMAS

RINGS = np.linspace(0.004, 0.022, 10)
AZIMUTHS = np.array([0.0, 45.0, 90.0])
TRUTH = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}


@pytest.fixture
def result(tmp_path):
    """The layout of boost_corr: float32 upper halves by counter, labels through the index mapping."""
    data = het.simulate(model="static", params=TRUTH, q=list(RINGS), phi=list(AZIMUTHS), frames=80, seed=4)
    path = tmp_path / "A001_results.hdf"
    with h5py.File(path, "w") as file:
        for number, matrix in enumerate(data.c2, start=1):
            half = np.triu(matrix).astype(np.float32)
            key = f"xpcs/twotime/correlation_map/c2_{number:05d}"
            file.create_dataset(key, data=half, chunks=half.shape, compression="lzf")
        file["xpcs/twotime/processed_bins"] = np.arange(1, 31, dtype=np.int32)
        file["xpcs/twotime/config/stride_frame"] = 1
        file["xpcs/twotime/config/avg_frame"] = 1
        file["xpcs/twotime/config/begin_frame"] = 0
        qmap = file.create_group("xpcs/qmap")
        qmap["dynamic_index_mapping"] = np.arange(30, dtype=np.uint8)
        qmap["dynamic_num_pts"] = np.array([10, 3])
        qmap["dynamic_v_list_dim0"], qmap["dynamic_v_list_dim1"] = RINGS, AZIMUTHS
        qmap["map_names"], qmap["map_units"] = [b"q", b"phi"], [b"A^-1", b"deg"]
        file["entry/instrument/detector_1/frame_time"] = np.array([[0.1]], dtype=np.float32)
        file["entry/instrument/detector_1/count_time"] = np.array([[0.09]], dtype=np.float32)
    return path


@pytest.fixture
def matrices_read(monkeypatch):
    read, getitem = [], h5py.Dataset.__getitem__

    def counting(self, *arguments, **options):
        name = self.name.rpartition("/")[2]
        if name.startswith("c2_"):
            read.append(name)
        return getitem(self, *arguments, **options)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counting)
    return read


@pytest.mark.slow
def test_a_fit_reads_the_selected_matrices_once_and_no_other(result, matrices_read):
    data = het.load(result, q=0.012)
    assert matrices_read == []
    fit = het.fit(data, model="static", fix=["D_offset"], options={"bin_average": False})
    assert matrices_read == ["c2_00013", "c2_00014", "c2_00015"]
    assert fit.verdict == "converged"
    np.testing.assert_allclose([row.q for row in fit.scaling], RINGS[4], rtol=REORDERED)
    np.testing.assert_allclose([row.phi for row in fit.scaling], AZIMUTHS)
    for name in ("D0", "alpha"):
        assert abs(fit.values[name] - TRUTH[name]) < SIGMAS * fit.errors[name]
