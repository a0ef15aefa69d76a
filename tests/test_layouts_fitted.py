"""Layouts whose matrices are not one per bin, or not complete: fits find the truth."""

from __future__ import annotations

import numpy as np
import pytest

import heterodyne as het
from heterodyne.data.two_time import TwoTime
from heterodyne.testing.layouts.esrf_id02 import write_esrf_id02
from heterodyne.testing.layouts.midtools import write_midtools


@pytest.mark.slow
def test_trains_fitted_together_are_repeats(tmp_path):
    """Errors fall with the root of their number, and the value is right."""
    truth = {"D0": 2e4, "alpha": 0.0, "D_offset": 0.0}
    trains = [
        het.simulate(model="static", params=truth, q=[0.01], phi=[0.0], frames=60, seed=k).c2[0]
        for k in range(4)
    ]
    k = np.arange(1, 61)
    data = TwoTime(np.stack(trains), np.full(4, 0.01), np.full(4, np.nan), 0.1 * k, 0.1)
    path = write_midtools(tmp_path / "four.h5", data, trains=range(4))
    fits = [
        het.fit(het.load(path, key=key), model="static", fix={"alpha": 0.0, "D_offset": 0.0})
        for key in (None, "2")
    ]
    together, alone = (fit.errors["D0"] for fit in fits)
    assert abs(fits[0].values["D0"] - truth["D0"]) < 4.0 * together
    assert 1.3 < alone / together < 3.0


@pytest.mark.slow
def test_a_fit_of_incomplete_lags_finds_the_truth(tmp_path):
    truth = {"D0": 2e4, "alpha": 0.0, "D_offset": 0.0}
    data = het.simulate(model="static", params=truth, q=[0.01], phi=[0.0], frames=60, seed=3)
    found = het.load(write_esrf_id02(tmp_path / "fit.h5", data, lags=slice(0, 30), ages=slice(5, None)))
    fit = het.fit(found, model="static", fix={"alpha": 0.0, "D_offset": 0.0})
    assert abs(fit.values["D0"] - truth["D0"]) < 4.0 * fit.errors["D0"]
    assert fit.statistics.n_pairs == sum(55 - lag for lag in range(1, 30))
