"""Whether posteriors mean what they say: simulation-based calibration, and coverage on simulated speckle.

``ranks`` (Talts et al., arXiv:1804.06788): 200 data sets of `static`, N = 40, whose D0, alpha, contrast, offset and σ
are drawn from their priors, sampled with the likelihood of independent elements, all at once. The rank of the truth
among 99 draws is uniform if the posterior is right; printed is the p-value of a χ² test over 20 classes.

``coverage``: 60 data sets of simulated speckle (128 frames, 3 azimuths, 1000 pixels × 4 modes), calibrated
likelihood; free are D0_ref, D0_sample, v0, beta, f0 and phi0. Printed are how often the central 95 % of the draws hold
the truth, and the root mean square of (median - truth)/sd.

    python benchmarks/calibration.py [ranks] [coverage] [--sets N]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from functools import partial

import jax
import numpy as np
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo
from scipy.stats import chisquare

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.device.compilation import keep_compiled_code
from heterodyne.parameters import Prior
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne_cmc.coordinates import create_space, form_of, physical_values, whitened
from heterodyne_cmc.density import Code, create_targets, potential
from heterodyne_cmc.joint import joint_draws
from heterodyne_cmc.likelihood import scaling_prior
from heterodyne_cmc.priors import draw_prior
from heterodyne_cmc.shards import whole_shard

PRIOR = {"D0": Prior("log-normal", 8.0, 0.5), "alpha": Prior("normal", 0.0, 0.3)}
FRAMES, NOISE = 40, 0.02
WARMUP, DRAWS, THINNING, CLASSES = 300, 792, 8, 20
QUANTITIES = ("D0", "alpha", "contrast", "offset", "noise")

FREE = ("D0_ref", "D0_sample", "v0", "beta", "f0", "phi0")
LOGARITHMIC = ("D0_ref", "D0_sample", "v0")


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


def deviations(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(median - truth)/sd of every free parameter, and whether the central 95 % hold the truth."""
    data = het.simulate_speckle(frames=128, pixels=1000, modes=4, seed=seed)
    truth = data.provenance["truth"]["params"]
    held = {name: value for name, value in truth.items() if name not in FREE}
    choices = {"chains": 2, "warmup": 200, "draws": 300, "rhat": 1.1, "ess": 50}
    start = {name: truth[name] for name in FREE}
    fit = het.fit(data, optimizer="cmc", fix=held, start=start, options=choices)
    draws = dict(zip(fit.posterior.names, fit.posterior.flat.T, strict=True))
    z, inside = [], []
    for name in FREE:
        is_log = name in LOGARITHMIC
        column, true = (np.log(x) if is_log else x for x in (draws[name], truth[name]))
        low, high = np.quantile(column, [0.025, 0.975])
        z.append((np.median(column) - true) / np.std(column))
        inside.append(low <= true <= high)
    return np.array(z), np.array(inside)


def coverage(sets: int) -> None:
    """Print coverage and rms z on speckle."""
    began = time.perf_counter()
    z, inside = map(np.array, zip(*map(deviations, range(sets)), strict=True))
    print(f"{sets} sets of speckle, {(time.perf_counter() - began) / sets:.1f} s each")
    print("| | " + " | ".join(FREE) + " |\n|---|" + "---|" * len(FREE))
    print("| coverage of 95 % | " + " | ".join(f"{100 * x:.3g}" for x in inside.mean(axis=0)) + " |")
    print("| rms z | " + " | ".join(f"{x:.3g}" for x in np.sqrt(np.mean(z**2, axis=0))) + " |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["ranks", "coverage"], help="ranks, coverage")
    parser.add_argument("--sets", type=int, help="200 of ranks, 60 of coverage")
    wanted = parser.parse_args()
    keep_compiled_code()
    for which, usual in ((ranks, 200), (coverage, 60)):
        if which.__name__ in wanted.what:
            which(wanted.sets or usual)


if __name__ == "__main__":
    main()
