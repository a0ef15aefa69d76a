"""The components of S averaged over a finite bin, each row as often as it changes over the bin.

    <S>_ij = Σ_n w_n S_ij(q_n, φ_n) = Σ_n Σ_k (√w_n a_k(i)) (√w_n a_k(j)) e^{-(Λ_k(j) - Λ_k(i))} cos(κ_k(j) - κ_k(i))

is a sum of terms as S is. A row (a_k, Λ_k, κ_k) that is the same at all azimuths, as those of a
component's own decay, stands once per q with the weights of its azimuths added up; likewise for q.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from heterodyne.bins.nodes import Nodes
from heterodyne.kernels._jax import AnyArray, Scalar, jax, jnp
from heterodyne.model import Components, Model, Parameters

_POINT = (0.0123, 17.0)
_ELSEWHERE = (
    ((np.nan, 17.0), (0.0171, 17.0)),  # NaN differs from everything, itself included
    ((0.0123, np.nan), (0.0123, 61.0)),
)
_TIMES = np.linspace(0.1, 1.0, 8)


def averaged_components(
    model: Model, params: Parameters, t: Float[Array, " frames"], nodes: Nodes
) -> Components:
    """The components of S averaged over the nodes."""
    rows = jax.vmap(jax.vmap(lambda q, phi: components_at(model, params, t, q, phi)))(nodes.q, nodes.phi)
    if nodes.weight.size == 1:
        return jax.tree.map(lambda values: values[0, 0], rows)
    varying = varying_rows(model)
    plain = rows.a.shape[2] - rows.phase.shape[2]
    is_fringe = np.arange(rows.a.shape[2]) >= plain
    merged = [
        _merged(rows, nodes.weight, alike, plain, on_q, on_phi)
        for fringe in (False, True)
        for on_q in (False, True)
        for on_phi in (False, True)
        if len(alike := varying.like(on_q, on_phi, is_fringe == fringe))
    ]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *merged)


def components_at(
    model: Model, params: Parameters, t: Float[Array, " frames"], q: Scalar, phi: Scalar
) -> Components:
    """The components at a point."""
    assert model.components is not None
    return Components.of(model.components(params, t, q, phi))


def _merged(
    rows: Components,
    weight: Float[AnyArray, "q_values azimuths"],
    alike: Int[np.ndarray, " alike"],
    plain: int,
    on_q: bool,
    on_phi: bool,
) -> Components:
    """The rows ``alike`` of every node (q values, azimuths, terms, frames), once where they are the same."""
    same = tuple(axis for axis, changes in enumerate((on_q, on_phi)) if not changes)
    once = tuple(slice(None) if changes else slice(1) for changes in (on_q, on_phi))
    root = jnp.sqrt(jnp.sum(jnp.asarray(weight), axis=same, keepdims=True))[..., None, None]
    frames = rows.a.shape[-1]
    turning = alike[alike >= plain] - plain
    parts = (
        rows.a[once][:, :, alike] * root,
        rows.exponent[once][:, :, alike],
        rows.phase[once][:, :, turning],
    )
    return Components(*(part.reshape(-1, frames) for part in parts))


class VaryingRows(NamedTuple):
    """Which rows of a model's components change with q and with the azimuth."""

    with_q: Bool[np.ndarray, " terms"]
    with_phi: Bool[np.ndarray, " terms"]

    def like(self, on_q: bool, on_phi: bool, among: Bool[np.ndarray, " terms"]) -> Int[np.ndarray, " alike"]:
        """The numbers of the rows ``among`` that change with just these."""
        return np.flatnonzero((self.with_q == on_q) & (self.with_phi == on_phi) & among)


@lru_cache
def varying_rows(model: Model) -> VaryingRows:
    """The rows that are computed from q, and from the azimuth.

    What is computed from a number that is none is none itself: the flow of the data through the model shows at once,
    whatever the parameters are. Rows in which q or φ only decides between cases differ between two of its values.
    """
    params = model.parameters.starts()

    @jax.jit
    def stacked(q: Scalar, phi: Scalar) -> Float[Array, "3 terms frames"]:
        a, exponent, phase = components_at(model, params, jnp.asarray(_TIMES), q, phi)
        return jnp.stack([a, exponent, jnp.concatenate([jnp.zeros_like(a[len(phase) :]), phase])])

    # called while another function is traced, whose operations these are not to become
    with jax.ensure_compile_time_eval():
        here = np.asarray(stacked(*_POINT))
        with_q, with_phi = (
            np.any([np.asarray(stacked(*at)) != here for at in places], axis=(0, 1, 3))
            for places in _ELSEWHERE
        )
    return VaryingRows(with_q, with_phi)
