"""The Wishart likelihood of c2 beside weighted least squares: a prototype, dense and of one bin.

Where intensities are Gaussian, c2 - 1 is a sample covariance over P pixels, diagonal included, and

    log L = -½ P (log |C| + tr C⁻¹ (c2 - 1)),      C = contrast S + ν 1,

needs no calibration. Free are D0 and alpha of `static` (48 frames, one bin), contrast and ν; P is what was simulated.
The offset must be held: it enters C⁻¹ (c2 - offset) linearly, and the log |c2 - offset| that would bind it needs more
pixels than frames and the smallest eigenvalues of c2.

``sbc``: truths from the priors, data from the likelihood itself. The posterior is integrated by importance sampling,
draws of a t about its mode; printed is the p-value of a χ² test, over 10 classes, that the share of the posterior
below the truth is uniform.

``speckle``: coverage of 95 %, rms z and mean error over scatter of mode and curvature, on Gaussian intensities and on
simulated speckle of few modes; beside them those of ``nlsq --weights speckle``, which the calibrated likelihood has.

    python benchmarks/wishart.py [sbc] [speckle] [--sets N]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize
from scipy.stats import chisquare

import heterodyne as het
from heterodyne.bins.nodes import bin_nodes
from heterodyne.device.compilation import keep_compiled_code
from heterodyne.evaluators.elementwise import listed_values

FRAMES, PIXELS, DRAWS, TAIL, CLASSES = 48, 1000, 1000, 8.0, 10
NAMES = ("D0", "alpha", "contrast", "noise")
MODEL = het.create_model("static")
PARAMS = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}
CENTRE = np.array([np.log(3e3), 0.2, np.log(0.25), np.log(0.1)])
WIDTH = np.array([0.5, 0.2, 0.2, 0.5])
FIRST, SECOND = np.triu_indices(FRAMES, 1)
TEMPLATE = het.simulate("static", params=PARAMS, frames=FRAMES, phi=[0.0])
SPECKLE: dict[str, Mapping[str, float]] = {
    "4 modes": {"modes": 4},
    "1 mode": {"modes": 1},
    "4 modes, 1 count": {"modes": 4, "counts": 1.0},
}


def covariance(x: jax.Array) -> jax.Array:
    """C (N, N) at x = (log D0, alpha, log contrast, log ν)."""
    by_name = {"D0": jnp.exp(x[0]), "alpha": x[1], "D_offset": 0.0}
    theta = jnp.stack([jnp.asarray(by_name[name]) for name in MODEL.parameters])
    nodes = bin_nodes(float(TEMPLATE.q[0]), 0.0)
    s = listed_values(MODEL, theta, jnp.asarray(TEMPLATE.t), nodes, FIRST, SECOND)
    upper = jnp.zeros((FRAMES, FRAMES)).at[FIRST, SECOND].set(s)
    return jnp.exp(x[2]) * (upper + upper.T + jnp.eye(FRAMES)) + jnp.exp(x[3]) * jnp.eye(FRAMES)


def cost(x: jax.Array, c2: jax.Array, precision: jax.Array) -> jax.Array:
    """-log L and minus the log of normal priors of this precision (4,) about the centre."""
    factor = jnp.linalg.cholesky(covariance(x))
    trace = jnp.trace(jax.scipy.linalg.cho_solve((factor, True), c2 - 1.0))
    log = 2.0 * jnp.sum(jnp.log(jnp.diag(factor)))
    return 0.5 * PIXELS * (log + trace) + 0.5 * jnp.sum(precision * (x - CENTRE) ** 2)


SLOPE = jax.jit(jax.value_and_grad(cost))
CURVATURE = jax.jit(jax.jacfwd(jax.grad(cost)))
COSTS = jax.jit(jax.vmap(cost, (0, None, None)))


class Mode(NamedTuple):
    """Where the posterior is greatest, and the inverse of its curvature there."""

    x: np.ndarray
    covariance: np.ndarray


def mode_of(c2: np.ndarray, precision: np.ndarray) -> Mode:
    """The mode next to the centre, by Newton's method after a descent."""
    scale = np.sqrt(
        np.diag(np.linalg.inv(np.asarray(CURVATURE(CENTRE, covariance(CENTRE) + 1.0, precision))))
    )

    def scaled(y: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = SLOPE(CENTRE + scale * y, c2, precision)
        return float(value), np.asarray(slope) * scale

    x = CENTRE + scale * minimize(scaled, np.zeros(len(CENTRE)), jac=True).x
    for _ in range(3):
        x = x - np.linalg.solve(CURVATURE(x, c2, precision), SLOPE(x, c2, precision)[1])
    return Mode(x, np.linalg.inv(CURVATURE(x, c2, precision)))


def gaussian(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """c2 of Gaussian intensities."""
    intensity = np.linalg.cholesky(np.asarray(covariance(x))) @ rng.normal(size=(FRAMES, PIXELS))
    return 1.0 + intensity @ intensity.T / PIXELS


def below(seed: int) -> np.ndarray:
    """The share of the posterior below a truth that is drawn from the prior, (4,)."""
    rng = np.random.default_rng(seed)
    truth = CENTRE + WIDTH * rng.normal(size=len(CENTRE))
    c2, precision = gaussian(truth, rng), WIDTH**-2.0
    mode = mode_of(c2, precision)
    away = rng.normal(size=(DRAWS, len(CENTRE))) / np.sqrt(rng.chisquare(TAIL, (DRAWS, 1)) / TAIL)
    x = mode.x + away @ np.linalg.cholesky(mode.covariance).T
    of_proposal = -0.5 * (TAIL + len(CENTRE)) * np.log1p(np.sum(away**2, axis=1) / TAIL)
    log = -np.asarray(COSTS(x, c2, precision)) - of_proposal
    share = np.exp(log - log.max())
    return share @ (x < truth) / share.sum()


def sbc(sets: int) -> None:
    """Print the p-values of simulation-based calibration."""
    shares = np.array([below(seed) for seed in range(sets)])
    edges = np.linspace(0.0, 1.0, CLASSES + 1)
    p = [chisquare(np.histogram(column, edges)[0]).pvalue for column in shares.T]
    print(f"{sets} sets from the priors\n| | " + " | ".join(NAMES) + " |\n|---|" + "---|" * len(NAMES))
    print("| p of χ² | " + " | ".join(f"{value:.3f}" for value in p) + " |", flush=True)


def found_by_both(c2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log D0, alpha, contrast) and their errors by the Wishart likelihood and by least squares, (2, 3) each."""
    mode = mode_of(c2, np.zeros(len(CENTRE)))
    sd = np.sqrt(np.diag(mode.covariance))
    contrast = float(np.exp(mode.x[2]))
    fit = het.fit(
        replace(TEMPLATE, c2=c2[None]),
        "static",
        fix={"D_offset": 0.0},
        offset=1.0,
        options={"weights": "speckle", "profiles": "asked"},
    )
    by_name = {row.name: row for row in fit.estimates}
    d0, alpha = by_name["D0"], by_name["alpha"]
    values = [[*mode.x[:2], contrast], [np.log(d0.value), alpha.value, fit.scaling[0].contrast]]
    errors = [
        [*sd[:2], contrast * sd[2]],
        [d0.error / d0.value, alpha.error, fit.scaling[0].contrast_error],
    ]
    return np.array(values), np.array(errors)


def simulated(case: str, seed: int) -> tuple[np.ndarray, float]:
    """c2 of a case, and its contrast."""
    if case == "Gaussian":
        return gaussian(CENTRE, np.random.default_rng(seed)), float(np.exp(CENTRE[2]))
    options = SPECKLE[case]
    data = het.simulate_speckle(
        "static", PARAMS, phi=[0.0], frames=FRAMES, pixels=PIXELS, seed=seed, **options
    )
    return data.c2[0], 1.0 / options["modes"]


def speckle(sets: int) -> None:
    """Print how both stand to the truth, case by case."""
    print(
        "| case | by | sets | coverage of 95 % (D0, alpha, contrast) | rms z | error over scatter | scatter |"
    )
    print("|---|---|---|---|---|---|---|")
    for case in ("Gaussian", *SPECKLE):
        values, errors = np.empty((2, sets, 2, 3))
        for seed in range(sets):
            c2, contrast = simulated(case, seed)
            values[seed], errors[seed] = found_by_both(c2)
        z = (values - [np.log(PARAMS["D0"]), PARAMS["alpha"], contrast]) / errors
        for k, by in enumerate(("Wishart", "weighted least squares")):
            known = np.isfinite(errors[:, k]).all(axis=1)
            scatter = np.std(values[known, k], axis=0)
            columns = (
                100.0 * np.mean(np.abs(z[known, k]) < 1.96, axis=0),
                np.sqrt(np.mean(z[known, k] ** 2, axis=0)),
                errors[known, k].mean(axis=0) / scatter,
                scatter,
            )
            row = " | ".join(" ".join(f"{x:.3g}" for x in column) for column in columns)
            print(f"| {case} | {by} | {int(known.sum())} | {row} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["sbc", "speckle"], help="sbc, speckle")
    parser.add_argument("--sets", type=int, default=200)
    wanted = parser.parse_args()
    keep_compiled_code()
    warnings.simplefilter("ignore")
    for which in (sbc, speckle):
        if which.__name__ in wanted.what:
            which(wanted.sets)


if __name__ == "__main__":
    main()
