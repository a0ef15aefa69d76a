"""Integrals over the frame grid and the functions of lag made from them.

Every integral between two frames is a difference of one cumulative trapezoid, so it costs O(N) to
prepare and is exact for the actual, possibly uneven, spacing. There are no closed forms because the
general power law has none.
"""

from __future__ import annotations

from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from heterodyne.kernels._jax import AnyArray, FloatArray, jnp

_EXPONENT_EPSILON = 1e-14  # of exponents, where 1e-10 would show as a relative error of S
_DECAY_LIMIT = 700.0  # e^-700 is still a normal number; below it gradients turn into 0 · inf


def trapezoid_cumsum(
    values: Float[AnyArray, " frames"], t: Float[AnyArray, " frames"]
) -> Float[Array, " frames"]:
    """∫ values dt from the first frame to each frame, first element 0."""
    values, t = jnp.asarray(values), jnp.asarray(t)
    areas = 0.5 * (values[1:] + values[:-1]) * jnp.diff(t)
    return jnp.concatenate([jnp.zeros(1, areas.dtype), jnp.cumsum(areas)])


def smooth_abs(x: ArrayLike, epsilon: float = 1e-10) -> FloatArray:
    """|x| to within ε, with value and gradient 0 at 0: sqrt(x² + ε²) - ε."""
    return jnp.sqrt(jnp.square(x) + epsilon**2) - epsilon


def create_time_integral_matrix(cumulative: Float[AnyArray, " frames"]) -> Float[Array, "frames frames"]:
    """|∫ between frames i and j|, symmetric, from a cumulative integral."""
    cumulative = jnp.asarray(cumulative)
    return smooth_abs(cumulative[None, :] - cumulative[:, None])


def attenuation(exponent: ArrayLike) -> FloatArray:
    """e^-|exponent|, never below e^-700, with gradient 0 at 0."""
    return jnp.exp(-jnp.minimum(smooth_abs(exponent, _EXPONENT_EPSILON), _DECAY_LIMIT))
