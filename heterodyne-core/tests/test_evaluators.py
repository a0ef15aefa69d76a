"""One definition, three ways to S: mesh grid, element-wise, and the components of a separable model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bin
from heterodyne.bins.streaming import stream_bin
from heterodyne.errors import DataError, ParameterError
from heterodyne.evaluators import dense, streamed, structured
from heterodyne.evaluators.elementwise import correlation_pairs, precompute_shard_grid
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.evaluators.sums import bin_sums, evaluator_of
from heterodyne.model import Model
from heterodyne.simulation.simulate import true_parameters
from heterodyne.variants.equilibrium import one_time_correlation
from tolerances import LAST_DIGITS, REORDERED

VARIANTS = ("two-component", "static-reference", "no-flow", "equilibrium", "static")
TIMES = np.sort(np.random.default_rng(5).uniform(0.1, 12.0, 60))
BINS = ((0.005, -20.0), (0.01, 45.0), (0.02, 170.0))
BOTH_AXES = ((..., slice(None), None), (..., None, slice(None)))


def perturbed(model, seed):
    """Plausible parameters: the truth moved by up to 30 %, signs and offsets too."""
    rng = np.random.default_rng(seed)
    return {
        name: value * rng.uniform(0.7, 1.3)
        + (rng.uniform(-0.2, 0.2) if model.parameters[name].unit == "1" else 0)
        for name, value in true_parameters(model, None).items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", VARIANTS)
def test_elementwise_is_the_mesh_grid_at_every_pair(name, seed):
    model = het.create_model(name)
    params = perturbed(model, seed)
    first, second = np.indices((len(TIMES), len(TIMES))).reshape(2, -1)
    grid = precompute_shard_grid(TIMES, first, second)
    for q, phi in BINS:
        full = model.correlation(params, TIMES, q, phi)
        pairs = np.asarray(correlation_pairs(model, params, grid, q, phi))
        np.testing.assert_allclose(pairs, full.ravel(), rtol=0, atol=REORDERED)


@pytest.mark.parametrize("name", ["two-component", "static-reference", "equilibrium"])
def test_models_with_flow_refuse_a_ring(name):
    with pytest.raises(DataError, match="azimuth"):
        het.create_model(name).correlation({}, TIMES, 0.01)


@pytest.mark.parametrize(
    ("smaller", "absent"),
    [
        ("static-reference", {"D0_ref": 0.0, "alpha_ref": 0.0, "D_offset_ref": 0.0}),
        ("no-flow", {"v0": 0.0, "beta": 0.0, "v_offset": 0.0, "phi0": 0.0}),
    ],
)
def test_a_variant_is_two_component_with_something_at_rest(smaller, absent):
    reduced, full = het.create_model(smaller), het.create_model("two-component")
    params = true_parameters(reduced, None)
    assert set(params) | set(absent) == set(full.parameters)
    np.testing.assert_allclose(
        reduced.correlation(params, TIMES, 0.01, 20.0),
        full.correlation({**params, **absent}, TIMES, 0.01, 20.0),
        rtol=0,
        atol=LAST_DIGITS,
    )


def test_equilibrium_is_two_component_with_constant_rates_and_an_intensity_fraction():
    f = 0.37
    x = f**2 / (f**2 + (1.0 - f) ** 2)
    simple = {"D_ref": 150.0, "D_sample": 900.0, "v": 180.0, "phi0": 5.0}
    constant = dict.fromkeys(het.create_model("two-component").parameters, 0.0)
    two = {**constant, "D0_ref": 6 * 150.0, "D0_sample": 6 * 900.0, "v0": 180.0, "phi0": 5.0, "f0": f}
    np.testing.assert_allclose(
        het.create_model("equilibrium").correlation({**simple, "x": x}, TIMES, 0.01, 30.0),
        het.create_model("two-component").correlation(two, TIMES, 0.01, 30.0),
        rtol=0,
        atol=REORDERED,
    )


@pytest.mark.slow
def test_equilibrium_one_time_correlation_is_its_formula():
    p, q, phi = {"D_ref": 120.0, "D_sample": 900.0, "v": 180.0, "x": 0.23, "phi0": 5.0}, 0.007, 30.0
    lag = np.linspace(0.0, 30.0, 50).reshape(5, 10)
    fringe = np.cos(q * np.cos(np.radians(phi - 5.0)) * 180.0 * lag)
    expected = (
        0.77**2 * np.exp(-6 * q**2 * 120.0 * lag)
        + 0.23**2 * np.exp(-6 * q**2 * 900.0 * lag)
        + 2 * 0.23 * 0.77 * np.exp(-3 * q**2 * 1020.0 * lag) * fringe
    )
    np.testing.assert_allclose(one_time_correlation(p, lag, q, phi), expected, rtol=0, atol=2e-10)


def test_unknown_parameter_names_the_nearest():
    with pytest.raises(ParameterError, match="did you mean 'D0_ref'"):
        het.create_model("two-component").correlation({"D0_reff": 1.0}, TIMES, 0.01, 0.0)


@pytest.mark.parametrize("times", [[0.0, 1.0, 2.0], [1.0, 1.0, 2.0], [3.0, 2.0, 1.0], [[1.0, 2.0, 3.0]]])
def test_times_that_are_not_positive_and_increasing_are_refused(times):
    with pytest.raises(DataError, match="positive and increasing"):
        het.create_model("static").correlation({}, times, 0.01)


@pytest.mark.slow
def test_every_bin_is_summed_by_the_evaluator_that_serves_it():
    data, model = het.simulate("static", frames=70, phi=0.0), het.create_model("static")
    not_separable = Model("dense", model.parameters, model.profiles, model.pair, uses_azimuth=False)
    in_memory, in_tiles = read_bin(data, 0), stream_bin(data, 0, 0, 0.0, 64)
    by_pair = read_bin(replace(data, weight=np.ones((1, 70, 70))), 0)
    theta, sums = np.array([3e3, 0.1, 10.0]), []
    for evaluator, of_model, bin in (
        (structured, model, in_memory),
        (streamed, model, in_tiles),
        (dense, not_separable, in_memory),
        (dense, model, by_pair),
    ):
        assert evaluator_of(of_model, bin) is evaluator.bin_sums
        sums.append(bin_sums(of_model, theta, bin))
    for name in Sums._fields:
        for other in sums[1:]:
            np.testing.assert_allclose(getattr(other, name), getattr(sums[0], name), rtol=1e-9)
