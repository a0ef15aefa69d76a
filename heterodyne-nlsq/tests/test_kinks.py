"""Minima on kinks: fits of a curve that is clipped, as the fraction of a component is."""

import numpy as np
import pytest

from heterodyne.problem.normal_equations import NormalEquations
from heterodyne_nlsq.trust_region.kinks import has_edge, simplex_weights
from heterodyne_nlsq.trust_region.minimise import ON_EDGE, Tolerances, minimise
from heterodyne_nlsq.trust_region.stationarity import Box, Point

T = np.linspace(0.1, 4.0, 40)


def clipped(x):
    return np.minimum(x[0] * np.exp(x[1] * T), 1.0)


def problem(seed):
    """Normal equations of a fit of `clipped` to noisy values, and the cost alone."""
    y = clipped([0.3, 0.5]) + 0.05 * np.random.default_rng(seed).normal(size=len(T))

    def evaluate(x):
        free = x[0] * np.exp(x[1] * T) < 1.0
        r = clipped(x) - y
        j = np.stack([np.exp(x[1] * T), x[0] * T * np.exp(x[1] * T)], axis=1) * free[:, None]
        return NormalEquations(0.5 * float(r @ r), j.T @ r, j.T @ j, len(T))

    return evaluate, lambda x: 0.5 * float(np.sum((clipped(x) - y) ** 2))


def fitted(seed):
    evaluate, cost = problem(seed)
    found = minimise(evaluate, np.array([0.35, 0.4]), Box(np.array([0.0, -5.0]), np.array([1.0, 5.0])))
    return found, cost


@pytest.mark.parametrize("seed", range(30))
def test_fits_of_a_clipped_curve_converge_where_no_direction_leads_down(seed):
    found, cost = fitted(seed)
    assert found.verdict == "converged", found.message
    size, rng = np.sqrt(np.diag(found.equations.gram)), np.random.default_rng(seed)
    for length in (1e-5, 1e-4, 1e-3):
        away = rng.normal(size=(300, 2))
        away *= length / np.linalg.norm(away, axis=1, keepdims=True) / size
        assert min(cost(found.x + one) for one in away) >= found.equations.cost * (1.0 - 1e-9)


def test_minima_on_edges_are_among_them_and_told():
    told = [found for found, _ in map(fitted, range(30)) if found.message == ON_EDGE]
    assert 3 <= len(told) <= 25


def edged(x):
    """A valley with the edge x[1] = 0.1 x[0]² along its floor and the minimum (1, 0.1)."""
    above = x[1] - 0.1 * x[0] ** 2
    residual = np.array([1.0 - x[0], 9.0])
    gradient = np.array([x[0] - 1.0, 0.0]) + (np.sign(above) or 1.0) * np.array([-0.2 * x[0], 1.0])
    return NormalEquations(0.5 * float(residual @ residual) + abs(above), gradient, np.diag([1.0, 0.1]), 2)


def test_an_edge_is_followed_to_the_minimum_on_it():
    box, to_the_end = Box(np.full(2, -10.0), np.full(2, 10.0)), Tolerances(settled=0.0)
    found = minimise(edged, np.array([0.2, 0.5]), box, to_the_end)
    assert found.verdict == "converged"
    assert found.message == ON_EDGE
    np.testing.assert_allclose(found.x, [1.0, 0.1], atol=1e-4)


def test_strong_curvature_is_no_edge_but_a_jump_of_the_slope_is():
    def curved(x):
        return Point(x, NormalEquations(50.0 * float(x @ x) + 1.0, 100.0 * x, np.eye(1), 1))

    def bent(x):
        slope = np.where(x > 0.02, 1.0, -1.0)
        return Point(x, NormalEquations(float(abs(x[0] - 0.02)) + 1.0, slope, np.eye(1), 1))

    ends = np.array([-0.05]), np.array([0.05])
    assert not has_edge(*map(curved, ends), known=False)
    assert has_edge(*map(bent, ends), known=False)
    assert not has_edge(bent(ends[0]), bent(np.array([0.0])), known=True)


def test_weights_on_the_simplex_are_the_best():
    rng = np.random.default_rng(3)
    for _ in range(50):
        rows, values = rng.normal(size=(4, 3)), -rng.exponential(size=4)
        gram = rows @ rows.T

        def value(weights, values=values, gram=gram):
            return weights @ values - 0.5 * weights @ gram @ weights

        found = simplex_weights(values, rows)
        assert found.min() >= 0.0
        assert found.sum() == pytest.approx(1.0)
        others = rng.dirichlet(np.ones(4), size=2000)
        assert value(found) >= max(map(value, others)) - 1e-12
