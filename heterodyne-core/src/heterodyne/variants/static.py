"""`static`: the homodyne null model, one diffusing component and no reference; 3 parameters.

    S = e^{-q² ∫J},   J(t) = max(D0 t^α + D_offset, 0)

Answers "is it heterodyne at all?". He et al., PNAS 121 (2024), doi 10.1073/pnas.2401162121.
"""

from __future__ import annotations

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from heterodyne.kernels._jax import jnp
from heterodyne.kernels.curves import RATE, PowerLaw
from heterodyne.kernels.integrals import trapezoid_cumsum
from heterodyne.kernels.rates import transport_rate
from heterodyne.model import KnownValues, Parameters, Stationary, separable
from heterodyne.parameters import REGISTRY


def components(p: Parameters, t: Array, q: ArrayLike, phi: ArrayLike) -> tuple[Array, Array]:
    """(a, Λ), both (1, N)."""
    j = transport_rate(t, p["D0"], p["alpha"], p["D_offset"])
    exponent = trapezoid_cumsum(q**2 * j, t)
    return jnp.ones_like(exponent)[None], exponent[None]


MODEL = separable(
    "static",
    REGISTRY.select(("D0", "alpha", "D_offset")),
    components,
    uses_azimuth=False,
    curves=(PowerLaw("J", RATE, "D0", "alpha", "D_offset"),),
    stationary=Stationary(held={"alpha": 0.0}, merged={"D_offset": 0.0}),
)

ORACLE = (
    KnownValues(
        {"D0": 2500.0, "alpha": -0.2, "D_offset": 40.0},
        t=0.2 * np.arange(1, 161),
        q=0.006,
        phi=0.0,
        pairs=((10, 13), (109, 139), (15, 64), (2, 156)),
        c2=(1.1446217976707207, 1.119570152502247, 1.0955652282717843, 1.0510067162017322),
        contrast=0.12,
        offset=1.03,
    ),
)
"""c2 by an independent implementation of the equation."""
