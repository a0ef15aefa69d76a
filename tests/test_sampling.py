"""The sampler as a user meets it on the command line: least squares, cmc and figures installed together."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from xarray import open_datatree

import heterodyne as het
from heterodyne.switch import LIST
from program import exit_status
from tolerances import SIGMAS

pytestmark = pytest.mark.slow

TRUTH = {"D0": 4000.0, "alpha": -0.1, "D_offset": 0.0}
SHORT = ("--chains", "2", "--warmup", "100", "--draws", "300", "--ess", "50", "--rhat", "1.1")
CMC = ("--optimizer", "cmc", "--model", "static", "--fix", "D_offset=0")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, run.h5, and a sampled fit of it, out/."""
    home = tmp_path_factory.mktemp("sampling")
    parameters = [part for name, value in TRUTH.items() for part in ("--param", f"{name}={value}")]
    phi = ("--phi", "-30", "--phi", "60")
    file = str(home / "run.h5")
    assert exit_status("simulate", "-o", file, "--model", "static", *parameters, *phi, "--frames", "64") == 0
    assert exit_status("fit", file, *CMC, *SHORT, "-o", str(home / "out"), "--quiet") == 0
    return home


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of its own with the data in it."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(made / "run.h5", tmp_path)
    return tmp_path


def test_json_arrays_and_posterior_are_written_and_no_checkpoint_stays(made):
    assert {path.name for path in (made / "out").iterdir()} == {LIST, "fit.json", "fit.npz", "posterior.nc"}
    fit = het.read_fit(made / "out")
    assert (fit.verdict, fit.optimizer) == ("converged", "cmc")
    for name in ("D0", "alpha"):
        assert abs(fit.values[name] - TRUTH[name]) < SIGMAS * fit.errors[name]
        low, _, median, _, high = fit.statistics["quantiles"][name]
        assert low < fit.values[name] == median < high
    assert fit.provenance["config"]["write"] == ("json", "npz", "profiles", "posterior")
    assert fit.provenance["config"]["options"]["checkpoint"] == ""
    drawn = open_datatree(made / "out" / "posterior.nc", engine="h5netcdf")["posterior"]
    assert float(drawn["D0"].median()) == fit.values["D0"]
    with np.load(made / "out" / "fit.npz") as arrays:
        inside = (arrays["curve_low"] < arrays["curve"]) & (arrays["curve"] < arrays["curve_high"])
        assert inside.all()
        assert (arrays["curve_low"] < arrays["curve_inner_low"]).all()


def test_the_figures_show_data_and_curves_of_the_posterior(made, place, capsys):
    status = exit_status("fit", "run.h5", *CMC, *SHORT, "-o", "out", "--write", "figures")
    assert status == 0
    assert {path.name for path in Path("out/figures").iterdir()} == {"fit-comparison-1.png", "curves.png"}
    assert "[[Diagnostics]]" in capsys.readouterr().out


def test_gates_that_fail_have_status_3_and_everything_is_written(place, capsys):
    status = exit_status("fit", "run.h5", *CMC, *SHORT, "--ess", "1e6", "-o", "out", "--json")
    captured = capsys.readouterr()
    assert status == 3
    assert json.loads(captured.out)["verdict"] == "diagnostics failed"
    assert "the fit did not converge: diagnostics failed (bulk ESS of " in captured.err
    assert "raise draws" in captured.err
    assert {path.name for path in Path("out").iterdir()} == {LIST, "fit.json", "fit.npz", "posterior.nc"}


def test_a_warm_start_needs_no_search_and_none_no_least_squares(made, place, capsys):
    earlier = str(made / "out")
    document = _document(capsys, "--warm-start", earlier)
    assert document["parameters"]["D0"]["start"] == het.read_fit(earlier).values["D0"]
    starts = ("--start", "D0=4000", "--start", "alpha=-0.1")
    document = _document(capsys, "--no-warm-start", "--likelihood", "independent", *starts)
    assert document["statistics"]["likelihood"] == "independent"
    assert abs(document["parameters"]["D0"]["value"] - 4000.0) < 600.0


def test_a_prior_from_file_and_line_is_the_same_and_moves_the_posterior(place, capsys):
    Path("fit.yaml").write_text("prior: {alpha: {family: normal, location: -0.3, width: 0.001}}\n")
    from_file = _document(capsys, "--config", "fit.yaml")
    from_line = _document(capsys, "--prior", "alpha=normal:-0.3:0.001")
    assert from_file["parameters"] == from_line["parameters"]
    assert from_file["provenance"]["config"]["prior"] == from_line["provenance"]["config"]["prior"]
    row = from_line["parameters"]["alpha"]
    assert abs(row["value"] + 0.3) < 0.004
    assert 0.0007 < row["error"] < 0.0013
    assert row["status"] == "undetermined"  # the data add nothing to so narrow a prior
    assert "only the prior determines alpha" in from_line["message"]


def test_shards_in_processes_of_their_own_are_combined(place, capsys):
    document = _document(capsys, "--shards", "2", "--partition", "pairs", "-o", "out", expected=(0, 3))
    assert document["statistics"]["shards"] == 2
    assert {path.name for path in Path("out").iterdir()} == {LIST, "fit.json", "fit.npz", "posterior.nc"}


def _document(capsys: pytest.CaptureFixture[str], *arguments: str, expected: tuple[int, ...] = (0,)) -> dict:
    capsys.readouterr()
    assert exit_status("fit", "run.h5", *CMC, *SHORT, "--json", "--quiet", *arguments) in expected
    return json.loads(capsys.readouterr().out)


def test_a_killed_run_goes_on_where_it_was(place):
    options = ("--chains", "2", "--warmup", "200", "--draws", "4000", "--quiet")
    command = [sys.executable, "-m", "heterodyne_cli", "fit", "run.h5", *CMC, *options]
    process = subprocess.Popen([*command, "-o", "killed"])
    _wait_for("killed/checkpoint/*/attempt-1/chain-0*/block-0006.npz", process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not Path("killed/fit.json").exists()
    blocks = len([*Path("killed/checkpoint").rglob("block-*.npz")])
    assert 7 <= blocks < 2 * 84
    assert exit_status(*command[3:], "-o", "killed") == 1  # is not begun anew without being asked
    assert exit_status(*command[3:], "-o", "killed", "--resume") == 0
    assert exit_status(*command[3:], "-o", "whole") == 0
    one, other = (open_datatree(f"{name}/posterior.nc", engine="h5netcdf") for name in ("killed", "whole"))
    for name, draws in other["posterior"].data_vars.items():
        np.testing.assert_array_equal(one["posterior"][name].values, draws.values)
    assert not Path("killed/checkpoint").exists()


def test_an_interrupted_run_ends_with_its_block_and_says_how_to_go_on(place):
    options = ("--chains", "2", "--warmup", "200", "--draws", "100000", "--quiet", "-o", "out")
    command = [sys.executable, "-m", "heterodyne_cli", "fit", "run.h5", *CMC, *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_interrupts)
    _wait_for("out/checkpoint/*/attempt-1/chain-00/block-0005.npz", process)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "what was done is kept in out/checkpoint: add --resume to go on" in complaints
    assert "Traceback" not in complaints


def test_another_run_that_is_done_leaves_the_draws_of_an_unfinished_one(place):
    command = ("fit", "run.h5", *CMC, *SHORT, "--quiet", "-o", "out")
    unfinished = Path("out/checkpoint/0123456789abcdef/attempt-1/chain-00/block-0000.npz")
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(b"draws of another run")
    assert exit_status(*command, "--seed", "5", "--resume") in (0, 3)
    assert unfinished.read_bytes() == b"draws of another run"
    assert [path.name for path in Path("out/checkpoint").iterdir()] == ["0123456789abcdef"]


def test_a_run_of_shards_that_is_terminated_leaves_nothing(place, tmp_path_factory):
    passing = tmp_path_factory.mktemp("passing")
    options = ("--chains", "2", "--draws", "100000", "--shards", "2", "--workers", "1", "--quiet")
    command = [sys.executable, "-m", "heterodyne_cli", "fit", "run.h5", *CMC, *options]
    process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(passing)})
    _wait_for(f"../{passing.name}/*/*/attempt-1/shard-*/chain-00/block-0001.npz", process)
    process.terminate()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert list(passing.iterdir()) == []


def _heed_interrupts() -> None:
    """Tests that run in the background of a shell are started with interrupts ignored, and so is what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_for(pattern: str, process: subprocess.Popen, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not [*Path.cwd().glob(pattern)]:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)


WRONG = {
    "prior of nlsq": ("--optimizer nlsq --prior alpha=normal:0:1", "least squares has no use for priors"),
    "posterior of nlsq": (
        "--optimizer nlsq --write posterior",
        "output 'posterior' is written of fits by cmc",
    ),
    "fixed": ("--prior D_offset=normal:0:1", "parameter 'D_offset' stands in fix and in prior"),
    "family": ("--prior alpha=nrmal:0:1", "no family of priors named 'nrmal'; did you mean 'normal'?"),
    "contrast": ("--prior contrast=uniform", "contrast and offset are integrated out with normal priors"),
    "design": (
        "--contrast shared",
        "cmc samples with a contrast per bin or a given number, not with 'shared'",
    ),
    "resume": ("--resume", "there is no run in out/checkpoint to go on with"),
    "executor": ("--executor serial", "option 'executor' is about shards, and there is one: add --shards N"),
    "no executor": ("--shards 2 --executor dsk", "no executor named 'dsk'; did you mean 'dask'?"),
    "scheduler": ("--shards 2 --scheduler tcp://a:1", "executor 'processes' takes no 'scheduler'"),
    "calibration": ("--no-warm-start", "nothing to calibrate with: add --likelihood independent"),
    "tiles": (
        "--shards 90",
        "the data fill 72 of 90 shards of tiles: take fewer shards, or --partition pairs",
    ),
    "chains": ("--chains 1", "option 'chains' must be at least 2"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_sampled_is_one_line_and_nothing_is_left_behind(place, capsys, case):
    arguments, message = WRONG[case]
    assert exit_status("fit", "run.h5", *CMC, "-o", "out", *arguments.split()) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("heterodyne: error: ")
    assert message in captured.err.splitlines()[-1]
    assert [path.name for path in Path.cwd().iterdir()] == ["run.h5"]
