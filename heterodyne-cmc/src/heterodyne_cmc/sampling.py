"""The optimizer `cmc`: least squares, NUTS around its solution, and what the draws say."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.bins.reading import read_bins
from heterodyne.errors import ConfigError
from heterodyne.kernels._jax import jax
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import Problem
from heterodyne.result.fit import Fit
from heterodyne.result.statistics import Diagnosis, Statistics
from heterodyne_cmc.consensus import combined, refined
from heterodyne_cmc.density import Target, create_targets, log_density
from heterodyne_cmc.diagnostics import Gates, chain_diagnostics, chain_failures, failures
from heterodyne_cmc.drawing import execute, sampled_shards
from heterodyne_cmc.nuts import Draws, Settings
from heterodyne_cmc.outcome import create_fit
from heterodyne_cmc.plugin import OPTIONS
from heterodyne_cmc.posterior import (
    JointDraws,
    create_posterior,
    from_joined,
    joint_columns,
    joint_draws,
)
from heterodyne_cmc.prepare import (
    averaged_bins,
    prior_of_scaling,
    with_own_scaling,
)
from heterodyne_cmc.run import Progress, Run, create_run
from heterodyne_cmc.shards import whole_shard

_ACCEPTED = 0.05  # of the draws of combined shards: with fewer they do not cover the posterior of all data


def fit(problem: Problem, options: Mapping[str, Any], progress: Progress) -> Fit:
    """The posterior of a problem."""
    began, problem = perf_counter(), with_own_scaling(problem)
    _check(options)
    bins = read_bins(problem.data, problem.choices.skip_lags)
    kept = options["checkpoint"]
    with nullcontext(kept) if kept else tempfile.TemporaryDirectory(prefix="heterodyne-") as folder:
        run = create_run(problem, bins, options, Path(folder), progress)
        settings, draws, diagnoses = sampled_shards(run, progress)
        return _finished(run, bins, settings, draws, diagnoses, began)


def _check(options: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for options that contradict each other, or an executor that cannot run."""
    if options["resume"] and not options["checkpoint"]:
        raise ConfigError("there is nothing to resume: name the folder of the results (-o) or the checkpoint")
    if options["no_warm_start"] and options["likelihood"] == "calibrated":
        raise ConfigError(
            "without a warm start there is nothing to calibrate with: add --likelihood independent"
        )
    if options["shards"] > 1:
        execute([], options, lambda event: None)
    for option in OPTIONS:
        if options["shards"] == 1 and option.name in _OF_SHARDS and options[option.name] != option.default:
            raise ConfigError(f"option {option.name!r} is about shards, and there is one: add --shards N")


_OF_SHARDS = ("partition", "refine", "executor", "scheduler", "workers")


def gates_of(options: Mapping[str, Any]) -> Gates:
    """What the chains must meet."""
    return Gates(**{name: options[name] for name in ("rhat", "ess", "bfmi", "divergences", "saturated")})


def _finished(
    run: Run,
    bins: tuple[Bin, ...],
    settings: Settings,
    draws: list[Draws],
    diagnoses: list[Diagnosis],
    began: float,
) -> Fit:
    """The result of the draws of all shards."""
    bins = averaged_bins(bins, run.prepared.orders)
    gates = gates_of(run.options)
    failed = [
        f"shard {k + 1}: {line}" if len(diagnoses) > 1 else line
        for k, diagnosis in enumerate(diagnoses)
        for line in failures(diagnosis, gates)
    ]
    if len(draws) == 1:
        joint, statistics, acceptance = _joint(run, 0, draws[0].u), draws[0].statistics, None
    else:
        shards = [_joint(run, k, shard.u) for k, shard in enumerate(draws)]
        joint, acceptance = _combined(run, bins, settings, shards)
        statistics = {}
    posterior = create_posterior(run.problem, run.code, run.targets[0].space, joint, statistics)
    summary = _summary(run, settings, diagnoses)
    if acceptance is not None:
        failed = _refinement_failures(posterior.names, posterior.values, acceptance, gates) + failed
        summary |= Statistics(acceptance=acceptance)
    objective = create_objective(run.problem, bins).weighted(run.prepared.noise)
    summary |= Statistics(seconds=perf_counter() - began)
    return create_fit(objective, posterior, failed, summary, settings.seed)


def _summary(run: Run, settings: Settings, shards: list[Diagnosis]) -> Statistics:
    """How it was sampled, and the worst of every diagnostic over the shards."""
    order_q, order_phi = map(int, run.prepared.orders)
    return Statistics(
        likelihood=run.options["likelihood"],
        bandwidth=int(run.prepared.calibration.bandwidth),
        shards=len(shards),
        threads=settings.threads,
        chains=settings.chains,
        warmup=settings.warmup,
        draws=settings.draws,
        target_accept=settings.target_accept,
        max_rhat=max(max(shard.rhat.values()) for shard in shards),
        min_ess_bulk=min(min(shard.ess_bulk.values()) for shard in shards),
        min_ess_tail=min(min(shard.ess_tail.values()) for shard in shards),
        min_bfmi=min(shard.bfmi for shard in shards),
        divergences=sum(shard.divergences for shard in shards),
        leapfrog_steps=float(np.mean([shard.steps for shard in shards])),
        iterations=settings.chains * (settings.warmup + settings.draws) * len(shards),
        bin_nodes=(order_q, order_phi),
        diagnostics=tuple(shards),
    )


def _joint(run: Run, shard: int, u: np.ndarray) -> JointDraws:
    """Joint draws of one shard; under calibration contrast and offset have the shard's part of the information."""
    whole = np.zeros(len(run.prepared.noise))
    for target in run.targets:
        whole[target.shard.bins] += target.shard.moments.pairs
    own = run.targets[shard].shard
    return _with_scaling(run, run.targets[shard], whole[own.bins] / own.moments.pairs, u, shard)


def _with_scaling(run: Run, target: Target, share: np.ndarray, u: np.ndarray, number: int) -> JointDraws:
    calibrated = run.options["likelihood"] == "calibrated"
    spread = (
        run.prepared.calibration.scaling[target.shard.bins] * share[:, None, None] if calibrated else None
    )
    return joint_draws(run.code, target, u, spread, run.options["seed"] + number)


def _combined(
    run: Run, bins: tuple[Bin, ...], settings: Settings, shards: list[JointDraws]
) -> tuple[JointDraws, float | None]:
    """The draws of all data from those of the shards, and the share of the proposals made around them that was
    accepted, None where none were made."""
    p = len(run.problem.varying)
    columns = [joint_columns(p, len(bins), target.shard.bins) for target in run.targets]
    psi = combined([one.joined() for one in shards], columns)
    first, everything = run.targets[0], [whole_shard(run.problem.model, bins)]
    scaling = prior_of_scaling(run.problem, run.prepared.noise)
    (whole,) = create_targets(
        run.code, first.space, everything, scaling, np.asarray(first.adjustment), first.tilt
    )
    if not run.options["refine"]:
        return from_joined(run.code, whole, psi), None
    density = jax.jit(lambda target, u: jax.lax.map(partial(log_density, run.code, target), u))
    chains = refined(lambda u: np.asarray(density(whole, u)), psi[:, :p], settings.chains, settings.seed)
    number = len(shards)  # a seed that no shard has
    joint = _with_scaling(run, whole, np.ones(len(bins)), chains.u, number)
    return joint, chains.acceptance


def _refinement_failures(
    names: tuple[str, ...], values: np.ndarray, acceptance: float, gates: Gates
) -> list[str]:
    """What the chains made from combined shards do not meet."""
    rhat, bulk, tail = chain_diagnostics(names, values)
    lines = chain_failures(rhat, bulk, tail, gates)
    if acceptance < _ACCEPTED:
        lines.insert(0, f"the posterior of all data accepts {acceptance:.1%} of their draws: raise draws")
    return [f"combined shards: {line} (or take fewer shards)" for line in lines]
