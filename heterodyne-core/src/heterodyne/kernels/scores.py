"""Scores of frame pairs: residual times derivative, the raw material of robust errors.

    s_ij = W_ij r_ij (∂model_ij less its projection on the scaling design) / σ²

for rows i of one bin and all frames j; both orders of a pair are given, s_ii = 0.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jax import Array

from heterodyne.data.bin import Bin, Nodes
from heterodyne.kernels._jax import jax, jnp

if TYPE_CHECKING:
    from heterodyne.model import Model

BAND = 64
"""Rows formed at a time."""


class Linear(NamedTuple):
    """One bin's model at the solution: model_ij = ``offset`` + ``contrast`` S_ij, and its derivatives.

    ``slopes`` (p, 1+P) and ``shift`` (p,) state the projected derivatives as slopes · (S, ∂S) + shift;
    ``sigma`` is the noise per element.
    """

    contrast: float
    offset: float
    slopes: np.ndarray
    shift: np.ndarray
    sigma: float


def band_scores(model: Model, theta: np.ndarray, one: Bin, linear: Linear, first: int) -> np.ndarray:
    """The scores of ``BAND`` rows from frame ``first`` on, (p, BAND, M)."""
    rows = slice(first, first + BAND)
    shape = (linear.contrast, linear.offset - one.reference, linear.slopes, linear.shift, linear.sigma)
    weights, data = one.weights(rows), one.d[rows]
    return np.asarray(_band(model, theta, one.t, one.nodes, weights, data, shape, first))


@partial(jax.jit, static_argnames="model")
def _band(
    model: Model,
    theta: Array,
    t: Array,
    nodes: Nodes,
    weights: Array,
    data: Array,
    linear: tuple[Array, Array, Array, Array, Array],
    first: Array,
) -> Array:
    contrast, level, slopes, shift, sigma = linear
    at = nodes.listed()

    def mean(values: Array) -> Array:
        params = dict(zip(model.parameters, values, strict=True))

        def of(q: Array, phi: Array) -> Array:
            rows = model.profiles(params, t, q, phi)
            left = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, first, BAND, -1)[..., :, None], rows)
            return model.pair(left, jax.tree.map(lambda x: x[..., None, :], rows))

        return jnp.tensordot(at.weight, jax.vmap(of)(at.q, at.phi), axes=1)

    along = jax.vmap(lambda v: jax.jvp(mean, (theta,), (v,)), out_axes=(None, 0))
    s, ds = along(jnp.eye(len(theta)))
    residual = data - weights * (level + contrast * s)
    derivative = jnp.tensordot(slopes, jnp.concatenate([s[None], ds]), axes=1) + shift[:, None, None]
    return residual * derivative / sigma**2
