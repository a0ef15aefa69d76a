"""The program with core's plugins, its own, and two optimizers made here: no other distribution is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import OptimizerRecord, Option
from heterodyne.result.fit import Fit
from heterodyne.result.statistics import Statistics
from heterodyne.testing.results import estimates_of, fit_by_hand, scaling_of
from program import Done

_COMMON = Option("seed", int, 0, "seed")


def stand(problem, options, progress) -> Fit:
    """An optimizer that stays at the start; option ``verdict`` is what it says of itself."""
    progress("standing")
    choices = {name: str(value) for name, value in vars(problem.choices).items()}
    return fit_by_hand(
        estimates_of(problem),
        model="static",
        optimizer="stand",
        scaling=scaling_of(problem.data, contrast=0.1, offset=1.0, noise=0.02),
        statistics=Statistics(
            seconds=0.0, extra={"options": options, "varying": problem.varying, "choices": choices}
        ),
        verdict=options["verdict"],
        message="so",
    )


@hookimpl
def heterodyne_optimizers() -> Iterator[OptimizerRecord]:
    """Two optimizers that share an option; `stand` has one that bears the name of a flag of `fit`."""
    verdicts = ("converged", "stalled")
    own = (
        Option("verdict", str, "converged", "what to say", verdicts),
        Option("careful", bool, True, "slow"),
    )
    yield OptimizerRecord(
        "stand",
        "stays where it is",
        "standing_plugin:stand",
        (_COMMON, *own, Option("model", int, 1, "a clash")),
    )
    yield OptimizerRecord("other", "never run", "nowhere", (_COMMON, Option("depth", float, 1.5, "how deep")))


@pytest.fixture(autouse=True)
def only_these_plugins(only_plugins: Callable[..., None]) -> None:
    """Core's plugin, the program's and the optimizers made here, whatever else is installed."""
    plugin = SimpleNamespace(stand=stand, heterodyne_optimizers=heterodyne_optimizers)
    only_plugins("core", "cli", standing=plugin)


@pytest.fixture
def rejected(heterodyne: Callable[..., Done]):
    """A function that runs the program and gives the one line with which it refuses."""

    def run(*arguments: str) -> str:
        before = sorted(Path.cwd().rglob("*"))
        done = heterodyne(*arguments)
        assert (done.status, done.out) == (1, ""), done
        lines = [line for line in done.err.splitlines() if not line.startswith("heterodyne: warning: ")]
        assert len(lines) == 1, done.err
        assert lines[0].startswith("heterodyne: error: ")
        assert sorted(Path.cwd().rglob("*")) == before
        return lines[0].removeprefix("heterodyne: error: ")

    return run


@pytest.fixture
def run_file(heterodyne: Callable[..., Done]) -> str:
    """A small two-time file: 2 q × 2 azimuths of 24 frames."""
    arguments = ("simulate", "-o", "run.h5", "--model", "static", "--q", "0.01", "--q", "0.02")
    done = heterodyne(*arguments, "--phi", "-90", "--phi", "45", "--frames", "24", "--age", "2")
    assert done.status == 0, done.err
    return "run.h5"
