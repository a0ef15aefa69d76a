"""Draws on their way out: curves with bands, posterior.nc, the report."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.errors import PluginError
from heterodyne.kernels.curves import curve_values
from heterodyne.parameters import REGISTRY
from heterodyne.problem.choices import Choices
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from heterodyne.result.statistics import Statistics
from heterodyne.variants.two_component import J_SAMPLE
from heterodyne.words import between
from heterodyne.writing.fit_npz import arrays
from heterodyne_cmc import netcdf
from heterodyne_cmc.bands import posterior_bands
from heterodyne_cmc.coordinates import folded
from heterodyne_cmc.diagnostics import Gates, refinement_failures
from heterodyne_cmc.outcome import create_fit
from heterodyne_cmc.posterior import Posterior
from made_up_draws import blocks_of
from tolerances import REORDERED, TWO_WAYS

CHAINS, DRAWS = 2, 300


@pytest.fixture(scope="module")
def problem():
    """Two parameters of `no-flow` vary, one is tied, the others are held."""
    data = het.simulate("no-flow", frames=20, phi=[0.0, 90.0])
    held = {"D_offset_ref": 0.0, "D0_sample": 500.0, "D_offset_sample": 3.0, "f0": 0.4, "f1": 0.0, "f3": 0.0}
    return create_problem(
        data, het.create_model("no-flow"), Choices(fix=held, tie={"alpha_sample": "alpha_ref"})
    )


@pytest.fixture(scope="module")
def posterior(problem):
    """Draws of D0_ref and alpha_ref, correlated, and of the scaling of two bins."""
    rng = np.random.default_rng(0)
    standard = rng.normal(size=(CHAINS, DRAWS, 2))
    values = np.stack(
        [1e3 * np.exp(0.1 * standard[..., 0]), 0.1 * standard[..., 1] + 0.05 * standard[..., 0]], -1
    )
    per_bin = rng.normal(size=(4, CHAINS, DRAWS, 2))
    statistics = {
        name: rng.random((CHAINS, DRAWS))
        for name in ("accept_prob", "num_steps", "energy", "potential_energy")
    }
    statistics["diverging"] = np.zeros((CHAINS, DRAWS), dtype=bool)
    scaling = (0.15 + 0.01 * per_bin[0], 1.0 + 0.01 * per_bin[1], 0.02 + 0.001 * per_bin[2])
    return Posterior(problem.varying, values, *scaling, blocks_of(CHAINS, DRAWS), statistics)


def test_bands_are_quantiles_of_the_curves_of_the_draws(problem, posterior):
    bands = {band.name: band for band in posterior_bands(problem, posterior)}
    assert list(bands) == ["J_ref", "J_sample", "f"]
    t = problem.data[0].t
    rows = np.array(
        [
            curve_values(J_SAMPLE, {"D0_sample": 500.0, "alpha_sample": alpha, "D_offset_sample": 3.0}, t)
            for _, alpha in posterior.flat
        ]
    )
    band = bands["J_sample"]
    found = (band.low, band.inner_low, band.value, band.inner_high, band.high)
    np.testing.assert_allclose(
        found, np.quantile(rows, (0.025, 0.16, 0.5, 0.84, 0.975), axis=0), rtol=REORDERED
    )
    np.testing.assert_allclose(band.error, rows.std(axis=0), rtol=TWO_WAYS)
    assert bands["J_ref"].unit == "Å²/s"
    np.testing.assert_allclose(bands["f"].low, bands["f"].high)  # nothing of it varies


def test_periodic_draws_stay_together_and_their_median_lies_in_range():
    draws = np.array([[88.0], [91.0], [95.0]])
    row = REGISTRY["phi0"]
    np.testing.assert_allclose(folded([row], draws), draws - 180.0)
    np.testing.assert_allclose(folded([row], draws - 5.0), draws - 5.0)


@pytest.fixture(scope="module")
def fit(static_problem, sampled):
    """A short run whose gates fail."""
    return sampled(
        static_problem(frames=32, phi=[0.0, 90.0], weights="speckle"),
        chains=2,
        warmup=60,
        draws=100,
        likelihood="calibrated",
    )


@pytest.mark.slow
def test_the_arrays_hold_both_intervals_of_every_curve(fit):
    found = arrays(fit)
    assert found["curve_name"].tolist() == ["J"]
    for key in ("curve", "curve_error", "curve_low", "curve_high", "curve_inner_low", "curve_inner_high"):
        assert found[key].shape == (1, 32)


@pytest.mark.slow
def test_arviz_reads_the_posterior_with_all_groups_and_units(fit, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import arviz
    (path,) = netcdf.write(fit, tmp_path)
    tree = arviz.from_netcdf(str(path))
    drawn = tree["posterior"]
    assert drawn["alpha"].dims == ("chain", "draw")
    assert drawn["contrast"].dims == ("chain", "draw", "bin")
    np.testing.assert_array_equal(drawn["D0"], fit.posterior.values[..., 0])
    assert drawn["D0"].attrs["units"] == "Å²/s^(α+1)"
    assert float(tree["constant_data"]["D_offset"]) == 0.0
    assert tree["constant_data"]["phi"].values.tolist() == [0.0, 90.0]
    assert float(tree["observed_data"]["ssr"].sum()) == pytest.approx(fit.statistics["ssr"])
    blocks = tree["log_likelihood"]["c2"]
    assert blocks.dims == ("chain", "draw", "block")
    assert blocks["block_bin"].values.tolist() == [0] * 36 + [1] * 36  # 8 stripes of 4 frames
    assert 0.0 < blocks.attrs["scale"] <= 1.0
    assert float(tree["observed_data"]["block_pairs"].sum()) == 2 * 32 * 31 / 2
    stats = tree["sample_stats"]
    assert {"diverging", "lp", "energy", "acceptance_rate", "n_steps"} <= set(stats.data_vars)
    assert drawn.attrs["model"] == "static"
    assert json.loads(drawn.attrs["statistics"])["likelihood"] == "calibrated"
    summary = arviz.summary(tree, var_names=["D0", "alpha"])
    assert float(summary["r_hat"].iloc[0]) == pytest.approx(
        fit.statistics.diagnostics[0].rhat["D0"], abs=0.01
    )


def test_the_report_shows_medians_intervals_and_diagnostics_also_when_read_back(fit, tmp_path):
    text = fit.report()
    assert "[[Variables]] median +/- standard deviation [95 % interval]" in text
    assert "[[Diagnostics]]" in text
    assert "R-hat" in text
    assert "nan" not in text
    low, high = (np.quantile(fit.posterior.flat[:, 1], level) for level in (0.025, 0.975))
    (alpha,) = (row for row in fit.estimates if row.name == "alpha")
    assert alpha.interval == pytest.approx((low, high))
    assert between(low, high, alpha.error) in text
    assert "D = J/2 (Å²/s)" in text
    fit.save(tmp_path, ["json"])
    assert het.read_fit(tmp_path).report() == text


def test_gates_that_fail_name_the_parameter_and_what_to_do(fit):
    assert not fit.success
    assert fit.verdict == "diagnostics failed"
    assert "ESS of" in fit.message
    assert "raise draws" in fit.message


def test_a_fit_that_was_not_sampled_has_no_posterior_to_write(fit, tmp_path):
    with pytest.raises(PluginError, match="there is no posterior to write: the fit is by nlsq, not by cmc"):
        netcdf.write(replace(fit, optimizer="nlsq", posterior=None), tmp_path)


def sampled_around(data, model, values, spread):
    """A result of draws made up: ``values`` of all parameters, scattered by a part of each."""
    problem = create_problem(data, het.create_model(model), Choices(start=values))
    objective = create_objective(problem, read_bins(problem.data)).weighted(np.full(data.n_bins, 0.01))
    noise = np.random.default_rng(0).normal(size=(2, 50, len(values)))
    draws = np.array([values[name] for name in problem.varying]) * (1.0 + spread * noise)
    per_bin = np.full((2, 50, data.n_bins), 0.2)
    statistics = {name: np.ones((2, 50)) for name in ("diverging", "num_steps", "energy")}
    posterior = Posterior(problem.varying, draws, per_bin, per_bin, per_bin, blocks_of(2, 50), statistics)
    return create_fit(objective, posterior, [], Statistics(), 0)


def test_a_second_solution_that_fits_as_well_is_named():
    """On two axes of azimuths reference and sample, and two flows, cannot be told apart."""
    truth = {"D_ref": 2e3, "D_sample": 1e3, "v": 1e3, "x": 0.2, "phi0": 0.0}
    data = het.simulate("equilibrium", params=truth, frames=40, phi=[0.0, 45.0], noise=0.01)
    findings = sampled_around(data, "equilibrium", truth, 1e-6).identifiability.findings
    assert any(finding.words.startswith("reference and sample can be exchanged") for finding in findings)
    assert findings[0].values["x"] == pytest.approx(0.8)


@pytest.mark.parametrize(("size", "status"), [(0.2, "determined"), (0.0, "undetermined")])
def test_no_draws_however_narrow_determine_a_parameter_of_noise(size, status):
    truth = {"D0": 1e4, "alpha": 0.1, "D_offset": 10.0}
    data = het.simulate("static", params=truth, frames=40, phi=[0.0], noise=0.01, contrast=size)
    fit = sampled_around(data, "static", truth, 1e-3)
    assert {row.status for row in fit.estimates} == {status}
    said = [finding.words for finding in fit.identifiability.findings]
    assert any("a constant describes every bin as well" in words for words in said) == (size == 0.0)


def test_shards_whose_draws_are_hardly_accepted_fail_with_that_line_first():
    values = np.random.default_rng(0).normal(size=(4, 1000, 1))
    assert refinement_failures(("a",), values, 0.5, Gates()) == []
    (line,) = refinement_failures(("a",), values, 0.01, Gates())
    assert line == (
        "combined shards: the posterior of all data accepts 1.0% of their draws: raise draws (or take fewer shards)"
    )
