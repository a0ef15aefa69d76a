"""Drawing: every shard by its executor, drawn again with smaller steps where it diverges."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.device.cores import available_cores
from heterodyne.errors import DataError, HeterodyneError
from heterodyne.executors.task import Event, Executor, Task
from heterodyne.plugins.manager import resolve
from heterodyne.result.statistics import Diagnosis
from heterodyne_cmc.arrays import read_arrays
from heterodyne_cmc.checkpoint import TARGET, write_target
from heterodyne_cmc.coordinates import physical_values
from heterodyne_cmc.density import Target
from heterodyne_cmc.diagnostics import diagnose
from heterodyne_cmc.nuts import STATISTICS, Draws, SamplerSettings, sample
from heterodyne_cmc.reduction import Check, Reduction, reduced_draws
from heterodyne_cmc.run import Run
from heterodyne_cmc.watch import Count, Meter, Progress, Watch
from heterodyne_cmc.worker import DRAWS

_RETRIES = 2  # on divergences

_DISPERSION = 1.0  # of the chains' starts, in posterior standard deviations


@dataclass(frozen=True, eq=False)
class Sampled:
    """Draws and diagnosis of every shard, and the settings of the last try.

    ``targets`` are those that were drawn from; ``check`` tells of a likelihood that was reduced.
    """

    settings: SamplerSettings
    draws: tuple[Draws, ...]
    diagnoses: tuple[Diagnosis, ...]
    targets: tuple[Target, ...]
    check: Check | None = None


def sampled_shards(run: Run, progress: Progress) -> Sampled:
    """The draws of every shard; those with divergences are drawn again with smaller steps, twice at most."""
    limit, settings, attempt = run.options["divergences"], settings_of(run.options, len(run.targets)), 1
    parts, diagnoses, again = dict[int, Reduction](), dict[int, Diagnosis](), list(range(len(run.targets)))
    while True:
        parts |= zip(again, _drawn(run, again, settings, attempt, progress), strict=True)
        diagnoses |= {shard: _diagnosis(run, parts[shard].draws, settings) for shard in again}
        diverged = {shard: each.divergences / each.draws for shard, each in diagnoses.items()}
        again = [shard for shard, share in diverged.items() if share > limit]
        if not again or attempt > _RETRIES:
            return _sampled(settings, tuple(parts.values()), tuple(diagnoses.values()))
        settings, attempt = replace(settings, target_accept=0.5 * (1.0 + settings.target_accept)), attempt + 1
        worst = max(diverged.values())
        progress(f"{worst:.2%} of the draws diverged: again with target_accept {settings.target_accept:g}")


def _sampled(
    settings: SamplerSettings, parts: tuple[Reduction, ...], diagnoses: tuple[Diagnosis, ...]
) -> Sampled:
    draws, targets = tuple(part.draws for part in parts), tuple(part.target for part in parts)
    return Sampled(settings, draws, diagnoses, targets, parts[0].check)


def settings_of(options: Mapping[str, Any], shards: int) -> SamplerSettings:
    """How every shard is sampled."""
    names = ("chains", "warmup", "draws", "target_accept", "max_tree_depth", "seed", "block")
    threads = options["threads"] or (available_cores() if shards == 1 else 1)
    return SamplerSettings(threads=threads, **{name: options[name] for name in names})


def _drawn(
    run: Run, shards: list[int], settings: SamplerSettings, attempt: int, progress: Progress
) -> list[Reduction]:
    """The draws of these shards, reduced where there is one."""
    meter = Meter(settings, len(shards), progress, attempt)
    shape = settings.chains, len(run.problem.varying)
    starts = [_DISPERSION * np.random.default_rng([settings.seed, k]).normal(size=shape) for k in shards]
    if len(run.targets) == 1:
        kept = None if run.folder is None else run.folder / f"attempt-{attempt}"
        return [_one_shard(run, settings, starts[0], kept, meter, progress)]
    assert run.folder is not None  # shards are handed over as files
    tasks = []
    for k, start in zip(shards, starts, strict=True):
        place = run.folder / f"attempt-{attempt}" / f"shard-{k:03d}"
        if read_arrays(place / TARGET) is None:
            write_target(place, run.code, run.targets[k], replace(settings, seed=settings.seed + k), start)
        tasks.append(
            Task(
                target="heterodyne_cmc.worker:sample_shard",
                arguments={"folder": str(place.absolute())},
                threads=settings.threads,
                name=f"shard {k + 1}",
            )
        )
    run_tasks(tasks, run.options, partial(_heed, meter, progress))
    each = (_read_draws(Path(task.arguments["folder"])) for task in tasks)
    return [Reduction(draws, run.targets[k], None) for k, draws in zip(shards, each, strict=True)]


def _one_shard(
    run: Run,
    settings: SamplerSettings,
    starts: np.ndarray,
    folder: Path | None,
    meter: Meter,
    progress: Progress,
) -> Reduction:
    """The draws of the only shard, in this process."""

    def drawn(target: Target, place: Path | None) -> Draws:
        return sample(run.code, target, starts, settings, place, Watch(meter))

    if run.options["exact"]:
        return Reduction(drawn(run.targets[0], folder), run.targets[0], None)
    return reduced_draws(run.code, run.targets[0], folder, settings.seed, drawn, progress)


def run_tasks(tasks: list[Task], options: Mapping[str, Any], heed: Callable[[Event], None]) -> None:
    """Run the tasks; raises `HeterodyneError` where one could not be, or the executor cannot run any."""
    settings = {name: options[name] for name in ("workers", "scheduler") if options[name]}
    execute = resolve("executor", options["executor"], Executor)
    for task, outcome in zip(tasks, execute(tasks, settings, heed), strict=True):
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
    if stored is None:
        raise DataError(f"the draws in {folder} cannot be read: add --resume to draw them again")
    return Draws(stored["u"], {name: stored[name] for name in STATISTICS})


def _diagnosis(run: Run, draws: Draws, settings: SamplerSettings) -> Diagnosis:
    values = physical_values(run.targets[0].space, run.code.form, draws.u)
    return diagnose(run.problem.varying, values, draws, settings.max_tree_depth)
