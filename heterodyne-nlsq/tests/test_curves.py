"""Derived curves and their bands."""

import numpy as np
import pytest

import heterodyne as het
from heterodyne.solution.covariance import quantile
from tolerances import REORDERED, SIGMAS, SOLVED

HELD = {"D_offset_ref": 0.0, "D_offset_sample": 0.0, "v_offset": 0.0, "f3": 0.0}
QUICK = {"starts": 16}


def curves_of(fit):
    return {band.name: band for band in fit.curves}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("two-component", ["J_ref", "J_sample", "v", "f"]),
        ("static-reference", ["J_sample", "v", "f"]),
        ("no-flow", ["J_ref", "J_sample", "f"]),
        ("static", ["J"]),
        ("equilibrium", ["J_ref", "J_sample", "v", "x"]),
    ],
)
def test_every_variant_has_the_curves_of_its_parameters(model, names):
    data = het.simulate(frames=40, seed=0)
    start = {name: row.start for name, row in het.create_model(model).parameters.items() if row.vary}
    fit = het.fit(data, model=model, start=start, options={"max_iterations": 3})
    assert [band.name for band in fit.curves] == names


@pytest.mark.slow
def test_bands_are_those_of_repeated_draws_of_the_parameters():
    data = het.simulate(frames=120, seed=1)
    fit = het.fit(data, fix=HELD, options=QUICK)
    band, names = curves_of(fit)["J_sample"], fit.covariance_names
    chosen = [names.index(name) for name in ("D0_sample", "alpha_sample")]
    covariance = fit.covariance[np.ix_(chosen, chosen)] * 1e-4  # small, where the curve is linear
    d0, alpha = fit.values["D0_sample"], fit.values["alpha_sample"]
    draws = np.random.default_rng(0).multivariate_normal([d0, alpha], covariance, 4000).T
    spread = np.std(draws[0][:, None] * band.t ** draws[1][:, None], axis=0)
    np.testing.assert_allclose(band.error, 100.0 * spread, rtol=0.06)
    np.testing.assert_allclose(band.value, d0 * band.t**alpha, rtol=REORDERED)
    wide = quantile(fit.statistics["dof"])
    np.testing.assert_allclose(np.log(band.high / band.value), wide * band.error / band.value, rtol=SOLVED)
    np.testing.assert_allclose(band.low * band.high, band.value**2, rtol=SOLVED)
    speed = curves_of(fit)["v"]
    np.testing.assert_allclose(speed.high - speed.value, wide * speed.error, rtol=SOLVED)


@pytest.mark.slow
def test_bands_cover_the_truth():
    outside = []
    for seed in range(8):
        data = het.simulate(frames=96, seed=seed)
        truth = data.provenance["truth"]["params"]
        held = {name: truth[name] for name in (*HELD, "f2")}
        free = {name: truth[name] for name in truth if name not in held}
        fit = het.fit(data, fix=held, start=free)
        t = fit.curves[0].t
        expected = {
            "J_ref": truth["D0_ref"] * t ** truth["alpha_ref"] + truth["D_offset_ref"],
            "J_sample": truth["D0_sample"] * t ** truth["alpha_sample"] + truth["D_offset_sample"],
            "v": truth["v0"] * t ** truth["beta"] + truth["v_offset"],
            "f": truth["f0"] * np.exp(truth["f1"] * (t - truth["f2"])) + truth["f3"],
        }
        outside += [
            np.mean((expected[band.name] < band.low) | (expected[band.name] > band.high))
            for band in fit.curves
        ]
    assert np.mean(outside) < 0.15


@pytest.mark.slow
def test_a_curve_is_determined_where_its_parameters_merge():
    data = het.simulate(
        model="static", frames=80, seed=0, params={"D0": 5e3, "alpha": 0.0, "D_offset": 500.0}
    )
    fit = het.fit(data, model="static", fix={"alpha": 0.0}, start={"D0": 4e3, "D_offset": 0.0})
    assert set(fit.undetermined) >= {"D0", "D_offset"}
    band = curves_of(fit)["J"]
    assert np.all(np.isfinite(band.error))
    np.testing.assert_allclose(band.value, 5500.0, atol=SIGMAS * band.error.max())
    assert band.error.max() < 200.0


@pytest.mark.slow
def test_a_curve_whose_parameters_the_data_do_not_tell_has_no_band(tmp_path):
    data = het.simulate(frames=80, seed=0).bins([0])  # one azimuth: v0 and phi0 merge
    fit = het.fit(data, fix=HELD, options=QUICK)
    bands = curves_of(fit)
    assert np.all(np.isnan(bands["v"].error))
    assert np.all(np.isnan(bands["v"].high))
    assert np.all(np.isfinite(bands["J_ref"].error))
    fit.save(tmp_path, ["npz"])
    arrays = np.load(tmp_path / "fit.npz")
    assert arrays["curve_name"].tolist() == ["J_ref", "J_sample", "v", "f"]
    np.testing.assert_array_equal(arrays["curve_t"], data.t)
    np.testing.assert_array_equal(arrays["curve"][0], bands["J_ref"].value)
    for key in ("error", "low", "high"):
        np.testing.assert_array_equal(arrays[f"curve_{key}"][2], getattr(bands["v"], key))


def test_a_curve_of_fixed_parameters_is_known_and_a_tie_is_followed():
    data = het.simulate(frames=80, seed=0)
    truth = data.provenance["truth"]["params"]
    fit = het.fit(
        data,
        fix={**HELD, **{name: truth[name] for name in ("v0", "beta", "phi0", "alpha_ref", "alpha_sample")}},
        tie={"D0_ref": "D0_sample"},
        start={"D0_sample": 1e4, "f0": 0.5, "f1": 0.0},
    )
    bands = curves_of(fit)
    np.testing.assert_array_equal(bands["v"].error, 0.0)
    relative = [bands[name].error / bands[name].value for name in ("J_ref", "J_sample")]
    expected = fit.errors["D0_sample"] / fit.values["D0_sample"]
    np.testing.assert_allclose(relative, expected, rtol=1e-6)


def test_bands_end_where_the_model_clips():
    data = het.simulate(
        model="static", frames=80, seed=0, params={"D0": 200.0, "alpha": 0.0, "D_offset": 0.0}
    )
    fit = het.fit(data, model="static", fix={"alpha": 0.0, "D0": 1e-2}, start={"D_offset": 20.0})
    band = curves_of(fit)["J"]
    assert np.all(band.low >= 0.0)
    assert np.all(band.high >= band.value)
