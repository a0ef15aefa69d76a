"""Drawing: every shard by its executor, drawn again with smaller steps where it diverges."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.device.cores import available_cores
from heterodyne.errors import HeterodyneError
from heterodyne.executors.task import Event, Executor, Task
from heterodyne.plugins.manager import resolve
from heterodyne.result.statistics import Diagnosis
from heterodyne_cmc.checkpoint import read_arrays, write_target
from heterodyne_cmc.diagnostics import diagnose
from heterodyne_cmc.nuts import STATISTICS, Draws, Settings, sample
from heterodyne_cmc.posterior import physical_values
from heterodyne_cmc.run import Progress, Run
from heterodyne_cmc.watch import Count, Meter, Watch
from heterodyne_cmc.worker import DRAWS

_RETRIES = 2  # on divergences

_DISPERSION = 1.0  # of the chains' starts, in posterior standard deviations


def sampled_shards(run: Run, progress: Progress) -> tuple[Settings, list[Draws], list[Diagnosis]]:
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
    execute(tasks, run.options, partial(_heed, meter, progress))
    return [_read_draws(Path(task.arguments["folder"])) for task in tasks]


def execute(tasks: list[Task], options: Mapping[str, Any], heed: Callable[[Event], None]) -> None:
    """Run the tasks; raises `HeterodyneError` where one could not be, or the executor cannot run any."""
    settings = {name: options[name] or None for name in ("workers", "scheduler")}
    settings = {name: value for name, value in settings.items() if value is not None}
    for task, outcome in zip(
        tasks, resolve("executor", options["executor"], Executor)(tasks, settings, heed), strict=True
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
