"""A fit of an APS-U result with 10 q × 3 φ, of which only the selected matrices are read."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import heterodyne as het
from aps_u_files import write_aps_u
from tolerances import REORDERED, SIGMAS

RINGS = np.linspace(0.004, 0.022, 10)
AZIMUTHS = np.array([0.0, 45.0, 90.0])
TRUTH = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}


@pytest.fixture
def result(tmp_path):
    """The layout of boost_corr: float32 upper halves by counter, labels through the index mapping."""
    data = het.simulate(model="static", params=TRUTH, q=list(RINGS), phi=list(AZIMUTHS), frames=80, seed=4)
    return write_aps_u(
        tmp_path / "A001_results.hdf",
        q=RINGS,
        phi=AZIMUTHS,
        empty=(),
        matrices=data.c2,
        frame_time=np.array([[0.1]], dtype=np.float32),
        count_time=np.array([[0.09]], dtype=np.float32),
    )


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
