"""Robust errors of whole fits: speckle against independent noise, mates, bandwidth."""

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from heterodyne.solution.covariance import quantile
from heterodyne.solution.robust import one_region
from tolerances import REORDERED

pytestmark = pytest.mark.slow

FREE = ("D0_ref", "D0_sample", "v0", "beta", "f0", "phi0")


def fitted(data, **choices):
    truth = data.provenance["truth"]["params"]
    held = {name: value for name, value in truth.items() if name not in FREE}
    options = {"profiles": "asked"} | choices.pop("options", {})
    return het.fit(data, fix=held, start={name: truth[name] for name in FREE}, options=options, **choices)


def ratios(fit):
    return np.array([fit.errors[name] / fit.errors_independent[name] for name in FREE])


def test_independent_noise_needs_no_larger_errors():
    found = np.median([ratios(fitted(het.simulate(frames=192, seed=seed))) for seed in range(6)], axis=0)
    assert np.all((found > 0.9) & (found < 1.3)), found


def test_speckle_needs_errors_that_are_several_times_larger_and_these_cover():
    outside, errors = [], []
    for seed in range(12):
        data = het.simulate_speckle(frames=192, seed=seed)
        truth, fit = data.provenance["truth"]["params"], fitted(data)
        errors.append(ratios(fit))
        z = np.array([(fit.values[name] - truth[name]) / fit.errors[name] for name in FREE])
        outside.append(np.abs(z) > quantile(fit.statistics["dof"]))
    assert np.all(np.median(errors, axis=0) > 2.0)
    assert np.mean(outside) < 0.15


def test_a_bin_given_twice_does_not_shrink_the_errors():
    mates = het.simulate_speckle(phi=[0.0, 45.0, 90.0, 180.0, 225.0, 270.0], frames=128, friedel=True, seed=1)
    np.testing.assert_allclose(mates.c2[0], mates.c2[3], rtol=REORDERED)
    once, twice = fitted(mates.bins([0, 1, 2])), fitted(mates)
    for name in FREE:
        assert twice.values[name] == pytest.approx(once.values[name], rel=1e-3)
        assert twice.errors[name] == pytest.approx(once.errors[name], rel=0.05)
        assert twice.errors_independent[name] < 0.8 * once.errors_independent[name]


def test_one_region_are_mates_of_one_file_and_one_q():
    one = het.simulate(phi=[0.0, 45.0, 180.3, 225.0, 90.0], q=[0.01, 0.02], frames=20)
    two = het.simulate(phi=[0.0], q=[0.01], frames=20, seed=1)
    problem = create_problem([one, two], het.create_model("two-component"))
    objective = create_objective(problem, read_bins(problem.data))
    assert one_region(objective) == [(0, 2), (1, 3), (4,), (5, 7), (6, 8), (9,), (10,)]


def test_repeats_of_one_region_are_independent():
    trains = [het.simulate_speckle(phi=[0.0, 45.0, 90.0], frames=128, seed=seed) for seed in range(2)]
    both = replace(
        trains[0],
        **{
            name: np.concatenate([getattr(of, name) for of in trains])
            for name in ("c2", "q", "phi", "dq", "dphi", "mask")
        },
    )
    once, twice = fitted(trains[0]), fitted(both)
    assert not [one for one in twice.identifiability.findings if one.kind == "same speckle"]
    ratio = np.median([once.errors[name] / twice.errors[name] for name in FREE])
    assert ratio == pytest.approx(2.0**0.5, rel=0.2)


def test_independent_errors_on_request():
    data = het.simulate(frames=64)
    fit = fitted(data, options={"errors": "independent"})
    assert fit.errors == fit.errors_independent
    assert fit.statistics["errors"] == "independent"
    assert "bandwidth" not in fit.statistics


def test_noise_that_all_bins_share_is_told():
    data = het.simulate(frames=128, noise=0.01, seed=2)
    beam = np.triu(np.random.default_rng(1).normal(size=(128, 128)) * 0.05, 1)
    shared = [matrix + beam + beam.T for matrix in data.c2]
    common = het.TwoTime(shared, data.q, data.phi, data.t, data.dt, provenance=data.provenance)
    apart = fitted(data).statistics["common_noise_ratio"]
    assert fitted(common).statistics["common_noise_ratio"] > 1.2 * apart


def test_the_gain_that_is_stated_is_the_ratio_of_the_errors():
    data = het.simulate_speckle(frames=192, seed=2)
    weighted, plain = (fitted(data, options={"weights": weights}) for weights in ("speckle", "noise"))
    assert (weighted.statistics.weights, plain.statistics.weights) == ("speckle", "noise")
    assert plain.statistics.weights_gain is None
    assert "times smaller than those of pairs that weigh alike" in weighted.report()
    excess = [max(fit.statistics.noise_ratio, 1.0) ** 0.5 for fit in (plain, weighted)]
    ratios = [plain.errors[name] / excess[0] / (weighted.errors[name] / excess[1]) for name in FREE]
    assert np.exp(np.mean(np.log(ratios))) == pytest.approx(weighted.statistics.weights_gain, rel=0.1)
    assert weighted.statistics.weights_gain > 1.2
    even = fitted(het.simulate(frames=128))
    assert even.statistics.weights_gain == pytest.approx(1.0, abs=0.05)
