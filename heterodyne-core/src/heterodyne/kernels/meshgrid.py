"""The mesh-grid evaluator: S over all pairs of frames at once, O(N²) memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jax import Array
from jax.typing import ArrayLike

from heterodyne.kernels._jax import jax, jnp

if TYPE_CHECKING:
    from heterodyne.model import Model, Parameters


@partial(jax.jit, static_argnames="model")
def correlation_matrix(model: Model, params: Parameters, t: ArrayLike, q: ArrayLike, phi: ArrayLike) -> Array:
    """S over all pairs of frames, shape (N, N)."""
    profiles = model.profiles(params, jnp.asarray(t), q, phi)
    left = jax.tree.map(lambda row: row[..., :, None], profiles)
    right = jax.tree.map(lambda row: row[..., None, :], profiles)
    return model.pair(left, right)
