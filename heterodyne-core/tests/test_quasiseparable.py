"""The algebra of S + κ 1 between frames against dense matrices, masked frames and models that are not separable too."""

from dataclasses import replace

import numpy as np
import pytest

from heterodyne import create_model, simulate
from heterodyne.bins import scratch
from heterodyne.bins.reading import read_bin
from heterodyne.bins.streaming import stream_bin
from heterodyne.errors import DataError
from heterodyne.evaluators import whitened as whitened_module
from heterodyne.evaluators.influence import influence_panels, score_covariance, scores_of_panels
from heterodyne.evaluators.quasiseparable import (
    coloured,
    coloured_back,
    combined,
    factorised,
    generators,
    log_determinant,
    products,
    solved,
    whitened,
    whitened_back,
)
from heterodyne.evaluators.scores import Linear
from heterodyne.evaluators.sums import bin_sums
from heterodyne.evaluators.tangent import tangent_between
from heterodyne.evaluators.whitened import can_be_whitened, dense_sums, frame_factor, whitened_bin
from heterodyne.problem.averaging import BinOrders, with_orders
from tolerances import TWO_WAYS

MODEL = create_model("two-component")
THETA = np.array(list(MODEL.parameters.complete(MODEL.example).values()))
ELSEWHERE = THETA * (1.0 + 0.02 * np.cos(np.arange(len(THETA))))
NOISE = 0.7
UNSEPARABLE = replace(MODEL, name="unseparable", components=None)


def a_bin(masked=True, frames=150, **choices):
    data = simulate(frames=frames, noise=0.02, dphi=4.0, **choices)
    used = np.ones((3, frames), dtype=bool)
    used[:, 40:45] = not masked
    return read_bin(replace(data, mask=used), 1)


def dense(model, theta, bin):
    """X = (S, ∂S) between used frames, with S whole and ∂S of zero diagonal."""
    x = np.asarray(tangent_between(model, theta, bin.t, bin.q, bin.phi, np.arange(len(bin.t))))
    return x * np.outer(bin.weight, bin.weight)


def covariance(model, theta, bin, noise=NOISE):
    return dense(model, theta, bin)[0] + noise * np.eye(len(bin.t))


def hollow(x):
    x = x.copy()
    x[..., np.arange(x.shape[-1]), np.arange(x.shape[-1])] = 0.0
    return x


@pytest.mark.parametrize("model", [MODEL, UNSEPARABLE], ids=lambda model: model.name)
def test_products_solves_and_determinant_are_those_of_dense_matrices(model):
    bin = a_bin()
    x = np.random.default_rng(0).normal(size=(len(bin.t), 3))
    of = generators(model, THETA, bin.t, bin.nodes, np.sqrt(bin.weight), jacobian=True)
    every = hollow(dense(model, THETA, bin))
    for found, expected in zip(products(of, x), every @ x, strict=True):
        np.testing.assert_allclose(found, expected, atol=TWO_WAYS * np.abs(expected).max())
    factor, c = factorised(of, bin.weight + NOISE), covariance(model, THETA, bin)
    np.testing.assert_allclose(solved(factor, x), np.linalg.solve(c, x), atol=TWO_WAYS)
    np.testing.assert_allclose(coloured(factor, coloured_back(factor, x)), c @ x, atol=1e-10)
    np.testing.assert_allclose(whitened(factor, coloured(factor, x)), x, atol=TWO_WAYS)
    np.testing.assert_allclose(coloured_back(factor, whitened_back(factor, x)), x, atol=TWO_WAYS)
    assert log_determinant(factor) == pytest.approx(np.linalg.slogdet(c)[1], rel=TWO_WAYS)


def test_combinations_are_those_of_dense_matrices():
    bin, rng = a_bin(), np.random.default_rng(1)
    slopes, x = rng.normal(size=(4, 1 + len(THETA))), rng.normal(size=(len(bin.t), 2))
    of = combined(generators(MODEL, THETA, bin.t, bin.nodes, np.sqrt(bin.weight), jacobian=True), slopes)
    expected = np.tensordot(slopes, hollow(dense(MODEL, THETA, bin)), axes=1) @ x
    np.testing.assert_allclose(products(of, x)[1:], expected, atol=TWO_WAYS * np.abs(expected).max())


@pytest.mark.parametrize("noise", [0.3, 2.0])
@pytest.mark.parametrize("orders", [BinOrders(), BinOrders(1, 3)], ids=str)
def test_weighted_sums_are_traces_of_dense_matrices(noise, orders):
    bin = whitened_bin(MODEL, ELSEWHERE, a_bin(), noise)
    bin = with_orders(bin, orders)
    fast, slow = bin_sums(MODEL, THETA, bin), dense_sums(MODEL, THETA, bin)
    for found, expected in zip(fast, slow, strict=True):
        np.testing.assert_allclose(found, expected, atol=TWO_WAYS * np.abs(expected).max())
    alone = bin_sums(MODEL, THETA, bin, jacobian=False)
    for found, expected in zip(alone, fast, strict=True):
        np.testing.assert_allclose(found.ravel()[0], expected.ravel()[0], rtol=TWO_WAYS)


def test_moments_of_weighted_data_are_traces_of_dense_matrices():
    plain = a_bin()
    bin = whitened_bin(MODEL, ELSEWHERE, plain, NOISE)
    w = np.linalg.inv(covariance(MODEL, ELSEWHERE, plain))
    ones, d = hollow(np.outer(plain.weight, plain.weight)), plain.d

    def product(a, b):
        return 0.5 * np.trace(w @ a @ w @ b)

    assert bin.summed.pairs == pytest.approx(product(ones, ones), rel=TWO_WAYS)
    assert bin.summed.total == pytest.approx(product(ones, d), rel=1e-9)
    assert bin.summed.square == pytest.approx(product(d, d), rel=TWO_WAYS)
    assert bin.moments == plain.moments
    assert bin.plain.values is plain.values


def test_weighted_tiles_are_the_matrix_in_memory(monkeypatch):
    monkeypatch.setattr(whitened_module, "_PANEL", 64)  # several panels
    data = simulate(frames=150, phi=[30.0], noise=0.02, seed=3)
    data = replace(data, mask=np.arange(150) % 11 != 5)
    memory, tiles = (
        whitened_bin(MODEL, ELSEWHERE, bin, NOISE)
        for bin in (read_bin(data, 0), stream_bin(data, 0, 0, 1e6, 64))
    )
    assert not tiles.values.in_memory
    np.testing.assert_allclose(
        tiles.summed, memory.summed, rtol=TWO_WAYS, atol=TWO_WAYS * memory.summed.square
    )
    for jacobian in (True, False):
        for found, expected in zip(
            bin_sums(MODEL, THETA, tiles, jacobian), bin_sums(MODEL, THETA, memory, jacobian), strict=True
        ):
            np.testing.assert_allclose(found, expected, atol=TWO_WAYS * np.abs(expected).max())
    linear = Linear(0.15, 1.0, 0.15 * np.eye(len(THETA) + 1)[1:], np.zeros(len(THETA)), 0.02)
    scores = [
        np.concatenate([of(part).scores for part in influence_panels(MODEL, THETA, bin, linear)], axis=2)
        for bin in (tiles, memory)
        for of in [scores_of_panels(MODEL, THETA, bin, linear)]
    ]
    np.testing.assert_allclose(*scores, atol=TWO_WAYS * np.abs(scores[1]).max())


def test_tiles_are_not_weighted_where_the_disk_has_no_room(monkeypatch):
    tiles = stream_bin(simulate(frames=150, phi=[30.0], seed=3), 0, 0, 1e6, 64)
    with monkeypatch.context() as patched:
        patched.setattr(whitened_module, "has_room_for", lambda size: False)
        assert not can_be_whitened(tiles)
    assert can_be_whitened(tiles)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch.os, "posix_fallocate", full, raising=False)
    with pytest.raises(DataError, match=r"no room for .* GiB of weighted data \(No space left.*TMPDIR"):
        whitened_bin(MODEL, ELSEWHERE, tiles, NOISE)


def test_of_a_model_that_is_not_separable_the_weighted_sums_are_the_same():
    plain = a_bin()
    bins = [whitened_bin(model, ELSEWHERE, plain, NOISE) for model in (MODEL, UNSEPARABLE)]
    fast, slow = (bin_sums(model, THETA, bin) for model, bin in zip((MODEL, UNSEPARABLE), bins, strict=True))
    for found, expected in zip(fast, slow, strict=True):
        np.testing.assert_allclose(found, expected, atol=TWO_WAYS * np.abs(expected).max())


def test_bins_with_single_pairs_left_out_are_not_weighted_by_frames():
    data = simulate(frames=30)
    bin = read_bin(data, 0, skip_lags=1)
    assert not can_be_whitened(bin)
    with pytest.raises(ValueError, match="pairs that are left out"):
        whitened_bin(MODEL, THETA, bin, 1.0)


@pytest.mark.parametrize("is_whitened", [False, True])
def test_the_covariance_of_scores_is_a_trace_of_dense_matrices(is_whitened):
    plain, rng = a_bin(), np.random.default_rng(2)
    bin = whitened_bin(MODEL, ELSEWHERE, plain, 2.0) if is_whitened else plain
    linear = Linear(0.15, 1.0, rng.normal(size=(3, 1 + len(THETA))), rng.normal(size=3), 0.02)
    d = np.tensordot(linear.slopes, dense(MODEL, THETA, plain), axes=1)
    d = hollow(d + linear.shift[:, None, None] * np.outer(plain.weight, plain.weight)) / linear.sigma**2
    if is_whitened:
        w = np.linalg.inv(covariance(MODEL, ELSEWHERE, plain, 2.0))
        d = hollow(w @ d @ w)
    panels = list(influence_panels(MODEL, THETA, bin, linear))
    np.testing.assert_allclose(
        panels[-1].scores, d[:, :, : panels[-1].scores.shape[2]], atol=1e-8 * np.abs(d).max()
    )
    dc = d @ covariance(MODEL, THETA, plain)
    expected = 0.5 * np.einsum("aij,bji->ab", dc, dc)
    factor = frame_factor(MODEL, THETA, plain, NOISE)
    found = score_covariance([influence_panels(MODEL, THETA, bin, linear)], factor)
    np.testing.assert_allclose(found, expected, atol=TWO_WAYS * np.abs(expected).max())
