"""fit: from options and configuration to a problem, and from a result to files and an exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import heterodyne as het

STAND = ("--optimizer", "stand", "--model", "static")


def test_without_a_folder_the_report_is_printed_and_nothing_written(heterodyne, run_file):
    before = sorted(Path.cwd().iterdir())
    done = heterodyne("fit", run_file, *STAND)
    assert done.status == 0
    assert done.out.startswith("[[Model]]\n    static\n")
    assert done.err == "standing\n"
    assert sorted(Path.cwd().iterdir()) == before


def test_with_a_folder_json_and_npz_are_written(heterodyne, run_file):
    done = heterodyne("fit", run_file, *STAND, "-o", "deep/out")
    assert done.err.splitlines()[-2:] == ["wrote deep/out/fit.json", "wrote deep/out/fit.npz"]
    assert sorted(path.name for path in Path("deep/out").iterdir()) == ["fit.json", "fit.npz"]
    assert het.read_fit("deep/out").verdict == "converged"


def test_write_chooses_the_outputs(heterodyne, run_file):
    assert heterodyne("fit", run_file, *STAND, "-o", "out", "--write", "npz").status == 0
    assert [path.name for path in Path("out").iterdir()] == ["fit.npz"]


def test_json_prints_the_document_and_quiet_is_quiet(heterodyne, run_file):
    done = heterodyne("fit", run_file, *STAND, "--json", "--quiet", "-o", "out")
    assert done.err == ""
    assert done.out == Path("out/fit.json").read_text(encoding="utf-8")
    assert heterodyne("fit", run_file, *STAND, "--quiet").out == ""


def test_a_fit_that_does_not_converge_has_status_3_and_is_written(heterodyne, run_file):
    done = heterodyne("fit", run_file, *STAND, "--verdict", "stalled", "-o", "out", "--quiet")
    assert done.status == 3
    assert done.err == "heterodyne: warning: the fit did not converge: stalled (so)\n"
    assert het.read_fit("out").verdict == "stalled"


def test_the_command_and_the_effective_configuration_stand_in_the_result(heterodyne, run_file):
    arguments = (
        "--phi",
        "-100:-80",
        "--start",
        "alpha=-0.3",
        "--fix",
        "D0=500",
        "--no-careful",
        "--stand-model",
        "7",
    )
    done = heterodyne("fit", run_file, *STAND, *arguments, "--json")
    document = json.loads(done.out)
    config = document["provenance"]["config"]
    assert document["provenance"]["command"].startswith(
        "heterodyne fit run.h5 --optimizer stand --model static --phi"
    )
    assert config["phi"] == [[-100.0, -80.0]]
    assert config["start"] == {"alpha": -0.3}
    assert config["fix"] == {"D0": 500.0}
    assert config["options"] == {"seed": 0, "verdict": "converged", "careful": False, "model": 7}
    assert document["statistics"]["options"] == config["options"]
    assert document["statistics"]["varying"] == ["alpha", "D_offset"]
    assert [row["phi"] for row in document["bins"]] == [-90.0, -90.0]
    assert document["parameters"]["alpha"]["start"] == -0.3


def test_several_files_are_fitted_jointly(heterodyne, run_file):
    assert heterodyne("simulate", "-o", "more.h5", "--model", "static", "--frames", "30").status == 0
    done = heterodyne("fit", run_file, "more.h5", *STAND, "--json")
    assert len(json.loads(done.out)["bins"]) == 7


def test_one_file_given_twice_is_not_counted_twice(rejected, run_file):
    assert "counted twice" in rejected("fit", run_file, run_file, *STAND)


def test_the_configuration_is_used_and_the_command_line_overrides_it(heterodyne, run_file):
    Path("fit.yaml").write_text(
        "data: run.h5\nq: 0.02\nmodel: static\noptimizer: stand\noptions: {seed: 5}\n"
        "fix: {alpha: 0.1}\nstart: {D0: 300}\noutput: out\n"
    )
    assert heterodyne("fit", "--config", "fit.yaml").status == 0
    plain = json.loads(Path("out/fit.json").read_text(encoding="utf-8"))
    assert [row["q"] for row in plain["bins"]] == [0.02, 0.02]
    assert plain["statistics"]["options"]["seed"] == 5
    arguments = ("--q", "0.01", "--start", "alpha=0.2", "--seed", "6", "-o", "other")
    assert heterodyne("fit", "--config", "fit.yaml", *arguments).status == 0
    changed = json.loads(Path("other/fit.json").read_text(encoding="utf-8"))
    assert [row["q"] for row in changed["bins"]] == [0.01, 0.01]
    assert changed["statistics"]["options"]["seed"] == 6
    assert changed["parameters"]["alpha"]["start"] == 0.2
    assert changed["parameters"]["D0"]["start"] == 300.0
    assert "alpha" in changed["statistics"]["varying"]


def test_an_effective_configuration_repeats_the_fit(heterodyne, run_file):
    first = json.loads(heterodyne("fit", run_file, *STAND, "--phi", "-90", "--seed", "3", "--json").out)
    Path("again.yaml").write_text(json.dumps(first["provenance"]["config"]))
    again = json.loads(heterodyne("fit", "--config", "again.yaml", "--json").out)
    assert again["statistics"] == first["statistics"]
    assert again["bins"] == first["bins"]


def test_help_shows_the_options_of_every_optimizer(heterodyne):
    text = heterodyne("fit", "--help").out
    for words in (
        "Options of stand, other",
        "Options of other",
        "What to say (default converged).",
        "--careful",
        "--no-careful",
        "--stand-model",
        "--depth",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--depth", "2"), "'depth' is an option of optimizer other, not of the chosen stand"),
        (("--verdict", "good"), "no value of option 'verdict' named 'good' (known: converged, stalled)"),
        (("--optimizer", "stnad"), "no optimizer named 'stnad'; did you mean 'stand'? (known: other, stand)"),
        (("--model", "statik"), "no model named 'statik'; did you mean 'static'?"),
        (("--write", "jsn", "-o", "out"), "no writer named 'jsn'; did you mean 'json'?"),
        (("--write", "figures", "-o", "out"), "pip install heterodyne-viz"),
        (("--write", "npz"), "add -o DIR"),
        (("--loader", "nexus"), "no loader named 'nexus'"),
        (("--fix", "alhpa"), "no parameter named 'alhpa'; did you mean 'alpha'?"),
        (("--start", "alhpa=1"), "no parameter named 'alhpa'; did you mean 'alpha'?"),
        (("--start", "alpha=9"), "start alpha=9 lies outside its bounds -2:2"),
        (("--start", "alpha"), "command line: start: 'alpha' has no value; write NAME=VALUE"),
        (("--bounds", "alpha=1"), "command line: bounds.alpha: '1' is not a range LO:HI"),
        (("--bounds", "alpha=1:0"), "bounds of 'alpha' must be low < high, not 1:0"),
        (("--fix", "alpha=9"), "fixed value alpha=9 lies outside its bounds"),
        (("--fix", "alpha", "--start", "alpha=0"), "parameter 'alpha' is fixed and has a start value"),
        (("--fix", "D0", "--fix", "alpha", "--fix", "D_offset"), "nothing is left to fit"),
        (("--tie", "D0=alpha"), "joins different units"),
        (("--tie", "D0"), "command line: tie: 'D0' has no value; write NAME=VALUE"),
        (("--q", "0.5:0.6"), "no bin with q in 0.5:0.6; the file has q = 0.01, 0.02"),
        (("--phi", "0:10"), "the selected q have phi = -90, 45"),
        (("--frames", "90:100"), "the file has frames 1:24"),
        (("--dt", "0"), "dt must be positive"),
        (("-o", "run.h5"), "cannot write to run.h5: run.h5 is not a folder"),
        (("-o", "run.h5/out"), "cannot write to run.h5/out: "),
        (("--config", "none.yaml"), "cannot read configuration none.yaml: No such file or directory"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(rejected, run_file, arguments, message):
    assert message in rejected("fit", run_file, *STAND, *arguments)


def test_no_data_is_said(rejected):
    assert rejected("fit", *STAND).startswith("no data to fit")


def test_data_in_the_model_are_needed(rejected, heterodyne):
    heterodyne("simulate", "-o", "ring.h5", "--model", "static", "--phi", "nan", "--frames", "10")
    message = rejected("fit", "ring.h5", "--optimizer", "stand", "--model", "two-component")
    assert "needs an azimuth for every bin" in message
