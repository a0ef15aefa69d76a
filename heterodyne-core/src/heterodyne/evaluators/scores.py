"""Scores of frame pairs: residual times derivative, the raw material of robust errors.

s_ij = W_ij r_ij (∂model_ij less its projection on the scaling design) / σ²
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Float, Int

from heterodyne.bins.bin import Bin
from heterodyne.bins.nodes import Nodes
from heterodyne.bins.parts import Part
from heterodyne.evaluators.structured import components
from heterodyne.kernels._jax import Scalar, compiled, jax, jnp
from heterodyne.model import Model

_UNROLLED = 8  # planes, up to which their products are written out: faster, but every one is compiled


class Linear(NamedTuple):
    """One bin's model at the solution: model_ij = ``offset`` + ``contrast`` S_ij, and its derivatives.

    The projected derivatives are ``slopes`` · (S, ∂S) + ``shift``; ``sigma`` is the noise per element.
    """

    contrast: float
    offset: float
    slopes: Float[np.ndarray, "p 1+P"]
    shift: Float[np.ndarray, " p"]
    sigma: float


class ScorePart(NamedTuple):
    """Scores of a part of the upper triangle, from frames ``first`` and ``second`` on."""

    first: int
    second: int
    scores: Float[np.ndarray, "p rows columns"]


def score_parts(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, linear: Linear
) -> Iterator[ScorePart]:
    """The scores of all pairs i < j of one bin, part by part; 0 at every other place.

    The bin's covariance of frames is not among its weights here (`heterodyne.evaluators.influence`).
    """
    evaluate = dense_scores if model.components is None else separable_scores
    for part in bin.parts():
        used = part._replace(c2=np.where(part.weights > 0, part.c2, linear.offset))
        scores = evaluate(model, theta, bin.t, bin.nodes, linear, used)
        yield ScorePart(part.first, part.second, np.asarray(scores))


@compiled("model")
def separable_scores(
    model: Model,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    linear: Linear,
    part: Part,
) -> Float[Array, "p rows columns"]:
    """The scores of a separable S, some times faster than `dense_scores`.

    With P = E cos Δκ, Q = E sin Δκ and E = e^{-ΔΛ} of every component between frames i and j, a change
    (a', Λ', κ') of its rows moves it by

        P [(a'_i + a_i Λ'_i) a_j + a_i (a'_j - a_j Λ'_j)] + Q [a_i κ'_i a_j - a_i a_j κ'_j]:

    a few planes, the same for all p, times vectors over the rows and over the columns.
    """
    rows, slopes = components(model, theta, t, nodes)
    moved = jax.tree.map(lambda slope: jnp.tensordot(linear.slopes[:, 1:], slope, axes=1), slopes)
    shape = part.c2.shape
    i, di = jax.tree.map(lambda values: _window(values, part.first, shape[0]), (rows, moved))
    j, dj = jax.tree.map(lambda values: _window(values, part.second, shape[1]), (rows, moved))
    turning = slice(len(rows.a) - len(rows.phase), None)
    decay = jnp.exp(jnp.minimum(i.exponent[:, :, None] - j.exponent[:, None, :], 0.0))
    turn = j.phase[:, None, :] - i.phase[:, :, None]
    even, odd = decay.at[turning].multiply(jnp.cos(turn)), decay[turning] * jnp.sin(turn)
    s = jnp.einsum("kij,ki,kj->ij", even, i.a, j.a)
    residual = jnp.asarray(part.weights) * (part.c2 - linear.offset - linear.contrast * s) / linear.sigma**2
    of_s, shift = jnp.asarray(linear.slopes[:, :1, None]), jnp.asarray(linear.shift[:, None, None])
    terms = (
        (even * residual, di.a + i.a * di.exponent, j.a),
        (even * residual, i.a, dj.a - j.a * dj.exponent),
        (odd * residual, i.a[turning] * di.phase, j.a[turning]),
        (odd * residual, -i.a[turning], j.a[turning] * dj.phase),
        ((s * residual)[None], of_s, jnp.ones((1, 1))),
        (residual[None], shift, jnp.ones((1, 1))),
    )
    return sum((_products(*term) for term in terms), jnp.zeros((len(linear.slopes), *shape)))


def _products(
    planes: Float[Array, "k rows columns"],
    of_rows: Float[Array, "... k #rows"],
    of_columns: Float[Array, "... k #columns"],
) -> Float[Array, "p rows columns"] | Float[Array, ""]:
    """Σ_k planes_kij of_rows_ki of_columns_kj, where a factor has an axis (p,) first; 0 without planes."""
    # unless held here, every plane would be computed again for each of the p
    planes, of_rows, of_columns = jax.lax.optimization_barrier((planes, of_rows, of_columns))

    def product(k: Array | int) -> Array:
        return planes[k] * of_rows[..., k, :, None] * of_columns[..., k, None, :]

    if len(planes) <= _UNROLLED:
        return reduce(jnp.add, map(product, range(len(planes))), jnp.zeros(()))
    return jax.lax.fori_loop(1, len(planes), lambda k, total: total + product(k), product(0))


@compiled("model")
def dense_scores(
    model: Model,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    linear: Linear,
    part: Part,
) -> Float[Array, "p rows columns"]:
    """The scores of any model, by automatic differentiation of every pair."""
    at = nodes.listed()
    rows, columns = part.c2.shape

    def mean(values: Array) -> Array:
        params = dict(zip(model.parameters, values, strict=True))

        def of(q: Scalar, phi: Scalar) -> Float[Array, "rows columns"]:
            profiles = model.profiles(params, t, q, phi)
            left = jax.tree.map(lambda x: _window(x, part.first, rows)[..., :, None], profiles)
            right = jax.tree.map(lambda x: _window(x, part.second, columns)[..., None, :], profiles)
            return model.pair(left, right)

        return jnp.tensordot(at.weight, jax.vmap(of)(jnp.asarray(at.q), jnp.asarray(at.phi)), axes=1)

    along = jax.vmap(lambda v: jax.jvp(mean, (theta,), (v,)), out_axes=(None, 0))
    s, ds = along(jnp.eye(len(theta)))
    residual = part.weights * (part.c2 - linear.offset - linear.contrast * s)
    derivative = jnp.tensordot(linear.slopes, jnp.concatenate([s[None], ds]), axes=1)
    return residual * (derivative + linear.shift[:, None, None]) / linear.sigma**2


def _window(
    leaf: Float[Array, "*axes frames"], start: int | Int[Array, ""], size: int
) -> Float[Array, "*axes {size}"]:
    return jax.lax.dynamic_slice_in_dim(leaf, start, size, axis=-1)
