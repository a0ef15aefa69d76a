"""S and its derivatives between a few frames of a bin, whatever the length of the series."""

from __future__ import annotations

from functools import partial

import numpy as np
from jax import Array
from jaxtyping import Float, Int

from heterodyne.bins.nodes import Nodes
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


def block_tangent(
    model: Model,
    theta: Float[np.ndarray, " P"],
    t: Float[np.ndarray, " frames"],
    nodes: Nodes,
    frames: int,
    grain: int,
) -> Float[np.ndarray, "1+P blocks blocks"]:
    """(S, ∂S/∂θ) averaged over the nodes of a bin and over blocks of frames.

    Of every block of ``grain`` frames two are taken; on the diagonal the mean is that of the pair of these.
    The first ``frames`` of ``t`` count.
    """
    starts = np.arange(0, frames, grain)
    stops = np.minimum(starts + grain, frames)
    quarter = np.rint((stops - starts - 1) / 4).astype(int)
    two = np.stack([starts + quarter, stops - 1 - quarter], axis=1)
    chosen = two.ravel() if grain > 1 else starts
    tangent = np.zeros((1 + len(theta), len(chosen), len(chosen)))
    for weight, q, phi in zip(*nodes.listed(), strict=True):
        tangent += weight * np.asarray(tangent_between(model, theta, t, q, phi, chosen))
    if grain == 1:
        return tangent
    pairs = tangent.reshape(len(tangent), len(starts), 2, len(starts), 2)
    means = pairs.mean(axis=(2, 4))
    diagonal = np.arange(len(starts))
    means[:, diagonal, diagonal] = pairs[:, diagonal, 0, diagonal, 1]
    return means
