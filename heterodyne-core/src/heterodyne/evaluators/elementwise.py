"""The element-wise evaluator: S at any list of frame pairs, O(N + pairs) memory.

The profiles are computed once over the frame grid and looked up at both ends of every pair, so no
N × N array is ever formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from jax import Array
from jaxtyping import Float, Int

from heterodyne.bins.bin import Bin
from heterodyne.bins.nodes import Nodes
from heterodyne.errors import DataError
from heterodyne.kernels._jax import AnyArray, Scalar, compiled, jax, jnp
from heterodyne.model import Model, Parameters


@dataclass(frozen=True, eq=False)
class ShardGrid:
    """Frame pairs to evaluate: times of all frames in s, frame indices of each pair, first ≤ second."""

    t: Float[np.ndarray, " frames"]
    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]

    def __len__(self) -> int:
        return len(self.first)


def precompute_shard_grid(
    t: Float[AnyArray, " frames"], first: npt.ArrayLike, second: npt.ArrayLike
) -> ShardGrid:
    """The grid of the pairs (first[k], second[k]), frames counted from 0, either order.

    Raises `DataError` for indices outside the frames or lists of different length.
    """
    times = np.asarray(t, dtype=float)
    i, j = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
    if i.shape != j.shape or i.ndim != 1:
        raise DataError(f"pair lists must have one common length, not {i.shape} and {j.shape}")
    low, high = np.minimum(i, j), np.maximum(i, j)
    if len(low) and (low.min() < 0 or high.max() >= len(times)):
        raise DataError(f"pair indices must lie in 0..{len(times) - 1}")
    return ShardGrid(times, low.astype(np.int32), high.astype(np.int32))


def correlation_pairs(
    model: Model, params: Parameters, grid: ShardGrid, q: Scalar, phi: Scalar
) -> Float[Array, " pairs"]:
    """S at every pair of the grid."""
    return _pairs(model, params, grid.t, grid.first, grid.second, q, phi)


def averaged_pairs(
    model: Model, params: Parameters, grid: ShardGrid, nodes: Nodes
) -> Float[np.ndarray, " pairs"]:
    """S averaged over the nodes of a bin at every pair of the grid."""
    total = np.zeros(len(grid))
    for weight, q, phi in zip(*nodes.listed(), strict=True):
        total += weight * np.asarray(correlation_pairs(model, params, grid, q, phi))
    return total


def pairs_at_points(
    model: Model,
    params: Parameters,
    grid: ShardGrid,
    q: Float[np.ndarray, " points"],
    phi: Float[np.ndarray, " points"],
) -> Float[np.ndarray, "points pairs"]:
    """S at every pair of the grid for every point of a list of q and phi."""
    return np.asarray(_points(model, params, grid.t, grid.first, grid.second, q, phi))


@partial(jax.jit, static_argnames="model")
def _points(
    model: Model,
    params: Parameters,
    t: Float[AnyArray, " frames"],
    first: Int[AnyArray, " pairs"],
    second: Int[AnyArray, " pairs"],
    q: Float[AnyArray, " points"],
    phi: Float[AnyArray, " points"],
) -> Float[Array, "points pairs"]:
    # one point at a time, so that only one set of profiles is in memory
    return jax.lax.map(lambda at: _pairs(model, params, t, first, second, *at), (q, phi))


@partial(jax.jit, static_argnames="model")
def _pairs(
    model: Model,
    params: Parameters,
    t: Float[AnyArray, " frames"],
    first: Int[AnyArray, " pairs"],
    second: Int[AnyArray, " pairs"],
    q: Scalar,
    phi: Scalar,
) -> Float[Array, " pairs"]:
    profiles = model.profiles(params, jnp.asarray(t), q, phi)
    left = jax.tree.map(lambda profile: profile[..., first], profiles)
    right = jax.tree.map(lambda profile: profile[..., second], profiles)
    return model.pair(left, right)


def listed_values(
    model: Model,
    theta: Float[AnyArray, " P"],
    t: Float[AnyArray, " frames"],
    nodes: Nodes,
    first: Int[AnyArray, " pairs"],
    second: Int[AnyArray, " pairs"],
) -> Float[Array, " pairs"]:
    """S averaged over the nodes of a bin at these pairs of frames."""
    at = nodes.listed()
    params = dict(zip(model.parameters, theta, strict=True))
    each = jax.vmap(lambda q, phi: _pairs(model, params, t, first, second, q, phi))(at.q, at.phi)
    return jnp.tensordot(at.weight, each, axes=1)


def skipped_sums(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, jacobian: bool
) -> tuple[Float[np.ndarray, " x"], Float[np.ndarray, "x x"]]:
    """ΣX and Σ X Xᵀ over the pairs that a bin leaves out, weighted, to be taken away from sums over all.

    Their data are 0 in the bin, so Σ d X needs no correction.
    """
    first, second = bin.skipped.T
    return weighted_sums(model, theta, bin, jacobian, bin.weight[first] * bin.weight[second])


def weighted_sums(
    model: Model,
    theta: Float[np.ndarray, " P"],
    bin: Bin,
    jacobian: bool,
    weight: Float[np.ndarray, " pairs"],
) -> tuple[Float[np.ndarray, " x"], Float[np.ndarray, "x x"]]:
    """Σ w X and Σ w X Xᵀ over the pairs that a bin leaves out, with these weights."""
    first, second = bin.skipped.T
    total, gram = _listed_sums(model, jacobian, theta, bin.t, bin.nodes, first, second, weight)
    return np.asarray(total), np.asarray(gram)


@compiled("model", "jacobian")
def _listed_sums(
    model: Model,
    jacobian: bool,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    first: Int[Array, " pairs"],
    second: Int[Array, " pairs"],
    weight: Float[Array, " pairs"],
) -> tuple[Float[Array, " x"], Float[Array, "x x"]]:
    def mean(values: Array) -> Array:
        return listed_values(model, values, t, nodes, first, second)

    x = mean(theta)[None]
    if jacobian:
        x = jnp.concatenate([x, jax.jacfwd(mean)(theta).T])
    weighted = x * weight
    return weighted.sum(1), weighted @ x.T
