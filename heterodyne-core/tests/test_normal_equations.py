"""Normal equations and eliminated scaling against plain linear algebra on all residuals."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from heterodyne.bins.bin import Moments
from heterodyne.errors import ConfigError
from heterodyne.evaluators.pair_sums import PairSums, Sums
from heterodyne.problem.choices import Choices
from heterodyne.problem.normal_equations import normal_equations
from heterodyne.problem.scaling import scaling_design
from tolerances import REORDERED, SOLVED, TWO_WAYS

Q = np.array([0.01, 0.01, 0.01, 0.02, 0.02, 0.02])
PHI = np.array([0.0, 40.0, 80.0, 0.0, 40.0, 80.0])
PAIRS, P = 400, 3
DESIGNS = ("individual", "shared", "fourier:1", 0.3)


def random_sums(seed=0, offset=1.0):
    """Per bin: X = (S, ∂S) and data near contrast 0.3, with their sums."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(len(Q), 1 + P, PAIRS)) + 1.0
    d = offset + 0.3 * x[:, 0] + 0.05 * rng.normal(size=(len(Q), PAIRS))
    reference = d.mean(axis=1)
    shifted = d - reference[:, None]
    data = Moments(np.full(len(Q), float(PAIRS)), reference, shifted.sum(1), (shifted**2).sum(1))
    model = Sums(np.einsum("bkn,bn->bk", x, shifted), x.sum(2), np.einsum("bkn,bln->bkl", x, x))
    return x, d, PairSums(data, data.pairs, model)


def brute_force(x, d, contrast, offset, sigma):
    """Cost, gradient and Gram matrix from residuals and an explicit projection."""
    bins = len(Q)
    m = contrast.matrix.shape[1]
    rows = [
        np.hstack([x[b, 0][:, None] * contrast.matrix[b], np.ones((PAIRS, 1)) * offset.matrix[b]]) / sigma[b]
        for b in range(bins)
    ]
    z = np.vstack(rows)
    fixed = np.concatenate([(contrast.fixed[b] * x[b, 0] + offset.fixed[b]) / sigma[b] for b in range(bins)])
    target = np.concatenate([d[b] / sigma[b] for b in range(bins)]) - fixed
    weights = np.linalg.lstsq(z, target, rcond=None)[0] if z.shape[1] else np.zeros(0)
    residual = target - z @ weights
    scale = contrast.matrix @ weights[:m] + contrast.fixed
    jacobian = np.vstack([scale[b] * x[b, 1:].T / sigma[b] for b in range(bins)])
    gradient = -jacobian.T @ residual
    if z.shape[1]:
        jacobian = jacobian - z @ np.linalg.lstsq(z, jacobian, rcond=None)[0]
    return 0.5 * residual @ residual, gradient, jacobian.T @ jacobian, scale


@pytest.mark.parametrize("contrast", DESIGNS)
@pytest.mark.parametrize("offset", ["individual", "shared", "fourier:1", 1.0])
def test_normal_equations_equal_those_of_all_residuals(contrast, offset):
    x, d, sums = random_sums()
    designs = (scaling_design("contrast", contrast, Q, PHI), scaling_design("offset", offset, Q, PHI))
    sigma = np.linspace(0.5, 2.0, len(Q))
    equations, solved = normal_equations(sums, np.eye(P), *designs, sigma)
    cost, gradient, gram, scale = brute_force(x, d, *designs, sigma)
    assert equations.cost == pytest.approx(cost, rel=SOLVED)
    np.testing.assert_allclose(equations.gradient, gradient, rtol=1e-7, atol=1e-8 * np.abs(gradient).max())
    np.testing.assert_allclose(equations.gram, gram, rtol=SOLVED, atol=SOLVED * np.abs(gram).max())
    np.testing.assert_allclose(solved.contrast, scale, rtol=SOLVED)
    assert equations.n_pairs == PAIRS * len(Q)


def test_coordinates_enter_through_their_jacobian():
    _, _, sums = random_sums()
    designs = (
        scaling_design("contrast", "individual", Q, PHI),
        scaling_design("offset", "individual", Q, PHI),
    )
    columns = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    plain, _ = normal_equations(sums, np.eye(P), *designs, np.ones(len(Q)))
    moved, _ = normal_equations(sums, columns, *designs, np.ones(len(Q)))
    np.testing.assert_allclose(moved.gradient, columns.T @ plain.gradient, rtol=REORDERED)
    np.testing.assert_allclose(moved.gram, columns.T @ plain.gram @ columns, rtol=TWO_WAYS)


def test_offset_outside_its_bounds_is_clamped_and_the_contrast_solved_again():
    x, d, sums = random_sums(offset=1.7)
    designs = (
        scaling_design("contrast", "individual", Q, PHI),
        scaling_design("offset", "individual", Q, PHI),
    )
    equations, solved = normal_equations(sums, np.eye(P), *designs, np.ones(len(Q)))
    np.testing.assert_allclose(solved.offset, 1.5)
    cost = 0.0
    for b in range(len(Q)):
        z = np.stack([x[b, 0], np.ones(PAIRS)], axis=1)
        answer = lsq_linear(z, d[b], ([0.0, 0.5], [1.0, 1.5]), method="bvls", tol=1e-14)
        np.testing.assert_allclose(solved.contrast[b], answer.x[0], rtol=1e-8)
        cost += answer.cost
    assert equations.cost == pytest.approx(cost, rel=SOLVED)


def test_a_constant_correlation_merges_contrast_and_offset_without_failing():
    _, _, sums = random_sums()
    data, _, model = sums
    total = np.concatenate([data.pairs[:, None], model.total[:, 1:]], axis=1)
    cross = np.concatenate([data.total[:, None], model.cross[:, 1:]], axis=1)
    gram = model.gram.copy()
    gram[:, 0, 0] = data.pairs
    gram[:, 0, 1:] = gram[:, 1:, 0] = model.total[:, 1:]
    constant = PairSums(data, data.pairs, Sums(cross, total, gram))
    designs = (
        scaling_design("contrast", "individual", Q, PHI),
        scaling_design("offset", "individual", Q, PHI),
    )
    equations, solved = normal_equations(constant, np.eye(P), *designs, np.ones(len(Q)))
    np.testing.assert_allclose(solved.contrast + solved.offset, data.reference, rtol=SOLVED)
    assert np.isfinite(equations.cost)


@pytest.mark.parametrize("choice", ["each", "fourier", "fourier:x", 1.2, None, True])
def test_designs_that_do_not_exist_are_refused(choice):
    with pytest.raises(ConfigError, match=r"^contrast "):
        Choices(contrast=choice)


def test_harmonics_that_the_azimuths_cannot_tell_are_refused():
    with pytest.raises(ConfigError, match="contrast fourier:2 needs 5 azimuths per q, ring 1 has fewer"):
        scaling_design("contrast", "fourier:2", Q, PHI)
