"""The program as a user meets it: with least squares installed, from a file to fit.json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import heterodyne as het
from heterodyne.switch import LIST
from tolerances import SIGMAS

MODEL = ("--model", "static")
TRUTH = {"D0": 4000.0, "alpha": -0.1, "D_offset": 0.0}
FREE = (*MODEL, "--fix", "D_offset=0", "--starts", "8")


@pytest.fixture
def run_file(heterodyne) -> str:
    """A small two-time file that determines D0 and alpha."""
    parameters = [part for name, value in TRUTH.items() for part in ("--param", f"{name}={value}")]
    phi = ("--phi", "-30", "--phi", "60")
    done = heterodyne("simulate", "-o", "run.h5", *MODEL, *parameters, *phi, "--frames", "64")
    assert done.status == 0, done.err
    return "run.h5"


@pytest.mark.slow
def test_fit_from_file_to_folder_and_back(heterodyne, run_file):
    done = heterodyne("fit", run_file, *FREE, "-o", "out", "--write", "json,npz,figures")
    assert done.status == 0, done.err
    assert "verdict          = converged" in done.out
    assert Path("out/fit.npz").is_file()
    assert list(Path("out/figures").glob("*.png"))
    fit = het.read_fit("out")
    for name in ("D0", "alpha"):
        assert abs(fit.values[name] - TRUTH[name]) < SIGMAS * fit.errors[name]
    assert fit.values["D_offset"] == 0.0
    assert [row.phi for row in fit.scaling] == [-30.0, 60.0]
    np.testing.assert_allclose([row.contrast for row in fit.scaling], 0.15, atol=0.01)
    origin = fit.provenance["data"][0]
    assert (origin["file"], origin["dt_source"], origin["loader"]) == ("run.h5", "simulated", "heterodyne")
    assert fit.provenance["command"].startswith("heterodyne fit run.h5")
    assert "jax" in fit.provenance["versions"]


def test_the_command_line_overrides_the_configuration(heterodyne, run_file):
    Path("fit.yaml").write_text(
        "data: run.h5\nmodel: static\nphi: -30\nfix: {D_offset: 0, alpha: -0.1}\n"
        "start: {D0: 3000}\noptions: {max_iterations: 150}\ncontrast: shared\n"
    )
    arguments = ("--phi", "50:70", "--start", "alpha=-0.05", "--contrast", "individual", "--gtol", "1e-6")
    document = json.loads(heterodyne("fit", "--config", "fit.yaml", *arguments, "--json").out)
    config = document["provenance"]["config"]
    assert config["phi"] == [[50.0, 70.0]]
    assert config["fix"] == {"D_offset": 0.0}
    assert config["start"] == {"D0": 3000.0, "alpha": -0.05}
    assert config["contrast"] == "individual"
    assert (config["options"]["max_iterations"], config["options"]["gtol"]) == (150, 1e-6)
    assert [row["phi"] for row in document["bins"]] == [60.0]
    assert document["verdict"] == "converged"


def test_skipped_lags_and_the_settled_designs_stand_in_the_result(heterodyne, run_file):
    document = json.loads(heterodyne("fit", run_file, *FREE, "--skip-lags", "5", "--json").out)
    kept = document["provenance"]["data"][0]["n_frames"] - 5
    assert {row["n_pairs"] for row in document["bins"]} == {kept * (kept - 1) // 2}
    assert document["provenance"]["config"]["skip_lags"] == document["provenance"]["skip_lags"] == 5
    assert document["provenance"]["config"]["contrast"] == "auto"
    assert document["provenance"]["scaling"]["contrast"].endswith(" (auto)")


def test_too_few_iterations_have_status_3_and_are_written(heterodyne, run_file):
    start = ("--start", "D0=50", "--start", "alpha=0.9")
    done = heterodyne("fit", run_file, *FREE, *start, "--max-iterations", "1", "-o", "out")
    assert done.status == 3
    assert "heterodyne: warning: the fit did not converge: max iterations" in done.err
    assert het.read_fit("out").verdict == "max iterations"


def _npz(c2: np.ndarray, **fields: object) -> None:
    np.savez("bad.npz", **{"c2": c2, "q": [0.01], "phi": [0.0], "dt": 0.1, **fields})  # pyright: ignore


def _holes(frames: int = 12) -> np.ndarray:
    c2 = np.ones((1, frames, frames)) + 0.1 * np.eye(frames)
    c2[0, 3, 5] = c2[0, 5, 3] = np.nan
    return c2


def _multitau() -> None:
    with h5py.File("bad.h5", "w") as file:
        file["xpcs/multitau/normalized_g2"] = np.ones((5, 3))


BAD_FILES = {
    "missing": (lambda: None, "none.h5", "there is no file none.h5"),
    "not HDF5": (lambda: Path("bad.h5").write_text("text"), "bad.h5", "bad.h5 is not an HDF5 file"),
    "empty": (lambda: Path("bad.h5").write_text(""), "bad.h5", "bad.h5 is empty"),
    "multi-tau": (_multitau, "bad.h5", "multi-tau g2 only"),
    "NaN": (lambda: _npz(_holes()), "bad.npz", "c2 is NaN at frames (4, 6)"),
    "not square": (lambda: _npz(np.ones((1, 12, 11))), "bad.npz", "c2 must be (frames, frames)"),
    "shape": (lambda: _npz(np.ones((2, 2, 12, 12))), "bad.npz", "c2 must be (frames, frames)"),
    "dt": (lambda: _npz(np.ones((1, 12, 12)), dt=0.0), "bad.npz", "dt must be positive"),
    "negative dt": (lambda: _npz(np.ones((1, 12, 12)), dt=-0.1), "bad.npz", "dt must be positive"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_one_line_and_nothing_is_written(heterodyne, case):
    make, name, message = BAD_FILES[case]
    make()
    done = heterodyne("fit", name, *FREE, "-o", "out")
    assert (done.status, done.out) == (1, "")
    errors = [line for line in done.err.splitlines() if line.startswith("heterodyne: error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.err
    assert not Path("out").exists()


def test_a_missing_dt_is_said(heterodyne):
    np.savez("bad.npz", c2=np.ones((1, 12, 12)), q=[0.01], phi=[0.0])
    done = heterodyne("fit", "bad.npz", *FREE)
    assert done.status == 1
    assert "does not say dt" in done.err


BAD_CHOICES = {
    "q": ("--q 0.5:0.6", "no bin with q in 0.5:0.6; the file has q = 0.01"),
    "phi": ("--phi 0:10", "no bin with phi in 0:10; the selected q have phi = -30, 60"),
    "frames": ("--frames 70:80", "the file has frames 1:64"),
    "parameter": ("--fix alhpa", "no parameter named 'alhpa'; did you mean 'alpha'?"),
    "model": ("--model statik", "no model named 'statik'; did you mean 'static'?"),
    "optimizer": ("--optimizer nslq", "no optimizer named 'nslq'; did you mean 'nlsq'?"),
    "writer": ("--write jsn", "no writer named 'jsn'; did you mean 'json'?"),
    "start": ("--start alpha=3", "start alpha=3 lies outside its bounds -2:2"),
    "all fixed": ("--fix D0 --fix alpha", "nothing is left to fit"),
    "contrast": ("--contrast 2", "contrast 2 lies outside 0:1"),
    "design": ("--contrast forier:2", "contrast must be auto, individual, shared, fourier:M or a number"),
    "output": ("-o run.h5", "cannot write to run.h5: run.h5 is not a folder"),
}


@pytest.mark.parametrize("case", BAD_CHOICES)
def test_a_bad_choice_is_one_line_and_nothing_is_written(heterodyne, run_file, case):
    arguments, message = BAD_CHOICES[case]
    done = heterodyne("fit", run_file, *FREE, "-o", "out", *arguments.split())
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines()[-1].startswith("heterodyne: error: ")
    assert message in done.err.splitlines()[-1]
    assert [path.name for path in Path.cwd().iterdir()] == [run_file]


@pytest.mark.parametrize("name", ["run.h5", "fit.json", "fit.npz"])
@pytest.mark.parametrize("folder", ["made", ".", ""])
def test_the_demo_replaces_nothing(heterodyne, tmp_path, monkeypatch, folder, name):
    monkeypatch.chdir(tmp_path)
    mine = Path(folder) / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    done = heterodyne("demo", "-o", folder)
    assert done.status == 1
    line = f"heterodyne: error: {mine} exists already: choose another name or add --force"
    assert done.err.splitlines() == [line]
    assert [path.name for path in mine.parent.iterdir()] == [name]
    assert mine.read_text() == "mine"


@pytest.mark.slow
def test_the_demo_finds_its_truth(tmp_path: Path):
    command = [sys.executable, "-m", "heterodyne_cli", "demo", "-o", "made"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "(fit - truth)/error" in done.stdout
    made = tmp_path / "made"
    assert {path.name for path in made.iterdir()} == {LIST, "run.h5", "fit.json", "fit.npz", "figures"}
    fit, truth = het.read_fit(made), het.load(made / "run.h5").provenance["truth"]
    np.testing.assert_allclose([row.noise for row in fit.scaling], truth["noise"], rtol=0.02)
    for row in fit.estimates:
        if row.vary and np.isfinite(row.error):
            assert abs(row.value - truth["params"][row.name]) < SIGMAS * row.error


@pytest.mark.slow
def test_profiles_stand_in_report_table_and_figure(heterodyne, run_file):
    options = ("--profile", "alpha", "--profile", "D0", "-o", "out", "--write", "json,profiles,figures")
    done = heterodyne("fit", run_file, *FREE, *options)
    assert done.status == 0, done.err
    assert "[[Profiles]]\n    alpha: 95% " in done.out
    assert {path.name for path in Path("out").iterdir()} == {
        *(LIST, "fit.json", "profile_alpha.csv", "profile_D0.csv", "figures")
    }
    assert Path("out/figures/profile-alpha.png").is_file()
    assert list(het.read_fit("out").profiles) == ["alpha", "D0"]
    document = json.loads(heterodyne("fit", run_file, *FREE, "--profile", "D0,alpha", "--json").out)
    assert list(document["profiles"]) == ["D0", "alpha"]
    assert document["provenance"]["config"]["options"]["profile"] == ["D0", "alpha"]


def test_one_fit_per_azimuth_is_tabulated_and_drawn(heterodyne, run_file):
    done = heterodyne("fit", run_file, *FREE, "--by", "phi", "-o", "out", "--write", "json,figures")
    assert done.status == 0, done.err
    assert "[[Constancy]] over phi" in done.out
    assert Path("out/figures/by_phi.png").is_file()
    assert {path.name for path in Path("out").iterdir()} == {
        *(LIST, "by_phi.csv", "by_phi.json", "figures", "phi_-30", "phi_60")
    }
    document = json.loads(Path("out/by_phi.json").read_text(encoding="utf-8"))
    assert document["constancy"]["alpha"]["verdict"] == "constant"


@pytest.mark.slow
def test_models_are_compared_and_each_has_a_folder(heterodyne, run_file):
    options = ("--fix", "D_offset=0", "--starts", "8", "--polish", "1", "-o", "out")
    held = [part for name in ("f1", "f3", "alpha_ref") for part in ("--fix", f"{name}=0")]
    done = heterodyne("fit", run_file, "--compare", "static,no-flow", *options, *held)
    assert done.status in (0, 3), done.err  # components that are not there need not converge
    assert "not shown: static describes the data as well as richer ones" in done.out
    assert {path.name for path in Path("out").iterdir()} == {
        *(LIST, "comparison.csv", "comparison.json", "static", "no-flow")
    }
    one = het.read_fit("out/static")
    assert one.model == "static"
    assert one.provenance["config"]["compare"] == ("static", "no-flow")


def test_a_warm_start_needs_no_search(heterodyne, run_file):
    assert heterodyne("fit", run_file, *FREE, "-o", "first", "--quiet").status == 0
    first = het.read_fit("first")
    done = heterodyne("fit", run_file, *FREE, "--warm-start", "first", "--json")
    document = json.loads(done.out)
    assert document["parameters"]["D0"]["start"] == first.values["D0"]
    assert document["parameters"]["D0"]["value"] == pytest.approx(first.values["D0"], rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--profile D_offset", "parameter 'D_offset' is fixed at 0 and has no profile"),
        ("--profile alhpa", "no parameter named 'alhpa'; did you mean 'alpha'?"),
        ("--warm-start run.h5", "cannot read a fit from run.h5: not JSON"),
        ("--by age", "by: Input should be 'q', 'phi' or 'file'"),
        ("--compare static,no-flow", "leave model out"),
    ],
)
def test_what_cannot_be_done_with_a_fit_is_one_line(heterodyne, run_file, arguments, message):
    done = heterodyne("fit", run_file, *FREE, "-o", "out", *arguments.split())
    assert (done.status, done.out) == (1, "")
    assert message in done.err.splitlines()[-1]
    assert not Path("out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("--json",), ()])
def test_a_result_is_saved_though_nobody_reads_the_report(flags, tmp_path):
    het.simulate("static", phi=0, frames=30, seed=1).save(tmp_path / "run.h5")
    start = ("--fix", "D_offset=0", "--fix", "alpha=0", "--start", "D0=9000")
    command = [sys.executable, "-m", "heterodyne_cli", "fit", "run.h5", *MODEL, *start, "-o", "out", *flags]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, cwd=tmp_path)
    os.close(writing)
    assert done.returncode == 141
    assert het.read_fit(tmp_path / "out").verdict == "converged"
