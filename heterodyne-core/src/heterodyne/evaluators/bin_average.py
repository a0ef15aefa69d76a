"""The components of S averaged over a finite bin, each row as often as it changes over the bin.

    <S>_ij = Σ_n w_n S_ij(q_n, φ_n) = Σ_n Σ_k (√w_n a_k(i)) (√w_n a_k(j)) e^{-(Λ_k(j) - Λ_k(i))} cos(κ_k(j) - κ_k(i))

is a sum of terms as S is. A row (a_k, Λ_k, κ_k) that is the same at all azimuths, as those of a
component's own decay, stands once per q with the weights of its azimuths added up; likewise for q.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from heterodyne.bins.nodes import Nodes
from heterodyne.kernels._jax import jax, jnp
from heterodyne.model import Components

if TYPE_CHECKING:
    from heterodyne.model import Model, Parameters
    from heterodyne.parameters import Parameter

_DRAWS = 16  # at a single one, a fraction of 0 or 1 would hide what depends on the azimuth
_TIMES = np.linspace(0.1, 1.0, 8)


def averaged_components(model: Model, params: Parameters, t: Array, nodes: Nodes) -> Components:
    """The components of S averaged over the nodes."""
    rows = jax.vmap(jax.vmap(lambda q, phi: components_at(model, params, t, q, phi)))(nodes.q, nodes.phi)
    if nodes.weight.size == 1:
        return jax.tree.map(lambda row: row[0, 0], rows)
    varying = varying_rows(model)
    plain = rows.a.shape[2] - rows.phase.shape[2]
    is_fringe = np.arange(rows.a.shape[2]) >= plain
    merged = [
        _merged(rows, nodes.weight, found, plain, on_q, on_phi)
        for fringe in (False, True)
        for on_q in (False, True)
        for on_phi in (False, True)
        if len(found := varying.like(on_q, on_phi, is_fringe == fringe))
    ]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *merged)


def components_at(model: Model, params: Parameters, t: Array, q: ArrayLike, phi: ArrayLike) -> Components:
    """The components at a point."""
    assert model.components is not None
    return Components.of(model.components(params, t, q, phi))


def _merged(
    rows: Components, weight: Array | np.ndarray, found: np.ndarray, plain: int, on_q: bool, on_phi: bool
) -> Components:
    """These rows of every node (q values, azimuths, K, N), once where they are the same, (rows, N)."""
    same = tuple(axis for axis, changes in enumerate((on_q, on_phi)) if not changes)
    once = tuple(slice(None) if changes else slice(1) for changes in (on_q, on_phi))
    root = jnp.sqrt(jnp.sum(jnp.asarray(weight), axis=same, keepdims=True))[..., None, None]
    frames = rows.a.shape[-1]
    turning = found[found >= plain] - plain
    parts = (
        rows.a[once][:, :, found] * root,
        rows.exponent[once][:, :, found],
        rows.phase[once][:, :, turning],
    )
    return Components(*(part.reshape(-1, frames) for part in parts))


class VaryingRows(NamedTuple):
    """Which rows of a model's components change with q and with the azimuth, (K,) each."""

    with_q: np.ndarray
    with_phi: np.ndarray

    def like(self, on_q: bool, on_phi: bool, among: np.ndarray) -> np.ndarray:
        """The numbers of the rows ``among`` (K,) that change with just these."""
        return np.flatnonzero((self.with_q == on_q) & (self.with_phi == on_phi) & among)


@lru_cache
def varying_rows(model: Model) -> VaryingRows:
    """The rows that change, found by comparing bit for bit at random parameters within the bounds."""
    rng = np.random.default_rng(0)
    params = {name: _draws(row, rng) for name, row in model.parameters.items()}

    @jax.jit
    def stacked(q: float, phi: float) -> Array:
        def of(values: Parameters) -> Array:
            a, exponent, phase = components_at(model, values, jnp.asarray(_TIMES), q, phi)
            return jnp.stack([a, exponent, jnp.concatenate([jnp.zeros_like(a[len(phase) :]), phase])])

        return jax.vmap(of)(params)

    # called while another function is traced, whose operations these are not to become
    with jax.ensure_compile_time_eval():
        here, *others = (np.asarray(stacked(*at)) for at in ((0.0123, 17.0), (0.0171, 17.0), (0.0123, 61.0)))
    return VaryingRows(*(np.any(other != here, axis=(0, 1, 3)) for other in others))


def _draws(row: Parameter, rng: np.random.Generator) -> np.ndarray:
    """Values from the start towards either bound, close ones more often than far ones."""
    start, low, high = (np.log(x) if row.scale == "log" else x for x in (row.start, row.low, row.high))
    end = rng.choice([low, high], _DRAWS)
    values = start + (end - start) * rng.random(_DRAWS) ** 3
    return np.exp(values) if row.scale == "log" else values
