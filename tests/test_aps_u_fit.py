"""A fit of an APS-U result with 10 q × 3 φ, of which only the selected matrices are read."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import heterodyne as het
from aps_u_files import partition, q_and_phi, sectors, write_aps_u
from heterodyne.errors import HeterodyneError
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


def test_a_ring_listed_at_an_azimuth_is_not_fitted_with_flow(tmp_path):
    part = sectors((2, 1))
    assert np.isfinite(part.lists[1]).all()
    data = het.load(write_aps_u(tmp_path / "ring.hdf", map=part))
    with pytest.raises(HeterodyneError, match="needs an azimuth for every bin"):
        het.fit(data, model="two-component")


@pytest.mark.slow
def test_flow_in_narrow_sectors_of_wide_cells(tmp_path):
    """A mask leaves 8 of 60 degrees: averaged over the cell, the fringes would be gone."""
    q, phi = q_and_phi()
    narrow = np.abs(phi % 60.0 - 30.0) < 4.0
    part = partition(q, phi, (q > 0.0085) & (q < 0.0115) & narrow, (1, 6))
    seen = het.load(write_aps_u(tmp_path / "map.hdf", map=part))
    truth = {"D0_ref": 2e4, "D0_sample": 2e4, "v0": 1500.0, "f0": 0.4, "phi0": 10.0}
    zero = (
        "alpha_ref",
        "alpha_sample",
        "D_offset_ref",
        "D_offset_sample",
        "beta",
        "v_offset",
        "f1",
        "f2",
        "f3",
    )
    fixed = dict.fromkeys(zero, 0.0)
    params = {**truth, **fixed}
    bins = [
        het.simulate(
            model="two-component",
            params=params,
            q=[at],
            phi=[angle],
            dq=0.003,
            dphi=8.0,
            frames=60,
            dt=0.05,
            seed=k,
        ).c2[0]
        for k, (at, angle) in enumerate(zip(seen.q, seen.phi, strict=True))
    ]
    data = het.load(
        write_aps_u(tmp_path / "flow.hdf", map=part, matrices=bins, frame_time=0.05, count_time=0.05)
    )
    start = {name: truth[name] for name in ("D0_ref", "v0", "phi0")}
    fixed["f0"] = truth["f0"]
    fit = het.fit(data, model="two-component", fix=fixed, start=start, tie={"D0_sample": "D0_ref"})
    assert fit.verdict == "converged"
    for name in ("D0_ref", "v0"):
        assert abs(fit.values[name] - truth[name]) < SIGMAS * fit.errors[name]
        assert fit.errors[name] < 0.03 * truth[name]
