"""The components of S averaged over a finite bin, each row as often as it changes over the bin.

    <S>_ij = Σ_n w_n S_ij(q_n, φ_n) = Σ_n Σ_k (√w_n a_k(i)) (√w_n a_k(j)) exp(-(Λ_k(j) - Λ_k(i)))

is a sum of rank-one terms as S is. A row (a_k, Λ_k) that is the same at all azimuths, as those of a
component's own decay, stands once per q with the weights of its azimuths added up; likewise for q.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jax import Array

from heterodyne.data.bin import Nodes
from heterodyne.kernels._jax import jax, jnp

if TYPE_CHECKING:
    from heterodyne.model import Components, Model, Parameters
    from heterodyne.parameters import Parameter

_DRAWS = 16  # at a single one, a fraction of 0 or 1 would hide what depends on the azimuth
_TIMES = np.linspace(0.1, 1.0, 8)


def averaged_components(model: Model, params: Parameters, t: Array, nodes: Nodes) -> Components:
    """(a, Λ) of S averaged over the nodes, both (rows, N)."""
    components = model.components
    assert components is not None
    over_grid = jax.vmap(jax.vmap(lambda q, phi: components(params, t, q, phi)))
    a, exponent = over_grid(nodes.q, nodes.phi)
    if nodes.weight.size == 1:
        return a[0, 0], exponent[0, 0]
    varying = varying_rows(model)
    merged = [
        _merged(a, exponent, nodes.weight, rows, on_q, on_phi)
        for on_q in (False, True)
        for on_phi in (False, True)
        if len(rows := np.flatnonzero((varying.with_q == on_q) & (varying.with_phi == on_phi)))
    ]
    amplitudes, exponents = zip(*merged, strict=True)
    return jnp.concatenate(amplitudes), jnp.concatenate(exponents)


def _merged(
    a: Array, exponent: Array, weight: Array | np.ndarray, rows: np.ndarray, on_q: bool, on_phi: bool
) -> Components:
    """These rows of every node (q values, azimuths, K, N), once where they are the same, both (rows, N)."""
    same = tuple(axis for axis, changes in enumerate((on_q, on_phi)) if not changes)
    once = tuple(slice(None) if changes else slice(1) for changes in (on_q, on_phi))
    root = jnp.sqrt(jnp.sum(jnp.asarray(weight), axis=same, keepdims=True))[..., None, None]
    frames = a.shape[-1]
    return (a[once][:, :, rows] * root).reshape(-1, frames), exponent[once][:, :, rows].reshape(-1, frames)


class VaryingRows(NamedTuple):
    """Which rows of a model's components change with q and with the azimuth, (K,) each."""

    with_q: np.ndarray
    with_phi: np.ndarray


@lru_cache
def varying_rows(model: Model) -> VaryingRows:
    """The rows that change, found by comparing bit for bit at random parameters within the bounds."""
    components, rng = model.components, np.random.default_rng(0)
    assert components is not None
    params = {name: _draws(row, rng) for name, row in model.parameters.items()}

    @jax.jit
    def rows(q: float, phi: float) -> Array:
        return jax.vmap(lambda p: jnp.stack(components(p, jnp.asarray(_TIMES), q, phi)))(params)

    # called while another function is traced, whose operations these are not to become
    with jax.ensure_compile_time_eval():
        here, *others = (np.asarray(rows(*at)) for at in ((0.0123, 17.0), (0.0171, 17.0), (0.0123, 61.0)))
    return VaryingRows(*(np.any(other != here, axis=(0, 1, 3)) for other in others))


def _draws(row: Parameter, rng: np.random.Generator) -> np.ndarray:
    """Values from the start towards either bound, close ones more often than far ones."""
    start, low, high = (np.log(x) if row.scale == "log" else x for x in (row.start, row.low, row.high))
    end = rng.choice([low, high], _DRAWS)
    values = start + (end - start) * rng.random(_DRAWS) ** 3
    return np.exp(values) if row.scale == "log" else values
