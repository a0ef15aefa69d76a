"""The third-party model of examples/: listed because it is installed, and fitted like core's own."""

from __future__ import annotations

import numpy as np
import pytest

import heterodyne as het
from tolerances import SIGMAS

TRUTH = {"D": 400.0, "gamma": 0.7}


@pytest.fixture(scope="module")
def fit() -> het.Fit:
    data = het.simulate(
        model="stretched",
        params=TRUTH,
        q=0.01,
        phi=[0.0, 90.0],
        frames=120,
        dt=0.5,
        contrast=0.2,
        noise=0.01,
        seed=0,
    )
    return het.fit(data, model="stretched", optimizer="nlsq")


def test_the_model_is_listed_beside_those_of_core():
    assert {"stretched", "two-component"} <= het.models().keys()


def test_a_fit_without_start_values_recovers_the_truth(fit: het.Fit):
    assert fit.verdict == "converged"
    for name, true in TRUTH.items():
        assert abs(fit.values[name] - true) < SIGMAS * fit.errors[name] < 0.2 * true


def test_contrast_and_offset_of_every_bin_are_recovered(fit: het.Fit):
    np.testing.assert_allclose([row.contrast for row in fit.scaling], 0.2, atol=0.01)
    np.testing.assert_allclose([row.offset for row in fit.scaling], 1.0, atol=0.01)
