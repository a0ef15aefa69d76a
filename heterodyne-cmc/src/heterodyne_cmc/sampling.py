"""The optimizer `cmc`: least squares, NUTS around its solution, and what the draws say."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from heterodyne.data.bin import Bin, read_bins
from heterodyne.device.cores import available_cores
from heterodyne.errors import ConfigError, HeterodyneError
from heterodyne.executors.task import Event, Task
from heterodyne.kernels._jax import jax
from heterodyne.objective import create_objective
from heterodyne.plugins.manager import resolve
from heterodyne.problem import Problem
from heterodyne.result import Fit
from heterodyne_cmc.centre import coordinates
from heterodyne_cmc.checkpoint import fingerprint_of, read_arrays, run_folder, write_arrays, write_target
from heterodyne_cmc.consensus import combined, refined
from heterodyne_cmc.density import Code, Target, create_targets, log_density
from heterodyne_cmc.diagnostics import Diagnosis, Gates, chain_diagnostics, chain_failures, diagnose, failures
from heterodyne_cmc.nuts import STATISTICS, Draws, Settings, sample
from heterodyne_cmc.outcome import create_fit
from heterodyne_cmc.partition import partitioned
from heterodyne_cmc.plugin import OPTIONS
from heterodyne_cmc.posterior import (
    JointDraws,
    create_posterior,
    from_joined,
    joint_columns,
    joint_draws,
    physical_values,
)
from heterodyne_cmc.prepare import (
    Prepared,
    averaged_bins,
    code_of,
    prepare,
    prior_of_scaling,
    with_own_scaling,
)
from heterodyne_cmc.shards import whole_shard
from heterodyne_cmc.watch import Count, Meter, Watch
from heterodyne_cmc.worker import DRAWS

Progress = Callable[[str], None]

PREPARED = "prepared.npz"

_RETRIES = 2  # on divergences
_ACCEPTED = 0.05  # of the draws of combined shards: with fewer they do not cover the posterior of all data
_DISPERSION = 1.0  # of the chains' starts, in posterior standard deviations


@dataclass(frozen=True, eq=False)
class Run:
    """What is sampled: code and one target per shard, the calibration, and the folder of the run."""

    problem: Problem
    code: Code
    targets: tuple[Target, ...]
    prepared: Prepared
    options: Mapping[str, Any]
    folder: Path


def fit(problem: Problem, options: Mapping[str, Any], progress: Progress) -> Fit:
    """The posterior of a problem."""
    began, problem = perf_counter(), with_own_scaling(problem)
    _check(options)
    bins = read_bins(problem.data, problem.skip_lags)
    kept = options["checkpoint"]
    with nullcontext(kept) if kept else tempfile.TemporaryDirectory(prefix="heterodyne-") as folder:
        run = _create_run(problem, bins, options, Path(folder), progress)
        settings, draws, diagnoses = _sampled(run, progress)
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
        _execute([], options, lambda event: None)
    for option in OPTIONS:
        if options["shards"] == 1 and option.name in _OF_SHARDS and options[option.name] != option.default:
            raise ConfigError(f"option {option.name!r} is about shards, and there is one: add --shards N")


_OF_SHARDS = ("partition", "refine", "executor", "scheduler", "workers")


def _create_run(
    problem: Problem, bins: tuple[Bin, ...], options: Mapping[str, Any], folder: Path, progress: Progress
) -> Run:
    folder = run_folder(folder, _fingerprint(problem, bins, options), options["resume"])
    prepared = _prepared(problem, bins, options, folder, progress)
    bins = averaged_bins(bins, prepared.orders)
    space, adjustment, tilt = coordinates(problem, prepared.values, prepared.calibration)
    shards = partitioned(problem, bins, options["partition"], options["shards"], options["seed"], prepared)
    code, scaling = code_of(problem), prior_of_scaling(problem, prepared.noise)
    targets = create_targets(code, space, shards, scaling, adjustment, tilt)
    if not (folder / PREPARED).exists():
        write_arrays(folder / PREPARED, prepared._asdict())  # not before the data could be shared out
    return Run(problem, code, targets, prepared, options, folder)


def _fingerprint(problem: Problem, bins: tuple[Bin, ...], options: Mapping[str, Any]) -> str:
    described = {name: value for name, value in options.items() if name not in _NOT_SAMPLED}
    table = {"model": problem.model.name, "ties": dict(problem.ties), "options": described}
    table["parameters"] = [str(row) for row in problem.parameters.values()]
    table["scaling"] = [str(problem.contrast), str(problem.offset), str(dict(problem.scaling_priors))]
    return fingerprint_of(table, [array for one in bins for array in _arrays(one)])


def _prepared(
    problem: Problem, bins: tuple[Bin, ...], options: Mapping[str, Any], folder: Path, progress: Progress
) -> Prepared:
    """The solution and its calibration, read back where the run was begun before."""
    file = folder / PREPARED
    if file.exists():
        progress("going on with the run in the checkpoint folder")
        stored = read_arrays(file)
        return Prepared(*(stored[name] for name in Prepared._fields))
    return prepare(
        problem, bins, not options["no_warm_start"], options["likelihood"] == "calibrated", progress
    )


def _arrays(one: Bin) -> tuple[np.ndarray, ...]:
    """All numbers of a bin."""
    of_pairs = () if one.pair_weight is None else (one.pair_weight,)
    place = np.array([one.q, one.phi, one.dq, one.dphi])
    return (one.d, one.t, one.weight, one.skipped, place, *of_pairs)


_NOT_SAMPLED = (
    "checkpoint",
    "resume",
    "executor",
    "scheduler",
    "workers",
    "rhat",
    "ess",
    "bfmi",
    "divergences",
    "saturated",
)


def _sampled(run: Run, progress: Progress) -> tuple[Settings, list[Draws], list[Diagnosis]]:
    """The draws of every shard; those with divergences are drawn again with smaller steps, twice at most."""
    limit, settings, attempt = run.options["divergences"], settings_of(run.options, len(run.targets)), 1
    found, again = {}, list(range(len(run.targets)))
    while True:
        drawn = _drawn(run, again, settings, attempt, progress)
        found |= {k: (one, _diagnosis(run, one, settings)) for k, one in zip(again, drawn, strict=True)}
        diverged = {k: one.divergences / one.draws for k, (_, one) in found.items()}
        again = [k for k, share in diverged.items() if share > limit]
        if not again or attempt > _RETRIES:
            draws, diagnoses = zip(*(found[k] for k in sorted(found)), strict=True)
            return settings, list(draws), list(diagnoses)
        settings, attempt = replace(settings, target_accept=0.5 * (1.0 + settings.target_accept)), attempt + 1
        share = max(diverged.values())
        progress(f"{share:.2%} of the draws diverged: again with target_accept {settings.target_accept:g}")


def settings_of(options: Mapping[str, Any], shards: int) -> Settings:
    """How every shard is sampled."""
    names = ("chains", "warmup", "draws", "target_accept", "max_tree_depth", "seed", "block")
    threads = options["threads"] or (available_cores() if shards == 1 else 1)
    return Settings(threads=threads, **{name: options[name] for name in names})


def gates_of(options: Mapping[str, Any]) -> Gates:
    """What the chains must meet."""
    return Gates(**{name: options[name] for name in ("rhat", "ess", "bfmi", "divergences", "saturated")})


def _drawn(run: Run, shards: list[int], settings: Settings, attempt: int, progress: Progress) -> list[Draws]:
    """The draws of these shards."""
    folder = run.folder / f"attempt-{attempt}"
    meter = Meter(settings, len(shards), progress, attempt)
    shape = settings.chains, len(run.problem.varying)
    starts = [_DISPERSION * np.random.default_rng([settings.seed, k]).normal(size=shape) for k in shards]
    if len(run.targets) == 1:
        watch = Watch(meter)
        kept = folder if run.options["checkpoint"] else None
        return [sample(run.code, run.targets[0], starts[0], settings, kept, watch)]
    tasks = []
    for k, start in zip(shards, starts, strict=True):
        place = folder / f"shard-{k:03d}"
        if not (place / "target.npz").exists():
            write_target(place, run.code, run.targets[k], replace(settings, seed=settings.seed + k), start)
        tasks.append(
            Task(
                target="heterodyne_cmc.worker:sample_shard",
                arguments={"folder": str(place.absolute())},
                threads=settings.threads,
                name=f"shard {k + 1}",
            )
        )
    _execute(tasks, run.options, partial(_heed, meter, progress))
    return [_read_draws(Path(task.arguments["folder"])) for task in tasks]


def _execute(tasks: list[Task], options: Mapping[str, Any], heed: Callable[[Event], None]) -> None:
    """Run the tasks; raises `HeterodyneError` where one could not be, or the executor cannot run any."""
    settings = {name: options[name] or None for name in ("workers", "scheduler")}
    settings = {name: value for name, value in settings.items() if value is not None}
    for task, outcome in zip(
        tasks, resolve("executor", options["executor"])(tasks, settings, heed), strict=True
    ):
        if outcome.error:
            raise HeterodyneError(f"{task.name} could not be sampled: {outcome.error}")


def _heed(meter: Meter, progress: Progress, event: Event) -> None:
    """Pass on what an executor tells of a shard."""
    count = Count.from_text(event.text) if event.kind == "progress" else None
    if count is not None:
        meter(count, event.task)
    elif event.kind == "died":
        warnings.warn(f"the process of {event.task} died and is started again: {event.text}", stacklevel=2)
    elif event.kind == "progress":
        progress(": ".join(filter(None, (event.task, event.text))))


def _read_draws(folder: Path) -> Draws:
    stored = read_arrays(folder / DRAWS)
    return Draws(stored["u"], {name: stored[name] for name in STATISTICS})


def _diagnosis(run: Run, draws: Draws, settings: Settings) -> Diagnosis:
    values = physical_values(run.code, run.targets[0].space, draws.u)
    return diagnose(run.problem.varying, values, draws, settings.max_tree_depth)


def _finished(
    run: Run,
    bins: tuple[Bin, ...],
    settings: Settings,
    draws: list[Draws],
    found: list[Diagnosis],
    began: float,
) -> Fit:
    """The result of the draws of all shards."""
    bins = averaged_bins(bins, run.prepared.orders)
    gates = gates_of(run.options)
    failed = [
        f"shard {k + 1}: {line}" if len(found) > 1 else line
        for k, one in enumerate(found)
        for line in failures(one, gates)
    ]
    if len(draws) == 1:
        joint, statistics, more = _joint(run, 0, draws[0].u), draws[0].statistics, {}
    else:
        joint, more = _combined(run, bins, settings, [_joint(run, k, one.u) for k, one in enumerate(draws)])
        statistics = {}
    posterior = create_posterior(run.problem, run.code, run.targets[0].space, joint, statistics)
    if "acceptance" in more:
        failed = _refinement_failures(posterior.names, posterior.values, more["acceptance"], gates) + failed
    objective = create_objective(run.problem, bins).weighted(run.prepared.noise)
    summary = {**_summary(run, settings, found), **more, "seconds": perf_counter() - began}
    return create_fit(objective, posterior, failed, summary, settings.seed)


def _summary(run: Run, settings: Settings, found: list[Diagnosis]) -> dict[str, Any]:
    """How it was sampled, and the worst of every diagnostic over the shards."""
    return {
        "likelihood": run.options["likelihood"],
        "bandwidth": int(run.prepared.bandwidth),
        "shards": len(found),
        **{
            name: getattr(settings, name)
            for name in ("threads", "chains", "warmup", "draws", "target_accept")
        },
        "max_rhat": max(max(one.rhat.values()) for one in found),
        "min_ess_bulk": min(min(one.ess_bulk.values()) for one in found),
        "min_ess_tail": min(min(one.ess_tail.values()) for one in found),
        "min_bfmi": min(one.bfmi for one in found),
        "divergences": sum(one.divergences for one in found),
        "leapfrog_steps": float(np.mean([one.steps for one in found])),
        "iterations": settings.chains * (settings.warmup + settings.draws) * len(found),
        "bin_nodes": [int(order) for order in run.prepared.orders],
        "diagnostics": [one.document() for one in found],
    }


def _joint(run: Run, shard: int, u: np.ndarray) -> JointDraws:
    """Joint draws of one shard; under calibration contrast and offset have the shard's part of the information."""
    whole = np.zeros(len(run.prepared.noise))
    for one in run.targets:
        whole[one.shard.bins] += one.shard.elements.pairs
    own = run.targets[shard].shard
    return _with_scaling(run, run.targets[shard], whole[own.bins] / own.elements.pairs, u, shard)


def _with_scaling(run: Run, target: Target, share: np.ndarray, u: np.ndarray, number: int) -> JointDraws:
    calibrated = run.options["likelihood"] == "calibrated"
    spread = run.prepared.scaling[target.shard.bins] * share[:, None, None] if calibrated else None
    return joint_draws(run.code, target, u, spread, run.options["seed"] + number)


def _combined(
    run: Run, bins: tuple[Bin, ...], settings: Settings, shards: list[JointDraws]
) -> tuple[JointDraws, dict[str, Any]]:
    """The draws of all data from those of the shards, and how many proposals made around them were accepted."""
    p = len(run.problem.varying)
    columns = [joint_columns(p, len(bins), target.shard.bins) for target in run.targets]
    psi = combined([one.joined() for one in shards], columns)
    first, everything = run.targets[0], [whole_shard(run.problem.model, bins)]
    scaling = prior_of_scaling(run.problem, run.prepared.noise)
    (whole,) = create_targets(
        run.code, first.space, everything, scaling, np.asarray(first.adjustment), first.tilt
    )
    if not run.options["refine"]:
        return from_joined(run.code, whole, psi), {}
    density = jax.jit(lambda target, u: jax.lax.map(partial(log_density, run.code, target), u))
    found = refined(lambda u: np.asarray(density(whole, u)), psi[:, :p], settings.chains, settings.seed)
    number = len(shards)  # a seed that no shard has
    joint = _with_scaling(run, whole, np.ones(len(bins)), found.u, number)
    return joint, {"acceptance": found.acceptance}


def _refinement_failures(
    names: tuple[str, ...], values: np.ndarray, acceptance: float, gates: Gates
) -> list[str]:
    """What the chains made from combined shards do not meet."""
    rhat, bulk, tail = chain_diagnostics(names, values)
    lines = chain_failures(rhat, bulk, tail, gates)
    if acceptance < _ACCEPTED:
        lines.insert(0, f"the posterior of all data accepts {acceptance:.1%} of their draws: raise draws")
    return [f"combined shards: {line} (or take fewer shards)" for line in lines]
