"""Executors: the same results wherever tasks run, deaths that cost one task, and nothing left behind."""

from __future__ import annotations

import gc
import math
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from dask_cluster import Cluster, process
from heterodyne.errors import ConfigError
from heterodyne.executors.process import THREAD_VARIABLES
from heterodyne.executors.task import Event, Executor, Task
from heterodyne.plugins.manager import resolve

HERE = Path(__file__).parent
LOCAL = ("serial", "processes")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(autouse=True)
def targets(monkeypatch):
    """The module of the functions can be imported by worker processes, here and on the dask workers."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def task(function, *, threads=1, name=None, **arguments):
    return Task(f"executor_targets:{function}", arguments, threads, name or function)


def ignore(event):
    pass


def run(executor, tasks, on_event=ignore, **settings):
    return resolve("executor", executor, Executor)(tasks, settings, on_event)


def alive(pid):
    """Whether a process runs: one that has ended and waits for its parent to look does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids, seconds):
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(alive(pid) for pid in pids)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a scheduler with two dask workers."""
    pytest.importorskip("distributed")
    with ExitStack() as processes:
        yield Cluster(tmp_path_factory.mktemp("dask"), processes, 2, PYTHONPATH=str(HERE)).address


@pytest.fixture
def own_cluster(tmp_path):
    """A function that starts a cluster which the test may damage."""
    pytest.importorskip("distributed")
    with ExitStack() as processes:
        yield partial(Cluster, tmp_path, processes, PYTHONPATH=str(HERE))


@pytest.fixture
def settings_of(request):
    """A function: what an executor must be told to run at all."""
    return lambda name: {"scheduler": request.getfixturevalue("cluster")} if name == "dask" else {}


@pytest.fixture(scope="module")
def reference():
    """What the functions return, run by `serial`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE))
        return run("serial", [task("draws", seed=seed, name=f"shard {seed}") for seed in (3, 4)])


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_results_do_not_depend_on_the_executor(executor, settings_of, reference):
    tasks = [task("draws", seed=seed, name=f"shard {seed}") for seed in (3, 4)]
    outcomes = run(executor, tasks, **settings_of(executor))
    assert [one.name for one in outcomes] == ["shard 3", "shard 4"]
    assert [one.result for one in outcomes] == [one.result for one in reference]
    assert [(one.error, one.attempts, one.threads) for one in outcomes] == [(None, 1, 1)] * 2
    assert all(one.seconds > 0 for one in outcomes)
    assert outcomes[0].result != outcomes[1].result


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "processes", "dask"])
def test_events_tell_begin_progress_and_end_in_order(executor, settings_of):
    events: list[Event] = []
    run(executor, [task("linger", seconds=0), task("reject")], events.append, **settings_of(executor))
    kinds = {name: [event.kind for event in events if event.task == name] for name in ("linger", "reject")}
    assert kinds == {"linger": ["began", "progress", "ended"], "reject": ["began", "ended"]}
    assert all(event.attempt == 1 for event in events if event.task)
    assert [event.text for event in events if event.kind == "ended" and event.text] == [
        "the file is empty; give another"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "processes", "dask"])
def test_what_a_function_raises_is_its_error_and_it_is_not_run_again(executor, settings_of):
    names = ("reject", "divide", "unfit", "missing")
    outcomes = run(executor, [task(name) for name in names], **settings_of(executor))
    rejected, divided, unfit, missing = outcomes
    assert rejected.error == "the file is empty; give another"
    assert re.fullmatch(
        r"ZeroDivisionError: division by zero \(executor_targets.py, line \d+\)", divided.error or ""
    )
    assert "set is not JSON serializable" in (unfit.error or "")
    assert "'missing' cannot be loaded from executor_targets:missing" in (missing.error or "")
    assert [(one.result, one.attempts) for one in outcomes] == [(None, 1)] * 4


@pytest.mark.parametrize("executor", LOCAL)
def test_what_is_printed_or_warned_does_not_disturb_the_answer(executor):
    lines: list[str] = []
    (outcome,) = run(executor, [task("talk")], lambda event: lines.append(event.text))
    assert math.isnan(outcome.result)
    assert lines == ["", "UserWarning: beware", "two\nlines", ""]


def killer(of):
    """Kills the process of the task ``of`` when it first says which it is; the ids that were seen."""
    seen: list[int] = []

    def on_event(event):
        if event.kind == "progress" and event.task == of:
            seen.append(int(event.text.split()[0]))
            if len(seen) == 1:
                os.kill(seen[0], signal.SIGKILL)

    return on_event, seen


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "processes", "dask"])
def test_a_killed_process_costs_its_own_task_only_and_is_run_again(executor, settings_of):
    tasks = [task("linger", seconds=0.3, name=f"shard {index}") for index in range(3)]
    on_event, seen = killer("shard 1")
    outcomes = run(executor, tasks, on_event, **settings_of(executor))
    assert [one.result for one in outcomes] == ["lasted"] * 3
    assert [one.attempts for one in outcomes] == [1, 2, 1]
    assert len(set(seen)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "processes", "dask"])
def test_a_task_that_always_dies_ends_after_its_retries_and_says_how(executor, settings_of):
    events: list[Event] = []
    tasks = [task("die"), task("linger", seconds=0), task("leave")]
    outcomes = run(executor, tasks, events.append, retries=1, **settings_of(executor))
    died, lasted, left = outcomes
    assert (died.error or "").startswith("its process died 2 times, at last killed by signal 9 (Killed)")
    assert left.error == "its process died 2 times, at last ended with status 7 and no answer"
    assert (lasted.result, lasted.attempts, died.attempts) == ("lasted", 1, 2)
    mine = [(event.kind, event.attempt) for event in events if event.task == "die"]
    assert mine == [("began", 1), ("died", 1), ("began", 2), ("died", 2), ("ended", 2)]


def test_no_retries_is_one_attempt():
    (outcome,) = run("serial", [task("die")], retries=0)
    assert outcome.attempts == 1
    assert (outcome.error or "").startswith("its process died: killed by signal 9")


def test_a_process_that_cannot_start_says_why(monkeypatch):
    monkeypatch.setattr("heterodyne.executors.process._COMMAND", (sys.executable, "-m", "no_such_module"))
    (outcome,) = run("serial", [task("divide")], retries=0)
    assert "status 1 and no answer: " in (outcome.error or "")
    assert "no_such_module" in (outcome.error or "")


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "at_once"), [(None, 2), (1, 1), (4, 4)])
def test_tasks_at_once_are_as_many_as_the_cores_have_threads_for(workers, at_once, monkeypatch):
    monkeypatch.setenv("NPROC", "5")
    numbers = [0]

    def on_event(event):
        numbers.append(numbers[-1] + {"began": 1, "ended": -1}.get(event.kind, 0))

    tasks = [task("linger", seconds=0.3, threads=2, name=f"shard {index}") for index in range(4)]
    run("processes", tasks, on_event, workers=workers)
    assert max(numbers) == at_once


def test_the_environment_is_the_users_with_the_threads_fixed_and_stays_as_it_is(monkeypatch):
    user = {"HETERODYNE_CACHE": "/some/where", "XLA_FLAGS": "--xla_dump_to=x", "OMP_NUM_THREADS": "17"}
    for name, value in user.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    (outcome,) = run("serial", [task("variables", names=[*user, *THREAD_VARIABLES], threads=3)])
    assert outcome.result == {**user, **dict.fromkeys(THREAD_VARIABLES, "3")}
    assert dict(os.environ) == before


@pytest.mark.slow
@linux
@pytest.mark.parametrize("threads", [1, 3])
def test_a_process_keeps_no_more_cores_busy_than_it_has_threads(threads):
    """XLA's pool is counted as well: a busy machine gives one core whatever the limit."""
    (outcome,) = run("serial", [task("load", seconds=1.0, threads=threads)])
    assert outcome.error is None
    assert outcome.result["cores"] < threads + 0.2
    assert outcome.result["pool"] == threads
    assert outcome.result["counted"] == threads


PARENT = """
import sys
from heterodyne.executors.task import Executor, Task
from heterodyne.plugins.manager import resolve

executor, settings = sys.argv[1], dict(pair.split("=") for pair in sys.argv[2:])
tasks = [Task("executor_targets:linger", {"seconds": 60}, 1, f"shard {index}") for index in range(2)]
show = lambda event: print(event.text, flush=True) if event.kind == "progress" else None
resolve("executor", executor, Executor)(tasks, settings, show)
"""


def children(parent, number):
    """The ids of the processes of ``number`` tasks, when all have said them."""
    return [int(parent.stdout.readline().split()[0]) for _ in range(number)]


@pytest.mark.slow
@linux
@pytest.mark.parametrize(
    ("executor", "number", "how"),
    [
        ("serial", 1, signal.SIGKILL),
        ("processes", 2, signal.SIGKILL),
        ("processes", 2, signal.SIGINT),
        ("processes", 2, signal.SIGTERM),
        ("dask", 2, signal.SIGKILL),
        ("dask", 2, signal.SIGINT),
    ],
)
def test_no_process_outlives_its_parent(executor, number, how, settings_of):
    given = settings_of(executor) | ({"workers": 2} if executor == "processes" else {})
    words = [f"{name}={value}" for name, value in given.items()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with process("-c", PARENT, executor, *words, **pipes) as parent:
        pids = children(parent, number)
        assert all(alive(pid) for pid in pids)
        parent.send_signal(how)
        assert gone(pids, 10)
        assert parent.wait(10) != 0


@linux
def test_an_exception_of_the_caller_ends_the_processes():
    seen: list[int] = []

    def on_event(event):
        if event.kind == "progress":
            seen.append(int(event.text.split()[0]))
            raise KeyError("caller")

    tasks = [task("linger", seconds=60, name=f"shard {index}") for index in range(4)]
    began = time.monotonic()
    with pytest.raises(KeyError, match="caller"):
        run("processes", tasks, on_event, workers=2)
    assert time.monotonic() - began < 20
    assert not any(alive(pid) for pid in seen)


class Loss:
    """Starts the first dask worker when it is waited for; kills the first that runs a task, starts another."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self.pids: list[int] = []
        self.texts: list[str] = []

    def __call__(self, event: Event) -> None:
        self.texts.append(event.text)
        if event.text.startswith("waiting"):
            self.cluster.start_worker()
        elif event.kind == "progress":
            pid, worker = map(int, event.text.split())
            self.pids.append(pid)
            if len(self.pids) == 1:
                os.kill(worker, signal.SIGKILL)
                self.cluster.start_worker()


@pytest.mark.slow
@linux
@pytest.mark.parametrize(("allowed", "attempts"), [(3, [1, 2]), (0, [2, 2])])
def test_a_task_whose_dask_worker_is_killed_runs_again_on_another(own_cluster, allowed, attempts):
    """Dask runs it again itself, or it gives up at once, all that the worker had been given, and we do."""
    cluster = own_cluster(0, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=str(allowed))
    loss = Loss(cluster)
    tasks = [task("linger", seconds=0.5, name=f"shard {index}") for index in range(2)]
    first, second = run("dask", tasks, loss, scheduler=cluster.address)
    assert loss.texts[0] == f"waiting for the first dask worker of {cluster.address}"
    assert "its dask worker was lost" in loss.texts
    assert (first.result, second.result) == ("lasted", "lasted")
    assert sorted((first.attempts, second.attempts)) == attempts
    assert gone(loss.pids, 10)


@pytest.mark.slow
@linux
def test_a_lost_dask_worker_counts_as_a_death(own_cluster):
    cluster = own_cluster(1)
    loss = Loss(cluster)
    (outcome,) = run("dask", [task("linger", seconds=60)], loss, scheduler=cluster.address, retries=0)
    assert (outcome.error, outcome.attempts) == ("its process died: its dask worker was lost", 1)
    assert gone(loss.pids, 10)


def test_a_scheduler_that_goes_away_is_one_line(own_cluster):
    cluster = own_cluster(0)
    with pytest.raises(ConfigError, match=f"the dask scheduler at {cluster.address} went away"):
        run("dask", [task("divide")], lambda event: cluster.scheduler.kill(), scheduler=cluster.address)


def test_a_scheduler_that_lets_a_question_time_out_went_away(own_cluster, monkeypatch):
    def nthreads(client):
        raise OSError("Timed out trying to connect to 'tcp://127.0.0.1:8786' after 5 s")

    cluster = own_cluster(0)
    monkeypatch.setattr("distributed.Client.nthreads", nthreads)
    with pytest.raises(ConfigError, match=f"the dask scheduler at {cluster.address} went away"):
        run("dask", [task("divide")], lambda event: None, scheduler=cluster.address)


@pytest.mark.parametrize(
    ("executor", "settings", "line"),
    [
        ("serial", {"worker": 2}, "no setting of executor 'serial' named 'worker' .known: retries"),
        ("serial", {"workers": 2}, "executor 'serial' takes no 'workers' .it takes: retries"),
        ("processes", {"scheduler": "tcp://a:1"}, "executor 'processes' takes no 'scheduler'"),
        ("processes", {"workers": 0}, "option 'workers' must be at least 1, not 0"),
        ("processes", {"workers": "many"}, "option 'workers' must be int, not 'many'"),
        ("dask", {"retries": -1}, "option 'retries' must be at least 0, not -1"),
        ("dask", {}, "executor 'dask' needs the address of a scheduler, such as tcp://host:8786"),
    ],
)
def test_settings_that_do_not_fit_are_errors(executor, settings, line):
    with pytest.raises(ConfigError, match=line):
        run(executor, [task("divide")], **settings)


def test_settings_that_are_not_given_may_be_none():
    (outcome,) = run("serial", [task("linger", seconds=0)], workers=None, scheduler=None, retries=None)
    assert outcome.result == "lasted"


def test_a_task_without_a_thread_is_refused():
    with pytest.raises(ConfigError, match="shard 1 needs at least 1 thread, not 0"):
        task("divide", threads=0, name="shard 1")


@pytest.mark.parametrize("executor", LOCAL)
def test_no_tasks_have_no_outcomes(executor):
    assert run(executor, []) == []


def test_arguments_that_json_cannot_hold_are_refused_before_anything_runs():
    events: list[Event] = []
    with pytest.raises(TypeError, match=r"(Posix|Windows)Path"):
        run("processes", [task("divide"), task("linger", seconds=Path("x"))], events.append)
    assert events == []


def test_without_dask_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install heterodyne-core\[dask\]"):
        run("dask", [task("divide")], scheduler="tcp://127.0.0.1:1")


def test_a_scheduler_that_does_not_answer_is_one_line_within_seconds(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("heterodyne.executors.dask._CONNECT", 1.0)
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"no dask scheduler answers at tcp://127.0.0.1:1: [^\n]*$"):
        run("dask", [task("divide")], scheduler="tcp://127.0.0.1:1")
    assert time.monotonic() - began < 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "address", ["nope", "nonsense://127.0.0.1:1", "tcp://127.0.0.1:port", "tls://127.0.0.1:1"]
)
def test_an_address_that_is_none_is_one_line_and_leaves_nothing_behind(address, monkeypatch):
    pytest.importorskip("distributed")
    complaints: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    with pytest.raises(ConfigError, match=f"no dask scheduler answers at {address}"):
        run("dask", [task("divide")], scheduler=address)
    gc.collect()
    assert complaints == []
