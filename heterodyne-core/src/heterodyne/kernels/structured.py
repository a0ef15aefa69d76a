"""The structured evaluator: all sums of the least-squares problem without forming a model matrix.

A separable S is, above the diagonal, a sum of K rank-one terms (a semiseparable matrix):

    S_ij = Σ_k a_k(i) a_k(j) exp(-(Λ_k(j) - Λ_k(i))),   i < j.

Frames are cut into blocks of B. With s and e the first and last frame of a block, off-diagonal tiles are

    S_ij = Σ_k l_k(i) T_k(I, J) r_k(j),    l_k(i) = a_k(i) e^{-(Λ_k(e) - Λ_k(i))},
    r_k(j) = a_k(j) e^{-(Λ_k(j) - Λ_k(s))},    T_k(I, J) = e^{-(Λ_k(s of J) - Λ_k(e of I))},

every factor at most 1, whatever the decay. Sums with the data take one matrix product per block, sums
without data O(N p² K²) operations in a recursion over blocks; the tiles on the diagonal are formed.
∂Λ is referenced to the block like Λ, because ∂l and ∂r would cancel where ∂Λ is large.
Neighbours in spirit: semiseparable Gaussian processes, Foreman-Mackey et al., AJ 154 (2017) 220.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jax import Array

from heterodyne.data.bin import Bin, Nodes
from heterodyne.kernels._jax import jax, jnp
from heterodyne.kernels.bin_average import averaged_components
from heterodyne.normal_equations import Sums

if TYPE_CHECKING:
    from heterodyne.model import Model

DATA_BLOCK = 64
"""Frames per block in products with the data: long enough for a matrix product to run at reading speed."""
MODEL_BLOCK = 32
"""Frames per block in sums without data: their diagonal tiles are formed, which costs N · B."""


class Blocks(NamedTuple):
    """Components cut into blocks: ``a`` and ``rise`` = Λ(i) - Λ(s) are (nb, K, B), ``jump`` (nb, K) is
    Λ(s) - Λ(e of the block before), 0 for the first block."""

    a: Array
    rise: Array
    jump: Array

    @property
    def span(self) -> Array:
        """Λ(e) - Λ(s) of every block, (nb, K)."""
        return self.rise[..., -1]


def cut(a: Array, exponent: Array, size: int) -> Blocks:
    """Components (K, N) in blocks of ``size`` frames; works on tangents as on values, being linear."""
    a, exponent = (jnp.moveaxis(x.reshape(len(x), -1, size), 1, 0) for x in (a, exponent))
    start, end = exponent[..., 0], exponent[..., -1]
    jump = jnp.concatenate([jnp.zeros_like(start[:1]), start[1:] - end[:-1]])
    return Blocks(a, exponent - start[..., None], jump)


def sides(b: Blocks) -> tuple[Array, Array]:
    """l and r, (nb, K, B)."""
    return b.a * jnp.exp(b.rise - b.span[..., None]), b.a * jnp.exp(-b.rise)


def transfer(b: Blocks) -> Array:
    """T_k(I, J), (nb, nb, K), 0 unless I < J."""
    start = jnp.cumsum(b.jump + jnp.concatenate([jnp.zeros_like(b.span[:1]), b.span[:-1]]), axis=0)
    before = jnp.triu(jnp.ones((len(start), len(start)), dtype=bool), 1)[..., None]
    exponent = jnp.where(before, start[None, :] - (start + b.span)[:, None], 0.0)
    return jnp.where(before, jnp.exp(-exponent), 0.0)


def corner(rise: Array) -> Array:
    """The tiles on the diagonal: exp(-(Λ_k(j) - Λ_k(i))) for i < j, else 0, (nb, K, B, B)."""
    upper = jnp.triu(jnp.ones((rise.shape[-1],) * 2, dtype=bool), 1)
    lag = jnp.where(upper, rise[..., None, :] - rise[..., :, None], 0.0)
    return jnp.where(upper, jnp.exp(-lag), 0.0)


@jax.custom_vjp
def tile_products(d: Array, left: Array, right: Array, t: Array) -> Array:
    """Σ over off-diagonal tiles of T_k l_kᵀ D r_k, for symmetric data (N, N)."""
    return _tile_products(d, left, right, t)[0]


def _tile_products(d: Array, left: Array, right: Array, t: Array) -> tuple[Array, tuple[Array, ...]]:
    # one read of the data serves the value and, as residuals, its whole gradient
    blocks, k, size = left.shape
    both = jnp.concatenate([left, right], axis=1) @ d.reshape(blocks, size, -1)
    both = both.reshape(blocks, 2 * k, blocks, size)
    of_right = jnp.sum(t.transpose(0, 2, 1)[..., None] * both[:, :k], axis=0).transpose(1, 0, 2)
    of_left = jnp.sum(t.transpose(1, 2, 0)[..., None] * both[:, k:], axis=0).transpose(1, 0, 2)
    of_t = jnp.where(t > 0, jnp.sum(both[:, :k] * right.transpose(1, 0, 2), axis=-1).transpose(0, 2, 1), 0.0)
    return jnp.sum(of_right * right), (of_left, of_right, of_t)


def _pull_back(residuals: tuple[Array, ...], cotangent: Array) -> tuple[Array | None, ...]:
    return (None, *(cotangent * x for x in residuals))


tile_products.defvjp(_tile_products, _pull_back)


@jax.custom_vjp
def corner_products(d: Array, a: Array, rise: Array) -> Array:
    """Σ_k Σ_{i<j} a_k(i) a_k(j) e^{-(rise_k(j) - rise_k(i))} d_ij over the tiles on the diagonal, (nb, B, B)."""
    return _corner_products(d, a, rise)[0]


def _corner_products(d: Array, a: Array, rise: Array) -> tuple[Array, tuple[Array, ...]]:
    products = corner(rise) * d[:, None]
    of_first = jnp.einsum("nkij,nkj->nki", products, a)
    of_second = jnp.einsum("nkij,nki->nkj", products, a)
    return jnp.sum(a * of_first), (of_first + of_second, a * (of_first - of_second))


corner_products.defvjp(_corner_products, _pull_back)


def with_data(b: Blocks, d: Array) -> Array:
    """⟨D, S⟩ over i < j."""
    blocks, _, size = b.a.shape
    tiles = d.reshape(blocks, size, blocks, size)[jnp.arange(blocks), :, jnp.arange(blocks), :]
    return tile_products(d, *sides(b), transfer(b)) + corner_products(tiles, b.a, b.rise)


def total(b: Blocks) -> Array:
    """ΣS over i < j."""
    left, right = sides(b)
    blocks, _, size = b.a.shape
    far = jnp.einsum("ik,ijk,jk->", left.sum(-1), transfer(b), right.sum(-1))
    return far + corner_products(jnp.ones((blocks, size, size)), b.a, b.rise)


def square(b: Blocks) -> Array:
    """⟨S, S⟩ over i < j."""
    left, right = sides(b)
    t = transfer(b)
    pairs = (jnp.einsum("nki,nli->nkl", side, side) for side in (left, right))
    far = jnp.einsum("ikl,ijk,ijl,jkl->", next(pairs), t, t, next(pairs))
    near = jax.lax.stop_gradient(jnp.einsum("nki,nkij,nkj->nij", b.a, corner(b.rise), b.a))
    # 2 <S', S> - <S', S'> at S' = S has the value of <S, S> and its derivatives
    return far + corner_products(2.0 * near, b.a, b.rise) - jnp.sum(near * near)


def near_sums(b: Blocks, slope: Blocks, weight: Array) -> tuple[Array, Array]:
    """Σ w_i w_j X_ij and Σ X Xᵀ over the tiles on the diagonal, i < j; weight is (nb, B)."""
    e = corner(b.rise)
    u, w = slope.a + b.a * slope.rise, slope.a - b.a * slope.rise
    row, column = e * b.a[..., None, :], e * b.a[..., :, None]
    s = jnp.sum(b.a[..., :, None] * row, axis=1)
    ds = jnp.sum(u[..., :, None] * row + w[..., None, :] * column, axis=2)
    x = jnp.concatenate([s[None], ds]).reshape(1 + len(ds), -1)
    return x @ (weight[:, :, None] * weight[:, None, :]).ravel(), x @ x.T


def far_sums(b: Blocks, slope: Blocks, weight: Array) -> tuple[Array, Array]:
    """Σ w_i w_j X_ij and Σ X Xᵀ over the tiles off the diagonal; weight is (nb, B).

    ∂S = Σ_k l'_k r_k + l_k r'_k with l referenced to the start of the next block. With L = (l, l'_1, ..,
    l'_P) stacked, A(J) = Σ_{I<J} L Lᵀ carried to the start of J; carrying over an exponent x maps l to
    e^{-x} l and l'_p to e^{-x} (l'_p - l ∂_p x).
    """
    blocks, k, size = b.a.shape
    p = len(slope.a)
    over = jnp.concatenate([b.span[:-1] + b.jump[1:], jnp.zeros((1, k))])
    slope_over = jnp.concatenate([slope.span[:, :-1] + slope.jump[:, 1:], jnp.zeros((p, 1, k))], axis=1)
    fall, sink = jnp.exp(b.rise - over[..., None]), jnp.exp(-b.rise)
    of_left = (slope.a + b.a * (slope.rise - slope_over[..., None])) * fall
    of_right = (slope.a - b.a * slope.rise) * sink
    left, right = (
        jnp.concatenate([value[None], of]).transpose(1, 2, 0, 3).reshape(blocks, k * (1 + p), size)
        for value, of in ((b.a * fall, of_left), (b.a * sink, of_right))
    )
    # a last column of weighted sums is carried along with the products
    sources = left @ jnp.concatenate([left, weight[:, None, :]], axis=1).transpose(0, 2, 1)

    def advance(carry: Array, at: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        factor, change, source = at
        rows = _carry(carry, factor, change)
        columns = _carry(rows[:, :-1].T, factor, change).T
        return jnp.concatenate([columns, rows[:, -1:]], axis=1) + source, carry

    shift = slope_over.transpose(1, 2, 0)
    _, before = jax.lax.scan(advance, jnp.zeros_like(sources[0]), (jnp.exp(-over), shift, sources))
    shape = (blocks, k, 1 + p, k, 1 + p)
    after, products = (right @ right.transpose(0, 2, 1)).reshape(shape), before[..., :-1].reshape(shape)
    crossed = jnp.einsum("nkpl,nklq->pq", products[..., 0], after[:, :, 0])
    gram = (
        jnp.einsum("nkplq,nkl->pq", products, after[:, :, 0, :, 0])
        + jnp.einsum("nkl,nkplq->pq", products[:, :, 0, :, 0], after)
        + crossed
        + crossed.T
    )
    sums = before[..., -1].reshape(blocks, k, 1 + p)
    ends = jnp.einsum("nxi,ni->nx", right, weight).reshape(blocks, k, 1 + p)
    sum_x = jnp.einsum("nkp,nk->p", sums, ends[..., 0]) + jnp.einsum("nk,nkp->p", sums[..., 0], ends)
    # S is one term l r where ∂S is two
    once = jnp.ones(1 + p).at[0].set(0.5)
    return once * sum_x, once[:, None] * gram * once


def _carry(matrix: Array, factor: Array, change: Array) -> Array:
    """Rows (k, 0) and (k, p) of a matrix carried over: e^{-x_k} times row, less ∂_p x_k times row (k, 0)."""
    k, p = change.shape
    rows = matrix.reshape(k, 1 + p, -1)
    rest = rows[:, 1:] - change[..., None] * rows[:, :1]
    return (factor[:, None, None] * jnp.concatenate([rows[:, :1], rest], axis=1)).reshape(matrix.shape)


class Rows(NamedTuple):
    """Components over all frames, ``a`` and ``exponent`` (K, N); or their derivatives, (P, K, N)."""

    a: Array
    exponent: Array

    def scaled(self, weight: Array) -> Rows:
        """With the amplitudes times a frame weight."""
        return self._replace(a=self.a * weight)

    def cut(self, size: int) -> Blocks:
        """In blocks of ``size`` frames; derivatives keep their leading axis."""
        blocks = partial(cut, size=size)
        return blocks(*self) if self.a.ndim == 2 else jax.vmap(blocks)(*self)


def bin_sums(model: Model, theta: np.ndarray, one: Bin, jacobian: bool = True) -> Sums:
    """ΣX, Σ d X and Σ X Xᵀ of one bin, X = (S, ∂S), or S alone without ``jacobian``."""
    evaluate = _sums if jacobian else value_sums
    return Sums(*map(np.asarray, evaluate(model, theta, one.t, one.nodes, one.weight, one.d)))


@partial(jax.jit, static_argnames="model")
def _sums(model: Model, theta: Array, t: Array, nodes: Nodes, weight: Array, d: Array) -> tuple[Array, ...]:
    rows, slopes = components(model, theta, t, nodes)
    return data_sums(rows, slopes, d), *model_sums(rows, slopes, weight)


def data_sums(rows: Rows, slopes: Rows, d: Array) -> Array:
    """Σ d X, (1+P,)."""
    return with_slopes(lambda b: with_data(b, d), rows.cut(DATA_BLOCK), slopes.cut(DATA_BLOCK))


def model_sums(rows: Rows, slopes: Rows, weight: Array) -> tuple[Array, Array]:
    """ΣX (1+P,) and Σ X Xᵀ (1+P, 1+P) over pairs weighted by the product of their frames' weights."""
    root = jnp.sqrt(weight)
    b, slope = rows.scaled(root).cut(MODEL_BLOCK), slopes.scaled(root).cut(MODEL_BLOCK)
    near, far = (sums(b, slope, root.reshape(-1, MODEL_BLOCK)) for sums in (near_sums, far_sums))
    return near[0] + far[0], near[1] + far[1]


def with_slopes(of: Callable[[Blocks], Array], b: Blocks, slope: Blocks) -> Array:
    """A sum and its derivatives, (1+P,), from one reverse pass and the tangents of the blocks."""
    value, back = jax.value_and_grad(of)(b)
    parameters = len(slope.a)
    derivatives = sum(s.reshape(parameters, -1) @ g.reshape(-1) for g, s in zip(back, slope, strict=True))
    return jnp.concatenate([value[None], derivatives])


@partial(jax.jit, static_argnames="model")
def value_sums(
    model: Model, theta: Array, t: Array, nodes: Nodes, weight: Array, d: Array
) -> tuple[Array, Array, Array]:
    """Σ d S (1,), ΣS (1,) and Σ S² (1, 1) of one bin: all that a likelihood needs.

    Reverse-mode derivatives in ``theta`` are exact and take no second read of the data.
    """
    rows = averaged(model, theta, t, nodes)
    cross = with_data(rows.cut(DATA_BLOCK), d)
    once = total(rows.scaled(weight).cut(MODEL_BLOCK))
    twice = square(rows.scaled(jnp.sqrt(weight)).cut(MODEL_BLOCK))
    return cross[None], once[None], twice[None, None]


def components(model: Model, theta: Array, t: Array, nodes: Nodes) -> tuple[Rows, Rows]:
    """The components of S averaged over the bin's nodes, and their derivatives."""

    def along(direction: Array) -> tuple[Rows, Rows]:
        return jax.jvp(lambda values: averaged(model, values, t, nodes), (theta,), (direction,))

    return jax.vmap(along, out_axes=(None, 0))(jnp.eye(len(theta)))


def averaged(model: Model, theta: Array, t: Array, nodes: Nodes) -> Rows:
    """The components averaged over the bin's nodes."""
    return Rows(*averaged_components(model, dict(zip(model.parameters, theta, strict=True)), t, nodes))
