"""Whole fits: recovery of simulated truth, fixed values, ties, bounds, weights, verdicts."""

import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import ConfigError
from tolerances import SAME_MINIMUM

START_FACTORS = np.array([0.8, 1.15, 1.3, 0.75, 1.2, 0.85, 1.25, 0.9, 1.1, 0.8, 1.3, 0.7, 1.2])


def truth_of(data):
    return data.provenance["truth"]["params"]


def off_start(data):
    names = [name for name in truth_of(data) if name != "f2"]
    return {n: truth_of(data)[n] * f for n, f in zip(names, START_FACTORS, strict=False)}


@pytest.mark.slow
def test_a_start_off_by_10_to_30_percent_reaches_the_minimum_next_to_the_truth():
    data = het.simulate(seed=0)
    truth = truth_of(data)
    choices = {"fix": {"f2": truth["f2"]}, "options": {"profiles": "asked"}}
    off = het.fit(data, start=off_start(data), **choices)
    near = het.fit(data, start={k: v for k, v in truth.items() if k != "f2"}, **choices)
    assert off.verdict == near.verdict == "converged"
    assert off.statistics["ssr"] == pytest.approx(near.statistics["ssr"], rel=SAME_MINIMUM)
    assert off.statistics["reduced_chi2"] == pytest.approx(1.0, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["static-reference", "no-flow", "equilibrium", "static"])
def test_every_variant_recovers_its_truth(model):
    held = {
        "D_offset_ref": 0.0,
        "D_offset_sample": 0.0,
        "v_offset": 0.0,
        "f2": 0.0,
        "f3": 0.0,
        "D_offset": 0.0,
    }
    names = het.create_model(model).parameters
    given = {
        "D0_ref": 3e3,
        "D0_sample": 9e3,
        "D0": 4e3,
        "D_ref": 200.0,
        "D_sample": 900.0,
        "v0": 600.0,
        "v": 600.0,
        "f1": -0.05,
    }
    fixed = {name: value for name, value in held.items() if name in names}
    params = {**{k: v for k, v in given.items() if k in names}, **fixed}
    data = het.simulate(model=model, params=params, q=0.008, frames=120, noise=0.01, seed=2)
    truth = truth_of(data)
    start = {n: v * 1.1 for n, v in truth.items() if n not in fixed}
    fit = het.fit(data, model=model, fix=fixed, start=start)
    assert fit.verdict == "converged"
    for name, error in fit.errors.items():
        if np.isfinite(error):
            assert abs(fit.values[name] - truth[name]) < 4.5 * error, name
    assert sum(np.isfinite(list(fit.errors.values()))) >= len(fit.errors) - 2


@pytest.mark.slow
def test_without_any_start_the_null_model_finds_its_minimum():
    data = het.simulate(model="static", params={"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}, frames=100, seed=1)
    free = het.fit(data, model="static", fix={"D_offset": 0.0})
    told = het.fit(data, model="static", fix={"D_offset": 0.0}, start={"D0": 3e3, "alpha": 0.2})
    assert free.success
    assert free.statistics["ssr"] == pytest.approx(told.statistics["ssr"], rel=SAME_MINIMUM)
    again = het.fit(data, model="static", fix={"D_offset": 0.0})
    assert again.values == free.values


def test_a_bound_that_acts_is_named_and_has_no_error_bar():
    data = het.simulate(model="static", params={"D0": 3e3, "alpha": 0.0, "D_offset": 0.0}, frames=60)
    fit = het.fit(
        data, model="static", fix=["D_offset", "alpha"], bounds={"D0": (1.0, 2e3)}, start={"D0": 1e3}
    )
    row = fit.estimates[0]
    assert fit.verdict == "converged"
    assert row.status == "at high"
    assert np.isnan(row.error)
    assert "D0 at high" in fit.message


def test_noisy_bins_weigh_less_unless_told_otherwise():
    quiet = het.simulate(
        model="static",
        params={"D0": 3e3, "alpha": 0.2, "D_offset": 0.0},
        phi=[0.0],
        frames=80,
        noise=0.005,
        seed=1,
    )
    loud = het.simulate(
        model="static",
        params={"D0": 3e3, "alpha": 0.2, "D_offset": 0.0},
        phi=[0.0],
        frames=80,
        noise=0.1,
        seed=2,
    )
    choices = {"model": "static", "fix": ["D_offset"], "start": {"D0": 2e3, "alpha": 0.1}}
    alone = het.fit(quiet, **choices)
    weighted = het.fit([quiet, loud], **choices)
    equal = het.fit([quiet, loud], options={"weights": "equal"}, **choices)
    shift = {
        name: abs(fit.values["D0"] - alone.values["D0"])
        for name, fit in (("noise", weighted), ("equal", equal))
    }
    assert shift["noise"] < shift["equal"]
    np.testing.assert_allclose([row.noise for row in weighted.scaling], [0.005, 0.1], rtol=0.05)


def test_unknown_options_and_values_are_refused():
    data = het.simulate(frames=20)
    with pytest.raises(ConfigError, match="did you mean 'max_iterations'"):
        het.fit(data, options={"max_iteration": 3})
    with pytest.raises(ConfigError, match="weights"):
        het.fit(data, options={"weights": "none"})


@pytest.mark.slow
def test_errors_of_independent_noise_match_the_scatter_of_repeats():
    truth = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}
    fits = [
        het.fit(
            het.simulate(model="static", params=truth, phi=[0.0], frames=50, seed=seed),
            model="static",
            fix=["D_offset"],
            start={"D0": 3e3, "alpha": 0.2},
        )
        for seed in range(60)
    ]
    for name in ("D0", "alpha"):
        scatter = np.std([fit.values[name] for fit in fits], ddof=1)
        claimed = np.median([fit.errors_independent[name] for fit in fits])
        assert 0.75 < claimed / scatter < 1.3, name
    contrast_scatter = np.std([fit.scaling[0].contrast for fit in fits], ddof=1)
    assert 0.75 < np.median([fit.scaling[0].contrast_error for fit in fits]) / contrast_scatter < 1.3


def test_data_without_noise_converge_at_the_truth():
    truth = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}
    data = het.simulate(model="static", params=truth, frames=60, noise=0.0)
    fit = het.fit(data, model="static", fix=["D_offset"])
    assert fit.success
    assert fit.values["D0"] == pytest.approx(3e3, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_without_any_start_fringes_are_found(seed):
    rng = np.random.default_rng(seed)
    params = {
        "D0_ref": 10 ** rng.uniform(3, 4.3), "D0_sample": 10 ** rng.uniform(3, 4.3),
        "alpha_ref": rng.uniform(-0.5, 0.5), "alpha_sample": rng.uniform(-0.5, 0.5),
        "v0": 10 ** rng.uniform(2, 3.2), "beta": rng.uniform(-0.3, 0.3),
        "f0": rng.uniform(0.2, 0.7), "f1": rng.uniform(-0.03, 0.03), "phi0": rng.uniform(-45, 45),
    }  # fmt: skip
    fixed = {"D_offset_ref": 0.0, "D_offset_sample": 0.0, "v_offset": 0.0, "f2": 0.0, "f3": 0.0}
    data = het.simulate(
        params={**params, **fixed}, q=0.008, phi=[0, 40, 80], frames=200, contrast=0.2, noise=0.02, seed=seed
    )
    options = {"profiles": "asked"}
    free = het.fit(data, fix=fixed, options=options)
    told = het.fit(data, fix=fixed, start=params, options=options)
    assert free.statistics["ssr"] <= told.statistics["ssr"] * (1 + 1e-6)


def test_data_that_fall_instead_of_rise_are_told_apart():
    data = het.simulate(model="static", params={"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}, frames=60)
    upside_down = het.TwoTime([2.0 - matrix for matrix in data.c2], data.q, data.phi, data.t, data.dt)
    fit = het.fit(upside_down, model="static", fix=["D_offset"])
    assert "contrast at its bound in 3 of 3 bins" in fit.message
    assert fit.statistics["reduced_chi2"] > 2.0


@pytest.mark.parametrize(
    ("name", "value"), [("polish", 0), ("seed", -1), ("starts", 0), ("ftol", -1.0), ("max_iterations", 0)]
)
def test_options_below_their_least_value_are_refused(name, value):
    with pytest.raises(ConfigError, match="at least"):
        het.fit(het.simulate(frames=20), options={name: value})
