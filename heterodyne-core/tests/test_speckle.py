"""Simulated speckle: c2 = 1 + S / modes on average, with the correlated noise of an experiment."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import DataError, ParameterError
from heterodyne.kernels._jax import jnp
from heterodyne.model import Model, separable
from heterodyne.parameters import ParameterTable
from heterodyne.variants.two_component import TRUTH
from tolerances import LAST_DIGIT, REORDERED

SMALL = {"frames": 30, "dt": 0.3, "phi": [0.0, 45.0], "pixels": 400, "modes": 2}
REPEATS = 60


@pytest.mark.slow
@pytest.mark.parametrize("model", ["two-component", "static-reference", "no-flow", "static", "equilibrium"])
def test_the_mean_over_repeats_is_one_plus_s_over_modes(model):
    repeats = [het.simulate_speckle(model, **SMALL, seed=seed) for seed in range(REPEATS)]
    c2 = np.array([data.c2 for data in repeats])
    params = repeats[0].provenance["truth"]["params"]
    variant = het.create_model(model)
    upper = np.triu_indices(SMALL["frames"])
    for b, phi in enumerate(repeats[0].phi):
        expected = 1.0 + variant.correlation(params, repeats[0].t, 0.01, phi) / SMALL["modes"]
        error = c2[:, b].std(axis=0, ddof=1) / np.sqrt(REPEATS)
        z = ((c2[:, b].mean(axis=0) - expected) / error)[upper]
        assert np.max(np.abs(z)) < 5.0
        assert 0.7 < np.sqrt(np.mean(z**2)) < 1.35


def test_contrast_is_one_over_the_number_of_modes():
    for modes in (1, 3):
        data = het.simulate_speckle(frames=40, phi=0.0, pixels=4000, modes=modes)
        assert np.mean(np.diag(data.c2[0])) - 1.0 == pytest.approx(1.0 / modes, rel=0.05)


def residuals(simulate, repeats):
    """c2 less its expectation where S has died out, shape (repeats, 60, 60): rows and columns are frames."""
    params = {**TRUTH, "D0_sample": 2e3, "D0_ref": 2e3, "v0": 0.0, "v_offset": 0.0}
    data = np.array(
        [simulate(params=params, phi=0.0, frames=400, seed=seed).c2[0] for seed in range(repeats)]
    )
    return data[:, :60, 340:] - 1.0


def neighbour_correlation(noise):
    """The correlation of elements (i, j) and (i, j+1), which share frame i."""
    return np.corrcoef(noise[:, :, :-1].ravel(), noise[:, :, 1:].ravel())[0, 1]


def test_elements_that_share_a_frame_have_correlated_noise():
    speckle = residuals(lambda **choices: het.simulate_speckle(**choices, pixels=200, modes=2), 3)
    independent = residuals(lambda **choices: het.simulate(**choices, noise=0.02), 3)
    assert neighbour_correlation(speckle) > 0.8
    assert abs(neighbour_correlation(independent)) < 0.05


def test_matrices_are_symmetric_and_the_truth_is_stored():
    data = het.simulate_speckle(**SMALL, seed=7)
    for c2 in data.c2:
        np.testing.assert_allclose(c2, c2.T, rtol=0, atol=LAST_DIGIT)
    truth = json.loads(json.dumps(data.provenance["truth"]))
    assert truth == {
        "model": "two-component",
        "params": dict(TRUTH),
        "contrast": [0.5, 0.5],
        "offset": [1.0, 1.0],
        "pixels": 400,
        "modes": 2,
        "friedel": False,
        "seed": 7,
        "static": 0.0,
        "counts": None,
        "jitter": 0.0,
        "drift": 0.0,
        "background": 0.0,
        "excess": 1.0,
        "excess_time": None,
    }


def test_the_same_seed_gives_the_same_speckle_and_bins_are_independent():
    first, again, other = (het.simulate_speckle(**SMALL, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.c2, again.c2)
    assert not np.any(np.equal(first.c2, other.c2))
    mates = het.simulate_speckle(**{**SMALL, "phi": [10.0, 190.0]})
    assert not np.any(np.equal(mates.c2[0], mates.c2[1]))


def test_friedel_mates_share_one_pattern():
    data = het.simulate_speckle(
        frames=10, pixels=50, q=[0.01, 0.02], phi=[10.0, 190.0, 100.0, -80.0, 370.0, 11.0], friedel=True
    )
    c2 = np.asarray(data.c2)
    same = [[bool(np.array_equal(one, two)) for two in c2] for one in c2]
    ring = np.array([0, 0, 1, 1, 0, 2])
    pattern = np.concatenate([ring, ring + 3])
    np.testing.assert_array_equal(same, np.equal.outer(pattern, pattern))


def test_a_static_reference_alone_never_changes():
    params = {"f0": 0.0, "f1": 0.0, "f3": 0.0}
    data = het.simulate_speckle("static-reference", params, frames=10, phi=0.0, pixels=50)
    np.testing.assert_allclose(data.c2[0], data.c2[0][0, 0], rtol=REORDERED)


def decays(*rates: float) -> Model:
    """S of a sum of equal exponentials that do not interfere."""

    def components(p, t, q, phi):
        return jnp.full((len(rates), len(t)), len(rates) ** -0.5), jnp.array(rates)[:, None] * t

    return separable("decays", ParameterTable(()), components, uses_azimuth=False)


THREE_DECAYS, TWO_DECAYS, GROWING = decays(1.0, 2.0, 3.0), decays(1.0, 2.0), decays(-1.0)
UNSTRUCTURED = replace(het.create_model("two-component"), components=None)


def test_a_model_that_is_not_installed_is_simulated():
    data = het.simulate_speckle(decays(1.0), frames=10, pixels=50)
    assert data.provenance["truth"]["model"] == "decays"


@pytest.mark.parametrize(
    ("choices", "error", "words"),
    [
        ({"model": THREE_DECAYS}, DataError, "neither one field nor two that interfere"),
        ({"model": TWO_DECAYS}, DataError, "neither one field nor two that interfere"),
        ({"model": GROWING}, DataError, "neither one field nor two that interfere"),
        ({"model": UNSTRUCTURED}, DataError, "neither one field nor two that interfere"),
        ({"seed": -1}, DataError, "seed must be a whole number, at least 0"),
        ({"pixels": 0}, DataError, "pixels must be a whole number, at least 1"),
        ({"modes": 1.5}, DataError, "modes must be a whole number, at least 1"),
        ({"frames": 2}, DataError, "frames"),
        ({"t": [-1.0, 1.0, 2.0]}, DataError, "frame times must be positive"),
        ({"phi": float("nan")}, DataError, "needs an azimuth"),
        ({"params": {"speed": 1.0}}, ParameterError, "no parameter named 'speed'"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_line(choices, error, words):
    with pytest.raises(error) as caught:
        het.simulate_speckle(**{"frames": 5, "pixels": 5, **choices})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_experiment_of_the_error_bars_takes_well_below_a_second():
    het.simulate_speckle(pixels=10)
    begin = time.process_time()
    data = het.simulate_speckle()
    assert time.process_time() - begin < 1.0
    assert np.shape(data.c2) == (3, 192, 192)
