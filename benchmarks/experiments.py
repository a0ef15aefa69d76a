"""Simulated experiments with known truth, by name: what error bars, weights and tests are measured on.

Unless a name says otherwise: `two-component` with the parameters of the model's example, 128 frames of 0.1 s,
q = 0.01 Å⁻¹, azimuths 0, 45 and 90 degrees, 1000 pixels × 4 modes, no photon noise; free are D0_ref, D0_sample, v0,
beta, f0 and phi0. Both components then decay in about 7 % of the run. With 0.05 counts there are 8000 pixels, as
1000 determine next to nothing. With 1 mode, a background of 10 % keeps the contrast, 0.81, off its upper bound.
In ``MISFITS`` the model fitted is not that of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jax import Array
from jax.typing import ArrayLike

import heterodyne as het
from heterodyne.kernels._jax import jnp
from heterodyne.kernels.integrals import trapezoid_cumsum
from heterodyne.kernels.rates import fraction, transport_rate, velocity
from heterodyne.model import Components, Model, Parameters, separable
from heterodyne.simulation.simulate import true_parameters
from heterodyne.variants import two_component

FREE = ("D0_ref", "D0_sample", "v0", "beta", "f0", "phi0")
FRAMES, DT, Q = 128, 0.1, 0.01
PHI = (0.0, 45.0, 90.0)
PIXELS, MODES = 1000, 4
TRUTH = dict(two_component.TRUTH)
TRANSPORT = ("D0", "alpha", "D_offset")


@dataclass(frozen=True)
class Experiment:
    """One simulated experiment and how it is fitted.

    ``settings`` are arguments of `heterodyne.simulate_speckle` that differ from those of the module's docstring,
    ``free`` the parameters of ``model`` that a fit varies. ``start`` are parameters of a model that is not that of
    the data: where its fit begins and what it holds.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    model: str = "two-component"
    free: tuple[str, ...] = FREE
    start: Mapping[str, float] | None = None

    def data(self, seed: int) -> het.TwoTime:
        """The data of one seed."""
        return het.simulate_speckle(**self._arguments(), seed=seed)

    @property
    def truth(self) -> dict[str, float]:
        """All parameters of ``model``: the true ones, or ``start``."""
        given = self.start if self.start is not None else self.settings.get("params")
        return true_parameters(het.create_model(self.model), given)

    @property
    def contrast(self) -> np.ndarray:
        """The true contrast of every bin: (1 - background)²/modes."""
        arguments = self._arguments()
        height = (1.0 - arguments.get("background", 0.0)) ** 2 / arguments["modes"]
        return np.full(np.size(arguments["q"]) * np.size(arguments["phi"]), height)

    @property
    def offset(self) -> np.ndarray:
        """The true offset of every bin, 1; with drift that of the first frame."""
        return np.ones_like(self.contrast)

    def choices(self) -> dict[str, dict[str, float]]:
        """The arguments of `heterodyne.fit` that hold what is not free at ``truth`` and begin there."""
        truth = self.truth
        held = {name: value for name, value in truth.items() if name not in self.free}
        return {"fix": held, "start": {name: truth[name] for name in self.free}}

    def _arguments(self) -> dict[str, Any]:
        usual = {"q": Q, "phi": PHI, "frames": FRAMES, "dt": DT, "pixels": PIXELS, "modes": MODES}
        return {"model": self.model, **usual, **self.settings}


def decaying(share: float) -> dict[str, float]:
    """The example's parameters with rates so scaled that S falls by 1/e in this share of the run, in its middle.

    The velocity is scaled with them, so that the fringes of one decay stay as many, but never up: beyond π from
    frame to frame they would be aliased.
    """
    middle = 0.5 * (FRAMES + 1) * DT
    rates = [
        transport_rate(middle, *(TRUTH[name + part] for name in TRANSPORT)) for part in ("_ref", "_sample")
    ]
    factor = 1.0 / (Q**2 * float(np.mean(rates)) * share * FRAMES * DT)
    scaled = {f"{name}{part}": factor for name in ("D0", "D_offset") for part in ("_ref", "_sample")}
    scaled |= dict.fromkeys(("v0", "v_offset"), min(factor, 1.0))
    return {name: scaled.get(name, 1.0) * value for name, value in TRUTH.items()}


def static(decay: float, *free: str) -> Experiment:
    """One bin of 192 frames of `static`, whose S falls by 1/e in ``decay`` frames."""
    params = {"D0": 1.0 / (Q**2 * decay * DT), "alpha": 0.0, "D_offset": 0.0}
    return Experiment({"params": params, "phi": 0.0, "frames": 192}, "static", free)


def drifting_exponents(by: float) -> Model:
    """`two-component` whose exponents of J_ref, J_sample and v grow by ``by`` from the first frame to the last."""

    def components(p: Parameters, t: Array, q: ArrayLike, phi: ArrayLike) -> Components:
        grown = by * (t - t[0]) / (t[-1] - t[0])
        s = fraction(t, p["f0"], p["f1"], p["f2"], p["f3"])
        n = s**2 + (1.0 - s) ** 2
        w_reference, w_sample = (1.0 - s) ** 2 / n, s**2 / n
        j_reference = transport_rate(t, p["D0_ref"], p["alpha_ref"] + grown, p["D_offset_ref"])
        j_sample = transport_rate(t, p["D0_sample"], p["alpha_sample"] + grown, p["D_offset_sample"])
        reference, sample = (trapezoid_cumsum(q**2 * j, t) for j in (j_reference, j_sample))
        along = q * jnp.cos(jnp.deg2rad(jnp.subtract(phi, p["phi0"])))
        phase = trapezoid_cumsum(along * velocity(t, p["v0"], p["beta"] + grown, p["v_offset"]), t)
        return Components(
            jnp.stack((w_reference, w_sample, jnp.sqrt(2.0 * w_reference * w_sample))),
            jnp.stack((reference, sample, 0.5 * (reference + sample))),
            phase[None],
        )

    table = two_component.MODEL.parameters
    return separable("two-component, drifting exponents", table, components, example=two_component.TRUTH)


EXPERIMENTS: Mapping[str, Experiment] = {
    "base": Experiment(),
    **{
        f"{counts:g} counts, {modes} mode{'s' * (modes > 1)}": Experiment(
            {"counts": counts, "modes": modes, "pixels": pixels, "background": 0.1 * (modes == 1)}
        )
        for counts, pixels in ((0.05, 8000), (0.5, PIXELS), (5.0, PIXELS))
        for modes in (1, 4, 10)
    },
    **{
        f"decay over {100.0 * share:g} % of the run": Experiment({"params": decaying(share)})
        for share in (0.01, 0.05, 0.2, 0.6, 3.0)
    },
    **{
        f"static, one bin, decay over {decay} of 192 frames, {' and '.join(free)}": static(decay, *free)
        for free in (("D0",), ("D0", "alpha"))
        for decay in (5, 20, 60, 125)
    },
    "one azimuth": Experiment({"phi": 0.0}, free=tuple(name for name in FREE if name != "phi0")),
    "2 q × 3 azimuths": Experiment({"q": (0.007, 0.01)}),
    "100 pixels": Experiment({"pixels": 100}),
    "600 frames": Experiment({"frames": 600}),
    "jitter 3 %, 5 counts": Experiment({"jitter": 0.03, "counts": 5.0}),
    "excess noise": Experiment({"excess": 2.0, "excess_time": 1.0}),
}

MISFITS: Mapping[str, Experiment] = {
    "third static field 0.3": Experiment({"static": 0.3}),
    "exponents drifting by 0.2": Experiment({"model": drifting_exponents(0.2)}),
    "baseline drift 0.01": Experiment({"drift": 0.01}),
    "static on two-component": Experiment(
        {"model": "two-component"},
        "static",
        ("D0", "alpha"),
        {"D0": 1e4, "alpha": 0.0, "D_offset": 0.0},
    ),
}
