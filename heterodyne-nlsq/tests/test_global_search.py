"""The global search and what it says it adds."""

import numpy as np
import pytest

import heterodyne as het
from tolerances import SAME_MINIMUM

pytestmark = pytest.mark.slow

PARAMS = {"D0": 4e3, "alpha": 0.2, "D_offset": 0.0}
HELD = {"D_offset_ref": 0.0, "D_offset_sample": 0.0, "v_offset": 0.0, "f3": 0.0}
ASTRAY = {"D0_ref": 1e4, "D0_sample": 1e4, "alpha_ref": 0.0, "alpha_sample": 0.0}
ASTRAY |= {"v0": 300.0, "beta": 0.0, "f0": 0.5, "f1": 0.0, "phi0": 40.0}


def test_a_search_that_adds_nothing_says_so_and_changes_nothing():
    data = het.simulate(model="static", params=PARAMS, frames=60, seed=0)
    plain, searched = (
        het.fit(data, model="static", options={"global": on, "profiles": "asked"}) for on in (False, True)
    )
    assert "the global search found nothing lower" in searched.message
    assert searched.values == plain.values
    found = searched.statistics
    assert found["ssr_without_global"] <= found["ssr_global"] * (1 + 1e-9)
    assert found["global_evaluations"] > 10
    assert "ssr_global" not in plain.statistics


def test_a_fit_gone_astray_is_brought_back():
    data = het.simulate(frames=64, noise=0.01, seed=0)
    alone = het.fit(data, fix=HELD, start=ASTRAY, options={"profiles": "asked"})
    searched = het.fit(data, fix=HELD, start=ASTRAY, options={"global": True, "profiles": "asked"})
    best = het.fit(data, fix=HELD, options={"profiles": "asked"})
    assert alone.statistics["ssr"] > 1.05 * best.statistics["ssr"]
    assert alone.verdict == "lower elsewhere"
    np.testing.assert_allclose(searched.statistics["ssr"], best.statistics["ssr"], rtol=SAME_MINIMUM)
    assert "the global search found a lower minimum" in searched.message
    assert searched.statistics["ssr_global"] < searched.statistics["ssr_without_global"]
    assert searched.verdict == "converged"


def test_the_search_is_repeatable_and_stays_within_the_bounds():
    data = het.simulate(model="static", params=PARAMS, frames=60, seed=0)
    options = {"global": True, "seed": 7, "profiles": "asked"}
    bounds = {"D0": (100.0, 3000.0)}
    one, two = (het.fit(data, model="static", bounds=bounds, options=options) for _ in range(2))
    assert one.values == pytest.approx(two.values, rel=1e-6)
    assert one.statistics["ssr_global"] == two.statistics["ssr_global"]
    assert 100.0 <= one.values["D0"] <= 3000.0


def test_streamed_data_are_searched_on_excerpts():
    data = het.simulate(model="static", params=PARAMS, frames=160, seed=0)
    options = {"global": True, "strategy": "streamed", "profiles": "asked"}
    fit = het.fit(data, model="static", fix={"D_offset": 0.0}, options=options)
    assert "the global search found" in fit.message
    assert fit.success
