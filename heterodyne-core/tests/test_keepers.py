"""Keepers: data that stay between questions, and are made again where their process died."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import heterodyne as het
import keeper_targets
from dask_cluster import Cluster
from heterodyne.bins.kept import Home, home_at, in_place, placed
from heterodyne.bins.reading import read_bins
from heterodyne.errors import ConfigError, DataError, HeterodyneError
from heterodyne.evaluators.residual import residual_parts
from heterodyne.evaluators.sums import pair_sums
from heterodyne.executors.keepers import KeeperProcess
from heterodyne.executors.process_keepers import keepers
from heterodyne.plugins.records import ExecutorRecord
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from keeper_targets import numbers_kept, pid

PLACES = [str(Path(keeper_targets.__file__).parent), os.environ.get("PYTHONPATH", "")]
STATIC = het.create_model("static")
PROBLEM = create_problem(
    [
        het.simulate("static", q=q, phi=[0.0, 45.0], frames=24, seed=k)
        for k, q in enumerate((0.01, 0.02, 0.03))
    ],
    STATIC,
)


@pytest.fixture(scope="module", autouse=True)
def targets():
    """The module of the targets can be imported by the keepers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(PLACES))
        yield


@pytest.fixture
def cluster(tmp_path):
    """A cluster of two dask workers."""
    pytest.importorskip("distributed")
    with ExitStack() as processes:
        yield Cluster(tmp_path, processes, 2)


@pytest.fixture(scope="module")
def home():
    """Two processes that keep bins."""
    with home_at("processes", {"workers": 2}, PROBLEM.data, print) as home:
        yield home


def alive(pid):
    return Path(f"/proc/{pid}/stat").exists()


def test_what_is_kept_is_there_at_the_next_question_and_gone_with_the_process():
    lines: list[str] = []
    process = KeeperProcess("keeper_targets:Counter", 1, 1, lines.append)
    first = int(process.ask(b"pid"))
    assert [process.ask(b"count") for _ in range(2)] == [b"1", b"2"]
    os.kill(first, signal.SIGKILL)
    assert process.ask(b"count") == b"1"
    assert lines == [
        "a process that keeps data died and begins again: killed by signal 9 (Killed), perhaps by the "
        "system for lack of memory (try fewer workers)"
    ]
    second = int(process.ask(b"pid"))
    process.stop()
    assert first != second
    assert not alive(second)


def test_a_question_that_always_kills_is_one_line():
    process = KeeperProcess("keeper_targets:Counter", 1, 1, lambda line: None)
    with pytest.raises(HeterodyneError, match="its process died 2 times, at last ended with status 7"):
        process.ask(b"die")
    assert process.ask(b"count") == b"1"
    process.stop()


def test_threads_of_keepers_share_the_cores(monkeypatch):
    monkeypatch.setenv("NPROC", "6")
    with keepers("keeper_targets:Counter", {"workers": 2}, 9, print) as two:
        assert two.ask({0: b"threads", 1: b"threads"}) == {0: b"3", 1: b"3"}
    with keepers("keeper_targets:Counter", {}, 3, print) as three:
        assert three.count == 3


def test_keepers_end_with_their_block():
    with keepers("keeper_targets:Counter", {"workers": 1}, 9, print) as one:
        process = int(one.ask({0: b"pid"})[0])
    assert not alive(process)


def sums_of(objective):
    u = objective.start
    return [objective.sums(u), objective.whitened(u, np.full(6, 3.0)).sums(u)]


def assert_equal_sums(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.n_pairs, other.n_pairs)
        for part, wanted in zip((*one.data, *one.model), (*other.data, *other.model), strict=True):
            np.testing.assert_array_equal(part, wanted)


def test_sums_of_kept_bins_are_those_of_bins_here(home):
    here, there = create_objective(PROBLEM), create_objective(PROBLEM, home.read(PROBLEM.data, 0))
    assert_equal_sums(sums_of(there), sums_of(here))


@pytest.mark.slow
def test_sums_are_the_same_when_a_keeper_begins_again(home):
    objective = create_objective(PROBLEM, home.read(PROBLEM.data, 0))
    whitened = objective.whitened(objective.start, np.full(6, 3.0))
    before = [objective.sums(objective.start), whitened.sums(objective.start)]
    for process in {*in_place(pid, objective.bins, [()] * 6)}:
        os.kill(process, signal.SIGKILL)
    assert_equal_sums([objective.sums(objective.start), whitened.sums(objective.start)], before)


@pytest.mark.slow
def test_sums_are_the_same_beside_dask_workers_of_which_one_is_killed(cluster):
    here, lines = create_objective(PROBLEM), []
    with home_at("dask", {"scheduler": cluster.address, "workers": 2}, PROBLEM.data, lines.append) as home:
        there = create_objective(PROBLEM, home.read(PROBLEM.data, 0))
        assert_equal_sums(sums_of(there), sums_of(here))
        cluster.workers[0].kill()
        assert_equal_sums(sums_of(there), sums_of(here))
        pids = {*in_place(pid, there.bins, [()] * 6)}
    assert sum("was lost" in line for line in lines) == 1
    end = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(alive, pids))


def test_kept_bins_know_all_but_their_data(home):
    here, there = read_bins(PROBLEM.data), home.read(PROBLEM.data, 0)
    for one, other in zip(there, here, strict=True):
        for name in ("t", "weight", "diagonal", "skipped", "q", "phi", "moments", "frames"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    with pytest.raises(TypeError, match="kept elsewhere"):
        next(residual_parts(STATIC, STATIC.parameters.starts(), there[0], 0.1, 1.0))


def test_data_that_nobody_has_any_more_are_dropped(home):
    objective = create_objective(PROBLEM, home.read(PROBLEM.data, 0))
    for _ in range(3):
        whitened = objective.whitened(objective.start, np.full(6, 3.0))
    whitened.sums(objective.start)
    # four bins are with one keeper and two with the other, every one plain and weighted
    assert in_place(numbers_kept, objective.bins, [()] * 6) == [8, 8, 4, 4, 8, 8]


def test_what_cannot_be_read_is_the_error_that_it_is_here(home):
    nothing = replace(PROBLEM.data[0], mask=np.zeros((2, 24), dtype=bool))
    for data in [(PROBLEM.data[0], nothing), (PROBLEM.data[0], PROBLEM.data[0])]:
        with pytest.raises(DataError) as there:
            home.read(data, 0)
        with pytest.raises(DataError) as here:
            read_bins(data)
        assert str(there.value) == str(here.value)
        assert getattr(there.value, "bins", None) == getattr(here.value, "bins", None)


def test_a_warning_of_a_keeper_is_one_here(home):
    c2 = np.array(list(PROBLEM.data[0].c2))
    c2[:, 3], c2[:, :, 3] = np.nan, np.nan
    with pytest.warns(UserWarning, match="frame"):
        home.read((replace(PROBLEM.data[0], c2=c2),), 0)


def test_a_model_that_is_not_installed_is_named(home):
    bins = home.read(PROBLEM.data, 0)
    stranger = replace(STATIC, name="stranger", pair=lambda left, right: STATIC.pair(left, right))
    with pytest.raises(HeterodyneError, match="install its model"):
        pair_sums(stranger, np.array(list(STATIC.parameters.starts().values())), bins)


@pytest.mark.parametrize(
    ("bins", "keepers", "places"),
    [
        ([2, 2, 2, 2], 2, [[0, 0], [1, 1], [0, 0], [1, 1]]),
        ([3], 2, [[0, 1, 0]]),
        ([1, 1], 1, [[0], [0]]),
    ],
)
def test_files_stay_whole_where_there_are_enough(bins, keepers, places):
    data = [het.simulate("static", phi=list(np.linspace(0.0, 60.0, n)), frames=8) for n in bins]
    found = placed(data, keepers)
    ends = np.cumsum(bins)[:-1]
    assert [list(of) for of in np.split(np.array(found), ends)] == places


def test_friedel_mates_of_a_file_stay_together():
    data = het.simulate("static", phi=[0.0, 90.0, 180.0, -90.0], frames=8)
    first, second, third, fourth = placed([data], 4)
    assert (first, second) == (third, fourth)
    assert first != second


def test_an_executor_that_keeps_nothing_is_named(only_plugins):
    class Plugin:
        @staticmethod
        @het.plugins.hookimpl
        def heterodyne_executors():
            yield ExecutorRecord("slurm", "one job per task", "slurm_plugin:execute")

    only_plugins("core", slurm=Plugin)
    line = r"executor 'slurm' keeps nothing .* \(these do: dask, processes\)"
    with pytest.raises(ConfigError, match=line), home_at("slurm", {}, PROBLEM.data, print):
        pass


@pytest.mark.parametrize(
    ("executor", "settings", "line"),
    [
        ("serial", {}, "executor 'serial' keeps nothing"),
        ("processes", {"scheduler": "tcp://a:1"}, "executor 'processes' takes no 'scheduler'"),
        ("dask", {}, "executor 'dask' needs the address of a scheduler"),
    ],
)
def test_settings_that_do_not_fit_are_errors(executor, settings, line):
    with pytest.raises(ConfigError, match=line), home_at(executor, settings, PROBLEM.data, print):
        pass


def test_another_version_at_a_worker_is_one_line(home, monkeypatch):
    monkeypatch.setattr("heterodyne.bins.kept.own_version", lambda: b"0.0.9")
    with pytest.raises(ConfigError, match=r"heterodyne-core is .* at a worker and 0\.0\.9 here: install one"):
        home.read(PROBLEM.data, 0)


def test_a_home_says_who_keeps(home):
    assert isinstance(home, Home)
    assert home.words == "bins are kept by 2 processes of executor 'processes'"
