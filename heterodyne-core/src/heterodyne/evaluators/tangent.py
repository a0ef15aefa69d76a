"""S and its derivatives between a few frames of a bin, whatever the length of the series."""

from __future__ import annotations

from functools import partial

from jax import Array
from jaxtyping import Float, Int

from heterodyne.kernels._jax import AnyArray, Scalar, jax, jnp
from heterodyne.model import Model


@partial(jax.jit, static_argnames="model")
def tangent_between(
    model: Model,
    theta: Float[AnyArray, " P"],
    t: Float[AnyArray, " all_frames"],
    q: Scalar,
    phi: Scalar,
    frames: Int[AnyArray, " frames"],
) -> Float[Array, "1+P frames frames"]:
    """(S, ∂S/∂θ) between all pairs of these frames.

    ``t`` are the times of all frames, over which the integrals run; ``frames`` count from 0.
    """
    times, chosen = jnp.asarray(t), jnp.asarray(frames)

    def of(values: Array) -> Array:
        params = dict(zip(model.parameters, values, strict=True))
        profiles = jax.tree.map(lambda profile: profile[..., chosen], model.profiles(params, times, q, phi))
        left = jax.tree.map(lambda profile: profile[..., :, None], profiles)
        right = jax.tree.map(lambda profile: profile[..., None, :], profiles)
        return model.pair(left, right)

    values = jnp.asarray(theta, dtype=float)
    s, slopes = jax.vmap(lambda v: jax.jvp(of, (values,), (v,)), out_axes=(None, 0))(jnp.eye(len(values)))
    return jnp.concatenate([s[None], slopes])
