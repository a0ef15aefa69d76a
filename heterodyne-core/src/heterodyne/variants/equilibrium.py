"""`equilibrium`: constant diffusion and flow, a function of the lag τ alone; 5 parameters.

    S(τ) = (1-x)² e^{-6 q² D_r τ} + x² e^{-6 q² D_s τ}
           + 2 x (1-x) e^{-3 q² (D_r + D_s) τ} cos(q cos(φ - φ0) v τ)

x is a fraction of the *intensity*, x = f²/(f² + (1-f)²) of a field fraction f, and J = 6 D: the Stokes-Einstein
coefficient of free diffusion, J/2, is 3 D.
He et al., PNAS 122 (2025), SI Eq. S-98.
"""

from __future__ import annotations

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from heterodyne.kernels._jax import jax, jnp
from heterodyne.kernels.curves import RATE, SPEED, Constant
from heterodyne.kernels.integrals import trapezoid_cumsum
from heterodyne.model import (
    Components,
    Flow,
    KnownValues,
    Mixture,
    Parameters,
    Stationary,
    exchange,
    pair_of_components,
    separable,
)
from heterodyne.parameters import REGISTRY

_TINY = 1e-30  # keeps the slope of the square root finite at x = 0 and x = 1 without moving S


def components(p: Parameters, t: Array, q: ArrayLike, phi: ArrayLike) -> Components:
    """(a, Λ), both (3, N), of reference, sample and fringe, and the fringe's phase (1, N).

    Integrals count from the first frame, so that phases stay small.
    """
    x, one = p["x"], jnp.ones_like(t)
    reference = trapezoid_cumsum(6.0 * q**2 * p["D_ref"] * one, t)
    sample = trapezoid_cumsum(6.0 * q**2 * p["D_sample"] * one, t)
    projection = jnp.cos(jnp.deg2rad(jnp.subtract(phi, p["phi0"])))
    phase = trapezoid_cumsum(q * projection * p["v"] * one, t)
    amplitudes = ((1.0 - x) * one, x * one, jnp.sqrt(2.0 * x * (1.0 - x) + _TINY) * one)
    exponents = (reference, sample, 0.5 * (reference + sample))
    return Components(jnp.stack(amplitudes), jnp.stack(exponents), phase[None])


def one_time_correlation(p: Parameters, lag: ArrayLike, q: ArrayLike, phi: ArrayLike) -> Array:
    """S(τ) for lags τ ≥ 0 in s, the shape of ``lag``; g2(τ) = offset + contrast · S(τ)."""
    times = jnp.concatenate([jnp.zeros(1), jnp.ravel(jnp.asarray(lag, dtype=float))])
    rows = components(p, times, q, phi)
    first, others = (jax.tree.map(lambda row, at=at: row[:, at], rows) for at in (slice(1), slice(1, None)))
    values = pair_of_components(first, others)
    return values.reshape(jnp.shape(lag))


_J_REFERENCE, _J_SAMPLE = Constant("J_ref", RATE, "D_ref", 6.0), Constant("J_sample", RATE, "D_sample", 6.0)
_SHARE = Constant("x", "1", "x")

MODEL = separable(
    "equilibrium",
    REGISTRY.select(("D_ref", "D_sample", "v", "x", "phi0")),
    components,
    curves=(_J_REFERENCE, _J_SAMPLE, Constant("v", SPEED, "v"), _SHARE),
    flow=Flow("v", "phi0"),
    mixture=Mixture("x", transport=("J_sample", "J_ref"), of="intensity"),
    twins=(exchange(_J_REFERENCE, _J_SAMPLE, _SHARE),),
    stationary=Stationary(),
)

ORACLE = (
    KnownValues(
        {"D_ref": 120.0, "D_sample": 900.0, "v": 180.0, "x": 0.23, "phi0": 5.0},
        t=0.1 * np.arange(1, 201),
        q=0.007,
        phi=30.0,
        pairs=((123, 126), (78, 132), (66, 173), (70, 98)),
        c2=(1.2863392118520145, 1.1977826619045244, 1.142962042291501, 1.0989837922802403),
        contrast=0.3,
        offset=1.0,
    ),
)
"""c2 by an independent implementation of the equation."""
