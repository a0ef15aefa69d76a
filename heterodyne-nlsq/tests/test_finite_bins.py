"""Fits of sectors: the truth with the average over the bin, the known bias and a warning without."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.variants.two_component import TRUTH
from tolerances import SIGMAS

pytestmark = pytest.mark.slow

FREE = ("D0_ref", "D0_sample", "v0", "f0", "phi0")
HELD = {name: value for name, value in TRUTH.items() if name not in FREE}
START = {name: TRUTH[name] for name in FREE}


def fit(data, **options):
    return het.fit(
        data, fix=HELD, start=START, contrast="individual", options={"profiles": "asked"} | options
    )


def deviations(found):
    return np.array([(found.values[name] - TRUTH[name]) / found.errors_independent[name] for name in FREE])


@pytest.fixture(scope="module")
def sectors():
    return het.simulate(dphi=10.0, seed=0)


def test_sectors_of_known_width_recover_the_truth(sectors):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit(sectors)
    assert found.success
    assert np.all(np.abs(deviations(found)) < SIGMAS)
    assert found.statistics["bin_nodes"][0] == 1
    assert found.statistics["bin_nodes"][1] >= 5
    assert found.statistics["bin_average"].endswith("azimuths × 1 q")
    assert found.statistics["bin_average"] in found.report()
    np.testing.assert_allclose([row.noise for row in found.scaling], 0.02, rtol=0.02)


def test_sectors_taken_as_points_are_biased_and_warned_of(sectors):
    unknown = replace(sectors, dphi=np.nan)
    with pytest.warns(UserWarning, match="width of bin q=0.01 phi=90 is unknown") as caught:
        found = fit(unknown)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert str(caught[0].message) in found.message
    with pytest.warns(UserWarning, match="10° wide and was fitted as a point"):
        off = fit(sectors, bin_average=False)
    assert off.values == found.values
    assert off.statistics["bin_average"] == "none"
    assert found.values["D0_sample"] / TRUTH["D0_sample"] - 1.0 == pytest.approx(0.36, abs=0.07)
    assert dict(zip(FREE, deviations(found), strict=True))["D0_sample"] > 10.0
    assert found.values["phi0"] / TRUTH["phi0"] - 1.0 == pytest.approx(-0.10, abs=0.08)


def test_points_and_slow_flows_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        point = fit(het.simulate(frames=100, seed=1))
        slow = het.simulate(params={"v0": 20.0, "v_offset": 0.0}, frames=60, seed=1)
        held = {**HELD, "v_offset": 0.0, "phi0": 3.0, "f0": 0.4}
        still = het.fit(
            replace(slow, dphi=np.nan), fix=held, start={"D0_ref": 2e4, "D0_sample": 8e3, "v0": 20.0}
        )
    assert point.statistics["bin_average"] == still.statistics["bin_average"] == "none"
    assert point.message == ""
