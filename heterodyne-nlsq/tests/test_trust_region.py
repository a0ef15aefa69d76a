"""The trust region on problems whose answers are known."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from heterodyne.problem.normal_equations import NormalEquations
from heterodyne_nlsq.trust_region.bounded_step import Region, bounded_step
from heterodyne_nlsq.trust_region.minimise import SETTLED, Tolerances, minimise
from heterodyne_nlsq.trust_region.stationarity import Box
from tolerances import SOLVED

WIDE = 1e6


def wide(p):
    """Bounds that no step comes near to."""
    return Box(np.full(p, -WIDE), np.full(p, WIDE))


def of_residuals(residuals, jacobian):
    """Normal equations of an ordinary residual function."""

    def evaluate(x):
        r, j = residuals(x), jacobian(x)
        return NormalEquations(0.5 * float(r @ r), j.T @ r, j.T @ j, len(r))

    return evaluate


def rosenbrock(x):
    return np.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


def rosenbrock_jacobian(x):
    return np.array([[-20.0 * x[0], 10.0], [-1.0, 0.0]])


T = np.linspace(0.1, 4.0, 60)
DECAY = 3.0 * np.exp(-1.3 * T) + 0.5 + 0.02 * np.random.default_rng(4).normal(size=60)


def decay(x):
    return x[0] * np.exp(-x[1] * T) + x[2] - DECAY


def decay_jacobian(x):
    e = np.exp(-x[1] * T)
    return np.stack([e, -x[0] * T * e, np.ones_like(T)], axis=1)


@pytest.mark.parametrize(
    ("residuals", "jacobian", "start", "low", "high"),
    [
        (rosenbrock, rosenbrock_jacobian, [-1.2, 1.0], [-WIDE] * 2, [WIDE] * 2),
        (rosenbrock, rosenbrock_jacobian, [-1.2, 0.3], [-WIDE] * 2, [0.8, WIDE]),
        (decay, decay_jacobian, [1.0, 0.3, 0.0], [0.0] * 3, [WIDE] * 3),
        (decay, decay_jacobian, [1.0, 0.3, 0.9], [0.0, 0.0, 0.6], [WIDE] * 3),
        (decay, decay_jacobian, [1.0, 0.3, 0.7], [0.0, 0.0, 0.6], [2.0, WIDE, WIDE]),
    ],
)
def test_agrees_with_scipy_inside_and_at_bounds(residuals, jacobian, start, low, high):
    tight = Tolerances(gtol=1e-10)
    box = Box(np.array(low), np.array(high))
    ours = minimise(of_residuals(residuals, jacobian), np.array(start), box, tight)
    theirs = least_squares(residuals, start, jacobian, (low, high), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-6, atol=1e-6)
    assert ours.equations.cost <= theirs.cost * (1 + 1e-9) + 1e-20


def test_an_active_bound_is_no_failure_and_is_told():
    found = minimise(
        of_residuals(decay, decay_jacobian),
        np.array([1.0, 0.3, 0.7]),
        Box(np.array([0, 0, 0.6]), np.full(3, WIDE)),
    )
    assert found.verdict == "converged"
    np.testing.assert_array_equal(found.active, [0, 0, -1])
    assert found.x[2] == 0.6


def test_steps_never_leave_the_bounds():
    seen = []
    evaluate = of_residuals(rosenbrock, rosenbrock_jacobian)

    def watched(x):
        seen.append(x.copy())
        return evaluate(x)

    low, high = np.array([-1.5, 0.0]), np.array([0.9, 0.7])
    minimise(watched, np.array([-1.2, 0.5]), Box(low, high))
    assert np.all(np.array(seen) >= low)
    assert np.all(np.array(seen) <= high)


def test_a_rank_deficient_problem_takes_finite_steps_and_converges():
    def residuals(x):
        return (x[0] + x[1]) * T - 3.0 * T + 0.1 * np.sin(20 * T)

    def jacobian(x):
        return np.stack([T, T], axis=1)

    found = minimise(of_residuals(residuals, jacobian), np.array([10.0, -20.0]), wide(2))
    assert found.verdict == "converged"
    assert np.all(np.abs(found.x) < 100)


def test_verdicts_tell_what_happened():
    evaluate = of_residuals(rosenbrock, rosenbrock_jacobian)
    start = np.array([-1.2, 1.0])
    assert minimise(evaluate, start, wide(2), Tolerances(max_iterations=2)).verdict == "max iterations"
    noisy = of_residuals(decay, decay_jacobian)
    impossible = Tolerances(gtol=0.0)
    assert minimise(noisy, np.ones(3), wide(3), impossible).verdict == "stalled"
    nothing = minimise(lambda x: NormalEquations(np.nan, x, np.eye(3), 1), np.ones(3), wide(3))
    assert nothing.verdict == "failed"


def test_a_fit_that_creeps_has_converged_where_nothing_is_to_be_gained():
    def creeping(x):
        return NormalEquations(0.5 * (1e4 + float(x @ x)), x, np.array([[20.0]]), 10_000)

    box, to_the_end = Box(np.full(1, -100.0), np.full(1, 100.0)), Tolerances(settled=0.0)
    found = minimise(creeping, np.array([30.0]), box)
    assert found.verdict == "converged"
    assert found.message == SETTLED.format(1e-3)
    assert found.iterations > 100
    assert abs(found.x[0]) < 0.03
    assert minimise(creeping, np.array([30.0]), box, to_the_end).verdict == "max iterations"
    free = Box(np.full(1, -np.inf), np.full(1, np.inf))
    assert (
        minimise(creeping, np.array([30.0]), free).verdict == "max iterations"
    )  # on its way, far from where it was


def test_a_trial_that_is_not_finite_is_refused_and_the_region_shrinks():
    def evaluate(x):
        cost = (x[0] - 1.0) ** 2 if x[0] < 2.0 else np.nan
        return NormalEquations(cost, 2.0 * (x - 1.0), np.array([[0.1]]), 1)

    found = minimise(evaluate, np.array([0.0]), wide(1))
    assert found.x[0] == pytest.approx(1.0, abs=1e-4)


def test_the_step_is_newtons_inside_the_ball_and_reaches_the_sphere_outside():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 4))
    gram, gradient, scale = root.T @ root, rng.normal(size=4), np.array([1.0, 2.0, 0.5, 1.0])
    newton = -np.linalg.solve(gram, gradient)
    box = wide(4)
    np.testing.assert_allclose(bounded_step(gradient, gram, Region(scale, np.inf, *box)), newton, rtol=SOLVED)
    length = np.linalg.norm(scale * newton)
    short = bounded_step(gradient, gram, Region(scale, 0.3 * length, *box))
    assert np.linalg.norm(scale * short) == pytest.approx(0.3 * length, rel=2e-3)
    multiplier = -(gradient + gram @ short) / (scale**2 * short)
    np.testing.assert_allclose(multiplier, multiplier[0], rtol=1e-6)


def test_the_step_within_bounds_is_the_minimum_over_the_box():
    rng = np.random.default_rng(1)
    for _ in range(200):
        root = rng.normal(size=(5, 5)) * 10.0 ** rng.uniform(-2, 2, size=5)
        gram, gradient = root.T @ root, rng.normal(size=5) * 10.0 ** rng.uniform(-2, 2, size=5)
        low, high = -rng.exponential(size=5), rng.exponential(size=5)
        low[0] = 0.0
        step = bounded_step(gradient, gram, Region(np.sqrt(np.diag(gram)), np.inf, low, high))
        assert np.all(step >= low)
        assert np.all(step <= high)
        slope = gradient + gram @ step
        inside = (step > low) & (step < high)
        size = np.sqrt(np.diag(gram)) * np.sqrt(np.abs(gradient @ step)) + 1e-12
        assert np.all(np.abs(slope[inside]) < 1e-3 * size[inside])
        assert np.all(slope[step == low] > -1e-3 * size[step == low])
        assert np.all(slope[step == high] < 1e-3 * size[step == high])


def test_the_step_within_bounds_and_ball_reduces_the_model():
    rng = np.random.default_rng(2)
    for _ in range(200):
        root = rng.normal(size=(5, 5)) * 10.0 ** rng.uniform(-2, 2, size=5)
        gram, gradient = root.T @ root, rng.normal(size=5) * 10.0 ** rng.uniform(-2, 2, size=5)
        scale, radius = np.sqrt(np.diag(gram)), 10.0 ** rng.uniform(-2, 2)
        low, high = -rng.exponential(size=5), rng.exponential(size=5)
        step = bounded_step(gradient, gram, Region(scale, radius, low, high))
        assert np.all(step >= low)
        assert np.all(step <= high)
        assert np.linalg.norm(scale * step) <= 1.002 * radius
        assert gradient @ step + 0.5 * step @ gram @ step < 0.0
