"""Structure of the residuals of whole fits: right models pass, wrong ones are flagged."""

import numpy as np
import pytest

import heterodyne as het

pytestmark = pytest.mark.slow

FREE = ("D0_ref", "D0_sample", "v0", "beta", "f0", "phi0")
QUICK = {"errors": "independent", "starts": 16}


def fitted_from_truth(data):
    truth = data.provenance["truth"]["params"]
    held = {name: value for name, value in truth.items() if name not in FREE}
    return het.fit(data, fix=held, start={name: truth[name] for name in FREE}, options=QUICK)


def test_the_right_model_of_speckle_passes():
    found = [fitted_from_truth(het.simulate_speckle(frames=128, seed=seed)) for seed in range(10)]
    words = [fit.statistics["structure"] for fit in found]
    assert words.count("no structure found") >= 9, words


def test_the_right_model_of_independent_noise_passes():
    found = [fitted_from_truth(het.simulate(frames=128, seed=seed)) for seed in range(5)]
    assert {fit.statistics["structure"] for fit in found} == {"no structure found"}
    assert all("structure" not in fit.message for fit in found)


@pytest.mark.parametrize("model", ["static", "no-flow"])
@pytest.mark.parametrize("simulated", [het.simulate_speckle, het.simulate])
def test_a_model_without_flow_is_flagged_on_flowing_data(model, simulated):
    fit = het.fit(simulated(frames=160, seed=3), model=model, options=QUICK)
    assert fit.statistics["structure"].startswith("structure over lag")
    assert fit.statistics["lag_probability"] < 1e-3
    assert "the residuals are not noise about this model" in fit.message
    assert "structure over lag" in fit.report()


def test_a_drift_of_the_baseline_is_structure_over_age():
    frames = 200
    data = het.simulate(frames=frames, seed=1)
    age = np.add.outer(np.arange(frames), np.arange(frames)) / (2.0 * frames)
    drifting = [matrix + 0.02 * age for matrix in data.c2]
    fit = fitted_from_truth(
        het.TwoTime(drifting, data.q, data.phi, data.t, data.dt, dq=0.0, dphi=0.0, provenance=data.provenance)
    )
    assert fit.statistics["structure"].endswith("age")
    assert fit.statistics["age_probability"] < 0.01


def test_streamed_data_are_judged_alike_and_figures_are_written(tmp_path):
    data = het.simulate(frames=160, seed=2)
    direct, streamed = (
        het.fit(data, model="static", start={"D0": 1e4, "alpha": 0.0, "D_offset": 0.0}, options=chosen)
        for chosen in (QUICK, {**QUICK, "strategy": "streamed"})
    )
    for key in ("lag_chi2", "age_chi2"):
        assert streamed.statistics[key] == pytest.approx(direct.statistics[key], rel=1e-3)
    direct.save(tmp_path)
    found = het.read_fit(tmp_path).statistics
    assert found["structure"] == direct.statistics["structure"]
    assert [len(row) for row in found["lag_residuals"]] == [8, 8, 8]
    assert np.shape(found["age_residuals"]) == (3, 8, 3)


def test_residuals_that_are_rounding_are_not_judged():
    data = het.simulate(
        model="static", frames=40, noise=0.0, params={"D0": 3e3, "alpha": 0.1, "D_offset": 0.0}
    )
    fit = het.fit(data, model="static", fix={"D_offset": 0.0})
    assert fit.statistics["structure"] == "not asked: the residuals are rounding"
