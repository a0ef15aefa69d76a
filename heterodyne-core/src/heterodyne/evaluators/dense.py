"""The dense evaluator: sums over frame pairs from S and its Jacobian, formed one block at a time.

Serves every model, separable or not, and is the reference for faster evaluators. A block is a square of
frames × frames on or above the diagonal; only one block's Jacobian is ever in memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jax import Array
from jaxtyping import Float, Int

from heterodyne.bins.bin import Bin
from heterodyne.bins.nodes import Nodes
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.kernels._jax import compiled, jax, jnp
from heterodyne.model import Model

BLOCK = 64


def bin_sums(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, jacobian: bool = True
) -> Sums[np.ndarray]:
    """The sums of one bin in memory, whatever the model and the weights."""
    blocks = np.stack(np.triu_indices(len(bin.weight) // BLOCK), axis=1).astype(np.int32)
    weight = bin.weight if bin.pair_weight is None else bin.pair_weight
    sums = _block_sums(model, jacobian, theta, bin.t, bin.nodes, weight, bin.d, blocks)
    return Sums(*map(np.asarray, sums))


@compiled("model", "jacobian")
def _block_sums(
    model: Model,
    jacobian: bool,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    weight: Float[Array, " frames"] | Float[Array, "frames frames"],
    data: Float[Array, "frames frames"],
    blocks: Int[Array, "blocks 2"],
) -> Sums[Array]:
    """The sums over the blocks (row, column), strictly above the diagonal."""

    at = nodes.listed()

    def profiles(values: Array) -> Any:
        params = dict(zip(model.parameters, values, strict=True))
        return jax.vmap(lambda q, phi: model.profiles(params, t, q, phi))(at.q, at.phi)

    # the parameter axis first, so that every leaf of a tangent has the shape of its profile
    rows = profiles(theta)
    slopes = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), jax.jacfwd(profiles)(theta))
    corner = jnp.arange(BLOCK)
    size = 1 + jacobian * len(theta)

    def mean(values: Array) -> Array:
        return jnp.tensordot(at.weight, values, axes=1)

    def add(sums: Sums[Array], block: Array) -> tuple[Sums[Array], None]:
        i, j = block[0] * BLOCK, block[1] * BLOCK
        left, d_left = (jax.tree.map(lambda leaf: _window(leaf, i)[..., :, None], x) for x in (rows, slopes))
        right, d_right = (
            jax.tree.map(lambda leaf: _window(leaf, j)[..., None, :], x) for x in (rows, slopes)
        )
        pair = jax.vmap(model.pair)
        x = mean(pair(left, right))[None]
        if jacobian:
            ds = jax.vmap(lambda a, b: mean(jax.jvp(pair, (left, right), (a, b))[1]))(d_left, d_right)
            x = jnp.concatenate([x, ds])
        x = x.reshape(size, -1)
        upper = (i + corner)[:, None] < (j + corner)[None, :]
        weighted = x * (_weight(weight, i, j) * upper).ravel()
        d = (jax.lax.dynamic_slice(data, (i, j), (BLOCK, BLOCK)) * upper).ravel()
        of_block = Sums(x @ d, weighted.sum(1), weighted @ x.T)
        return jax.tree.map(jnp.add, sums, of_block), None

    zero = Sums(jnp.zeros(size), jnp.zeros(size), jnp.zeros((size, size)))
    return jax.lax.scan(add, zero, blocks)[0]


def _weight(
    weight: Float[Array, " frames"] | Float[Array, "frames frames"], i: Int[Array, ""], j: Int[Array, ""]
) -> Float[Array, "block block"]:
    """The weights of a block, from weights per frame or per pair."""
    if weight.ndim == 2:
        return jax.lax.dynamic_slice(weight, (i, j), (BLOCK, BLOCK))
    return _window(weight, i)[:, None] * _window(weight, j)[None, :]


def _window(leaf: Float[Array, "*axes frames"], start: Int[Array, ""]) -> Float[Array, "*axes block"]:
    return jax.lax.dynamic_slice_in_dim(leaf, start, BLOCK, axis=-1)
