"""The structured evaluator: all sums of the least-squares problem without forming a model matrix.

A separable S is, above the diagonal, a sum of K terms (a semiseparable matrix):

    S_ij = Σ_k a_k(i) a_k(j) exp(-(Λ_k(j) - Λ_k(i))) cos(κ_k(j) - κ_k(i)),   i < j.

Frames are cut into blocks of B. With s and e the first and last frame of a block, a fringe becomes two
terms, a cos(κ - κ(s)) and a sin(κ - κ(s)), and off-diagonal tiles are

    S_ij = Σ_kl l_k(i) T_kl(I, J) r_l(j),    l_k(i) = a_k(i) e^{-(Λ_k(e) - Λ_k(i))},
    r_l(j) = a_l(j) e^{-(Λ_l(j) - Λ_l(s))},

where T is e^{-(Λ(s of J) - Λ(e of I))} on the diagonal, times a rotation by κ(s of J) - κ(s of I) of the two
terms of a fringe: every factor is at most 1, whatever the decay. Sums with the data take one matrix product
per block, sums without data O(N p² K²) operations in a recursion over blocks; the tiles on the diagonal
are formed. Λ, κ and their derivatives count from the block, because counted from the first frame they
would be large where what they leave of S, a difference between close frames, is small.
Neighbours in spirit: semiseparable Gaussian processes, Foreman-Mackey et al., AJ 154 (2017) 220.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from jax import Array
from jaxtyping import Float

from heterodyne.bins.bin import Bin
from heterodyne.bins.nodes import Nodes
from heterodyne.evaluators.bin_average import averaged_components
from heterodyne.evaluators.blocks import (
    Blocks,
    Steps,
    Transfer,
    along,
    carried,
    corner,
    cut,
    cut_slopes,
    paired,
    sides,
    steps_along,
    transfer,
    transposed,
)
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.kernels._jax import compiled, jax, jnp
from heterodyne.model import Components, Model

DATA_BLOCK = 64
"""Frames per block in products with the data: long enough for a matrix product to run at reading speed."""

MODEL_BLOCK = 32
"""Frames per block in sums without data: their diagonal tiles are formed, which costs N · B."""


@jax.custom_vjp
def tile_products(
    d: Float[Array, "frames frames"],
    left: Float[Array, "blocks terms size"],
    right: Float[Array, "blocks terms size"],
    t: Transfer,
) -> Float[Array, ""]:
    """Σ over off-diagonal tiles of l D rᵀ : T, for symmetric data."""
    return _tile_products(d, left, right, t)[0]


def _tile_products(
    d: Float[Array, "frames frames"],
    left: Float[Array, "blocks terms size"],
    right: Float[Array, "blocks terms size"],
    t: Transfer,
) -> tuple[Float[Array, ""], tuple[Array, Array, Transfer]]:
    # one read of the data serves the value and, as residuals, its whole gradient
    blocks, k, size = left.shape

    def add(
        carry: tuple[Array, Array], at: tuple[Array, Array, Transfer, Transfer]
    ) -> tuple[tuple[Array, Array], Transfer]:
        rows, both, to, back = at
        of_l, of_r = (both @ rows).reshape(2, k, blocks, size).swapaxes(1, 2)
        of_left, of_right = carry
        added = of_left + carried(transposed(back), of_r), of_right + carried(to, of_l)
        return added, paired(of_l, right, to.crossed.shape[-1])

    back = jax.tree.map(lambda x: x.swapaxes(0, 1), t)
    both = jnp.concatenate([left, right], axis=1)
    (of_left, of_right), of_t = jax.lax.scan(
        add, (jnp.zeros_like(left), jnp.zeros_like(right)), (d.reshape(blocks, size, -1), both, t, back)
    )
    before = jnp.triu(jnp.ones((blocks, blocks)), 1)[..., None]
    return jnp.sum(of_right * right), (of_left, of_right, jax.tree.map(lambda x: before * x, of_t))


def _pull_back(
    residuals: tuple[Array | Transfer, ...], cotangent: Float[Array, ""]
) -> tuple[Array | Transfer | None, ...]:
    return (None, *jax.tree.map(lambda x: cotangent * x, residuals))


tile_products.defvjp(_tile_products, _pull_back)


@jax.custom_vjp
def corner_products(
    d: Float[Array, "blocks size size"],
    a: Float[Array, "blocks terms size"],
    rise: Float[Array, "blocks terms size"],
) -> Float[Array, ""]:
    """Σ_k Σ_{i<j} a_k(i) a_k(j) e^{-(rise_k(j) - rise_k(i))} d_ij over the tiles on the diagonal."""
    return _corner_products(d, a, rise)[0]


def _corner_products(
    d: Float[Array, "blocks size size"],
    a: Float[Array, "blocks terms size"],
    rise: Float[Array, "blocks terms size"],
) -> tuple[Float[Array, ""], tuple[Array, ...]]:
    products = corner(rise) * d[:, None]
    of_first = jnp.einsum("nkij,nkj->nki", products, a)
    of_second = jnp.einsum("nkij,nki->nkj", products, a)
    return jnp.sum(a * of_first), (of_first + of_second, a * (of_first - of_second))


corner_products.defvjp(_corner_products, _pull_back)


def with_data(b: Blocks, d: Float[Array, "frames frames"]) -> Float[Array, ""]:
    """⟨D, S⟩ over i < j."""
    blocks, _, size = b.a.shape
    tiles = d.reshape(blocks, size, blocks, size)[jnp.arange(blocks), :, jnp.arange(blocks), :]
    return tile_products(d, *sides(b), transfer(b)) + corner_products(tiles, b.a, b.rise)


def model_sums(
    rows: Components, slopes: Components, weight: Float[Array, " frames"]
) -> tuple[Float[Array, " x"], Float[Array, "x x"]]:
    """ΣX and Σ X Xᵀ over pairs weighted by the product of their frames' weights.

    ∂S = Σ_k l'_k r_k + l_k r'_k with l carried to the start of the next block. With L = (l, l'_1, ..,
    l'_P) stacked, A(J) = Σ_{I<J} L Lᵀ is carried on to the start of J; carrying over a step T maps l to
    Tᵀ l and l'_p to Tᵀ l'_p + T'_pᵀ l.
    """
    root = jnp.sqrt(weight)
    rows, slopes = (x._replace(a=x.a * root) for x in (rows, slopes))
    b, slope = cut(rows, MODEL_BLOCK), cut_slopes(rows, slopes, MODEL_BLOCK)
    steps = steps_along(b, slope)
    _, k, p = *b.a.shape[:2], len(slope.a)
    start = jnp.zeros(((1 + p) * k, (1 + p) * k + 1)), jnp.zeros(1 + p), jnp.zeros((1 + p, 1 + p))

    def add(carry: tuple[Array, Array, Array], at: tuple) -> tuple[tuple[Array, Array, Array], None]:
        before, total, gram = carry
        step, root = at
        far = far_sums(before, step.right, root)
        return (_advanced(before, step, root), total + far[0], gram + far[1]), None

    roots = root.reshape(-1, MODEL_BLOCK)
    (_, total, gram), _ = jax.lax.scan(add, start, (steps, roots))
    # with derivatives one after another, to stay in the cache
    tiles = b.a, b.rise, slope.a.swapaxes(0, 1), slope.rise.swapaxes(0, 1), roots
    near = jax.lax.map(lambda tile: near_sums(*tile), tiles, batch_size=1 if p else len(b.a))
    return total + jnp.sum(near[0], axis=0), gram + jnp.sum(near[1], axis=0)


def near_sums(
    a: Float[Array, "terms size"],
    rise: Float[Array, "terms size"],
    of_a: Float[Array, "P terms size"],
    of_rise: Float[Array, "P terms size"],
    weight: Float[Array, " size"],
) -> tuple[Float[Array, " 1+P"], Float[Array, "1+P 1+P"]]:
    """Σ w_i w_j X_ij and Σ X Xᵀ over a tile on the diagonal, i < j."""
    x = near_tiles(a, rise, of_a, of_rise).reshape(1 + len(of_a), -1)
    return x @ (weight[:, None] * weight).ravel(), x @ x.T


def near_tiles(
    a: Float[Array, "terms size"],
    rise: Float[Array, "terms size"],
    of_a: Float[Array, "P terms size"],
    of_rise: Float[Array, "P terms size"],
) -> Float[Array, "1+P size size"]:
    """X = (S, ∂S) of a tile on the diagonal, i < j, else 0."""
    e = corner(rise)
    u, w = of_a + a * of_rise, of_a - a * of_rise
    with_second, with_first = e * a[:, None, :], e * a[:, :, None]
    s = jnp.sum(a[:, :, None] * with_second, axis=0)
    ds = jnp.sum(u[..., :, None] * with_second + w[..., None, :] * with_first, axis=1)
    return jnp.concatenate([s[None], ds])


def far_sums(
    before: Float[Array, "rows rows+1"],
    right: Float[Array, "x terms size"],
    weight: Float[Array, " size"],
) -> tuple[Float[Array, " x"], Float[Array, "x x"]]:
    """Σ w_i w_j X_ij and Σ X Xᵀ over the tiles above one block, from what came before and r."""
    once = jnp.ones(len(right)).at[0].set(0.5)
    sums, ends = before[:, -1].reshape(right.shape[:2]), right @ weight
    return once * (sums @ ends[0] + ends @ sums[0]), far_gram(before[:, :-1], right)


def far_gram(before: Float[Array, "rows rows"], right: Float[Array, "x terms size"]) -> Float[Array, "x x"]:
    """Σ X Xᵀ over the tiles above one block, from the products of what came before and r."""
    p, k, size = right.shape
    rows = right.reshape(p * k, size)
    after, products = (rows @ rows.T).reshape(p, k, p, k), before.reshape(p, k, p, k)
    crossed = jnp.einsum("pkl,kql->pq", products[:, :, 0], after[0])
    gram = jnp.einsum("pkql,kl->pq", products, after[0, :, 0]) + jnp.einsum(
        "kl,pkql->pq", products[0, :, 0], after
    )
    # S is one term l r where ∂S is two
    once = jnp.ones(p).at[0].set(0.5)
    return once[:, None] * (gram + crossed + crossed.T) * once


def _advanced(
    before: Float[Array, "rows rows+1"], step: Steps, weight: Float[Array, " size"]
) -> Float[Array, "rows rows+1"]:
    """What comes before the next block: the sums carried on, and this block's own added."""
    rows = _carried_on(before, step.over)
    columns = _carried_on(rows[:, :-1].T, step.over).T
    left = step.left.reshape(len(before), -1)
    # a last column of weighted sums is carried along with the products
    own = left @ jnp.concatenate([left, weight[None]]).T
    return jnp.concatenate([columns, rows[:, -1:]], axis=1) + own


def _carried_on(matrix: Float[Array, "rows n"], over: Transfer) -> Float[Array, "rows n"]:
    """Rows (x, terms) of a matrix carried over T, whose first is the value and whose others derivatives."""
    rows = matrix.reshape(*over.direct.shape, -1)
    value, change = (jax.tree.map(lambda x, at=at: x[at], over) for at in (slice(1), slice(1, None)))
    first = carried(value, rows)
    return first.at[1:].add(carried(change, rows[:1])).reshape(matrix.shape)


def bin_sums(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, jacobian: bool = True
) -> Sums[np.ndarray]:
    """The sums of one bin in memory, of a separable S and weights per frame."""
    evaluate = _sums if jacobian else _value_sums
    return Sums(*map(np.asarray, evaluate(model, theta, bin.t, bin.nodes, bin.weight, bin.d)))


@compiled("model")
def _sums(
    model: Model,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    weight: Float[Array, " frames"],
    d: Float[Array, "frames frames"],
) -> Sums[Array]:
    rows, slopes = components(model, theta, t, nodes)
    return Sums(data_sums(rows, slopes, d), *model_sums(rows, slopes, weight))


def data_sums(rows: Components, slopes: Components, d: Float[Array, "frames frames"]) -> Float[Array, " x"]:
    """Σ d X."""
    return with_slopes(lambda b: with_data(b, d), rows, slopes, DATA_BLOCK)


def with_slopes(
    of: Callable[[Blocks], Array], rows: Components, slopes: Components, size: int
) -> Float[Array, " x"]:
    """A sum over blocks of ``size`` frames and its derivatives, from one reverse pass."""
    value, back = jax.value_and_grad(of)(cut(rows, size))
    parts = zip(back, cut_slopes(rows, slopes, size), strict=True)
    derivatives = sum(s.reshape(len(s), -1) @ g.reshape(-1) for g, s in parts)
    return jnp.concatenate([value[None], derivatives])


@partial(jax.jit, static_argnames="model")
def value_sums(
    model: Model,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    weight: Float[Array, " frames"],
    d: Float[Array, "frames frames"],
) -> Sums[Array]:
    """The sums of one bin for X = S alone: all that a likelihood needs.

    Reverse-mode derivatives in ``theta`` are exact and take no second read of the data.
    """
    rows = averaged(model, theta, t, nodes)
    return Sums(with_data(cut(rows, DATA_BLOCK), d)[None], *model_sums(rows, no_slopes(rows), weight))


_value_sums = compiled("model")(value_sums)


def no_slopes(rows: Components) -> Components:
    """Derivatives along no parameter at all."""
    return jax.tree.map(lambda values: jnp.zeros((0, *values.shape)), rows)


def components(
    model: Model, theta: Float[Array, " P"], t: Float[Array, " frames"], nodes: Nodes
) -> tuple[Components, Components]:
    """The components of S averaged over the bin's nodes, and their derivatives."""
    return along(lambda values: averaged(model, values, t, nodes), theta, jnp.eye(len(theta)))


def averaged(model: Model, theta: Float[Array, " P"], t: Float[Array, " frames"], nodes: Nodes) -> Components:
    """The components averaged over the bin's nodes."""
    return averaged_components(model, dict(zip(model.parameters, theta, strict=True)), t, nodes)
