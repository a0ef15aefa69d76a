"""Noise beyond speckle: how much, whether it differs between directions, and never less than the model's."""

from __future__ import annotations

import numpy as np
import pytest

from heterodyne.solution.robust import Meat
from heterodyne.solution.standard_errors import excess_noise

SIZE, DOF = 8, 24
MODEL = np.diag(10.0 ** np.arange(-4.0, 4.0)) @ (np.eye(SIZE) + 0.3) @ np.diag(10.0 ** np.arange(-4.0, 4.0))


def meat_of(spread, seed):
    """M of ``DOF`` draws whose variance is ``spread`` (q,) times that of the model, by direction."""
    root = np.linalg.cholesky(MODEL)
    draws = root @ np.diag(np.sqrt(spread)) @ np.random.default_rng(seed).normal(size=(SIZE, DOF))
    return Meat(draws @ draws.T / DOF, bandwidth=9, dof=float(DOF), shared=None, model=MODEL)


def relative(matrix):
    """The eigenvalues of a matrix over those of the model."""
    inverse = np.linalg.inv(np.linalg.cholesky(MODEL))
    return np.linalg.eigvalsh(inverse @ matrix @ inverse.T)


def found(spread, seed):
    meat = meat_of(spread, seed)
    excess = excess_noise(meat, np.eye(SIZE))
    return excess, excess.joined(meat)


def test_noise_of_the_model_stays_what_it_is():
    for seed in range(20):
        excess, joined = found(np.full(SIZE, 0.5), seed)
        assert excess.ratio < 1.0
        assert joined is MODEL


def test_excess_that_is_the_same_everywhere_is_a_factor():
    every = [found(np.full(SIZE, 3.0), seed) for seed in range(40)]
    assert np.mean([excess.ratio for excess, _ in every]) == pytest.approx(3.0, rel=0.05)
    assert np.mean([excess.own for excess, _ in every]) < 0.15
    for excess, joined in every:
        assert excess.dof > 2.0 * DOF or excess.own > 0.0
        np.testing.assert_allclose(relative(joined).mean(), excess.ratio, rtol=0.1)


def test_excess_in_one_direction_is_in_that_direction():
    spread = np.r_[40.0, np.ones(SIZE - 1)]
    ends = np.array([relative(found(spread, seed)[1])[[0, -1]] for seed in range(40)])
    assert np.median(ends[:, 1]) > 25.0  # a factor alone would be 6
    assert np.median(ends[:, 0]) < 2.5


def test_no_direction_has_less_than_the_model():
    for seed in range(40):
        _, joined = found(np.r_[40.0, np.full(SIZE - 1, 0.2)], seed)
        assert relative(joined)[0] > 1.0 - 1e-6


def test_a_direction_in_which_nothing_varies_is_left_out():
    flat = np.zeros((SIZE + 1, SIZE + 1))
    flat[:SIZE, :SIZE] = MODEL
    meat = Meat(4.0 * flat, bandwidth=9, dof=float(DOF), shared=None, model=flat)
    assert excess_noise(meat, np.eye(SIZE + 1)).ratio == pytest.approx(4.0)
    assert excess_noise(meat, np.zeros((SIZE + 1, 0))).ratio == 1.0
