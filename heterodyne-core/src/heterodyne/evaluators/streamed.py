"""The structured evaluator for a matrix that is read tile by tile: one pass over the data.

The blocks of `heterodyne.evaluators.structured` are whole tiles here. An off-diagonal tile D_IJ enters through

    u = l(I) D_IJ,    v = r(J) D_IJᵀ,    Σ d S = Σ_kl T_kl(I, J) u_k · r_l(J),

and u and v, summed over the tiles of a column or a row, are the gradient in r and l as well. A tile on the
diagonal is a small bin of its own. Tiles that T has let fall to 0 are not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from jax import Array
from jaxtyping import Float, Num

from heterodyne.bins.bin import Bin
from heterodyne.bins.nodes import Nodes
from heterodyne.evaluators.blocks import Blocks, Transfer, carried, cut, paired, sides, transfer, transposed
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.evaluators.structured import (
    DATA_BLOCK,
    averaged,
    components,
    data_sums,
    model_sums,
    no_slopes,
    with_data,
    with_slopes,
)
from heterodyne.kernels._jax import Scalar, compiled, jax, jnp
from heterodyne.model import Components, Model

ModelSums: TypeAlias = Callable[..., tuple[Array, Array]]
"""Σ X and Σ X X over pairs, of components, their slopes, and whatever weights pairs."""


def bin_sums(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, jacobian: bool = True
) -> Sums[np.ndarray]:
    """The sums of one bin that is read tile by tile, of a separable S and weights per frame."""
    rows, slopes, total, gram = rows_and_sums(
        model, theta, bin.t, bin.nodes, model_sums, (bin.weight,), jacobian
    )
    return Sums(data_products(bin, rows, slopes), np.asarray(total), np.asarray(gram))


@compiled("model", "sums", "jacobian")
def rows_and_sums(
    model: Model,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    sums: ModelSums,
    weights: tuple[Any, ...],
    jacobian: bool,
) -> tuple[Components, Components | None, Float[Array, " x"], Float[Array, "x x"]]:
    """What `data_products` takes, and the ``sums`` with these ``weights`` that need no data."""
    if jacobian:
        rows, slopes = components(model, theta, t, nodes)
        return rows, slopes, *sums(rows, slopes, *weights)
    rows = averaged(model, theta, t, nodes)
    return rows, None, *sums(rows, no_slopes(rows), *weights)


def data_products(bin: Bin, rows: Components, slopes: Components | None) -> Float[np.ndarray, " x"]:
    """Σ d X in one pass over the tiles; X is S alone without ``slopes``."""
    tiles, reference = bin.tiles, bin.moments.reference
    size, blocks = tiles.size, tiles.blocks
    left, right, t = jax.tree.map(np.asarray, _factors(rows, size))
    of_left, of_right, of_t = jax.tree.map(np.zeros_like, (left, right, t))
    weight = bin.weight.reshape(blocks, size)
    near = np.zeros(1 if slopes is None else 1 + len(slopes.a))
    needed = [(i, j) for i, j in tiles.indices() if i == j or t.direct[i, j].any() or t.crossed[i, j].any()]
    for (i, j), tile in tiles.read(needed):
        if i == j:
            here = slice(i * size, (i + 1) * size)
            near += np.asarray(_near(tile, reference, weight[i], *(_at(here, x) for x in (rows, slopes))))
        else:
            to = Transfer(t.direct[i, j], t.crossed[i, j])
            u, v, change = _far(tile, reference, weight[i], weight[j], left[i], right[j], to)
            of_right[j] += u
            of_left[i] += v
            of_t.direct[i, j], of_t.crossed[i, j] = change
    near[0] += np.vdot(of_right, right)
    if slopes is not None:
        near[1:] += _along_slopes(rows, slopes, of_left, of_right, of_t)
    return near


@compiled("size")
def _factors(
    rows: Components, size: int
) -> tuple[Float[Array, "blocks terms {size}"], Float[Array, "blocks terms {size}"], Transfer]:
    b = cut(rows, size)
    return *sides(b), transfer(b)


def _at(frames: slice, rows: Components | None) -> Components | None:
    return None if rows is None else jax.tree.map(lambda values: values[..., frames], rows)


def _centred(
    tile: Num[Array, "size size"],
    reference: Scalar,
    of_rows: Float[Array, " size"],
    of_columns: Float[Array, " size"],
) -> Float[Array, "size size"]:
    """W (c2 - reference) in float64, 0 for pairs that are not used, whatever stands there."""
    d = jnp.where(jnp.isfinite(tile), tile.astype(float) - reference, 0.0)
    return d * (of_rows[:, None] * of_columns)


@compiled()
def _far(
    tile: Num[Array, "size size"],
    reference: Scalar,
    of_rows: Float[Array, " size"],
    of_columns: Float[Array, " size"],
    left: Float[Array, "terms size"],
    right: Float[Array, "terms size"],
    t: Transfer,
) -> tuple[Float[Array, "terms size"], Float[Array, "terms size"], Transfer]:
    """Tᵀ u, T v and the products of u and r in the places of T, of a tile off the diagonal."""
    d = _centred(tile, reference, of_rows, of_columns)
    u, v = left @ d, right @ d.T
    return carried(t, u), carried(transposed(t), v), paired(u, right, t.crossed.shape[-1])


@compiled()
def _near(
    tile: Num[Array, "size size"],
    reference: Scalar,
    weight: Float[Array, " size"],
    rows: Components,
    slopes: Components | None,
) -> Float[Array, " x"]:
    """Σ d X of a tile on the diagonal."""
    upper = jnp.triu(_centred(tile, reference, weight, weight), 1)
    d = upper + upper.T
    return with_data(cut(rows, DATA_BLOCK), d)[None] if slopes is None else data_sums(rows, slopes, d)


@compiled()
def _along_slopes(
    rows: Components,
    slopes: Components,
    of_left: Float[Array, "blocks terms size"],
    of_right: Float[Array, "blocks terms size"],
    of_t: Transfer,
) -> Float[Array, " P"]:
    """The derivatives of what the tiles off the diagonal add, from its gradient in l, r and T."""
    size = of_left.shape[-1]

    def linear(b: Blocks) -> Float[Array, ""]:
        left, right = sides(b)
        parts = zip((of_left, of_right, *of_t), (left, right, *transfer(b)), strict=True)
        return sum((jnp.vdot(of, part) for of, part in parts), jnp.zeros(()))

    return with_slopes(linear, rows, slopes, size)[1:]
