"""simulate, inspect, convert: two-time files from the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

import heterodyne as het


def test_simulate_needs_only_a_name(heterodyne):
    done = heterodyne("simulate", "-o", "run.h5")
    assert (done.status, done.out) == (0, "wrote run.h5: 3 bins of 300 frames\n")
    data = het.load("run.h5")
    assert list(data.phi) == [0.0, 45.0, 90.0]
    assert data.provenance["truth"]["params"]["v0"] == 2e3


def test_simulate_takes_parameters_and_negative_values(heterodyne):
    arguments = (
        "--model",
        "static",
        "--param",
        "alpha=-0.3",
        "--param",
        "D0=500",
        "--phi",
        "-30",
        "--frames",
        "10",
    )
    noise = (
        "--dt",
        "0.5",
        "--contrast",
        "0.3",
        "--offset",
        "1.1",
        "--noise",
        "0",
        "--seed",
        "4",
        "--age",
        "3",
    )
    assert heterodyne("simulate", "-o", "run.h5", *arguments, *noise).status == 0
    data = het.load("run.h5")
    expected = het.simulate(
        "static", {"alpha": -0.3, "D0": 500}, phi=-30, frames=10, dt=0.5, age=3, contrast=0.3
    )
    assert (data.dt, data.age, list(data.phi)) == (0.5, 3.0, [-30.0])
    clean = 1.1 + 0.3 * het.create_model("static").correlation({"alpha": -0.3, "D0": 500}, expected.t, 0.01)
    np.testing.assert_allclose(data.c2[0], clean, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--param", "v9=1"), "no parameter named 'v9'"),
        (("--param", "v0=fast"), "--param: 'fast' is not a number"),
        (("--param", "v0"), "--param: 'v0' has no value; write NAME=VALUE"),
        (("--model", "statik"), "no model named 'statik'; did you mean 'static'?"),
        (("--dt", "0"), "dt must be positive"),
        (("--dt", "-1"), "dt must be positive"),
        (("--frames", "2"), "frames must be a whole number, at least 3"),
        (("--noise", "-1"), "noise must be 0 or more"),
        (("--contrast", "2"), "contrast must lie in 0..1"),
    ],
)
def test_simulate_refuses(rejected, arguments, message):
    assert message in rejected("simulate", "-o", "run.h5", *arguments)


def test_existing_files_are_kept_unless_forced(heterodyne, rejected, run_file):
    before = Path(run_file).read_bytes()
    assert "run.h5 exists already" in rejected("simulate", "-o", "run.h5")
    assert "run.h5 exists already" in rejected("convert", "run.h5", "-o", "run.h5")
    assert Path(run_file).read_bytes() == before
    assert heterodyne("simulate", "-o", "run.h5", "--frames", "5", "--force").status == 0
    assert het.load("run.h5").n_frames == 5


def test_inspect_tells_bins_frames_and_times(heterodyne, run_file):
    text = heterodyne("inspect", run_file, "--frames", "3:20").out
    for words in ("layout     heterodyne", "bins       4", "18, 3:20 of the file", "0.1 s (simulated)"):
        assert words in text
    assert "0.01     2     -90, 45" in text
    assert "widths     dq 0 1/Å, dphi 0 degree\n" in text


def test_inspect_reads_no_matrix_unless_asked(heterodyne, run_file, monkeypatch):
    read = []
    monkeypatch.setattr(
        "heterodyne.loading.lazy.FileMatrices.__getitem__", lambda self, bin: read.append(bin)
    )
    assert heterodyne("inspect", run_file).status == 0
    assert not read


def test_inspect_describes_matrices_on_request(heterodyne, run_file):
    assert "first - long" in heterodyne("inspect", run_file, "--matrices").out
    found = json.loads(heterodyne("inspect", run_file, "--matrices", "--json", "--phi", "-100:-80").out)
    assert [row["phi"] for row in found["bins"]] == [-90.0, -90.0]
    assert found["matrices"][0]["unused frames"] == 0
    assert found["matrices"][0]["dtype"].startswith("float")
    assert 0.0 < found["matrices"][0]["first - long"] < 0.3
    assert found["provenance"]["dt_source"] == "simulated"


def test_convert_writes_the_selection(heterodyne, run_file):
    arguments = ("--q", "0.015:0.03", "--phi", "45", "--frames", "5:20")
    assert (
        heterodyne("convert", run_file, "-o", "part.h5", *arguments).out
        == "wrote part.h5: 1 bin of 16 frames\n"
    )
    part, whole = het.load("part.h5"), het.load(run_file, q=0.02, phi=45, frames=(5, 20))
    np.testing.assert_array_equal(part.c2[0], whole.c2[0])
    np.testing.assert_array_equal(part.t, whole.t)
    assert (part.q[0], part.phi[0]) == (0.02, 45.0)


def test_convert_takes_arrays_with_what_they_do_not_say(heterodyne, rejected):
    np.save("c2.npy", het.simulate("static", frames=12, phi=0).c2[0])
    assert "does not say q, phi, dt" in rejected("convert", "c2.npy", "-o", "run.h5")
    given = ("--q", "0.005", "--phi", "-20", "--dt", "0.25")
    assert heterodyne("convert", "c2.npy", "-o", "run.h5", *given).status == 0
    data = het.load("run.h5")
    assert (data.q[0], data.phi[0], data.dt) == (0.005, -20.0, 0.25)


def test_files_that_are_none_are_refused(rejected, tmp_path):
    (tmp_path / "text.h5").write_text("no")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["xpcs/multitau/normalized_g2"] = np.ones((5, 3))
    assert "there is no file none.h5" in rejected("inspect", "none.h5")
    assert "text.h5 is not an HDF5 file" in rejected("inspect", "text.h5")
    assert "multi-tau g2 only" in rejected("inspect", "other.h5")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--q", "0.03:0.04"), "no bin with q in 0.03:0.04; the file has q = 0.01, 0.02"),
        (("--phi", "0:10"), "no bin with phi in 0:10; the selected q have phi = -90, 45"),
        (("--phi", "wide"), "command line: phi[0]: 'wide' is not a number"),
        (("--frames", "20:30"), "the file has frames 1:24"),
        (("--frames", "20"), "command line: frames: '20' is not a range"),
        (("--dt", "0"), "dt must be positive"),
        (("--dt", "-1"), "dt must be positive"),
        (("--loader", "nexus"), "no loader named 'nexus'"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_selection_of_nothing_is_refused_with_what_exists(rejected, run_file, arguments, message):
    assert message in rejected("inspect", run_file, *arguments)


def test_a_file_name_need_not_be_utf8(heterodyne, run_file):
    name = os.fsdecode(b"copy\xff.h5")
    assert heterodyne("convert", run_file, "-o", name).status == 0
    assert heterodyne("convert", name, "-o", "again.h5").status == 0
    found = json.loads(heterodyne("inspect", name, "--json").out)
    assert found["provenance"]["file"] == r"copy\xff.h5"
    done = heterodyne("fit", name, "--optimizer", "stand", "--model", "static", "-o", os.fsdecode(b"out\xff"))
    assert done.status == 0
    config = json.loads(Path(os.fsdecode(b"out\xff/fit.json")).read_text("utf-8"))["provenance"]["config"]
    assert (config["data"], config["output"]) == ([r"copy\xff.h5"], r"out\xff")
