"""Diagnostics of chains: equal to ArviZ's."""

from __future__ import annotations

import arviz
import numpy as np
import pytest

from heterodyne_cmc.chains import bfmi, ess_bulk, ess_tail, rhat


def walk(seed):
    """Autoregressive chains of random length and memory, some of them apart from one another or rounded."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(int(rng.integers(2, 6)), int(rng.integers(20, 900))))
    memory = rng.uniform(-0.9, 0.99)
    for k in range(1, x.shape[1]):
        x[:, k] += memory * x[:, k - 1]
    if seed % 3 == 0:
        x += rng.normal(size=(len(x), 1))
    return np.round(x) if seed % 4 == 0 else x


@pytest.mark.parametrize("seed", range(24))
def test_they_are_those_of_arviz(seed):
    x = walk(seed)
    found = rhat(x), ess_bulk(x), ess_tail(x), *bfmi(x)
    expected = (
        arviz.rhat(x),
        arviz.ess(x, method="bulk"),
        arviz.ess(x, method="tail", prob=(0.05, 0.95)),
        *arviz.bfmi(x),
    )
    np.testing.assert_allclose(found, [float(number) for number in expected], rtol=1e-10)


def test_a_number_that_never_moves_and_one_that_is_none():
    still = np.ones((4, 100))
    assert ess_bulk(still) == 400.0
    assert np.isnan(ess_bulk(np.full((4, 100), np.nan)))
    assert np.isnan(rhat(np.full((4, 100), np.nan)))
