"""Shortcuts to the covariance that speckle gives scores: by the weights themselves, by random vectors."""

from dataclasses import replace

import numpy as np
import pytest

from heterodyne import create_model, simulate_speckle
from heterodyne.problem import Choices, create_objective, create_problem
from heterodyne.solution import robust
from heterodyne.solution.frame_noise import FrameNoise

TRUTH = {"D0": 3e3, "alpha": 0.1}


@pytest.fixture(scope="module")
def objective():
    data = simulate_speckle(
        "static", {**TRUTH, "D_offset": 0.0}, phi=[0.0], frames=150, pixels=500, counts=0.2, seed=2
    )
    choices = Choices(fix={"D_offset": 0.0}, start=TRUTH)
    return create_objective(create_problem(data, create_model("static"), choices))


def relative(found, expected):
    """The eigenvalues of one matrix over another."""
    half = np.linalg.inv(np.linalg.cholesky(expected))
    return np.linalg.eigvalsh(half @ found @ half.T)


def modelled(objective, noise, **how):
    u = objective.start
    return robust.modelled_meat(objective, u, np.ones(len(u), dtype=bool), [noise], **how)


def test_where_weights_are_those_of_the_noise_the_covariance_is_the_gauss_newton_matrix(
    objective, monkeypatch
):
    weighted = objective.whitened(objective.start, np.array([5.0]))
    noise = FrameNoise(5.05, 1e-5, 1.1e-5)
    fast = modelled(weighted, noise)
    monkeypatch.setattr(robust, "_SAME_NOISE", -1.0)
    np.testing.assert_allclose(relative(fast, modelled(weighted, noise)), 1.0, atol=0.03)


def test_other_noise_than_that_of_the_weights_is_summed(objective, monkeypatch):
    weighted = objective.whitened(objective.start, np.array([2.0]))
    noise = FrameNoise(0.5, 1e-5, 1.1e-5)
    found = modelled(weighted, noise)
    monkeypatch.setattr(robust, "_SAME_NOISE", -1.0)
    np.testing.assert_array_equal(found, modelled(weighted, noise))


def test_random_vectors_tell_every_direction_alike(objective, monkeypatch):
    noise = FrameNoise(3.0, 1e-5, 1.1e-5)
    expected = modelled(objective, noise)
    monkeypatch.setattr(robust, "_PROBES", 70)
    found = modelled(objective, noise, estimated=True)
    assert not np.array_equal(found, expected)
    np.testing.assert_allclose(relative(found, expected), 1.0, atol=0.35)
    monkeypatch.setattr(robust, "_PROBES", 4000)
    bins = tuple(replace(bin) for bin in objective.bins)
    monkeypatch.setattr(type(bins[0]), "frames", property(lambda bin: 10**6))
    found = modelled(objective, noise, estimated=True)
    np.testing.assert_allclose(relative(found, expected), 1.0, atol=0.06)
