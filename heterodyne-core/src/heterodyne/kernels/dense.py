"""The dense evaluator: sums over frame pairs from S and its Jacobian, formed one tile at a time.

Serves every model, separable or not, and is the reference for faster evaluators. A tile is a square
block of frames × frames on or above the diagonal; only one tile's Jacobian is ever in memory.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jax import Array

from heterodyne.data.bin import Bin
from heterodyne.kernels._jax import jax, jnp
from heterodyne.normal_equations import PairSums

if TYPE_CHECKING:
    from heterodyne.model import Model

BLOCK = 64


def pair_sums(model: Model, theta: np.ndarray, bins: tuple[Bin, ...], jacobian: bool = True) -> PairSums:
    """The sums of all bins at the parameters ``theta`` (P,), in the order of the model's table.

    Without ``jacobian`` X is S alone, which is enough for the cost.
    """
    rows = [_bin_sums(model, theta, one, jacobian) for one in bins]
    return PairSums(*(np.stack(column) for column in zip(*rows, strict=True)))


def _bin_sums(model: Model, theta: np.ndarray, one: Bin, jacobian: bool) -> tuple[Any, ...]:
    tiles = _upper_tiles(len(one.weight) // BLOCK)
    sums = _tile_sums(model, jacobian, theta, one.t, one.q, one.phi, one.weight, one.d, tiles)
    return (one.count, one.reference, one.data, one.data2, *map(np.asarray, sums))


def _upper_tiles(blocks: int) -> np.ndarray:
    """The tiles (row block, column block) on and above the diagonal."""
    return np.stack(np.triu_indices(blocks), axis=1).astype(np.int32)


@partial(jax.jit, static_argnames=("model", "jacobian"))
def _tile_sums(
    model: Model,
    jacobian: bool,
    theta: Array,
    t: Array,
    q: float,
    phi: float,
    weight: Array,
    data: Array,
    tiles: Array,
) -> tuple[Array, Array, Array]:
    """ΣX, Σ d X and Σ X Xᵀ over the strict upper triangle."""

    def profiles(values: Array) -> Any:
        return model.profiles(dict(zip(model.parameters, values, strict=True)), t, q, phi)

    # the parameter axis first, so that every leaf of a tangent has the shape of its profile
    rows = profiles(theta)
    slopes = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), jax.jacfwd(profiles)(theta))
    corner = jnp.arange(BLOCK)
    size = 1 + jacobian * len(theta)

    def add(sums: tuple[Array, Array, Array], tile: Array) -> tuple[tuple[Array, Array, Array], None]:
        i, j = tile[0] * BLOCK, tile[1] * BLOCK
        left, d_left = (jax.tree.map(lambda leaf: _window(leaf, i)[..., :, None], x) for x in (rows, slopes))
        right, d_right = (
            jax.tree.map(lambda leaf: _window(leaf, j)[..., None, :], x) for x in (rows, slopes)
        )
        s = model.pair(left, right)
        x = s[None]
        if jacobian:
            ds = jax.vmap(lambda a, b: jax.jvp(model.pair, (left, right), (a, b))[1])(d_left, d_right)
            x = jnp.concatenate([x, ds])
        x = x.reshape(size, -1)
        upper = (i + corner)[:, None] < (j + corner)[None, :]
        w = (_window(weight, i)[:, None] * _window(weight, j)[None, :] * upper).ravel()
        d = jax.lax.dynamic_slice(data, (i, j), (BLOCK, BLOCK)).ravel()
        weighted = x * w
        model_sum, cross, gram = sums
        return (model_sum + weighted.sum(1), cross + weighted @ d, gram + weighted @ x.T), None

    zero = (jnp.zeros(size), jnp.zeros(size), jnp.zeros((size, size)))
    return jax.lax.scan(add, zero, tiles)[0]


def _window(leaf: Array, start: Array) -> Array:
    return jax.lax.dynamic_slice_in_dim(leaf, start, BLOCK, axis=-1)
