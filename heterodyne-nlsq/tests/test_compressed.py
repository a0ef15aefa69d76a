"""Whole fits of compressed tiles: at the minimum of all tiles, and said where these had to be read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne_nlsq import least_squares

STATIC = {"model": "static", "fix": {"D_offset": 0.0}}
SAME = 1e-6


@pytest.fixture(scope="module")
def data():
    mask = np.ones((1, 400), dtype=bool)
    mask[:, [3, 150]] = False
    measured = het.simulate(
        "static", params={"D0": 3e2, "alpha": 0.2, "D_offset": 0.0}, phi=0.0, frames=400, seed=3
    )
    return replace(measured, mask=mask)


def fitted(data, strategy, weights="speckle", **choices):
    lines, options = [], {"strategy": strategy, "weights": weights}
    return het.fit(data, options=options, progress=lines.append, **STATIC, **choices), lines


@pytest.mark.parametrize("weights", ["equal", "speckle"])
@pytest.mark.parametrize("skip", [0, 2])
def test_a_fit_of_compressed_tiles_ends_where_one_of_all_of_them_does(data, weights, skip):
    (direct, _), (fit, lines) = (
        fitted(data, strategy, weights, skip_lags=skip) for strategy in ("direct", "streamed")
    )
    assert any("vectors for 64 frames" in line for line in lines)
    assert "tiles compressed to" in fit.statistics["strategy_reason"]
    assert fit.verdict == direct.verdict == "converged"
    assert fit.statistics["ssr"] == pytest.approx(direct.statistics["ssr"], rel=SAME)
    for name, error in direct.errors.items():
        assert abs(fit.values[name] - direct.values[name]) < 0.01 * error
        assert fit.errors[name] == pytest.approx(error, rel=0.01)


def test_a_fit_that_compressed_tiles_would_mislead_goes_on_with_all_tiles(data, monkeypatch):
    monkeypatch.setattr(least_squares, "_LEFT_OUT", -1.0)
    (direct, _), (fit, lines) = (fitted(data, strategy) for strategy in ("direct", "streamed"))
    assert any("going on with all tiles" in line for line in lines)
    assert "all of them read in the end" in fit.statistics["strategy_reason"]
    assert fit.statistics["ssr"] == pytest.approx(direct.statistics["ssr"], rel=SAME)


def test_a_fit_that_begins_far_away_reads_tiles_on_its_way_and_says_so(data):
    fit, _ = fitted(data, "streamed", "equal", start={"D0": 3e4, "alpha": -0.5})
    assert fit.verdict == "converged"
    assert "for parameters that these do not span" in fit.statistics["strategy_reason"]
    direct, _ = fitted(data, "direct", "equal", start={"D0": 3e4, "alpha": -0.5})
    assert fit.statistics["ssr"] == pytest.approx(direct.statistics["ssr"], rel=SAME)
