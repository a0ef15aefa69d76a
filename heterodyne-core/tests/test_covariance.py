"""The sandwich's parts against their definitions, element by element."""

import numpy as np
import pytest

from heterodyne.bins.parts import Part
from heterodyne.bins.reading import read_bins
from heterodyne.catalogue import create_model
from heterodyne.evaluators.scores import Linear, ScorePart, dense_scores, score_parts, separable_scores
from heterodyne.problem.averaging import BinOrders, with_orders
from heterodyne.simulation.simulate import simulate
from heterodyne.solution.covariance import (
    add_scores,
    bandwidth_of,
    bartlett,
    correlation_time,
    grain_of,
    no_scores,
    quantile,
)
from tolerances import REORDERED, SOLVED

N, P = 40, 3


def kernel(bandwidth, n=N):
    return np.maximum(0.0, 1.0 - np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / bandwidth)


def summed_scores(parts, frames, grain):
    """The sums of these scores."""
    total = no_scores(len(parts[0].scores), frames, grain)
    for part in parts:
        add_scores(total, part)
    return total


def random_scores(seed=0):
    """Symmetric scores (P, N, N) with an empty diagonal, and their upper triangle in parts."""
    s = np.random.default_rng(seed).normal(size=(P, N, N))
    s = np.triu(s, 1)
    parts = [ScorePart(first, 0, s[:, first : first + 16]) for first in range(0, N, 16)]
    return s + s.transpose(0, 2, 1), parts


@pytest.mark.parametrize("bandwidth", [1, 2, 7, 40])
def test_bartlett_is_a_product_with_the_kernel(bandwidth):
    x = np.random.default_rng(0).normal(size=(P, N))
    np.testing.assert_allclose(bartlett(x, bandwidth), x @ kernel(bandwidth), atol=REORDERED)


@pytest.mark.parametrize("bandwidth", [1, 3, 8])
def test_the_meat_is_the_double_sum_less_what_it_counts_twice(bandwidth):
    s, parts = random_scores()
    sums = summed_scores(parts, N, 1)
    np.testing.assert_allclose(sums.frames, s.sum(axis=2), atol=REORDERED)
    k, near = kernel(bandwidth), kernel(2 * bandwidth - 1)
    frames, far = (s * (1.0 - 0.5 * near)).sum(axis=2), s * (1.0 - near)
    a = frames @ k @ frames.T
    b = 0.5 * np.einsum("pij,qkl,ik,jl->pq", far, far, k, k, optimize=True)
    np.testing.assert_allclose(sums.meat(bandwidth), (a - b) / (1 - bandwidth / N), rtol=SOLVED)


def test_scores_of_frames_close_together_count_once():
    s = np.diag(np.ones(N - 1), 1)
    sums = summed_scores([ScorePart(0, 0, s[None])], N, 1)
    once = kernel(12)[1:, 1:].sum()
    assert sums.meat(12)[0, 0] * (1 - 12 / N) == pytest.approx(once, rel=0.15)


def test_with_a_bandwidth_of_one_pairs_that_share_a_frame_count_once():
    s, parts = random_scores(1)
    pairs = [(i, j) for i in range(N) for j in range(i + 1, N)]
    total = np.zeros((P, P))
    for i, j in pairs:
        sharing = sum(s[:, k, m] for k, m in pairs if {i, j} & {k, m})
        total += np.outer(s[:, i, j], sharing)
    found = summed_scores(parts, N, 1).meat(1) * (1 - 1 / N)
    np.testing.assert_allclose(found, 0.5 * (total + total.T), rtol=SOLVED)


def test_scores_on_squares_are_sums_over_squares():
    s, parts = random_scores(2)
    padded = np.zeros((P, 42, 42))
    padded[:, :N, :N] = s
    squares = summed_scores(parts, N, 6).squares
    np.testing.assert_allclose(squares, padded.reshape(P, 7, 6, 7, 6).sum(axis=(2, 4)), atol=REORDERED)


def test_squares_change_the_meat_of_a_long_series_little():
    rng = np.random.default_rng(5)
    s = np.triu(rng.normal(size=(2, 400, 400)), 1)
    parts = [ScorePart(0, 0, s)]
    fine, coarse = (summed_scores(parts, 400, grain).meat(30) for grain in (1, 3))
    np.testing.assert_allclose(np.diag(coarse), np.diag(fine), rtol=0.03)
    assert grain_of(300) == 1
    assert grain_of(16384) == 43


@pytest.mark.parametrize("time", [1.0, 4.0, 10.0])
def test_the_correlation_time_of_an_autoregression(time):
    rho = (time - 1.0) / (time + 1.0)
    rng = np.random.default_rng(4)
    x = np.zeros((3, 20000))
    noise = rng.normal(size=x.shape)
    for i in range(1, x.shape[1]):
        x[:, i] = rho * x[:, i - 1] + noise[:, i]
    assert correlation_time(x) == pytest.approx(time, rel=0.1)
    assert bandwidth_of([x], 1) == pytest.approx(4.0 * time, rel=0.15)
    assert bandwidth_of([x[:, :100]], 90) == 20


def test_scores_that_are_all_zero_have_no_memory():
    assert correlation_time(np.zeros((2, 50))) == 1.0


def test_the_quantile_is_students():
    assert quantile(9.0) == pytest.approx(2.2621571628)
    assert quantile(1e9) == pytest.approx(1.9599639845)


def test_scores_are_residual_times_derivative():
    data = simulate(model="static", params={"D0": 3e3, "alpha": 0.1, "D_offset": 0.0}, phi=[0.0], frames=50)
    one, model = read_bins((data,))[0], create_model("static")
    theta = np.array([2.5e3, 0.2, 10.0])
    slopes = np.array([[0.3, 2.0, 0.0, 0.0], [-0.1, 0.0, 0.5, 1e-4]])
    linear = Linear(0.14, 1.01, slopes, np.array([0.02, -0.03]), 0.05)
    found = np.concatenate([part.scores for part in score_parts(model, theta, one, linear)], axis=1)
    s = model.correlation(dict(zip(model.parameters, theta, strict=True)), data.t, data.q[0])
    steps = 1e-4 * theta
    ds = [
        (
            model.correlation(dict(zip(model.parameters, theta + step, strict=True)), data.t, data.q[0])
            - model.correlation(dict(zip(model.parameters, theta - step, strict=True)), data.t, data.q[0])
        )
        / (2.0 * step.sum())
        for step in np.diag(steps)
    ]
    derivative = np.tensordot(slopes, np.array([s, *ds]), axes=1) + linear.shift[:, None, None]
    expected = np.triu(derivative * (data.c2[0] - 1.01 - 0.14 * s) / 0.05**2, 1)
    np.testing.assert_allclose(found[:, :50, :50], expected, atol=1e-4 * np.abs(expected).max())
    assert not found[:, :, 50:].any()


@pytest.mark.slow
@pytest.mark.parametrize("orders", [(1, 1), (2, 3)])
@pytest.mark.parametrize("name", ["two-component", "static-reference", "static"])
def test_scores_by_components_are_those_by_automatic_differentiation(name, orders):
    model = create_model(name)
    data = simulate(model=name, phi=[30.0], frames=70, noise=0.05, dq=2e-3, dphi=20.0)
    one, rng = with_orders(read_bins((data,))[0], BinOrders(*orders)), np.random.default_rng(0)
    theta = np.array([row.start for row in model.parameters.values()])
    linear = Linear(0.14, 1.01, rng.normal(size=(4, 1 + len(theta))), rng.normal(size=4), 0.05)
    weights = np.triu(rng.uniform(0.5, 1.5, size=(40, 50)), 5)
    at = (model, theta, one.t, one.nodes, linear, Part(5, 10, data.c2[0, 5:45, 10:60], weights))
    exact = np.asarray(dense_scores(*at))
    np.testing.assert_allclose(separable_scores(*at), exact, atol=1e-11 * np.abs(exact).max())
