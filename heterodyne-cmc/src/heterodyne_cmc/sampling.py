"""The optimizer `cmc`: least squares, NUTS around its solution, and what the draws say."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from heterodyne.data.bin import Bin, read_bins
from heterodyne.device.cores import available_cores
from heterodyne.errors import ConfigError, HeterodyneError
from heterodyne.executors.task import Event, Task
from heterodyne.objective import create_objective
from heterodyne.plugins.manager import resolve
from heterodyne.problem import Problem
from heterodyne.result import Fit
from heterodyne_cmc.checkpoint import fingerprint_of, open_folder, read_arrays, write_arrays, write_target
from heterodyne_cmc.consensus import combined
from heterodyne_cmc.coordinates import Space, create_space, form_of, whitened
from heterodyne_cmc.density import Code, Target
from heterodyne_cmc.diagnostics import Diagnosis, Gates, diagnose, failures
from heterodyne_cmc.likelihood import scaling_prior
from heterodyne_cmc.nuts import STATISTICS, Draws, Settings, sample
from heterodyne_cmc.outcome import create_fit
from heterodyne_cmc.posterior import JointDraws, create_posterior, from_joined, joint_draws, physical_values
from heterodyne_cmc.prepare import Prepared, averaged_bins, held_scaling, prepare, with_own_scaling
from heterodyne_cmc.shards import Shard, bin_shards, pair_shards, tile_shards, whole_shard
from heterodyne_cmc.watch import Watch
from heterodyne_cmc.worker import DRAWS

Progress = Callable[[str], None]

_PARTITIONS = {"tiles": tile_shards, "pairs": pair_shards, "bins": bin_shards}
_RETRIES = 2  # on divergences
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
    if options["resume"] and not options["checkpoint"]:
        raise ConfigError("there is nothing to resume: name the folder with the draws as checkpoint")
    if options["no_warm_start"] and options["likelihood"] == "calibrated":
        raise ConfigError("without a warm start there is nothing to calibrate with: add --likelihood independent")


def _create_run(
    problem: Problem, bins: tuple[Bin, ...], options: Mapping[str, Any], folder: Path, progress: Progress
) -> Run:
    prepared = _prepared(problem, bins, options, folder, progress)
    bins = averaged_bins(bins, prepared.orders)
    form = form_of(problem)
    held = held_scaling(problem)
    space = create_space(problem, prepared.values)
    space = whitened(space, form, prepared.adjustment.T @ prepared.precision @ prepared.adjustment)
    root = np.asarray(space.root)
    adjustment = np.linalg.solve(root, prepared.adjustment @ root)
    scaling, shards = scaling_prior(prepared.noise, held), _shards(problem, bins, options)
    targets = tuple(Target(space, shard, scaling, adjustment, 1.0 / len(shards)) for shard in shards)
    code = Code(problem.model, form, (held[0] is None, held[1] is None))
    return Run(problem, code, targets, prepared, options, folder)


def _shards(problem: Problem, bins: tuple[Bin, ...], options: Mapping[str, Any]) -> list[Shard]:
    count, partition = options["shards"], options["partition"]
    if count == 1:
        return [whole_shard(problem.model, bins)]
    if partition == "tiles" and (problem.model.components is None or bins[0].pair_weight is not None):
        raise ConfigError("tiles need a separable model and weights per frame: add --partition pairs")
    return _PARTITIONS[partition](bins, count, options["seed"])


def _prepared(
    problem: Problem, bins: tuple[Bin, ...], options: Mapping[str, Any], folder: Path, progress: Progress
) -> Prepared:
    """The solution and its calibration, read back where the run was begun before."""
    described = {name: value for name, value in options.items() if name not in _NOT_SAMPLED}
    table = {"model": problem.model.name, "ties": dict(problem.ties), "options": described}
    table["parameters"] = [str(row) for row in problem.parameters.values()]
    table["scaling"] = [str(problem.contrast), str(problem.offset)]
    print_ = fingerprint_of(table, [array for one in bins for array in (one.d, one.t, one.weight)])
    begun = open_folder(folder, print_, options["resume"])
    file = folder / "prepared.npz"
    if begun and file.exists():
        progress("going on with the run in the checkpoint folder")
        stored = read_arrays(file)
        return Prepared(*(stored[name] for name in Prepared._fields))
    calibrated = options["likelihood"] == "calibrated"
    found = prepare(problem, bins, not options["no_warm_start"], calibrated, progress)
    write_arrays(file, found._asdict())
    return found


_NOT_SAMPLED = ("checkpoint", "resume", "executor", "scheduler", "workers", "rhat", "ess", "bfmi", "divergences")


def _sampled(run: Run, progress: Progress) -> tuple[Settings, list[Draws], list[Diagnosis]]:
    """The draws of every shard; on divergences they are drawn again with smaller steps, twice at most."""
    options = run.options
    gates, target_accept = gates_of(options), options["target_accept"]
    for attempt in range(_RETRIES + 1):
        settings = settings_of(options, len(run.targets), target_accept)
        draws = _drawn(run, settings, run.folder / f"attempt-{attempt + 1}", progress)
        diagnoses = [_diagnosis(run, one, settings) for one in draws]
        diverged = max(one.divergences / one.draws for one in diagnoses)
        if diverged <= gates.divergences or attempt == _RETRIES:
            break
        target_accept = 0.5 * (1.0 + target_accept)
        progress(f"{diverged:.2%} of the draws diverged: again with target_accept {target_accept:g}")
    return settings, draws, diagnoses


def settings_of(options: Mapping[str, Any], shards: int, target_accept: float) -> Settings:
    """How every shard is sampled."""
    names = ("chains", "warmup", "draws", "max_tree_depth", "seed", "block")
    threads = options["threads"] or (available_cores() if shards == 1 else 1)
    return Settings(target_accept=target_accept, threads=threads, **{name: options[name] for name in names})


def gates_of(options: Mapping[str, Any]) -> Gates:
    """What the chains must meet."""
    return Gates(**{name: options[name] for name in ("rhat", "ess", "bfmi", "divergences", "saturated")})


def _drawn(run: Run, settings: Settings, folder: Path, progress: Progress) -> list[Draws]:
    p = len(run.problem.varying)
    starts = [
        _DISPERSION * np.random.default_rng([settings.seed, k]).normal(size=(settings.chains, p))
        for k in range(len(run.targets))
    ]
    if len(run.targets) == 1:
        watch = Watch(settings, progress)
        kept = folder if run.options["checkpoint"] else None
        return [sample(run.code, run.targets[0], starts[0], settings, kept, watch)]
    tasks = []
    for k, (target, start) in enumerate(zip(run.targets, starts, strict=True)):
        place = folder / f"shard-{k:03d}"
        if not (place / "target.npz").exists():
            write_target(place, run.code, target, replace(settings, seed=settings.seed + k), start)
        tasks.append(
            Task(
                target="heterodyne_cmc.worker:sample_shard",
                arguments={"folder": str(place.absolute())},
                threads=settings.threads,
                name=f"shard {k + 1}",
            )
        )
    return [_read_draws(Path(task.arguments["folder"])) for task in _executed(run, tasks, progress)]


def _executed(run: Run, tasks: list[Task], progress: Progress) -> list[Task]:
    """The tasks after they have run; raises `HeterodyneError` where one could not."""

    def tell(event: Event) -> None:
        progress(": ".join(filter(None, (event.task, event.text or event.kind))))

    settings = {name: run.options[name] or None for name in ("workers", "scheduler")}
    outcomes = resolve("executor", run.options["executor"])(tasks, settings, tell)
    for task, outcome in zip(tasks, outcomes, strict=True):
        if outcome.error:
            raise HeterodyneError(f"{task.name} could not be sampled: {outcome.error}")
    return tasks


def _read_draws(folder: Path) -> Draws:
    stored = read_arrays(folder / DRAWS)
    return Draws(stored["u"], {name: stored[name] for name in STATISTICS})


def _diagnosis(run: Run, draws: Draws, settings: Settings) -> Diagnosis:
    values = physical_values(run.code, run.targets[0].space, draws.u)
    return diagnose(run.problem.varying, values, draws, settings.max_tree_depth)


def _finished(
    run: Run, bins: tuple[Bin, ...], settings: Settings, draws: list[Draws], found: list[Diagnosis], began: float
) -> Fit:
    """The result of the draws of all shards."""
    each = [_joint(run, k, one) for k, one in enumerate(draws)]
    joint, statistics = (each[0], draws[0].statistics) if len(each) == 1 else (_combined(run, bins, each), {})
    posterior = create_posterior(run.problem, run.code, run.targets[0].space, joint, statistics)
    objective = create_objective(run.problem, averaged_bins(bins, run.prepared.orders))
    gates = gates_of(run.options)
    failed = [
        f"shard {k + 1}: {line}" if len(found) > 1 else line
        for k, one in enumerate(found)
        for line in failures(one, gates)
    ]
    statistics = {
        "likelihood": run.options["likelihood"],
        "bandwidth": int(run.prepared.bandwidth),
        "shards": len(found),
        "threads": settings.threads,
        "chains": settings.chains,
        "warmup": settings.warmup,
        "draws": settings.draws,
        "target_accept": settings.target_accept,
        "max_rhat": max(max(one.rhat.values()) for one in found),
        "min_ess_bulk": min(min(one.ess_bulk.values()) for one in found),
        "min_ess_tail": min(min(one.ess_tail.values()) for one in found),
        "min_bfmi": min(one.bfmi for one in found),
        "divergences": sum(one.divergences for one in found),
        "leapfrog_steps": float(np.mean([one.steps for one in found])),
        "iterations": settings.chains * (settings.warmup + settings.draws) * len(found),
        "seconds": perf_counter() - began,
        "bin_nodes": [int(order) for order in run.prepared.orders],
        "diagnostics": [one.document() for one in found],
    }
    weighted = objective.weighted(run.prepared.noise)
    return create_fit(weighted, posterior, failed, statistics, settings.seed)


def _joint(run: Run, shard: int, draws: Draws) -> JointDraws:
    """Joint draws of one shard; under calibration contrast and offset have the shard's part of the information."""
    target, calibrated = run.targets[shard], run.options["likelihood"] == "calibrated"
    part = np.asarray(target.shard.elements.pairs)
    whole = np.sum([one.shard.elements.pairs for one in run.targets], axis=0)
    spread = run.prepared.scaling * (whole / np.maximum(part, 1.0))[:, None, None] if calibrated else None
    return joint_draws(run.code, target, draws.u, spread, run.options["seed"] + shard)


def _combined(run: Run, bins: tuple[Bin, ...], shards: list[JointDraws]) -> JointDraws:
    """The draws of all data from those of the shards, as one chain."""
    psi = combined([one.joined() for one in shards])
    whole = whole_shard(run.problem.model, averaged_bins(bins, run.prepared.orders))
    return from_joined(run.code, run.targets[0]._replace(shard=whole, share=1.0), psi)
