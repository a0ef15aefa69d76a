"""Whether posteriors mean what they say: simulation-based calibration, and coverage on simulated speckle.

``ranks`` (Talts et al., arXiv:1804.06788): 200 data sets of `static`, N = 40, whose D0, alpha, contrast, offset and σ
are drawn from their priors, sampled with the likelihood of independent elements, all at once. The rank of the truth
among 99 draws is uniform if the posterior is right; printed is the p-value of a χ² test over 20 classes.

``coverage``: 120 data sets of simulated speckle (128 frames, 3 azimuths, 1000 pixels × 4 modes), calibrated
likelihood; free are D0_ref, D0_sample, v0, beta, f0 and phi0. The posterior that would be sampled is integrated by
importance sampling, draws of a t about its mode, which takes a second a set in place of a minute. Printed are how
often the central 95 % hold the truth, the root mean square of (median - truth)/sd, the mean sd over the scatter of the
medians, and the least effective part of the draws.

    python benchmarks/calibration.py [ranks] [coverage] [--sets N] [--first SEED] [--weights speckle|noise]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo
from scipy.stats import chisquare

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.device.compilation import keep_compiled_code
from heterodyne.parameters import Prior
from heterodyne.plugins.records import OptimizerRecord
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne_cmc.coordinates import create_space, form_of, physical_values, whitened
from heterodyne_cmc.density import Code, create_targets, log_density, potential
from heterodyne_cmc.joint import joint_draws
from heterodyne_cmc.likelihood import scaling_prior
from heterodyne_cmc.plugin import OPTIONS
from heterodyne_cmc.prepare import with_own_scaling
from heterodyne_cmc.priors import draw_prior
from heterodyne_cmc.run import create_run
from heterodyne_cmc.shards import whole_shard

PRIOR = {"D0": Prior("log-normal", 8.0, 0.5), "alpha": Prior("normal", 0.0, 0.3)}
FRAMES, NOISE = 40, 0.02
WARMUP, DRAWS, THINNING, CLASSES = 300, 792, 8, 20
QUANTITIES = ("D0", "alpha", "contrast", "offset", "noise")

FREE = ("D0_ref", "D0_sample", "v0", "beta", "f0", "phi0")
LOGARITHMIC = ("D0_ref", "D0_sample", "v0")
IMPORTANCE, TAIL = 1000, 8.0  # draws of a set, degrees of freedom of the t that they come from


def drawn_set(seed: int) -> tuple[het.TwoTime, np.ndarray]:
    """A data set whose truth is drawn from the priors, and that truth in the order of `QUANTITIES`."""
    rng = np.random.default_rng(seed)
    template = het.simulate("static", frames=FRAMES, phi=[0.0])
    problem = create_problem(
        template, het.create_model("static"), Choices(fix={"D_offset": 0.0}, prior=PRIOR)
    )
    d0, alpha = (
        float(draw_prior(problem.parameters[name], template.duration, rng, 1)[0]) for name in problem.varying
    )
    prior = scaling_prior(np.array([NOISE]))
    sigma = float(np.sqrt(prior.rate[0] / rng.gamma(prior.shape[0])))
    contrast, offset = prior.mean[0] + sigma / np.sqrt(prior.precision[0]) * rng.normal(size=2)
    params = {"D0": d0, "alpha": alpha, "D_offset": 0.0}
    s = problem.model.correlation(params, template.t, float(template.q[0]))
    upper = np.triu(rng.normal(size=s.shape))
    c2 = offset + contrast * s + sigma * (upper + np.triu(upper, 1).T)
    return replace(template, c2=c2[None]), np.array([d0, alpha, contrast, offset, sigma])


def chain(code: Code, target, key) -> tuple[jax.Array, jax.Array]:
    """One chain of NUTS: draws u (draws, p) and which diverged."""
    start, kernel = hmc(potential_fn_gen=lambda target: partial(potential, code, target), algo="NUTS")
    u = np.zeros(len(PRIOR))
    energy, slope = jax.value_and_grad(partial(potential, code), argnums=1)(target, u)
    at = ParamInfo(jax.numpy.asarray(u), energy, slope)
    state = start(at, num_warmup=WARMUP, dense_mass=True, rng_key=key, model_args=(target,))

    def step(state, _):
        new = kernel(state, (target,), {})
        return new, (new.z, new.diverging)

    _, (found, diverging) = jax.lax.scan(step, state, None, length=WARMUP + DRAWS)
    return found[WARMUP:], diverging[WARMUP:]


def ranks(sets: int) -> None:
    """Print the p-values of simulation-based calibration."""
    began, (data, truths) = time.perf_counter(), zip(*map(drawn_set, range(sets)), strict=True)
    model = het.create_model("static")
    problem = create_problem(data[0], model, Choices(fix={"D_offset": 0.0}, prior=PRIOR))
    form = form_of(problem)
    centre = np.array([np.exp(8.0), 0.0])
    space = whitened(create_space(problem, centre), form, np.zeros((2, 2)))
    code = Code(model, form)
    scaling = scaling_prior(np.array([NOISE]))
    shards = [[whole_shard(model, read_bins((one,)))] for one in data]
    targets = [create_targets(code, space, shard, scaling, np.eye(2))[0] for shard in shards]
    stacked = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *targets)
    keys = jax.random.split(jax.random.PRNGKey(0), sets)
    u, diverging = map(np.asarray, jax.jit(jax.vmap(partial(chain, code)))(stacked, keys))
    found = []
    for number, target in enumerate(targets):
        kept = u[number, ::THINNING]
        joint = joint_draws(code, target, kept[None], None, number)
        values = physical_values(space, form, kept)
        columns = (*values.T, joint.w[0, :, 0, 0], joint.w[0, :, 0, 1], np.exp(joint.log_noise[0, :, 0]))
        found.append([int(np.sum(column < x)) for column, x in zip(columns, truths[number], strict=True)])
    failed = int(np.sum(~np.isfinite(u).all(axis=(1, 2)) | (diverging.mean(axis=1) > 0.01)))
    print(f"{sets} sets, {time.perf_counter() - began:.0f} s, {failed} failed (more than 1 % divergences)")
    print("| | " + " | ".join(QUANTITIES) + " |\n|---|" + "---|" * len(QUANTITIES))
    edges = np.linspace(-0.5, DRAWS // THINNING + 0.5, CLASSES + 1)
    p = [chisquare(np.histogram(column, edges)[0]).pvalue for column in np.array(found).T]
    print("| p of χ² | " + " | ".join(f"{value:.3f}" for value in p) + " |", flush=True)


class Deviation(NamedTuple):
    """Of every free parameter (median - truth)/sd, the sd, and whether the central 95 % hold the truth; and the
    effective part of the draws."""

    z: np.ndarray
    sd: np.ndarray
    inside: np.ndarray
    effective: float


DENSITIES = jax.jit(
    lambda code, target, u: jax.lax.map(partial(log_density, code, target), u), static_argnums=0
)


def deviation(seed: int, weights: str) -> Deviation:
    """How the posterior of one set stands to the truth."""
    data = het.simulate_speckle(frames=128, pixels=1000, modes=4, seed=seed)
    truth = data.provenance["truth"]["params"]
    held = {name: value for name, value in truth.items() if name not in FREE}
    choices = Choices(fix=held, start={name: truth[name] for name in FREE})
    problem = with_own_scaling(create_problem((data,), het.create_model("two-component"), choices))
    options = OptimizerRecord("cmc", "", "", OPTIONS).complete({"weights": weights})
    run = create_run(problem, read_bins(problem.data), options, None, lambda line: None)
    rng = np.random.default_rng(seed)
    u = rng.normal(size=(IMPORTANCE, len(FREE))) / np.sqrt(rng.chisquare(TAIL, (IMPORTANCE, 1)) / TAIL)
    of_proposal = -0.5 * (TAIL + len(FREE)) * np.log1p(np.sum(u**2, axis=1) / TAIL)
    log = np.asarray(DENSITIES(run.code, run.targets[0], u)) - of_proposal
    share = np.exp(log - log.max())
    share /= share.sum()
    values = dict(
        zip(problem.varying, physical_values(run.targets[0].space, run.code.form, u).T, strict=True)
    )
    found = [of_parameter(values[name], truth[name], share, name in LOGARITHMIC) for name in FREE]
    return Deviation(*map(np.array, zip(*found, strict=True)), 1.0 / float(share @ share) / IMPORTANCE)


def of_parameter(x: np.ndarray, true: float, share: np.ndarray, is_log: bool) -> tuple[float, float, bool]:
    """(median - truth)/sd, sd, and whether the central 95 % hold the truth, of draws with these weights."""
    x, true = (np.log(x), float(np.log(true))) if is_log else (x, true)
    order = np.argsort(x)
    below = np.cumsum(share[order]) - 0.5 * share[order]
    low, median, high = np.interp([0.025, 0.5, 0.975], below, x[order])
    sd = float(np.sqrt(share @ (x - share @ x) ** 2))
    return float((median - true) / sd), sd, bool(low <= true <= high)


def coverage(sets: int, first: int = 0, weights: str = "speckle") -> None:
    """Print coverage and rms z on speckle."""
    began, found = time.perf_counter(), []
    for seed in range(first, first + sets):
        found.append(deviation(seed, weights))
        if len(found) % 20 == 0 or len(found) == sets:
            print(f"{len(found)} sets of speckle, {(time.perf_counter() - began) / len(found):.1f} s each")
            report(Deviation(*map(np.array, zip(*found, strict=True))))


def report(of: Deviation) -> None:
    """Print the table of these sets."""
    print("| | " + " | ".join(FREE) + " |\n|---|" + "---|" * len(FREE))
    rows = {
        "coverage of 95 %": 100 * of.inside.mean(axis=0),
        "rms z": np.sqrt(np.mean(of.z**2, axis=0)),
        "sd over scatter": of.sd.mean(axis=0) / np.std(of.z * of.sd, axis=0),
        "mean sd": of.sd.mean(axis=0),
    }
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{x:.3g}" for x in row) + " |")
    print(f"least effective part of the draws: {np.min(of.effective):.2g}", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["ranks", "coverage"], help="ranks, coverage")
    parser.add_argument("--sets", type=int, help="200 of ranks, 120 of coverage")
    parser.add_argument("--first", type=int, default=0, help="seed of the first set of coverage")
    parser.add_argument("--weights", default="speckle", choices=("speckle", "noise"), help="of coverage")
    wanted = parser.parse_args()
    keep_compiled_code()
    if "ranks" in wanted.what:
        ranks(wanted.sets or 200)
    if "coverage" in wanted.what:
        coverage(wanted.sets or 120, wanted.first, wanted.weights)


if __name__ == "__main__":
    main()
