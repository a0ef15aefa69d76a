"""The dense evaluator against sums formed from the whole matrix and its Jacobian."""

import jax
import numpy as np
import pytest

from heterodyne.bins.reading import read_bins
from heterodyne.catalogue import create_model
from heterodyne.data.two_time import TwoTime
from heterodyne.evaluators import dense
from heterodyne.evaluators.sums import pair_sums
from heterodyne.model import correlation_matrix
from heterodyne.simulation.simulate import simulate
from tolerances import ELEMENTARY, NOTHING, TWO_WAYS

MODELS = ("two-component", "static-reference", "no-flow", "equilibrium", "static")


def whole_matrix_sums(model, theta, data, index):
    """The same sums without tiles, blocks or padding."""

    def s(values):
        params = dict(zip(model.parameters, values, strict=True))
        return correlation_matrix(model, params, data.t, data.q[index], data.phi[index])

    x = np.concatenate([np.asarray(s(theta))[None], np.moveaxis(np.asarray(jax.jacfwd(s)(theta)), -1, 0)])
    upper = np.triu(np.outer(data.mask[index], data.mask[index]), 1)
    x, d = x[:, upper], data.c2[index][upper]
    return len(d), d, x


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_dense_sums_equal_sums_over_the_whole_matrix(name):
    mask = np.ones(90, dtype=bool)
    mask[[3, 40, 41, 89]] = False
    data = simulate(model=name, q=[0.008, 0.012], phi=[0.0, 50.0], frames=90, seed=3)
    data = TwoTime(data.c2, data.q, data.phi, data.t, data.dt, mask=mask, provenance=data.provenance)
    model = create_model(name)
    theta = np.array(list(data.provenance["truth"]["params"].values())) * 1.07
    for index, bin in enumerate(read_bins((data,))):
        count, c2, x = whole_matrix_sums(model, theta, data, index)
        d = c2 - bin.moments.reference
        assert bin.moments.pairs == count
        np.testing.assert_allclose(bin.moments.reference, c2.mean(), rtol=ELEMENTARY)
        np.testing.assert_allclose(bin.moments.square, d @ d, rtol=1e-11)
        sums, size = dense.bin_sums(model, theta, bin), np.sqrt(np.diag(x @ x.T))
        np.testing.assert_allclose(sums.total, x.sum(1), rtol=TWO_WAYS, atol=NOTHING)
        np.testing.assert_array_less(np.abs(sums.cross - x @ d), 1e-11 * np.abs(x) @ np.abs(d) + NOTHING)
        np.testing.assert_array_less(np.abs(sums.gram - x @ x.T), 1e-11 * np.outer(size, size) + NOTHING)


@pytest.mark.slow
def test_the_cost_alone_needs_no_jacobian():
    data = simulate(frames=64, seed=1)
    model, bins = create_model("two-component"), read_bins((data,))
    theta = np.array(list(data.provenance["truth"]["params"].values()))
    full, short = pair_sums(model, theta, bins), pair_sums(model, theta, bins, jacobian=False)
    np.testing.assert_allclose(short.model.gram[:, 0, 0], full.model.gram[:, 0, 0], rtol=ELEMENTARY)
    assert short.model.total.shape == (3, 1)


@pytest.mark.slow
def test_masked_frames_may_hold_anything():
    data = simulate(frames=70, seed=2)
    matrices, mask = np.array(data.c2), np.ones(70, dtype=bool)
    mask[[5, 60]] = False
    clean = TwoTime(matrices, data.q, data.phi, data.t, data.dt, mask=mask)
    spoiled = matrices.copy()
    spoiled[:, [5, 60], :] = np.nan
    spoiled[:, :, [5, 60]] = np.nan
    dirty = TwoTime(spoiled, data.q, data.phi, data.t, data.dt, mask=mask)
    model = create_model("two-component")
    theta = np.array(list(data.provenance["truth"]["params"].values()))
    sums, expected = (pair_sums(model, theta, read_bins((data,))) for data in (dirty, clean))
    for ours, theirs in zip((*sums.data, *sums.model), (*expected.data, *expected.model), strict=True):
        np.testing.assert_array_equal(ours, theirs)
