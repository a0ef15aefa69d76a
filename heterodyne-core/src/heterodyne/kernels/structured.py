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


def corner(b: Blocks) -> tuple[Array, Array]:
    """The tiles on the diagonal: exp(-(Λ_k(j) - Λ_k(i))) for i < j, else 0, (nb, K, B, B), and the mask."""
    upper = jnp.triu(jnp.ones((b.a.shape[-1],) * 2, dtype=bool), 1)
    lag = jnp.where(upper, b.rise[..., None, :] - b.rise[..., :, None], 0.0)
    return jnp.where(upper, jnp.exp(-lag), 0.0), upper


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


def with_data(b: Blocks, d: Array) -> Array:
    """⟨D, S⟩ over i < j."""
    blocks, _, size = b.a.shape
    e, _ = corner(b)
    rows = d.reshape(blocks, size, blocks, size)
    diagonal = rows[jnp.arange(blocks), :, jnp.arange(blocks), :]
    near = jnp.einsum("nki,nkij,nkj,nij->", b.a, e, b.a, diagonal)
    return tile_products(d, *sides(b), transfer(b)) + near


def total(b: Blocks) -> Array:
    """ΣS over i < j."""
    left, right = sides(b)
    e, _ = corner(b)
    step, far = jnp.exp(-(b.span[:-1] + b.jump[1:])), jnp.exp(-b.jump[1:])
    carried = _recursion(step, far * left.sum(-1)[:-1])
    return jnp.sum(carried * right.sum(-1)[1:]) + jnp.einsum("nki,nkij,nkj->", b.a, e, b.a)


def square(b: Blocks) -> Array:
    """⟨S, S⟩ over i < j."""
    left, right = sides(b)
    e, _ = corner(b)
    step, far = jnp.exp(-(b.span[:-1] + b.jump[1:])), jnp.exp(-b.jump[1:])
    pairs = far[:, :, None] * far[:, None, :] * jnp.einsum("nki,nli->nkl", left, left)[:-1]
    carried = _recursion(step[:, :, None] * step[:, None, :], pairs)
    near = jnp.einsum("nki,nkij,nkj->nij", b.a, e, b.a)
    return jnp.sum(carried * jnp.einsum("nki,nli->nkl", right, right)[1:]) + jnp.sum(near * near)


def _recursion(factor: Array, term: Array) -> Array:
    """x(J) = factor(J) x(J-1) + term(J), along the leading axis, from x = 0."""

    def join(one: tuple[Array, Array], two: tuple[Array, Array]) -> tuple[Array, Array]:
        return one[0] * two[0], two[0] * one[1] + two[1]

    return jax.lax.associative_scan(join, (factor, term))[1]


def gram_of_slopes(b: Blocks, slope: Blocks) -> Array:
    """⟨∂_p S, ∂_q S⟩ over i < j, (P, P), from blocks and their tangents with a leading axis P."""
    return _far_gram(b, slope) + _near_gram(b, slope)


def _near_gram(b: Blocks, slope: Blocks) -> Array:
    e, _ = corner(b)
    u, w = slope.a + b.a * slope.rise, slope.a - b.a * slope.rise
    x = jnp.sum(
        u[..., :, None] * (e * b.a[..., None, :]) + w[..., None, :] * (e * b.a[..., :, None]), axis=2
    ).reshape(len(slope.a), -1)
    return x @ x.T


def _far_gram(b: Blocks, slope: Blocks) -> Array:
    """The tiles off the diagonal.

    ∂S = Σ_k l'_k r_k + l_k r'_k with l referenced to the start of the next block. With L = (l, l'_1, ..,
    l'_P) stacked, A(J) = Σ_{I<J} L Lᵀ carried to the start of J; carrying over an exponent x maps l to
    e^{-x} l and l'_p to e^{-x} (l'_p - l ∂_p x).
    """
    blocks, k, size = b.a.shape
    p = len(slope.a)
    over = jnp.concatenate([b.span[:-1] + b.jump[1:], jnp.zeros((1, k))])
    slope_over = jnp.concatenate([slope.span[:, :-1] + slope.jump[:, 1:], jnp.zeros((p, 1, k))], axis=1)
    fall = jnp.exp(b.rise - over[..., None])
    sink = jnp.exp(-b.rise)
    of_left = (slope.a + b.a * (slope.rise - slope_over[..., None])) * fall
    of_right = (slope.a - b.a * slope.rise) * sink
    left, right = (
        jnp.concatenate([value[None], of]).transpose(1, 2, 0, 3).reshape(blocks, k * (1 + p), size)
        for value, of in ((b.a * fall, of_left), (b.a * sink, of_right))
    )
    sources = left @ left.transpose(0, 2, 1)

    def advance(carry: Array, at: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        factor, change, source = at
        moved = _carry(_carry(carry, factor, change).T, factor, change)
        return moved + source, carry

    shift = slope_over.transpose(1, 2, 0)
    _, before = jax.lax.scan(advance, jnp.zeros_like(sources[0]), (jnp.exp(-over), shift, sources))
    after = (right @ right.transpose(0, 2, 1)).reshape(blocks, k, 1 + p, k, 1 + p)
    before = before.reshape(blocks, k, 1 + p, k, 1 + p)
    crossed = jnp.einsum("nkpl,nklq->pq", before[:, :, 1:, :, 0], after[:, :, 0, :, 1:])
    return (
        jnp.einsum("nkplq,nkl->pq", before[:, :, 1:, :, 1:], after[:, :, 0, :, 0])
        + jnp.einsum("nkl,nkplq->pq", before[:, :, 0, :, 0], after[:, :, 1:, :, 1:])
        + crossed
        + crossed.T
    )


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
    evaluate = _sums if jacobian else _values
    return Sums(*map(np.asarray, evaluate(model, theta, one.t, one.nodes, one.weight, one.d)))


@partial(jax.jit, static_argnames="model")
def _sums(model: Model, theta: Array, t: Array, nodes: Nodes, weight: Array, d: Array) -> tuple[Array, ...]:
    rows, slopes = components(model, theta, t, nodes)
    return data_sums(rows, slopes, d), *model_sums(rows, slopes, weight)


def data_sums(rows: Rows, slopes: Rows, d: Array) -> Array:
    """Σ d X, (1+P,)."""
    return _with_slopes(lambda b: with_data(b, d), rows.cut(DATA_BLOCK), slopes.cut(DATA_BLOCK))


def model_sums(rows: Rows, slopes: Rows, weight: Array) -> tuple[Array, Array]:
    """ΣX (1+P,) and Σ X Xᵀ (1+P, 1+P) over pairs weighted by the product of their frames' weights."""
    once, twice = (
        (rows.scaled(w).cut(MODEL_BLOCK), slopes.scaled(w).cut(MODEL_BLOCK))
        for w in (weight, jnp.sqrt(weight))
    )
    squares = _with_slopes(square, *twice)
    border = 0.5 * squares[1:]
    gram = jnp.block([[squares[:1], border[None]], [border[:, None], gram_of_slopes(*twice)]])
    return _with_slopes(total, *once), gram


def _with_slopes(of: Callable[[Blocks], Array], b: Blocks, slope: Blocks) -> Array:
    """A sum and its derivatives, (1+P,), from one reverse pass and the tangents of the blocks."""
    value, back = jax.value_and_grad(of)(b)
    parameters = len(slope.a)
    derivatives = sum(s.reshape(parameters, -1) @ g.reshape(-1) for g, s in zip(back, slope, strict=True))
    return jnp.concatenate([value[None], derivatives])


@partial(jax.jit, static_argnames="model")
def _values(model: Model, theta: Array, t: Array, nodes: Nodes, weight: Array, d: Array) -> tuple[Array, ...]:
    rows = averaged(model, theta, t, nodes)
    values = (
        with_data(rows.cut(DATA_BLOCK), d),
        total(rows.scaled(weight).cut(MODEL_BLOCK)),
        square(rows.scaled(jnp.sqrt(weight)).cut(MODEL_BLOCK)),
    )
    return values[0][None], values[1][None], values[2][None, None]


def components(model: Model, theta: Array, t: Array, nodes: Nodes) -> tuple[Rows, Rows]:
    """The components of S averaged over the bin's nodes, and their derivatives."""
    slopes = jax.jacfwd(lambda values: averaged(model, values, t, nodes))(theta)
    return averaged(model, theta, t, nodes), Rows(*(jnp.moveaxis(x, -1, 0) for x in slopes))


def averaged(model: Model, theta: Array, t: Array, nodes: Nodes) -> Rows:
    """The components at every node, amplitudes times the square root of its weight."""
    assert model.components is not None
    params = dict(zip(model.parameters, theta, strict=True))
    a, exponent = jax.vmap(lambda q, phi: model.components(params, t, q, phi))(nodes.q, nodes.phi)
    a = a * jnp.sqrt(nodes.weight)[:, None, None]
    return Rows(a.reshape(-1, len(t)), exponent.reshape(-1, len(t)))
