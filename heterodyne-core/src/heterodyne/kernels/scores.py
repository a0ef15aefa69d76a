"""Scores of frame pairs: residual times derivative, the raw material of robust errors.

s_ij = W_ij r_ij (∂model_ij less its projection on the scaling design) / σ²
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from heterodyne.data.bin import Bin, Nodes
from heterodyne.data.parts import upper_parts
from heterodyne.data.tiles import StreamedBin
from heterodyne.kernels._jax import jax, jnp

if TYPE_CHECKING:
    from heterodyne.model import Model


class Linear(NamedTuple):
    """One bin's model at the solution: model_ij = ``offset`` + ``contrast`` S_ij, and its derivatives.

    The projected derivatives are ``slopes`` (p, 1+P) · (S, ∂S) + ``shift`` (p,); ``sigma`` is the noise per
    element.
    """

    contrast: float
    offset: float
    slopes: np.ndarray
    shift: np.ndarray
    sigma: float


class ScorePart(NamedTuple):
    """Scores of a part of the upper triangle, (p, rows, columns), from frames ``first`` and ``second`` on."""

    first: int
    second: int
    scores: np.ndarray


def score_parts(
    model: Model, theta: np.ndarray, one: Bin | StreamedBin, linear: Linear
) -> Iterator[ScorePart]:
    """The scores of all pairs i < j of one bin, part by part; 0 at every other place."""
    for first, second, c2, weights in upper_parts(one):
        values = np.where(weights > 0, c2, linear.offset)
        scores = _scores(model, theta, one.t, one.nodes, values, weights, linear, first, second)
        yield ScorePart(first, second, np.asarray(scores))


@partial(jax.jit, static_argnames="model")
def _scores(
    model: Model,
    theta: Array,
    t: Array,
    nodes: Nodes,
    c2: Array,
    weights: Array,
    linear: Linear,
    first: Array,
    second: Array,
) -> Array:
    at = nodes.listed()
    rows, columns = c2.shape

    def mean(values: Array) -> Array:
        params = dict(zip(model.parameters, values, strict=True))

        def of(q: ArrayLike, phi: ArrayLike) -> Array:
            profiles = model.profiles(params, t, q, phi)
            left = jax.tree.map(lambda x: _window(x, first, rows)[..., :, None], profiles)
            right = jax.tree.map(lambda x: _window(x, second, columns)[..., None, :], profiles)
            return model.pair(left, right)

        return jnp.tensordot(at.weight, jax.vmap(of)(jnp.asarray(at.q), jnp.asarray(at.phi)), axes=1)

    along = jax.vmap(lambda v: jax.jvp(mean, (theta,), (v,)), out_axes=(None, 0))
    s, ds = along(jnp.eye(len(theta)))
    residual = weights * (c2 - linear.offset - linear.contrast * s)
    derivative = jnp.tensordot(linear.slopes, jnp.concatenate([s[None], ds]), axes=1)
    return residual * (derivative + linear.shift[:, None, None]) / linear.sigma**2


def _window(leaf: Array, start: Array, size: int) -> Array:
    return jax.lax.dynamic_slice_in_dim(leaf, start, size, axis=-1)
