"""simulate, inspect, convert: two-time files from the command line."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import heterodyne as het
from aps_u_files import sectors, write_aps_u
from heterodyne.data.own_file import MATRICES


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


def test_inspect_says_where_q_and_phi_come_from(heterodyne):
    write_aps_u(Path("ring.hdf"), map=sectors((2, 1)))
    shown = heterodyne("inspect", "ring.hdf").out
    assert "q          from pixels of dynamic_roi_map" in shown
    assert "ring" in shown.splitlines()[-1]


def test_inspect_reads_no_matrix_unless_asked(heterodyne, run_file, monkeypatch):
    read = []
    monkeypatch.setattr(
        "heterodyne.loading.lazy.FileMatrices.__getitem__", lambda self, bin: read.append(bin)
    )
    assert heterodyne("inspect", run_file).status == 0
    assert not read


def test_inspect_describes_matrices_on_request(heterodyne, run_file):
    assert "contrast" in heterodyne("inspect", run_file, "--matrices").out.split("bin  q ")[1]
    found = json.loads(heterodyne("inspect", run_file, "--matrices", "--json", "--phi", "-100:-80").out)
    assert [row["phi"] for row in found["bins"]] == [-90.0, -90.0]
    assert (found["matrices"][0]["dark"], found["matrices"][0]["masked"]) == ([], 0.0)
    assert found["matrices"][0]["dtype"].startswith("float")
    assert 0.0 < found["matrices"][0]["contrast"] < 0.3
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
        (("--phi", "ring"), "no bin with phi in ring; the selected q have phi = -90, 45"),
        (("--phi", "400"), "no bin with phi near 400; the selected q have phi = -90, 45"),
        (("--q", "9"), "no bin with q near 9; the file has q = 0.01, 0.02"),
        (("--dq", "-1"), "dq must be a full width"),
        (("--dphi", "720"), "dphi = 720 is no full width"),
        (("--baseline", "0.5"), "baseline must be 0 or 1"),
        (("--exclude-frames", "12,x"), "exclude_frames: 'x' is no frame N"),
        (("--exclude-frames", "3", "--exclude-frames", "20:30"), "frames 20:30 cannot be left out"),
        (("--exclude-frames", "@bad.txt"), "bad.txt cannot be read: No such file"),
        (
            ("--exclude-frames", "1:22"),
            "run.h5 bin 1 (q=0.01 phi=-90): 2 of 24 frames are neither masked nor dark",
        ),
        (("--mask", "none.npz"), "mask: there is no file none.npz"),
        (("--mask", "run.h5"), "mask: run.h5 must be an .npz archive"),
        (("--frames", "20:30"), "the file has frames 1:24"),
        (("--frames", "20"), "command line: frames: '20' is not a range"),
        (("--dt", "0"), "dt must be positive"),
        (("--dt", "-1"), "dt must be positive"),
        (("--loader", "nexus"), "no loader named 'nexus'"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_selection_of_nothing_is_refused_with_what_exists(rejected, run_file, arguments, message):
    assert message in rejected("inspect", run_file, *arguments, "--matrices")


@pytest.mark.parametrize("word", ["ring", "nan", "NaN"])
def test_a_ring_is_stated_and_selected_by_a_word(heterodyne, word):
    np.save("c2.npy", het.simulate("static", frames=12, phi=0).c2[0])
    stated = ("--q", "0.01", "--phi", word, "--dt", "0.1", "--dq", "0.001")
    assert heterodyne("convert", "c2.npy", "-o", "ring.h5", *stated).status == 0
    data = het.load("ring.h5")
    assert np.isnan(data.phi).all()
    assert data.dq.tolist() == [0.001]
    assert heterodyne("inspect", "ring.h5", "--phi", word).status == 0


def test_bad_frames_are_named_on_the_command_line_or_in_files(heterodyne, run_file):
    Path("bad.txt").write_text("12\n20:22\n", encoding="utf-8")
    np.savez("mask.npz", mask=np.arange(24) != 0)
    named = ("--exclude-frames", "3,5:6", "--exclude-frames", "@bad.txt", "--mask", "mask.npz")
    assert heterodyne("convert", run_file, "-o", "good.h5", *named, "--phi", "45").status == 0
    assert (np.flatnonzero(~het.load("good.h5").mask[1]) + 1).tolist() == [1, 3, 5, 6, 12, 20, 21, 22]


def test_data_of_baseline_0_are_shifted_and_nan_is_told(heterodyne):
    data = het.simulate("static", frames=12, phi=0)
    c2 = data.c2[0] - 1.0
    c2[2, 7] = c2[7, 2] = np.nan
    np.save("c2.npy", c2)
    stated = ("--q", "0.01", "--phi", "0", "--dt", "0.1", "--baseline", "0")
    done = heterodyne("convert", "c2.npy", "-o", "run.h5", *stated)
    assert done.status == 0
    assert "warning: written although a fit refuses it: bin 1: c2 is NaN at frames (3, 8)" in done.err
    np.testing.assert_allclose(het.load("run.h5").c2[0][0], data.c2[0][0])


def edited(path, key, value):
    """The file with another value, made by this function of file and key or given as it is."""
    with h5py.File(path, "r+") as file:
        attributes = dict(file[key].attrs)
        del file[key]
        if callable(value):
            value(file, key)
        else:
            file[key] = value
            file[key].attrs.update(attributes)
    return path


EVIL = "\x1b[2J\x9b\x07\u202e"


@pytest.mark.parametrize("command", [("inspect",), ("inspect", "--json")])
def test_what_a_terminal_would_obey_in_a_file_is_written_out(heterodyne, run_file, command):
    edited(run_file, "entry/heterodyne/provenance", json.dumps({"dt_source": EVIL, "age_source": "a\nb"}))
    done = heterodyne(*command, run_file)
    assert done.status == 0
    assert "\\u001b[2J\\u009b\\u0007\\u202e" in done.out
    assert all(line.isprintable() for line in done.out.split("\n"))
    if "--json" in command:
        assert json.loads(done.out)["provenance"]["dt_source"] == EVIL


def test_errors_and_warnings_write_out_names_of_a_file(heterodyne, run_file):
    with h5py.File(run_file, "r+") as file:
        file.move(f"{MATRICES}/c2_00001", f"{MATRICES}/{EVIL}")
    done = heterodyne("inspect", run_file)
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert done.err.strip().isprintable()


def test_other_files_are_read_with_allow_links_only(heterodyne, rejected, run_file):
    key = "entry/instrument/masks/dynamic_q_list"
    with h5py.File(run_file) as file, h5py.File("other.h5", "w") as other:
        file.copy(key, other, "q")
    edited(run_file, key, lambda file, key: file.__setitem__(key, h5py.ExternalLink("other.h5", "q")))
    assert f"{key} is a link to q in other.h5" in rejected("inspect", run_file)
    assert "--allow-links" in rejected("convert", run_file, "-o", "copy.h5")
    document = json.loads(heterodyne("inspect", run_file, "--allow-links", "--json").out)
    assert [row["file"] for row in document["provenance"]["linked"]] == ["other.h5"]
    assert heterodyne("convert", run_file, "-o", "copy.h5", "--allow-links").status == 0
    assert heterodyne("inspect", "copy.h5").status == 0


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


def test_inspect_says_what_is_odd(heterodyne, run_file):
    data = het.load(run_file)
    c2 = np.array(list(data.c2))
    c2[1], c2[2][7], c2[2][:, 7] = c2[0], 0.0, 0.0
    replace(
        data, c2=c2, phi=np.array([-90.0, -90.0, -90.0, 45.0]), q=np.array([0.01, 0.01, 0.02, 0.02])
    ).save("odd.h5")
    assert "odd        bins 1:2 have the same q and phi" in heterodyne("inspect", "odd.h5").out
    text = heterodyne("inspect", "odd.h5", "--matrices").out
    for line in ("bins 1:2 hold equal matrices", "bin 3: dark frames 8"):
        assert f"odd        {line}\n" in text
    found = json.loads(heterodyne("inspect", "odd.h5", "--matrices", "--json").out)
    assert "bins 1:2 hold equal matrices" in found["odd"]
    assert found["matrices"][2]["dark"] == [8]
    assert found["bins"][3] == {"bin": 4, "q": 0.02, "phi": 45.0, "dq": 0.0, "dphi": 0.0}


def test_inspect_tells_the_pixels_of_bins(heterodyne):
    write_aps_u(Path("ring.hdf"), map=sectors((2, 1)))
    found = json.loads(heterodyne("inspect", "ring.hdf", "--q", "0.001:1", "--json").out)
    assert all(row["pixels"] > 100 for row in found["bins"])
    assert "pixels" in heterodyne("inspect", "ring.hdf").out
    heterodyne("convert", "ring.hdf", "-o", "own.h5")
    assert json.loads(heterodyne("inspect", "own.h5", "--json").out)["bins"] == found["bins"]


def test_a_picture_is_drawn_in_characters_or_colours(heterodyne, run_file, monkeypatch):
    out = heterodyne("inspect", run_file, "--picture", "2", "--exclude-frames", "5").out
    caption, *lines = out.splitlines()
    assert caption.startswith("bin 2 (q=0.01 phi=45): c2 ")
    assert "diagonal replaced" in caption
    assert len(lines) == 12
    assert {len(line) for line in lines} == {24}
    assert {line[4] for line in lines} == {" "}
    assert lines[0][-1] in "%@"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    coloured = heterodyne("inspect", run_file, "--picture", "1").out
    assert coloured.count("▀") == 24 * 12
    assert "\x1b[38;2;" in coloured
    assert coloured.endswith("\x1b[0m\n")


def test_a_picture_is_written_as_png(heterodyne, rejected, run_file, monkeypatch):
    pytest.importorskip("matplotlib")
    done = heterodyne("inspect", run_file, "--picture", "3", "-o", "bin.png")
    assert done.out.startswith("wrote bin.png: bin 3 (q=0.02 phi=-90)")
    assert Path("bin.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "bin.png exists already" in rejected("inspect", run_file, "--picture", "3", "-o", "bin.png")
    assert heterodyne("inspect", run_file, "--picture", "3", "-o", "bin.png", "--force").status == 0
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    line = rejected("inspect", run_file, "--picture", "3", "-o", "other.png")
    assert line == "a PNG needs matplotlib: pip install heterodyne-cli[viz]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--picture", "5"), "there is no bin 5 to draw; bins are 1 to 4"),
        (("--picture", "0"), "there is no bin 0 to draw"),
        (("-o", "a.png"), "add --picture BIN"),
        (("--picture", "1", "-o", "a.pdf"), "a.pdf must end in .png"),
        (("--picture", "1", "--json"), "leave --matrices and --json out"),
    ],
)
def test_pictures_that_cannot_be_are_refused(rejected, run_file, arguments, message):
    assert message in rejected("inspect", run_file, *arguments)


def test_several_files_are_converted_into_a_folder(heterodyne, rejected, run_file):
    write_aps_u(Path("b.hdf"), map=sectors((2, 1)))
    Path("c.hdf").write_text("no")
    assert "write -o out/" in rejected("convert", run_file, "b.hdf", "-o", "out")
    done = heterodyne("convert", run_file, "*.hdf", "-o", "out/", "--frames", "2:9")
    assert done.status == 1
    assert done.out.splitlines() == [
        "wrote out/run.h5: 4 bins of 8 frames",
        "wrote out/b.h5: 2 bins of 8 frames",
    ]
    lines = [line for line in done.err.splitlines() if "warning" not in line]
    assert lines == ["heterodyne: error: 1 of 3 files were not converted:", "  c.hdf is not an HDF5 file"]
    assert het.load("out/b.h5").provenance["origin"]["file"] == "b.hdf"
    again = heterodyne("convert", run_file, "-o", "out/")
    assert (again.status, "out/run.h5 exists already" in again.err) == (1, True)
    assert heterodyne("convert", run_file, "-o", "out/", "--force").status == 0
    assert het.load("out/run.h5").n_frames == 24


def test_two_files_of_one_name_are_not_converted_into_one(heterodyne, rejected, run_file):
    write_aps_u(Path("run.hdf"), map=sectors((2, 1)))
    message = rejected("convert", run_file, "run.hdf", "-o", "out/")
    assert "run.h5 and run.hdf would both become out/run.h5" in message
    assert "no file matches *.nxs" in rejected("convert", "*.nxs", "-o", "out/")


def test_matrices_in_one_piece_are_kept_if_asked(heterodyne, monkeypatch):
    monkeypatch.setenv("HETERODYNE_CACHE", "kept")
    monkeypatch.setattr("heterodyne.loading.lazy._LARGEST_PART", 10)
    write_aps_u(Path("run.hdf"), map=sectors((2, 1)))
    plain = heterodyne("inspect", "run.hdf", "--matrices", "--json")
    assert not Path("kept/files").exists()
    cached = json.loads(heterodyne("inspect", "run.hdf", "--matrices", "--json", "--cache").out)
    assert cached["matrices"] == json.loads(plain.out)["matrices"]
    assert cached["provenance"]["cache"]["of"] == "run.hdf"
    assert len(list(Path("kept/files").iterdir())) == 1
