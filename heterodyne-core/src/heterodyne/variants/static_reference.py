"""`static-reference`: `two-component` with a reference that does not move, J_ref = 0; 11 parameters.

The usual heterodyne experiment: the reference is a static scatterer in the beam.
"""

from __future__ import annotations

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from heterodyne.model import Components, KnownValues, Mixture, Model, Parameters
from heterodyne.parameters import REGISTRY
from heterodyne.variants import two_component

_AT_REST = {"D0_ref": 0.0, "alpha_ref": 0.0, "D_offset_ref": 0.0}


def profiles(p: Parameters, t: Array, q: ArrayLike, phi: ArrayLike) -> two_component.Profiles:
    """The profiles of `two-component` at J_ref = 0."""
    return two_component.profiles({**p, **_AT_REST}, t, q, phi)


def components(p: Parameters, t: Array, q: ArrayLike, phi: ArrayLike) -> Components:
    """The components of `two-component` at J_ref = 0."""
    return two_component.components({**p, **_AT_REST}, t, q, phi)


NAMES = tuple(name for name in two_component.NAMES if name not in _AT_REST)

MODEL = Model(
    "static-reference",
    REGISTRY.select(NAMES),
    profiles,
    two_component.pair,
    components,
    curves=(two_component.J_SAMPLE, two_component.VELOCITY, two_component.FRACTION),
    flow=two_component.FLOW,
    mixture=Mixture("f", transport=("J_sample", None)),
    example={name: two_component.TRUTH[name] for name in NAMES},
)

# fmt: off
ORACLE = (
    KnownValues(
        {
            "D0_sample": 4000.0, "alpha_sample": 0.3, "D_offset_sample": 50.0,
            "v0": 250.0, "beta": -0.1, "v_offset": 4.0,
            "f0": 0.4, "f1": 0.005, "f2": 0.0, "f3": 0.05, "phi0": -8.0,
        },
        t=0.05 * np.arange(1, 221), q=0.009, phi=10.0,
        pairs=((154, 165), (194, 210), (40, 185), (24, 52)),
        c2=(1.1377564910582068, 1.0994723958966175, 1.0762973015333548, 1.0188589345187993),
        contrast=0.2, offset=1.0,
    ),
)
# fmt: on
"""c2 by an independent implementation of the equation."""
