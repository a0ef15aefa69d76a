"""Simulated data: reproducible noise of the right size, the truth beside it, and sector averages."""

from __future__ import annotations

import json

import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import DataError, HeterodyneError, ParameterError, PluginError
from heterodyne.simulation.sector import sector_correlation
from heterodyne.variants.two_component import TRUTH
from tolerances import LAST_DIGIT, LAST_DIGITS

FEW = {"frames": 20, "phi": 0.0}


def test_the_defaults_are_three_azimuths_of_the_named_truth():
    data = het.simulate(noise=0.0)
    assert data.q.tolist() == [0.01] * 3
    assert data.phi.tolist() == [0.0, 45.0, 90.0]
    np.testing.assert_allclose(data.t, np.arange(1, 301) * 0.1, rtol=LAST_DIGIT)
    model = het.create_model("two-component")
    for c2, phi in zip(data.c2, data.phi, strict=True):
        assert c2.dtype == np.float64
        expected = 1.0 + 0.15 * model.correlation(TRUTH, data.t, 0.01, phi)
        np.testing.assert_allclose(c2, expected, rtol=0, atol=LAST_DIGIT)


def test_bins_are_q_times_phi_with_q_slowest():
    data = het.simulate(q=[0.005, 0.01], phi=[0.0, 45.0, 90.0], frames=5)
    assert data.q.tolist() == [0.005] * 3 + [0.01] * 3
    assert data.phi.tolist() == [0.0, 45.0, 90.0] * 2
    assert data.n_bins == len(data.c2) == 6


def test_contrast_and_offset_per_bin():
    data = het.simulate(phi=[0.0, 90.0], frames=5, contrast=[0.1, 0.4], offset=[1.0, 0.9], noise=0.0)
    np.testing.assert_allclose([c2[0, 0] for c2 in data.c2], [1.1, 1.3], rtol=LAST_DIGITS)


def test_frame_times_with_an_age_and_given_ones():
    aged = het.simulate(**FEW, dt=0.5, age=10.0)
    assert (aged.t[0], aged.dt, aged.age) == (10.5, 0.5, 10.0)
    given = het.simulate(phi=0.0, t=[0.3, 0.5, 0.7, 1.5])
    assert given.t.tolist() == [0.3, 0.5, 0.7, 1.5]
    assert given.dt == pytest.approx(0.2)
    assert given.age == pytest.approx(0.1)


def test_the_same_seed_gives_the_same_data_and_another_seed_other_data():
    first, again, other = (het.simulate(frames=20, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.c2, again.c2)
    assert not np.any(np.equal(first.c2, other.c2))


def test_the_noise_of_a_bin_does_not_depend_on_how_many_follow():
    np.testing.assert_array_equal(het.simulate(frames=20).c2[0], het.simulate(**FEW).c2[0])


def noise_of(**choices):
    noisy, clean = het.simulate(**choices), het.simulate(**{**choices, "noise": 0.0})
    return np.asarray(noisy.c2) - np.asarray(clean.c2)


def test_noise_is_symmetric_of_the_given_size_and_independent_between_elements_and_bins():
    noise = noise_of(frames=300, noise=0.03, seed=1)
    for matrix in noise:
        np.testing.assert_array_equal(matrix, matrix.T)
    upper = noise[:, *np.triu_indices(300, 1)]
    n = upper.shape[1]
    np.testing.assert_allclose(upper.std(axis=1), 0.03, rtol=4 / np.sqrt(2 * n))
    np.testing.assert_allclose(upper.mean(axis=1), 0.0, atol=4 * 0.03 / np.sqrt(n))
    np.testing.assert_allclose(np.corrcoef(upper), np.eye(3), atol=4 / np.sqrt(n))
    neighbours = np.corrcoef(noise[0, :100, 150:299].ravel(), noise[0, :100, 151:300].ravel())[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(14900)


def test_the_diagonal_carries_the_same_noise():
    diagonal = np.einsum("bii->bi", noise_of(frames=300, noise=0.03))
    assert diagonal.std() == pytest.approx(0.03, rel=4 / np.sqrt(2 * 900))


def test_the_truth_is_stored_as_json():
    data = het.simulate(params={"v0": 500}, frames=5, contrast=0.2, noise=0.01, seed=3)
    truth = json.loads(json.dumps(data.provenance["truth"]))
    assert data.provenance["dt_source"] == "simulated"
    assert truth == {
        "model": "two-component",
        "params": {**TRUTH, "v0": 500.0},
        "contrast": [0.2] * 3,
        "offset": [1.0] * 3,
        "noise": 0.01,
        "seed": 3,
    }


@pytest.mark.parametrize("model", ["static-reference", "no-flow"])
def test_models_within_two_component_take_the_named_truth(model):
    params = het.simulate(model, frames=5).provenance["truth"]["params"]
    assert params == {name: TRUTH[name] for name in het.create_model(model).parameters}


@pytest.mark.parametrize("model", ["equilibrium", "static"])
def test_other_models_take_the_start_values(model):
    params = het.simulate(model, frames=5).provenance["truth"]["params"]
    assert params == het.create_model(model).parameters.starts()


def test_the_named_truth_cannot_be_changed():
    with pytest.raises(TypeError):
        TRUTH["v0"] = 1.0  # type: ignore[index]


@pytest.mark.parametrize(
    ("choices", "error", "words"),
    [
        ({"model": "two-componnent"}, PluginError, "did you mean 'two-component'"),
        ({"params": {"v_0": 1.0}}, ParameterError, "did you mean 'v0'"),
        ({"params": {"v0": float("nan")}}, ParameterError, "'v0' must be a finite number"),
        ({"params": {"v0": "fast"}}, ParameterError, "'v0' must be a finite number"),
        ({"model": "no-flow", "params": {"v0": 1.0}}, ParameterError, "no parameter named 'v0'"),
        ({"frames": 2}, DataError, "frames must be a whole number, at least 3, not 2"),
        ({"frames": 10.5}, DataError, "frames must be a whole number"),
        ({"dt": 0.0}, DataError, "dt must be positive"),
        ({"dt": -1.0}, DataError, "dt must be positive"),
        ({"dt": float("nan")}, DataError, "dt must be positive"),
        ({"age": -5.0}, DataError, "frame times must be positive"),
        ({"t": [0.2, 0.1, 0.3]}, DataError, "frame times must be positive and increasing"),
        ({"t": [0.1, 0.2]}, DataError, "at least 3"),
        ({"noise": -0.1}, DataError, "noise must be 0 or more"),
        ({"contrast": 1.2}, DataError, "contrast must lie in 0..1, not 1.2"),
        ({"contrast": [0.1, -0.2, 0.1]}, DataError, "contrast must lie in 0..1, not -0.2"),
        ({"contrast": [0.1, 0.2]}, DataError, "contrast must be one number or one per bin (3), not 2"),
        ({"offset": float("inf")}, DataError, "offset must be finite"),
        ({"q": 0.0}, DataError, "q must be positive"),
        ({"q": []}, DataError, "at least one"),
        ({"phi": float("nan")}, DataError, "needs an azimuth"),
        ({"seed": -1}, DataError, "seed must be a whole number, at least 0"),
        ({"dq": 0.03}, DataError, "dq must be a full width in 0..0.02, not 0.03"),
        ({"dphi": -1.0}, DataError, "dphi must be a full width in 0..360, not -1"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_line(choices, error, words):
    with pytest.raises(error) as caught:
        het.simulate(**{"frames": 5, **choices})
    assert isinstance(caught.value, HeterodyneError)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# Sectors


def brute_force(model, t, q, phi, dq, dphi, points):
    """The mean of S over the midpoints of a fine grid of the sector."""
    midpoints = (np.arange(points) + 0.5) / points - 0.5
    nodes = [(q + x * dq, phi + y * dphi) for x in midpoints for y in midpoints]
    return np.mean([model.correlation(TRUTH, t, *node) for node in nodes], axis=0)


def test_a_sector_is_the_mean_over_its_q_and_azimuths():
    model, t = het.create_model("two-component"), np.arange(1, 61) * 0.1
    # midpoint rule: the error falls with the square of the spacing, so 12 and 24 points extrapolate it away
    coarse, fine = (brute_force(model, t, 0.01, 45.0, 5e-4, 10.0, points) for points in (12, 24))
    found = sector_correlation(model, TRUTH, t, 0.01, 45.0, 5e-4, 10.0)
    np.testing.assert_allclose(found, fine + (fine - coarse) / 3.0, rtol=0, atol=1e-5)
    assert np.max(np.abs(found - model.correlation(TRUTH, t, 0.01, 45.0))) > 1e-2


@pytest.mark.parametrize(("dq", "dphi"), [(np.nan, 10.0), (5e-4, np.nan), (0.0, 10.0)])
def test_an_unknown_or_zero_width_is_not_averaged_over(dq, dphi):
    model, t = het.create_model("two-component"), np.arange(1, 21) * 0.1
    narrow = sector_correlation(
        model, TRUTH, t, 0.01, 45.0, dq if dq > 0 else 1e-9, dphi if dphi > 0 else 1e-6
    )
    np.testing.assert_allclose(
        sector_correlation(model, TRUTH, t, 0.01, 45.0, dq, dphi), narrow, rtol=0, atol=1e-6
    )


def test_simulated_bins_carry_their_widths_and_are_averaged():
    data = het.simulate(**FEW, noise=0.0, offset=1.0, contrast=1.0, dq=4e-4, dphi=8.0)
    assert (data.dq[0], data.dphi[0]) == (4e-4, 8.0)
    model = het.create_model("two-component")
    expected = 1.0 + sector_correlation(model, TRUTH, data.t, 0.01, 0.0, 4e-4, 8.0)
    np.testing.assert_allclose(data.c2[0], expected, rtol=0, atol=LAST_DIGITS)
    assert np.all(het.simulate(**FEW).dphi == 0.0)


def test_a_wider_sector_needs_and_gets_more_nodes():
    """A wide sector is the mean of the narrow ones it consists of."""
    model, t = het.create_model("two-component"), np.arange(1, 41) * 0.1
    wide = sector_correlation(model, TRUTH, t, 0.01, 60.0, dphi=60.0)
    parts = [sector_correlation(model, TRUTH, t, 0.01, phi, dphi=10.0) for phi in range(35, 90, 10)]
    np.testing.assert_allclose(wide, np.mean(parts, axis=0), rtol=0, atol=1e-9)


def test_a_sector_over_which_the_fringe_runs_away_is_refused():
    model, t = het.create_model("two-component"), np.arange(1, 41) * 10.0
    with pytest.raises(DataError, match="varies too fast"):
        sector_correlation(model, {**TRUTH, "v0": 1e5, "D0_ref": 0, "D0_sample": 0}, t, 0.01, 60.0, dphi=60.0)


def test_a_model_without_azimuth_is_not_averaged_over_azimuths():
    model, t = het.create_model("no-flow"), np.arange(1, 21) * 0.1
    np.testing.assert_array_equal(
        sector_correlation(model, {}, t, 0.01, np.nan, dphi=10.0), model.correlation({}, t, 0.01)
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"params": 3},
        {"q": "a"},
        {"phi": np.inf},
        {"frames": "a"},
        {"dt": None},
        {"age": "a"},
        {"t": "a"},
        {"noise": "a"},
        {"seed": None},
        {"contrast": "a"},
        {"dq": "a"},
        {"model": 3},
        {"offset": 1.7e308, "noise": 1e308},
    ],
)
def test_numbers_that_are_none_are_rejected(wrong):
    with pytest.raises(HeterodyneError), np.errstate(over="ignore"):
        het.simulate(**{"model": "static", "frames": 12, **wrong})
