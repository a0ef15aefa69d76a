"""The mesh-grid evaluator: S over all pairs of frames at once, O(N²) memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from jax import Array
from jaxtyping import Float, Int

from heterodyne.bins.nodes import Nodes
from heterodyne.kernels._jax import AnyArray, Scalar, compiled, jax, jnp
from heterodyne.model import Model, Parameters, correlation_matrix


def averaged_matrix(
    model: Model, params: Parameters, t: Float[AnyArray, " frames"], nodes: Nodes
) -> Float[np.ndarray, "frames frames"]:
    """S averaged over the nodes of a bin, with one more such array in memory."""
    total = np.zeros((np.size(t), np.size(t)))
    for weight, q, phi in zip(*nodes.listed(), strict=True):
        total += weight * np.asarray(correlation_matrix(model, params, t, q, phi))
    return total


@compiled("model", "rows", "columns")
def correlation_tile(
    model: Model,
    params: Parameters,
    t: Float[AnyArray, " frames"],
    q: Scalar,
    phi: Scalar,
    first: int | Int[Array, ""],
    second: int | Int[Array, ""],
    rows: int,
    columns: int,
) -> Float[Array, "{rows} {columns}"]:
    """S between ``rows`` frames from frame ``first`` on and ``columns`` frames from ``second`` on."""
    profiles = model.profiles(params, jnp.asarray(t), q, phi)

    def window(start: int | Int[Array, ""], size: int) -> Any:
        return jax.tree.map(
            lambda profile: jax.lax.dynamic_slice_in_dim(profile, start, size, axis=-1), profiles
        )

    left = jax.tree.map(lambda profile: profile[..., :, None], window(first, rows))
    right = jax.tree.map(lambda profile: profile[..., None, :], window(second, columns))
    return model.pair(left, right)


def averaged_tile(
    model: Model,
    params: Parameters,
    t: Float[AnyArray, " frames"],
    nodes: Nodes,
    first: int,
    second: int,
    rows: int,
    columns: int,
) -> Float[np.ndarray, "{rows} {columns}"]:
    """S averaged over the nodes of a bin, from the frames ``first`` and ``second`` on."""
    total = np.zeros((rows, columns))
    for weight, q, phi in zip(*nodes.listed(), strict=True):
        total += weight * np.asarray(correlation_tile(model, params, t, q, phi, first, second, rows, columns))
    return total


def averaged_beside(
    model: Model, params: Parameters, t: Float[AnyArray, " frames"], nodes: Nodes
) -> Float[np.ndarray, " frames"]:
    """S of every frame with the next one, averaged over the nodes of a bin, 0 for the last."""
    total = np.zeros(len(t))
    for weight, q, phi in zip(*nodes.listed(), strict=True):
        total[:-1] += weight * np.asarray(_beside(model, params, t, q, phi))
    return total


@compiled("model")
def _beside(
    model: Model, params: Parameters, t: Float[AnyArray, " frames"], q: Scalar, phi: Scalar
) -> Float[Array, " frames-1"]:
    profiles = model.profiles(params, jnp.asarray(t), q, phi)
    before, after = (
        jax.tree.map(lambda x, at=at: x[..., at], profiles) for at in (slice(-1), slice(1, None))
    )
    return model.pair(before, after)
