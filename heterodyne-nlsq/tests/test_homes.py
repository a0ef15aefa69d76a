"""Joint fits whose bins other processes keep end where fits in one process end."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import heterodyne as het
from dask_cluster import Cluster
from heterodyne.errors import ConfigError, PluginError
from heterodyne.model import Model

START = {name: het.create_model("static").parameters[name].start for name in ("D0", "alpha")}
CHOICES = {"model": "static", "fix": {"D_offset": 0.0}, "start": START}
SEARCHED = CHOICES | {"start": {}}
ASKED = {"profiles": "asked", "starts": 4, "polish": 1}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three files of two bins each, with everything in them that needs the data: widths, single bad pairs."""
    folder = tmp_path_factory.mktemp("runs")
    for k, q in enumerate((0.01, 0.015, 0.02)):
        data = het.simulate("static", q=q, phi=[0.0, 60.0], frames=32, seed=k, noise=0.02)
        bad = [[0, 3, 7]] if k == 1 else np.zeros((0, 3), dtype=int)
        replace(data, bad_pairs=np.array(bad), dq=0.001).save(folder / f"run{k}.h5")
    return [str(folder / f"run{k}.h5") for k in range(3)]


@pytest.fixture(scope="module")
def expected(files):
    """The fit in one process."""
    return fitted(files)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of two dask workers."""
    pytest.importorskip("distributed")
    with ExitStack() as processes:
        yield Cluster(tmp_path_factory.mktemp("dask"), processes, 2)


def fitted(files, progress=None, choices=CHOICES, **options):
    return het.fit([het.load(path) for path in files], options=ASKED | options, progress=progress, **choices)


def assert_the_same(found, expected):
    assert found.values == expected.values
    np.testing.assert_equal(found.errors, expected.errors)
    np.testing.assert_array_equal(found.covariance, expected.covariance)
    assert found.scaling == expected.scaling
    own = ("strategy_reason", "seconds")
    for name in expected.statistics:
        if name not in own:
            np.testing.assert_equal(found.statistics[name], expected.statistics[name])


@pytest.mark.slow
def test_processes_end_where_one_process_does(files, expected):
    found = fitted(files, executor="processes", workers=2)
    assert_the_same(found, expected)
    assert found.statistics.strategy_reason == "bins are kept by 2 processes of executor 'processes'"


@pytest.mark.slow
def test_a_fit_ends_there_though_a_dask_worker_is_killed_within(files, expected, cluster, monkeypatch):
    monkeypatch.chdir(Path(files[0]).parent)
    files, lines = [Path(file).name for file in files], []

    def progress(line):
        lines.append(line)
        if line.startswith("weights of frames, round 1"):
            cluster.workers[0].kill()

    found = fitted(files, progress, executor="dask", scheduler=cluster.address, workers=2)
    assert_the_same(found, expected)
    assert sum("was lost" in line for line in lines) == 1


@pytest.mark.slow
@pytest.mark.parametrize("option", [{"strategy": "sequential"}, {"global": True}, {"weights": "equal"}])
def test_every_way_to_fit_ends_there(option, files):
    found = fitted(files[:1], choices=SEARCHED, executor="processes", workers=1, **option)
    assert_the_same(found, fitted(files[:1], choices=SEARCHED, **option))


@pytest.mark.slow
def test_a_bin_without_anything_to_fit_is_left_out(files):
    data = [het.load(path) for path in files[:2]]
    mask = np.array(data[0].mask)
    mask[1] = False
    data[0] = replace(data[0], mask=mask)
    with pytest.warns(UserWarning, match="left out of the fit"):
        fit = het.fit(data, options=ASKED | {"executor": "processes", "workers": 1}, **CHOICES)
    assert len(fit.scaling) == 3


@pytest.mark.parametrize(
    ("options", "error", "line"),
    [
        ({"executor": "dusk"}, PluginError, "no executor named 'dusk'; did you mean 'dask'"),
        (
            {"workers": 2},
            ConfigError,
            "option 'workers' is about processes that keep bins, and there are none",
        ),
        ({"executor": "processes", "scheduler": "tcp://a:1"}, ConfigError, "takes no 'scheduler'"),
        ({"executor": "dask"}, ConfigError, "executor 'dask' needs the address of a scheduler"),
        (
            {"executor": "processes", "strategy": "streamed"},
            ConfigError,
            "strategy streamed reads files in this process, executor 'processes' keeps matrices in others",
        ),
    ],
)
def test_what_an_executor_cannot_do_is_one_line(options, error, line, files):
    with pytest.raises(error, match=line):
        fitted(files[:1], **options)


def test_one_time_data_stay_here():
    tau = np.geomspace(1e-3, 1.0, 20)
    data = het.OneTime(tau=tau, g2=1.0 + 0.1 * np.exp(-tau)[None], q=[0.01], phi=[0.0])
    with pytest.raises(ConfigError, match="one-time data are small and stay in this process"):
        het.fit(data, options={"executor": "processes"}, **CHOICES)


def test_a_model_that_is_not_installed_cannot_leave(files):
    static = het.create_model("static")
    own = Model("own", static.parameters, lambda *of: static.profiles(*of), static.pair, uses_azimuth=False)
    with pytest.raises(het.HeterodyneError, match="install its model"):
        het.fit(het.load(files[0]), own, options=ASKED | {"executor": "processes", "workers": 1})
