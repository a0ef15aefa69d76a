"""`stretched`: one diffusing component that ages; 2 parameters, no azimuth needed.

    S = e^{-(Λ_j - Λ_i)},   Λ(t) = 2 (q² D t)^γ

t is the sample's age. Λ never decreases, as a component's exponent must not; γ = 1 is free diffusion, with the rate
J = 2 D.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from heterodyne.model import RATE, Constant, Parameters, separable
from heterodyne.parameters import Parameter, ParameterTable, Prior

PARAMETERS = ParameterTable(
    (
        Parameter("D", "Å²/s", 1e3, 1e-2, 1e6, Prior("log-normal", 6.907755278982137, 3.0), "log"),  # ln 1e3
        Parameter("gamma", "1", 1.0, 0.1, 2.0, Prior("normal", 1.0, 0.5)),
    )
)

_TINY = 1e-30  # keeps the slope of the power finite where nothing moves, D = 0


def components(p: Parameters, t: Array, q: ArrayLike, phi: ArrayLike) -> tuple[Array, Array]:
    """(a, Λ), both (1, N): amplitude 1 and the cumulative decay at every frame."""
    exponent = 2.0 * jnp.power(q**2 * p["D"] * t + _TINY, p["gamma"])
    return jnp.ones_like(exponent)[None], exponent[None]


MODEL = separable(
    "stretched",
    PARAMETERS,
    components,
    uses_azimuth=False,
    curves=(Constant("J", RATE, "D", 2.0),),
    example={"D": 400.0, "gamma": 0.7},
)
