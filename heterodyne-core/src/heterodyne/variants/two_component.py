"""`two-component`: a moving sample beside a second moving component, 14 parameters.

    S = [ (r_i r_j)² e^{-q² R} + (s_i s_j)² e^{-q² Q}
          + 2 r_i r_j s_i s_j e^{-q² (R+Q)/2} cos(q cos(φ - φ0) V) ] / (n_i n_j)

with s = f(t), r = 1 - f(t), n = s² + r², and between frames i and j R = ∫J_ref, Q = ∫J_sample,
V = ∫v. φ0 is the azimuth of the flow. He et al., PNAS 122 (2025), SI Eq. S-95.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from heterodyne.frozen import FrozenMapping
from heterodyne.kernels._jax import jnp
from heterodyne.kernels.curves import RATE, SPEED, Growth, PowerLaw
from heterodyne.kernels.integrals import attenuation, trapezoid_cumsum
from heterodyne.kernels.rates import fraction, transport_rate, velocity
from heterodyne.model import Components, Flow, KnownValues, Mixture, Model, Parameters, exchange
from heterodyne.parameters import REGISTRY

NAMES = (
    *("D0_ref", "alpha_ref", "D_offset_ref"),
    *("D0_sample", "alpha_sample", "D_offset_sample"),
    *("v0", "beta", "v_offset"),
    *("f0", "f1", "f2", "f3", "phi0"),
)


class Profiles(NamedTuple):
    """Arrays over the frames: normalised intensities of both components and three cumulative integrals.

    ``reference`` = r²/n, ``sample`` = s²/n and ``mixed`` = r s/n are dimensionless;
    ``decay_reference`` = q² ∫J_ref, ``decay_sample`` = q² ∫J_sample; ``phase`` = q cos(φ - φ0) ∫v in rad.
    """

    reference: Array
    sample: Array
    mixed: Array
    decay_reference: Array
    decay_sample: Array
    phase: Array


def profiles(p: Parameters, t: Array, q: ArrayLike, phi: ArrayLike) -> Profiles:
    """The profiles over the frame times t, each of shape (N,).

    q stands inside the integrals: a product that follows a sum may be fused with the subtraction of
    `pair` into one rounding, and S would be symmetric, and 1 on the diagonal, only nearly.
    """
    s = fraction(t, p["f0"], p["f1"], p["f2"], p["f3"])
    r = 1.0 - s
    n = s**2 + r**2
    j_reference = transport_rate(t, p["D0_ref"], p["alpha_ref"], p["D_offset_ref"])
    j_sample = transport_rate(t, p["D0_sample"], p["alpha_sample"], p["D_offset_sample"])
    v = velocity(t, p["v0"], p["beta"], p["v_offset"])
    projection = jnp.cos(jnp.deg2rad(jnp.subtract(phi, p["phi0"])))
    return Profiles(
        reference=r**2 / n,
        sample=s**2 / n,
        mixed=r * s / n,
        decay_reference=trapezoid_cumsum(q**2 * j_reference, t),
        decay_sample=trapezoid_cumsum(q**2 * j_sample, t),
        phase=trapezoid_cumsum(q * projection * v, t),
    )


def pair(left: Profiles, right: Profiles) -> Array:
    """S between the frames of ``left`` and ``right``."""
    reference = right.decay_reference - left.decay_reference
    sample = right.decay_sample - left.decay_sample
    fringe = jnp.cos(right.phase - left.phase)
    return (
        left.reference * right.reference * attenuation(reference)
        + left.sample * right.sample * attenuation(sample)
        + 2.0 * left.mixed * right.mixed * attenuation(0.5 * (reference + sample)) * fringe
    )


def components(p: Parameters, t: Array, q: ArrayLike, phi: ArrayLike) -> Components:
    """(a, Λ), both (3, N), of reference, sample and fringe, and the fringe's phase (1, N)."""
    rows = profiles(p, t, q, phi)
    mean = 0.5 * (rows.decay_reference + rows.decay_sample)
    amplitudes = jnp.stack((rows.reference, rows.sample, jnp.sqrt(2.0) * rows.mixed))
    return Components(
        amplitudes, jnp.stack((rows.decay_reference, rows.decay_sample, mean)), rows.phase[None]
    )


J_REFERENCE = PowerLaw("J_ref", RATE, "D0_ref", "alpha_ref", "D_offset_ref")
J_SAMPLE = PowerLaw("J_sample", RATE, "D0_sample", "alpha_sample", "D_offset_sample")
VELOCITY = PowerLaw("v", SPEED, "v0", "beta", "v_offset", signed=True)
FRACTION = Growth("f", "f0", "f1", "f2", "f3")
FLOW = Flow("v", "phi0")
EXCHANGE = exchange(J_REFERENCE, J_SAMPLE, FRACTION)

TRUTH: Mapping[str, float] = FrozenMapping(
    {
        "D0_ref": 2e4,
        "alpha_ref": -0.3,
        "D_offset_ref": 100.0,
        "D0_sample": 8e3,
        "alpha_sample": 0.2,
        "D_offset_sample": 50.0,
        "v0": 2e3,
        "beta": 0.1,
        "v_offset": 10.0,
        "f0": 0.4,
        "f1": -0.02,
        "f2": 5.0,
        "f3": 0.1,
        "phi0": 3.0,
    }
)
"""An experiment in which no parameter is at a special value.

(At the registry's start values, with equal rates and a constant fraction, most parameters merge.)
"""

MODEL = Model(
    "two-component",
    REGISTRY.select(NAMES),
    profiles,
    pair,
    components,
    curves=(J_REFERENCE, J_SAMPLE, VELOCITY, FRACTION),
    flow=FLOW,
    mixture=Mixture("f", transport=("J_sample", "J_ref")),
    twins=(EXCHANGE,),
    example=TRUTH,
)

# fmt: off
ORACLE = (
    KnownValues(
        {
            "D0_ref": 100.0, "alpha_ref": 0.298, "D_offset_ref": 182.5,
            "D0_sample": 10000.0, "alpha_sample": 0.0, "D_offset_sample": -2860.3,
            "v0": 471.7, "beta": -0.4325, "v_offset": -57.15,
            "f0": 0.0793, "f1": -0.0517, "f2": 0.888, "f3": 0.627, "phi0": 2.06,
        },
        t=0.1 * np.arange(1, 401) + 99.9, q=0.0054, phi=90.01,
        pairs=((32, 34), (99, 140), (229, 319), (30, 315)),
        c2=(1.203779894881139, 1.1178120337016577, 1.0663326097074923, 1.0216907844597627),
        contrast=0.2, offset=1.01,
    ),
    KnownValues(
        {
            "D0_ref": 5000.0, "alpha_ref": 0.4, "D_offset_ref": -9000.0,
            "D0_sample": 20000.0, "alpha_sample": -0.5, "D_offset_sample": -6000.0,
            "v0": 300.0, "beta": 0.2, "v_offset": -400.0,
            "f0": 0.3, "f1": 0.01, "f2": 2.0, "f3": 0.2, "phi0": -60.0,
        },
        t=0.1 * np.arange(1, 251) + 1.0, q=0.007, phi=20.0,
        pairs=((38, 48), (13, 51), (131, 184), (64, 213)),
        c2=(1.2195055523899647, 1.1612673078037234, 1.1215970821110282, 1.0604496923442583),
        contrast=0.25, offset=0.99,
    ),
)
# fmt: on
"""c2 by an independent implementation of the equation."""
