"""A small model of its own, data of it with noise, and a whole result, for tests of what works on those."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from heterodyne.data.two_time import TwoTime
from heterodyne.kernels._jax import jnp
from heterodyne.model import Model, separable
from heterodyne.parameters import Parameter, ParameterTable
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne.result.band import Band
from heterodyne.result.fit import BinScaling, Estimate, Fit
from heterodyne.result.profile import Interval, Profile
from heterodyne.result.statistics import Statistics

_TABLE = ParameterTable(
    (
        Parameter("along", "1/s^γ", 1.0, 1e-3, 1e3, scale="log"),
        Parameter("across", "1/s^γ", 1.0, 1e-3, 1e3, scale="log"),
        Parameter("gamma", "1", 1.0, 0.2, 2.0),
    )
)


def _components(p: Mapping[str, Any], t: Array, q: ArrayLike, phi: ArrayLike) -> tuple[Array, Array]:
    angle = jnp.deg2rad(phi)
    rate = p["along"] * jnp.cos(angle) ** 2 + p["across"] * jnp.sin(angle) ** 2
    exponent = rate * t ** p["gamma"]
    return jnp.ones_like(exponent)[None], exponent[None]


ANISOTROPIC = separable("anisotropic", _TABLE, _components)
"""S = e^{-|Λ(t2) - Λ(t1)|} with Λ(t) = (along · cos²φ + across · sin²φ) t^gamma, at any q."""

TRUTH: Mapping[str, float] = {"along": 2.0, "across": 0.5, "gamma": 0.8}


def noisy(
    model: Model = ANISOTROPIC,
    params: Mapping[str, float] = TRUTH,
    frames: int = 60,
    noise: float = 0.01,
    seed: int = 0,
) -> TwoTime:
    """Two bins at q = 0.01 Å⁻¹, φ = 0 and 90 degrees, of contrast 0.2 and 0.3 and offset 1, with Gaussian noise."""
    t, rng = 0.1 * np.arange(1, frames + 1), np.random.default_rng(seed)
    c2 = []
    for phi, contrast in ((0.0, 0.2), (90.0, 0.3)):
        errors = np.triu(noise * rng.normal(size=(frames, frames)))
        c2.append(1.0 + contrast * model.correlation(params, t, 0.01, phi) + errors + np.triu(errors, 1).T)
    return TwoTime(
        np.stack(c2), np.full(2, 0.01), np.array([0.0, 90.0]), t, 0.1, dq=np.zeros(2), dphi=np.zeros(2)
    )


def example_fit() -> Fit:
    """A result in which everything is that may be: errors and none, a curve, a profile, its problem."""
    data = noisy()
    nan, n = math.nan, data.n_frames * (data.n_frames - 1) // 2
    known = {
        "along": (2.0, 0.02, "determined", (1.96, 2.04)),
        "across": (0.5, nan, "undetermined", (nan, nan)),
        "gamma": (0.8, nan, "fixed", (nan, nan)),
    }

    def estimate(row: Parameter) -> Estimate:
        value, error, status, interval = known[row.name]
        place = (row.unit, row.low, row.high, row.start, status != "fixed", status, interval)
        return Estimate(row.name, value, error, error, *place)

    value, away = 2.0 * np.ones(data.n_frames), np.linspace(-2.0, 2.0, 9)
    return Fit(
        model=ANISOTROPIC.name,
        optimizer="by hand",
        estimates=tuple(estimate(row) for row in _TABLE.values()),
        scaling=(
            BinScaling(0.01, 0.0, 0.2, 1.0, 1e-3, 1e-4, 0.01, n),
            BinScaling(0.01, 90.0, 0.3, 1.0, nan, nan, 0.01, n),
        ),
        covariance=np.array([[4e-4]]),
        covariance_names=("along",),
        statistics=Statistics(ssr=2e-4 * n, n_pairs=2 * n, n_variables=6, noise=(0.01, 0.01)),
        verdict="converged",
        problem=create_problem(data, ANISOTROPIC, Choices(fix={"gamma": 0.8})),
        profiles={
            "along": Profile(
                "along",
                "1/s^γ",
                2.0,
                1e-3,
                1e3,
                1.0,
                True,
                (Interval("robust", 0.95, 3.84, 1.96, 2.04),),
                2.0 + 0.02 * away,
                away**2,
                0.5 * away**2,
                {"across": 0.5 * np.ones(9)},
            )
        },
        curves=(Band("rate", "1/s^γ", data.t, value, 0.1 * value, 0.8 * value, 1.2 * value),),
    )
