"""The optimizer `cmc`: least squares, NUTS around its solution, and what the draws say."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from heterodyne.bins.reading import read_bins
from heterodyne.errors import ConfigError
from heterodyne.problem.problem import Problem
from heterodyne.result.fit import Fit
from heterodyne_cmc.drawing import run_tasks, sampled_shards
from heterodyne_cmc.merging import merged_draws
from heterodyne_cmc.outcome import sampled_fit
from heterodyne_cmc.plugin import OPTIONS
from heterodyne_cmc.prepare import with_own_scaling
from heterodyne_cmc.run import create_run
from heterodyne_cmc.watch import Progress


def fit(problem: Problem, options: Mapping[str, Any], progress: Progress) -> Fit:
    """The posterior of a problem."""
    if problem.one_time:
        raise ConfigError("cmc samples two-time data; fit one-time data (g2 over the lag) by nlsq")
    began, problem = perf_counter(), with_own_scaling(problem)
    _check(options)
    bins = read_bins(problem.data, problem.choices.skip_lags)
    kept = options["checkpoint"]
    with _passing_folder() if options["shards"] > 1 and not kept else nullcontext(kept) as folder:
        run = create_run(problem, bins, options, Path(folder) if folder else None, progress)
        progress("compiling the sampler")
        sampled = sampled_shards(run, progress)
    found = sampled_fit(run, sampled, merged_draws(run, sampled), began)
    return replace(found, checkpoint=run.folder) if kept else found


@contextmanager
def _passing_folder() -> Iterator[str]:
    """A folder in which shards are handed over, and that goes with the block, where SIGTERM ends it too."""

    def end(number: int, frame: object) -> None:
        sys.exit(128 + number)

    main = threading.current_thread() is threading.main_thread()
    replaced = main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    with TemporaryDirectory(prefix="heterodyne-") as folder:
        if replaced:
            signal.signal(signal.SIGTERM, end)
        try:
            yield folder
        finally:
            if replaced:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _check(options: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for options that contradict each other, or an executor that cannot run."""
    if options["resume"] and not options["checkpoint"]:
        raise ConfigError("there is nothing to resume: name the folder of the results (-o) or the checkpoint")
    if options["no_warm_start"] and options["likelihood"] == "calibrated":
        raise ConfigError(
            "without a warm start there is nothing to calibrate with: add --likelihood independent"
        )
    if options["shards"] > 1:
        run_tasks([], options, lambda event: None)
    for option in OPTIONS:
        if options["shards"] == 1 and option.name in _OF_SHARDS and options[option.name] != option.default:
            raise ConfigError(f"option {option.name!r} is about shards, and there is one: add --shards N")


_OF_SHARDS = ("partition", "refine", "executor", "scheduler", "workers")
