"""`no-flow`: `two-component` without flow, v = 0; 10 parameters, no azimuth needed.

S = [ r_i r_j e^{-q² R/2} + s_i s_j e^{-q² Q/2} ]² / (n_i n_j)
"""

from __future__ import annotations

from jax import Array
from jax.typing import ArrayLike

from heterodyne.model import Mixture, Model, Parameters
from heterodyne.parameters import REGISTRY
from heterodyne.variants import two_component

_STILL = {"v0": 0.0, "beta": 0.0, "v_offset": 0.0, "phi0": 0.0}
_ANY_AZIMUTH = 0.0  # phi may be NaN for a ring, and 0 · NaN is NaN


def profiles(p: Parameters, t: Array, q: ArrayLike, phi: ArrayLike) -> two_component.Profiles:
    """The profiles of `two-component` at v = 0."""
    return two_component.profiles({**p, **_STILL}, t, q, _ANY_AZIMUTH)


def components(p: Parameters, t: Array, q: ArrayLike, phi: ArrayLike) -> tuple[Array, ...]:
    """(a, Λ), both (3, N): the components of `two-component`, whose fringe does not turn."""
    return two_component.components({**p, **_STILL}, t, q, _ANY_AZIMUTH)[:2]


NAMES = tuple(name for name in two_component.NAMES if name not in _STILL)

MODEL = Model(
    "no-flow",
    REGISTRY.select(NAMES),
    profiles,
    two_component.pair,
    components,
    uses_azimuth=False,
    curves=(two_component.J_REFERENCE, two_component.J_SAMPLE, two_component.FRACTION),
    mixture=Mixture("f", transport=("J_sample", "J_ref")),
    twins=(two_component.EXCHANGE,),
    example={name: two_component.TRUTH[name] for name in NAMES},
)
