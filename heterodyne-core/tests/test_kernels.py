"""The shared primitives against numpy, scipy and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid

from heterodyne.errors import DataError
from heterodyne.evaluators.elementwise import precompute_shard_grid
from heterodyne.kernels._jax import jax, jnp
from heterodyne.kernels.integrals import (
    attenuation,
    create_time_integral_matrix,
    smooth_abs,
    trapezoid_cumsum,
)
from heterodyne.kernels.rates import fraction, power, transport_rate, velocity
from tolerances import ELEMENTARY, LAST_DIGITS, REORDERED, TWO_WAYS

UNEVEN = np.sort(np.random.default_rng(3).uniform(0.1, 20.0, 57))


def test_trapezoid_cumsum_is_scipys_on_an_uneven_grid():
    values = np.random.default_rng(4).normal(size=len(UNEVEN))
    expected = cumulative_trapezoid(values, UNEVEN, initial=0.0)
    np.testing.assert_allclose(trapezoid_cumsum(values, UNEVEN), expected, rtol=ELEMENTARY, atol=ELEMENTARY)


def test_trapezoid_cumsum_is_exact_for_straight_lines():
    np.testing.assert_allclose(
        trapezoid_cumsum(2.0 * UNEVEN + 1.0, UNEVEN),
        UNEVEN**2 - UNEVEN[0] ** 2 + UNEVEN - UNEVEN[0],
        rtol=ELEMENTARY,
        atol=ELEMENTARY,
    )


def test_trapezoid_cumsum_is_float64():
    assert trapezoid_cumsum(np.ones(4), np.arange(4.0)).dtype == np.float64


def test_smooth_abs_is_zero_with_zero_slope_at_zero():
    assert smooth_abs(0.0) == 0.0
    assert jax.grad(smooth_abs)(0.0) == 0.0


@pytest.mark.parametrize("x", [1e-12, 1e-9, 1e-3, 1.0, 1e6])
def test_smooth_abs_is_the_absolute_value_to_1e_10(x):
    assert abs(float(smooth_abs(x)) - x) <= 1e-10 * (1.0 + x)
    assert smooth_abs(-x) == smooth_abs(x)


def test_time_integral_matrix_is_the_symmetric_absolute_integral_between_frames():
    cumulative = cumulative_trapezoid(np.sqrt(UNEVEN), UNEVEN, initial=0.0)
    matrix = np.asarray(create_time_integral_matrix(cumulative))
    np.testing.assert_allclose(matrix, np.abs(np.subtract.outer(cumulative, cumulative)), atol=1.1e-10)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_array_equal(np.diag(matrix), 0.0)


def test_decay_is_the_exponential_and_never_underflows():
    np.testing.assert_allclose(
        attenuation(np.array([0.0, 1.0, 50.0])), np.exp([0.0, -1.0, -50.0]), rtol=LAST_DIGITS
    )
    assert 0.0 < float(attenuation(1e300)) < 1e-300
    assert jax.grad(lambda x: attenuation(x))(1e300) == 0.0


@pytest.mark.parametrize("exponent", [-2.0, -0.3, 0.0, 0.7, 2.0])
def test_power_is_numpys(exponent):
    np.testing.assert_allclose(power(UNEVEN, exponent), UNEVEN**exponent, rtol=ELEMENTARY)


def test_transport_rate_is_a_power_law_with_offset_above_a_floor_of_zero():
    expected = np.maximum(5e3 * UNEVEN**0.4 - 9e3, 0.0)
    assert np.any(expected == 0.0)
    assert np.any(expected > 0.0)
    np.testing.assert_allclose(transport_rate(UNEVEN, 5e3, 0.4, -9e3), expected, rtol=REORDERED)


def test_velocity_keeps_its_sign():
    expected = 300.0 * UNEVEN**0.2 - 400.0
    assert expected.min() < 0.0 < expected.max()
    np.testing.assert_allclose(velocity(UNEVEN, 300.0, 0.2, -400.0), expected, rtol=REORDERED, atol=TWO_WAYS)


def test_fraction_is_an_exponential_clipped_to_0_and_1():
    expected = np.clip(0.4 * np.exp(0.1 * (UNEVEN - 5.0)) + 0.1, 0.0, 1.0)
    assert expected.max() == 1.0
    np.testing.assert_allclose(fraction(UNEVEN, 0.4, 0.1, 5.0, 0.1), expected, rtol=ELEMENTARY)


@pytest.mark.parametrize("f1", [300.0 / 2e4, 310.0 / 2e4, 10.0, -10.0])
def test_fraction_has_finite_slopes_where_its_exponential_overflows(f1):
    t = jnp.array([9.9e3, 1e4, 1e5])
    slopes = jax.jacfwd(lambda *p: fraction(t, *p), argnums=(0, 1, 2, 3))(0.5, f1 - 1e-9, -1e4, 0.0)
    assert np.all(np.isfinite(slopes))


def test_shard_grid_orders_every_pair():
    grid = precompute_shard_grid(UNEVEN, [3, 1, 2], [0, 1, 5])
    assert grid.first.tolist() == [0, 1, 2]
    assert grid.second.tolist() == [3, 1, 5]
    assert len(grid) == 3


@pytest.mark.parametrize(("first", "second"), [([0], [57]), ([-1], [3]), ([0, 1], [2])])
def test_shard_grid_refuses_pairs_that_do_not_exist(first, second):
    with pytest.raises(DataError):
        precompute_shard_grid(UNEVEN, first, second)
