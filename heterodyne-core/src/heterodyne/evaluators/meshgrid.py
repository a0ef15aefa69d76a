"""The mesh-grid evaluator: S over all pairs of frames at once, O(N²) memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from heterodyne.bins.nodes import Nodes
from heterodyne.kernels._jax import jax, jnp
from heterodyne.model import correlation_matrix

if TYPE_CHECKING:
    from heterodyne.model import Model, Parameters


def averaged_matrix(model: Model, params: Parameters, t: ArrayLike, nodes: Nodes) -> np.ndarray:
    """S averaged over the nodes of a bin, shape (N, N), with one more such array in memory."""
    total = np.zeros((np.size(t), np.size(t)))
    for weight, q, phi in zip(*nodes.listed(), strict=True):
        total += weight * np.asarray(correlation_matrix(model, params, t, q, phi))
    return total


@partial(jax.jit, static_argnames=("model", "rows", "columns"))
def correlation_tile(
    model: Model,
    params: Parameters,
    t: ArrayLike,
    q: ArrayLike,
    phi: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    rows: int,
    columns: int,
) -> Array:
    """S between ``rows`` frames from frame ``first`` on and ``columns`` frames from ``second`` on."""
    profiles = model.profiles(params, jnp.asarray(t), q, phi)

    def window(start: ArrayLike, size: int) -> Any:
        return jax.tree.map(lambda row: jax.lax.dynamic_slice_in_dim(row, start, size, axis=-1), profiles)

    left = jax.tree.map(lambda row: row[..., :, None], window(first, rows))
    right = jax.tree.map(lambda row: row[..., None, :], window(second, columns))
    return model.pair(left, right)


def averaged_tile(
    model: Model,
    params: Parameters,
    t: ArrayLike,
    nodes: Nodes,
    first: int,
    second: int,
    rows: int,
    columns: int,
) -> np.ndarray:
    """S averaged over the nodes of a bin, (rows, columns) frames from ``first`` and ``second`` on."""
    total = np.zeros((rows, columns))
    for weight, q, phi in zip(*nodes.listed(), strict=True):
        total += weight * np.asarray(correlation_tile(model, params, t, q, phi, first, second, rows, columns))
    return total
