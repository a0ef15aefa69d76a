"""Shards in processes: the same draws wherever they run, and a killed worker costs its shard only."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from heterodyne.errors import HeterodyneError
from heterodyne.executors.task import Outcome
from heterodyne_cmc import sampling

RUN = {"chains": 2, "warmup": 200, "draws": 1500, "block": 50, "shards": 2, "partition": "pairs"}


@pytest.fixture(scope="module")
def problem(static_problem):
    return static_problem()


@pytest.fixture(scope="module")
def reference(problem, sampled, tmp_path_factory):
    """The fit by the executor `serial`, and its folder."""
    folder = tmp_path_factory.mktemp("serial")
    return sampled(problem, **RUN, executor="serial", checkpoint=str(folder)), folder


def assert_same_draws(fit, other):
    np.testing.assert_array_equal(fit.posterior.values, other.posterior.values)
    np.testing.assert_array_equal(fit.posterior.noise, other.posterior.noise)
    assert fit.statistics["diagnostics"] == other.statistics["diagnostics"]


def workers():
    """The worker processes that this process started."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            words = (place / "cmdline").read_text()
        except OSError:  # it has ended
            continue
        if parent == os.getpid() and "heterodyne.executors.worker" in words:
            found.append(int(place.name))
    return sorted(found)


def blocks_of(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(Path(folder).rglob("block-*.npz"))}


class Killer:
    """Kills one worker once shards have drawn a few blocks; what was on disk then."""

    def __init__(self, folder):
        self.folder, self.left = folder, None

    def __call__(self, line):
        if self.left is None and len(blocks_of(self.folder)) >= 6:
            os.kill(workers()[0], signal.SIGKILL)
            self.left = blocks_of(self.folder)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")
def test_a_worker_killed_in_mid_run_costs_the_block_at_work_of_its_shard_only(
    problem, reference, sampled, tmp_path
):
    killer = Killer(tmp_path)
    with pytest.warns(
        UserWarning, match=r"the process of shard \d died and is started again: killed by signal 9"
    ):
        fit = sampled(problem, killer, **RUN, executor="processes", checkpoint=str(tmp_path))
    assert killer.left is not None
    total = 2 * 2 * (200 + 1500) // 50
    now = blocks_of(tmp_path)
    assert 6 <= len(killer.left) < total == len(now)
    assert all(now[path] == written for path, written in killer.left.items())
    assert_same_draws(fit, reference[0])


def test_dask_gives_the_same_draws(problem, reference, sampled):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        fit = sampled(problem, **RUN, executor="dask", scheduler=cluster.scheduler_address)
    assert_same_draws(fit, reference[0])


def test_every_shard_has_chains_of_its_own_from_a_seed_of_its_own(reference):
    fit, folder = reference
    assert fit.statistics["threads"] == 1
    assert fit.statistics["iterations"] == 2 * 2 * 1700
    draws = [np.load(path)["u"] for path in sorted(folder.rglob("draws.npz"))]
    assert [u.shape for u in draws] == [(2, 1500, 2)] * 2
    chains = np.concatenate(draws)
    assert len(np.unique(chains[:, :, 0].round(12), axis=0)) == 4


def test_a_shard_that_cannot_be_sampled_is_named(problem, sampled, monkeypatch):
    def execute(tasks, settings, on_event):
        return [Outcome(task.name, None, "its process died 3 times, at last so", 3, 1.0, 1) for task in tasks]

    original = sampling.resolve
    monkeypatch.setattr(
        sampling, "resolve", lambda kind, name: execute if kind == "executor" else original(kind, name)
    )
    with pytest.raises(HeterodyneError, match="shard 1 could not be sampled: its process died 3 times"):
        sampled(problem, **RUN)


def test_gates_of_shards_name_the_shard(problem, reference, sampled):
    _, folder = reference
    # the draws are those on disk: gates are no part of what is sampled
    fit = sampled(problem, **RUN, executor="serial", checkpoint=str(folder), resume=True, ess=1e5)
    assert fit.verdict == "diagnostics failed"
    assert "shard 1: bulk ESS of " in fit.message
    assert "shard 2: bulk ESS of " in fit.message
    assert "combined shards: bulk ESS of " in fit.message
