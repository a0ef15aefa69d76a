"""Influence between probe vectors: against the matrices of influence themselves."""

from dataclasses import replace

import numpy as np
import pytest

from heterodyne import create_model, simulate
from heterodyne.bins.reading import read_bins
from heterodyne.evaluators.influence import evened, influence_panels
from heterodyne.evaluators.inverse import inverse
from heterodyne.evaluators.probes import influence_between, tangents_between
from heterodyne.evaluators.quasiseparable import Generators, coloured, products
from heterodyne.evaluators.scores import Linear
from heterodyne.evaluators.whitened import frame_factor, whitened_bin
from tolerances import TWO_WAYS

FRAMES = 150
MODEL = create_model("two-component")
MASK = np.arange(FRAMES) % 13 != 7


def data_of(**own):
    data = simulate(phi=[30.0], frames=FRAMES, noise=0.02, seed=1)
    return replace(data, **own), np.array(list(data.provenance["truth"]["params"].values()))


def linear_of(theta):
    rng = np.random.default_rng(0)
    slopes = rng.normal(size=(3, 1 + len(theta))) * np.concatenate(
        [[1.0], 1.0 / np.maximum(np.abs(theta), 1.0)]
    )
    return Linear(0.15, 1.0, slopes, np.array([0.3, 0.0, 1.0]), 0.02)


def whole(panels, kinds, frames):
    d = np.zeros((kinds, frames, frames))
    for part in panels:
        d[:, :, part.second : part.second + part.scores.shape[2]] = part.scores
    return d


KINDS = {
    "plain": {},
    "masked": {"mask": MASK},
    "lags left out": {},
    "weighted by pair": {"weight": np.add.outer(np.arange(FRAMES), np.arange(FRAMES))[None] + 50.0},
    "weighted by frame": {"weight": np.linspace(0.5, 2.0, FRAMES)[None]},
}


@pytest.fixture(params=[*KINDS, "whitened", "whitened and masked", "whitened and weighted by frame"])
def bin_and_theta(request):
    """A bin and where it is looked at."""
    kind = request.param
    whitening = kind.startswith("whitened")
    own = KINDS[kind.split(" and ")[-1]] if " and " in kind else KINDS.get(kind, {})
    data, theta = data_of(**own)
    bin = read_bins((data,), 2 * (kind == "lags left out"))[0]
    return (whitened_bin(MODEL, 1.02 * theta, bin, 2.5) if whitening else bin), theta


def probes(frames):
    rng = np.random.default_rng(1)
    windows = np.zeros((3, frames, 16))
    for start, window in zip((0, 48, 112), windows, strict=True):
        window[start : start + 16] = np.eye(16)
    return [rng.normal(size=(1, frames, 70)), rng.normal(size=(5, frames, 16)), windows]


def test_influence_between_probes_is_that_of_the_matrices(bin_and_theta):
    bin, theta = bin_and_theta
    linear, x = linear_of(theta), probes(len(bin.t))
    d = whole(evened(bin, influence_panels(MODEL, theta, bin, linear)), 3, len(bin.t))
    for found, one in zip(influence_between(MODEL, theta, bin, linear, x), x, strict=True):
        expected = one.transpose(0, 2, 1) @ (d[:, None] @ one)
        np.testing.assert_allclose(found, expected, atol=TWO_WAYS * np.abs(expected).max())


def test_tangents_between_probes_are_those_of_the_matrices(bin_and_theta):
    bin, theta = bin_and_theta
    linear, x = linear_of(theta), probes(len(bin.t))
    d = whole(influence_panels(MODEL, theta, bin.plain, linear), 3, len(bin.t))
    for found, one in zip(tangents_between(MODEL, theta, bin, linear, x), x, strict=True):
        expected = one.transpose(0, 2, 1) @ (d[:, None] @ one)
        np.testing.assert_allclose(found, expected, atol=TWO_WAYS * np.abs(expected).max())


def test_the_inverse_of_a_factor_is_that_of_the_matrix():
    data, theta = data_of(mask=MASK)
    bin = read_bins((data,))[0]
    factor = frame_factor(MODEL, theta, bin, 1.5)
    lower, k = coloured(factor, np.eye(len(bin.t))), inverse(factor)
    own = [np.diag(np.diag(tile)) for tile in k.near[:, 0]]
    apart = Generators(k.left, k.right, k.over, np.triu(k.near, 1))
    found = products(apart, np.eye(len(bin.t)))[0]
    for n, tile in enumerate(own):
        here = slice(n * len(tile), (n + 1) * len(tile))
        found[here, here] += tile
    np.testing.assert_allclose(found, np.linalg.inv(lower @ lower.T), atol=TWO_WAYS)
