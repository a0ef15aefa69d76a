"""`no-flow`: `two-component` without flow, v = 0; 10 parameters, no azimuth needed.

S = [ r_i r_j e^{-q² R/2} + s_i s_j e^{-q² Q/2} ]² / (n_i n_j)
"""

from __future__ import annotations

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from heterodyne.model import KnownValues, Mixture, Model, Parameters
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

# fmt: off
ORACLE = (
    KnownValues(
        {
            "D0_ref": 5000.0, "alpha_ref": 0.4, "D_offset_ref": -9000.0,
            "D0_sample": 20000.0, "alpha_sample": -0.5, "D_offset_sample": -6000.0,
            "f0": 0.3, "f1": 0.01, "f2": 2.0, "f3": 0.2,
        },
        t=0.1 * np.arange(1, 251) + 1.0, q=0.007, phi=0.0,
        pairs=((38, 48), (13, 51), (131, 184), (64, 213)),
        c2=(1.219540275320903, 1.161267617229027, 1.138152857012921, 1.081693217986367),
        contrast=0.25, offset=0.99,
    ),
)
# fmt: on
"""c2 by an independent implementation of the equation."""
