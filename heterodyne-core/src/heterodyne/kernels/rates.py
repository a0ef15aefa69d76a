"""Transport rate, velocity and fraction as functions of time.

    J(t) = max(D0 t^α + D_offset, 0)        v(t) = v0 t^β + v_offset
    f(t) = clip(f0 exp(f1 (t - f2)) + f3, 0, 1)

Valid for t > 0. He et al., PNAS 122 (2025), SI Eqs. S-77 to S-95.
"""

from __future__ import annotations

from jax.typing import ArrayLike

from heterodyne.kernels._jax import FloatArray, jnp

_EXPONENT_LIMIT = 300.0
"""Exponents reach 1e5 inside the bounds; e^300 times the largest bound can still be squared and summed."""


def power(t: ArrayLike, exponent: ArrayLike) -> FloatArray:
    """t^exponent for t > 0, finite with finite gradients for every exponent."""
    return jnp.exp(jnp.clip(exponent * jnp.log(t), -_EXPONENT_LIMIT, _EXPONENT_LIMIT))


def transport_rate(t: ArrayLike, d0: ArrayLike, alpha: ArrayLike, d_offset: ArrayLike) -> FloatArray:
    """J(t) = max(D0 t^α + D_offset, 0) in Å²/s."""
    return jnp.maximum(d0 * power(t, alpha) + d_offset, 0.0)


def velocity(t: ArrayLike, v0: ArrayLike, beta: ArrayLike, v_offset: ArrayLike) -> FloatArray:
    """v(t) = v0 t^β + v_offset in Å/s, signed."""
    return jnp.asarray(v0) * power(t, beta) + v_offset


def fraction(t: ArrayLike, f0: ArrayLike, f1: ArrayLike, f2: ArrayLike, f3: ArrayLike) -> FloatArray:
    """f(t) = clip(f0 exp(f1 (t - f2)) + f3, 0, 1), the sample's share of the field."""
    return jnp.clip(unclipped_fraction(t, f0, f1, f2, f3), 0.0, 1.0)


def unclipped_fraction(
    t: ArrayLike, f0: ArrayLike, f1: ArrayLike, f2: ArrayLike, f3: ArrayLike
) -> FloatArray:
    """f0 exp(f1 (t - f2)) + f3, the fraction before it is clipped."""
    growth = jnp.exp(jnp.clip(f1 * jnp.subtract(t, f2), -_EXPONENT_LIMIT, _EXPONENT_LIMIT))
    return jnp.asarray(f0) * growth + f3
