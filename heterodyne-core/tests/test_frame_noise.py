"""The noise of frames and the scale of the covariance of c2, from residuals of known covariance."""

import numpy as np
import pytest

from heterodyne import create_model, simulate
from heterodyne.bins.reading import read_bin
from heterodyne.solution.frame_noise import frame_noise
from heterodyne.solution.residuals import examine_residuals

MODEL = create_model("static")
TRUTH = {"D0": 5e3, "alpha": 0.0, "D_offset": 0.0}
FRAMES, CONTRAST, PIXELS = 160, 0.2, 3000


def sampled(noise, seed=0, excess=0.0, truth=TRUTH):
    """c2 of Gaussian intensities with the covariance contrast (S + ``noise`` 1), its diagonal as it comes."""
    data = simulate(model="static", params=truth, phi=[0.0], frames=FRAMES, noise=0.0, contrast=CONTRAST)
    s = MODEL.correlation(truth, data.t, data.q[0])
    root = np.linalg.cholesky(CONTRAST * (s + noise * np.eye(FRAMES)) + 1e-12 * np.eye(FRAMES))
    rng = np.random.default_rng(seed)
    intensity = root @ rng.normal(size=(FRAMES, PIXELS))
    age = np.linspace(-1.0, 1.0, FRAMES)
    return data, 1.0 + intensity @ intensity.T / PIXELS + excess * np.outer(age, age)


def noise_of(noise, corrected=False, truth=TRUTH, missed=0.0, **choices):
    data, c2 = sampled(noise, truth=truth, **choices)
    c2 = c2 + missed
    if corrected:
        np.fill_diagonal(c2, 1.0 + CONTRAST)
    bin = read_bin(type(data)([c2], data.q, data.phi, data.t, data.dt), 0)
    found = examine_residuals(MODEL, truth, bin, CONTRAST, 1.0)
    return frame_noise(found.neighbours, bin, CONTRAST, 1.0)


@pytest.mark.parametrize("noise", [0.05, 0.5, 4.0])
@pytest.mark.parametrize("corrected", [False, True])
def test_noise_of_a_frame_and_scale_are_found_with_and_without_the_diagonal(noise, corrected):
    found = np.mean([noise_of(noise, corrected, seed=seed) for seed in range(3)], axis=0)
    ratio, scale, near = found
    assert 1.0 + ratio == pytest.approx(1.0 + noise, rel=0.05)
    # a diagonal that was corrected is told from one without noise only where that is not small
    assert near == pytest.approx(CONTRAST**2 / PIXELS, rel=0.2 if corrected else 0.1)
    assert scale == pytest.approx(CONTRAST**2 / PIXELS, rel=0.2)


def test_what_varies_slowly_does_not_change_what_neighbours_tell():
    plain, more = noise_of(0.5), noise_of(0.5, excess=0.05)
    assert more.scale_near == pytest.approx(plain.scale_near, rel=0.15)
    assert more.excess > 1.5 * plain.excess


@pytest.mark.parametrize("noise", [0.5, 4.0])
def test_a_fringe_that_is_missed_does_not_pass_for_noise(noise):
    """Two radians from frame to frame: no neighbour in a row is like the next."""
    lag = np.arange(FRAMES) - np.arange(FRAMES)[:, None]
    fringe = 0.1 * np.cos(2.0 * lag) * np.exp(-np.abs(lag) / 40.0)
    plain, missed = noise_of(noise), noise_of(noise, missed=fringe)
    variance = plain.scale_near * (1.0 + plain.ratio) ** 2
    more = np.mean(fringe[np.triu_indices(FRAMES, 1)] ** 2) / variance
    assert more > 0.5
    assert plain.excess == pytest.approx(1.0, abs=0.1)
    assert missed.excess > 1.0 + 0.7 * more


def test_independent_elements_are_told_by_a_noise_of_frames_without_bound():
    data = simulate(model="static", params=TRUTH, phi=[0.0], frames=FRAMES, noise=0.03)
    bin = read_bin(data, 0)
    found = examine_residuals(MODEL, TRUTH, bin, 0.15, 1.0)
    noise = frame_noise(found.neighbours, bin, 0.15, 1.0)
    assert noise.ratio > 20.0
    assert (1.0 + noise.ratio) ** 2 * noise.scale_near == pytest.approx(0.03**2, rel=0.05)


@pytest.mark.parametrize("alpha", [-0.8, 1.5])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_rates_that_change_with_age_do_not_change_the_scale(alpha, noise):
    truth = {
        "D0": 5e3 * 8.0**-alpha,
        "alpha": alpha,
        "D_offset": 0.0,
    }  # the same rate in the middle of the run
    found = np.mean([noise_of(noise, truth=truth, seed=seed) for seed in range(4)], axis=0)
    assert found[2] == pytest.approx(CONTRAST**2 / PIXELS, rel=0.1)
    assert found[0] == pytest.approx(noise, abs=0.05)
