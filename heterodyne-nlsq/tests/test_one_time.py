"""Fits of one-time data: truth found with its errors, models held stationary, series, comparisons, statistics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from experiments import one_time

TRUTH = {"D_ref": 120.0, "D_sample": 900.0, "v": 180.0, "x": 0.23, "phi0": 5.0}
DATA = one_time("equilibrium", TRUTH, q=(0.01, 0.02))
SEEDS = 20


@pytest.fixture(scope="module")
def fitted():
    return het.fit(DATA, "equilibrium", options={"starts": 8})


def pulls(model, truth, seeds, **choices):
    """(estimate - truth) / error of every seed and parameter."""
    rows = []
    for seed in range(seeds):
        fit = het.fit(one_time(model, truth, seed), model, options={"starts": 1}, **choices)
        assert fit.success
        rows.append([(fit.values[name] - truth[name]) / fit.errors[name] for name in truth])
    return np.array(rows)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "truth"), [("equilibrium", TRUTH), ("static", {"D0": 300.0})])
def test_the_truth_lies_within_the_errors(model, truth):
    found = pulls(model, truth, SEEDS, start=truth)
    assert np.abs(found).max() < 4.0
    assert np.mean(np.abs(found) < 3.0) >= 0.98
    # of so many, 68 % within one standard error, give or take what chance does
    room = 3.0 * np.sqrt(0.68 * 0.32 / found.size)
    assert abs(np.mean(np.abs(found) < 1.0) - 0.68) < room


def test_a_rate_that_is_the_same_at_all_times_is_shown_once(fitted):
    rate, half = fitted.derived[:2]
    assert (rate.name, half.words) == ("J_ref", "D = J_ref/2 = 3 D_ref")
    np.testing.assert_allclose((*rate.value, *half.value), fitted.values["D_ref"] * np.array([6.0, 3.0]))
    np.testing.assert_allclose(half.low + half.high, 3.0 * np.array(fitted.estimates[0].interval), rtol=1e-9)
    assert "at all times" in fitted.report()
    assert fitted.curves == ()


def test_no_start_is_needed(fitted):
    """However far the lags and the decay are from one another: D within 3 errors, up to the exchange of components."""
    assert fitted.success
    values = fitted.values
    if values["D_ref"] > values["D_sample"]:
        values = {**values, "D_ref": values["D_sample"], "D_sample": values["D_ref"], "x": 1.0 - values["x"]}
    for name, value in TRUTH.items():
        assert abs(values[name] - value) < 4.0 * max(fitted.errors[name], 1e-3 * value), name


@pytest.mark.parametrize("rate", [1e-3, 1.0, 1e3])
def test_a_rate_of_any_size_is_found(rate):
    data = one_time("static", {"D0": 300.0})
    data = replace(data, tau=data.tau / rate, dt=data.dt / rate)
    fit = het.fit(data, "static")
    assert abs(fit.values["D0"] - 300.0 * rate) < 4.0 * fit.errors["D0"]


def test_what_is_said_of_it(fitted):
    told = fitted.statistics
    assert (told.errors, told.n_pairs) == ("independent", 6 * DATA.n_lags)
    assert told.structure == "no structure found over lag; over age not asked"
    assert 0.5 < told.reduced_chi2_errors < 1.5
    assert told.effective_parameters == told.n_variables
    assert not fitted.curves
    assert "take the values at different lags for independent" in fitted.message
    assert "reduced_chi2_errors" in fitted.report()
    (origin,) = fitted.provenance.data
    assert (origin["one_time"], origin["n_lags"], origin["errors"], origin["dt"]) == (
        True,
        DATA.n_lags,
        True,
        0.1,
    )


def test_it_is_written_and_read_back(fitted, tmp_path):
    fitted.save(tmp_path, write=["json", "npz"])
    again = het.read_fit(tmp_path)
    assert again.values == fitted.values
    assert again.statistics.reduced_chi2_errors == fitted.statistics.reduced_chi2_errors
    with np.load(tmp_path / "fit.npz") as arrays:
        np.testing.assert_allclose(arrays["tau"], one_time("equilibrium", TRUTH).tau)
        assert "t" not in arrays


def test_the_size_of_stated_errors_is_told_and_does_not_count():
    data = one_time("static", {"D0": 300.0})
    both = [het.fit(replace(data, error=size * data.error), "static") for size in (1.0, 2.0)]
    assert both[1].errors["D0"] == pytest.approx(both[0].errors["D0"], rel=1e-6)
    large, small = (fit.statistics.reduced_chi2_errors for fit in both)
    assert large == pytest.approx(4.0 * small, rel=1e-6)
    assert not any("errors of the file" in fit.message for fit in both)
    tiny = het.fit(replace(data, error=1e-3 * data.error), "static")
    assert "reduced chi2 with the errors of the file is" in tiny.message
    unknown = het.fit(replace(data, error=None), "static")
    assert "reduced_chi2_errors" not in unknown.statistics


def test_a_model_that_does_not_hold_shows_structure_over_lag():
    fit = het.fit(one_time("equilibrium", TRUTH, phi=(0.0,)), "static")
    assert fit.statistics.structure == "structure over lag; over age not asked"
    assert "structure over lag" in fit.message


def test_values_that_were_not_measured_do_not_count():
    data = one_time("static", {"D0": 300.0})
    g2 = data.g2.copy()
    g2[0, 3:6] = np.nan
    with pytest.warns(UserWarning, match="left out"):
        fit = het.fit(replace(data, g2=g2), "static")
    assert fit.scaling[0].n_pairs == data.n_lags - 3
    assert abs(fit.values["D0"] - 300.0) < 4.0 * fit.errors["D0"]


def test_one_fit_per_q_and_the_test_of_constancy():
    series = het.fit_by(one_time("static", {"D0": 300.0}, q=(0.01, 0.02)), "q", "static")
    assert [group.n_bins for group in series.groups] == [3, 3]
    assert series.tests["D0"].verdict == "constant"


def test_models_are_compared(fitted):
    compared = het.compare(DATA, ["static", "equilibrium"], options={"starts": 4})
    assert compared.preferred == "equilibrium"


def test_profiles_take_the_independent_errors():
    fit = het.fit(one_time("static", {"D0": 300.0}), "static", options={"profile": ["D0"]})
    interval = fit.profiles["D0"].interval(0.95)
    assert interval.errors == "independent"
    assert interval.low < fit.values["D0"] < interval.high
