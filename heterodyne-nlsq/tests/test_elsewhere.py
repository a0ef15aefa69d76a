"""Residuals that are no noise make the search go on."""

import numpy as np
import pytest

import heterodyne as het
from heterodyne_nlsq import least_squares
from tolerances import SAME_MINIMUM

pytestmark = pytest.mark.slow

HELD = {"D_offset_ref": 0.0, "D_offset_sample": 0.0, "v_offset": 0.0, "f3": 0.0}
ASTRAY = {"D0_ref": 1e4, "D0_sample": 1e4, "alpha_ref": 0.0, "alpha_sample": 0.0}
ASTRAY |= {"v0": 300.0, "beta": 0.0, "f0": 0.5, "f1": 0.0, "phi0": 40.0}
AGAIN = "the residuals are not noise: searching again"


@pytest.fixture(scope="module")
def data():
    return het.simulate_speckle(frames=64, seed=0)


def fit(data, model="two-component", **choices):
    """A fit and whether it searched again."""
    lines = []
    options = {"profiles": "asked", "starts": 16, "polish": 2}
    found = het.fit(data, model, options=options, progress=lines.append, **choices)
    return found, AGAIN in lines


def test_a_search_that_went_astray_is_made_again(data, monkeypatch):
    best, again = fit(data, fix=HELD)
    assert not again
    monkeypatch.setattr(least_squares, "search_points", lambda at, search: at.point({**HELD, **ASTRAY})[None])
    found, again = fit(data, fix=HELD)
    assert again
    assert found.verdict == "converged"
    np.testing.assert_allclose(found.statistics["ssr"], best.statistics["ssr"], rtol=SAME_MINIMUM)


def test_start_values_are_kept_to_and_what_lies_lower_is_named(data):
    found, again = fit(data, fix=HELD, start=ASTRAY)
    assert again
    assert found.verdict == "lower elsewhere"
    assert "a search from other starts ends far lower, at D0_ref = " in found.message
    assert "leave start values out, or begin there" in found.message


def test_a_model_that_does_not_hold_is_searched_again_for_nothing(data):
    found, again = fit(data, "static", fix={"D_offset": 0.0})
    assert again
    assert found.verdict == "converged"
    assert found.statistics["reduced_chi2"] > 2.0
