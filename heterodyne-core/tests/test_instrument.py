"""Speckle as an instrument measures it: photons, background, an unsteady beam, drift and noise beyond speckle."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import DataError
from heterodyne.simulation.instrument import cross_talk
from tolerances import LAST_DIGITS, REORDERED

PIXELS, MODES, REPEATS = 400, 2, 120
SAMPLE = {"model": "static", "params": {"D0": 1e4}, "phi": 0.0, "t": 0.4 * np.arange(1, 25)}
"""S falls by 1/e in 2.5 of 24 frames."""

OPTIONS = {
    "none": {},
    "photons": {"counts": 0.3},
    "jitter": {"counts": 1.0, "jitter": 0.3},
    "background": {"counts": 2.0, "background": 0.4},
    "excess": {"counts": 1.0, "excess": 2.0, "excess_time": 1.5},
    "drift": {"drift": 0.1},
    "static": {"static": 0.6},
}


@cache
def repeated(name: str) -> np.ndarray:
    """c2 of many seeds, (repeats, frames, frames)."""
    choices = {**SAMPLE, **OPTIONS[name], "pixels": PIXELS, "modes": MODES}
    return np.array([het.simulate_speckle(**choices, seed=seed).c2[0] for seed in range(REPEATS)])


def correlation() -> np.ndarray:
    return het.create_model("static").correlation(SAMPLE["params"], SAMPLE["t"], 0.01)


def expected(name: str) -> np.ndarray:
    """offset + contrast S off the diagonal, and 1/counts beside them on it, as the options state."""
    options = OPTIONS[name]
    still, rest = options.get("static", 0.0) ** 2, 1.0 - options.get("background", 0.0)
    s = ((np.sqrt(correlation()) + still) / (1.0 + still)) ** 2
    c2 = 1.0 + rest**2 / MODES * s
    if "counts" in options:  # the mean of 1/(g counts), for log-normal g
        c2 += np.eye(len(s)) * (1.0 + options.get("jitter", 0.0) ** 2) / options["counts"]
    ages = np.linspace(0.0, options.get("drift", 0.0), len(s))
    return c2 * np.sqrt(np.multiply.outer(1.0 + ages, 1.0 + ages))


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_the_mean_over_seeds_is_what_is_stated(name):
    c2 = repeated(name)
    error = c2.std(axis=0, ddof=1) / np.sqrt(REPEATS)
    z = (c2.mean(axis=0) - expected(name)) / error
    upper = z[np.triu_indices(len(z))]
    assert np.max(np.abs(upper)) < 5.0
    assert 0.7 < np.sqrt(np.mean(upper**2)) < 1.35


@pytest.mark.slow
@pytest.mark.parametrize("name", ["none", "photons", "background", "excess"])
def test_the_noise_where_s_has_died_out_is_as_stated(name):
    options = OPTIONS[name]
    contrast = (1.0 - options.get("background", 0.0)) ** 2 / MODES
    alone = (contrast + 1.0 / options.get("counts", np.inf)) / np.sqrt(PIXELS)
    far = repeated(name)[:, :8, 16:].std(axis=0, ddof=1)
    assert np.sqrt(np.mean(far**2)) == pytest.approx(options.get("excess", 1.0) * alone, rel=0.1)


@pytest.mark.parametrize(
    ("choices", "values"),
    [
        ({}, [1.2534143979390386, 1.329211908113998, 1.421705444019533]),
        (
            {"model": "no-flow", "seed": 5, "phi": [0.0, 180.0], "friedel": True},
            [1.163153484116062, 1.176826521851659, 1.3250593161398545],
        ),
    ],
)
def test_a_seed_gives_the_speckle_that_it_gave_before_there_were_options(choices, values):
    c2 = het.simulate_speckle(**{"frames": 12, "pixels": 20, "modes": 2, "seed": 3, **choices}).c2
    np.testing.assert_allclose(c2[-1][3, :3], values, rtol=REORDERED)


def test_options_without_effect_change_nothing():
    plain = het.simulate_speckle(frames=12, pixels=20, seed=3)
    stated = het.simulate_speckle(
        frames=12,
        pixels=20,
        seed=3,
        static=0.0,
        background=0.0,
        counts=None,
        jitter=0.0,
        drift=0.0,
        excess=1.0,
    )
    np.testing.assert_array_equal(plain.c2, stated.c2)


def test_many_photons_of_an_unsteady_beam_give_the_correlation_of_a_steady_one():
    choices = {"frames": 12, "pixels": 50, "counts": 1e8}
    steady, unsteady = (het.simulate_speckle(**choices, jitter=jitter) for jitter in (0.0, 0.5))
    np.testing.assert_allclose(steady.c2, unsteady.c2, rtol=2e-3)
    assert not np.array_equal(steady.c2, unsteady.c2)


def test_cross_talk_has_the_covariance_of_noise_of_c2():
    age = 0.25 * np.arange(12)
    rng = np.random.default_rng(1)
    noise = np.array([cross_talk(rng, age, 20) for _ in range(4000)])
    k = np.exp(-np.abs(age[:, None] - age))
    np.testing.assert_allclose(noise, noise.transpose(0, 2, 1), rtol=0, atol=LAST_DIGITS * 10)
    assert np.abs(noise.mean(axis=0)).max() < 0.1
    for i, j, m, n in [(0, 11, 0, 11), (0, 11, 1, 10), (2, 5, 3, 4), (4, 4, 4, 4), (0, 3, 3, 9)]:
        stated = k[i, m] * k[j, n] + k[i, n] * k[j, m]
        assert np.mean(noise[:, i, j] * noise[:, m, n]) == pytest.approx(stated, abs=0.12)


def test_the_truth_states_every_option_and_the_contrast_that_is_left():
    options = {"counts": 2.0, "jitter": 0.03, "drift": 0.01, "background": 0.2, "static": 0.3, "excess": 2.0}
    data = het.simulate_speckle(**SAMPLE, **options, modes=2, pixels=20)
    truth = json.loads(json.dumps(data.provenance["truth"]))
    assert {name: truth[name] for name in options} == options
    assert truth["contrast"] == pytest.approx([0.8**2 / 2], rel=REORDERED)
    assert truth["offset"] == [1.0]


def test_friedel_mates_hold_the_same_photons():
    data = het.simulate_speckle(
        frames=8, pixels=30, phi=[10.0, 190.0, 20.0], friedel=True, counts=1.0, jitter=0.1, excess=2.0
    )
    np.testing.assert_array_equal(data.c2[0], data.c2[1])
    assert not np.any(np.equal(data.c2[0], data.c2[2]))


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"counts": 0.0}, "counts must lie in 1e-09:1e+09, not 0"),
        ({"counts": float("nan")}, "counts must lie in"),
        ({"counts": "many"}, "counts must be a number"),
        ({"counts": 0.001}, "without a photon"),
        ({"jitter": 0.1}, "jitter needs counts"),
        ({"counts": 1.0, "jitter": -0.1}, "jitter must lie in 0:1, not -0.1"),
        ({"drift": 2.0}, "drift must lie in -0.5:0.5, not 2"),
        ({"background": 1.0}, "background must lie in 0:0.99, not 1"),
        ({"static": -1.0}, "static must lie in 0:100, not -1"),
        ({"excess": 0.5}, "excess must lie in 1:100, not 0.5"),
        ({"excess_time": 1.0}, "excess_time needs excess"),
        ({"excess": 2.0, "excess_time": 0.0}, "excess_time must lie in"),
    ],
)
def test_what_no_instrument_does_is_refused_in_one_line(choices, words):
    with pytest.raises(DataError) as caught:
        het.simulate_speckle(**{"frames": 5, "pixels": 5, **choices})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
