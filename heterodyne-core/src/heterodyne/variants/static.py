"""`static`: the homodyne null model, one diffusing component and no reference; 3 parameters.

    S = e^{-q² ∫J},   J(t) = max(D0 t^α + D_offset, 0)

Answers "is it heterodyne at all?". He et al., PNAS 121 (2024), doi 10.1073/pnas.2401162121.
"""

from __future__ import annotations

from jax import Array
from jax.typing import ArrayLike

from heterodyne.kernels._jax import jnp
from heterodyne.kernels.curves import RATE, PowerLaw
from heterodyne.kernels.integrals import trapezoid_cumsum
from heterodyne.kernels.rates import transport_rate
from heterodyne.model import Parameters, separable
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
)
