"""Shards sampled in processes: the same draws wherever they run, and a death that costs its own shard only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from heterodyne.executors.task import Outcome
from heterodyne_cmc import drawing
from heterodyne_cmc.worker import sample_shard

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SHORT = {"chains": 2, "warmup": 40, "draws": 40, "block": 10, "divergences": 1.0}
APART = {"shards": 3, "partition": "pairs", "no_warm_start": True}


@contextmanager
def process(*arguments: str, **options: Any) -> Iterator[None]:
    started = subprocess.Popen([sys.executable, *arguments], **options)
    try:
        yield
    finally:
        started.kill()
        started.communicate()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dask scheduler on this machine with two workers."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("dask")
    place = (
        "--host",
        "127.0.0.1",
        "--dashboard-address",
        "127.0.0.1:0",
        "--scheduler-file",
        str(folder / "note.json"),
    )
    with ExitStack() as processes:
        log = processes.enter_context((folder / "log").open("w"))
        options = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": log}
        processes.enter_context(process("-m", "dask", "scheduler", "--port", "0", *place, **options))
        end = time.monotonic() + 30
        while not (folder / "note.json").exists() and time.monotonic() < end:
            time.sleep(0.1)
        for _ in range(2):
            worker = ("-m", "dask", "worker", "--no-nanny", "--nthreads", "1")
            processes.enter_context(process(*worker, *place, **options))
        yield json.loads((folder / "note.json").read_text())["address"]


@pytest.fixture(scope="module")
def shards(static_problem, sampled):
    """A function: the fit of three shards, run as the options say, with its checkpoint in a folder."""
    problem = static_problem()
    return lambda folder, **options: sampled(problem, checkpoint=str(folder), **SHORT, **APART, **options)


@pytest.fixture(scope="module")
def serial(shards, tmp_path_factory):
    """The folder and the fit of shards one after another."""
    folder = tmp_path_factory.mktemp("serial")
    return folder, shards(folder, executor="serial")


def descriptions(folder: Path) -> list[dict[str, Any]]:
    """What the files of the shards say about them."""
    files = sorted(folder.glob("*/attempt-1/shard-*/target.npz"))
    return [json.loads(str(np.load(file)["description"])) for file in files]


@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_draws_do_not_depend_on_the_executor(
    shards, serial, request, tmp_path, executor, stored_bits, drawn_bits
):
    where = {"scheduler": request.getfixturevalue("scheduler")} if executor == "dask" else {}
    fit = shards(tmp_path, executor=executor, workers=2, **where)
    folder, reference = serial
    assert len([*tmp_path.glob("*/attempt-1/shard-*/draws.npz")]) == 3
    assert stored_bits(tmp_path) == stored_bits(folder)
    assert drawn_bits(fit) == drawn_bits(reference)


def stamps(folder: Path) -> dict[str, list[int]]:
    """Which file stands under each name of a block, and when it was written."""
    status = {str(path): path.stat() for path in folder.rglob("block-*.npz")}
    return {name: [each.st_ino, each.st_mtime_ns] for name, each in status.items()}


def sample_and_die(folder: str, progress: Callable[[str], None]) -> str:
    """As `sample_shard`, but the first process that runs it is killed in the draws of its first chain."""
    note = Path(folder) / "died.json"
    lines: list[str] = []

    def tell(line: str) -> None:
        progress(line)
        lines.append(line)
        if len(lines) == 6 and not note.exists():
            note.write_text(json.dumps(stamps(Path(folder))))
            os.kill(os.getpid(), signal.SIGKILL)

    return sample_shard(folder, tell)


@pytest.fixture
def second_dies(monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """The process of the second shard is killed once; the outcomes of all."""
    outcomes: list[Outcome] = []
    original = drawing.resolve
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)

    def resolve(kind: str, name: str, contract: type) -> Callable[..., list[Outcome]]:
        def execute(tasks: Any, settings: Any, on_event: Any) -> list[Outcome]:
            dying = f"{Path(__file__).stem}:sample_and_die"
            marked = [replace(task, target=dying) if task.name == "shard 2" else task for task in tasks]
            outcomes[:] = original(kind, name, contract)(marked, settings, on_event)
            return outcomes

        return execute

    monkeypatch.setattr(drawing, "resolve", resolve)
    return outcomes


@pytest.mark.skipif(os.name != "posix", reason="kills a process by a signal")
def test_a_killed_process_costs_its_own_shard_only(
    shards, serial, second_dies, tmp_path, stored_bits, drawn_bits
):
    with pytest.warns(UserWarning, match="died") as caught:
        fit = shards(tmp_path, executor="processes", workers=2)
    lines = [str(warning.message) for warning in caught]
    told = "the process of shard 2 died and is started again: killed by signal 9 (Killed)"
    assert [line[: len(told)] for line in lines if "died" in line] == [told]
    assert [(outcome.name, outcome.attempts) for outcome in second_dies] == [
        ("shard 1", 1),
        ("shard 2", 2),
        ("shard 3", 1),
    ]
    (note,) = tmp_path.rglob("died.json")
    kept, after = json.loads(note.read_text()), stamps(note.parent)
    assert len(kept) == 6
    assert {name: after[name] for name in kept} == kept  # the blocks that were done are not drawn again
    assert stored_bits(tmp_path) == stored_bits(serial[0])
    assert drawn_bits(fit) == drawn_bits(serial[1])


def test_the_threads_of_every_shard_are_recorded(shards, in_this_process, tmp_path):
    fit = shards(tmp_path, threads=3)
    assert in_this_process == [3] * 3
    assert fit.statistics["threads"] == 3
    assert [each["settings"]["threads"] for each in descriptions(tmp_path)] == [3] * 3


def test_a_shard_has_one_thread_and_a_sampler_of_all_data_has_all_cores(
    serial, static_problem, sampled, monkeypatch
):
    folder, fit = serial
    assert fit.statistics["threads"] == 1
    assert [each["settings"]["threads"] for each in descriptions(folder)] == [1] * 3
    assert [each["settings"]["seed"] for each in descriptions(folder)] == [0, 1, 2]
    monkeypatch.setenv("NPROC", "5")
    assert sampled(static_problem(), **SHORT, no_warm_start=True).statistics["threads"] == 5
