"""fit: from options and configuration to a problem, and from a result to files and an exit status."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest

import heterodyne as het
from heterodyne.problem.choices import SPELLINGS
from heterodyne.switch import LIST

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
    assert {path.name for path in Path("deep/out").iterdir()} == {LIST, "fit.json", "fit.npz"}
    assert het.read_fit("deep/out").verdict == "converged"


@pytest.mark.parametrize("words", [(), ("--quiet",), ("--json", "--quiet")])
def test_a_result_that_cannot_be_written_is_printed(heterodyne, run_file, full_after, words):
    shown = heterodyne("fit", run_file, *STAND, *(word for word in words if word == "--json")).out
    with full_after(10):
        done = heterodyne("fit", run_file, *STAND, "-o", "out", *words)
    assert done.status == 1
    assert done.out.splitlines()[:3] == shown.splitlines()[:3]
    assert done.err.splitlines()[-1] == "heterodyne: error: cannot write out/fit.json: File too large"
    assert list(Path("out").iterdir()) == []


def test_a_later_fit_replaces_the_outputs_of_an_earlier_one(heterodyne, run_file):
    heterodyne("fit", run_file, *STAND, "--by", "q", "-o", "out")
    Path("out/notes.txt").write_text("mine")
    heterodyne("fit", run_file, *STAND, "-o", "out")
    assert {path.name for path in Path("out").iterdir()} == {LIST, "fit.json", "fit.npz", "notes.txt"}


def test_write_chooses_the_outputs(heterodyne, run_file):
    assert heterodyne("fit", run_file, *STAND, "-o", "out", "--write", "npz").status == 0
    assert {path.name for path in Path("out").iterdir()} == {LIST, "fit.npz"}


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
        (("--bounds", "alpha=1"), "command line: bounds of 'alpha': '1' is not a range LO:HI"),
        (("--bounds", "alpha=1:0"), "bounds of 'alpha' must be low < high, not 1:0"),
        (("--fix", "alpha=9"), "fixed value alpha=9 lies outside its bounds"),
        (("--fix", "alpha=1", "--start", "alpha=0"), "parameter 'alpha' stands in fix and in start"),
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


def test_one_fit_per_q_has_a_folder_each_and_tables(heterodyne, run_file):
    done = heterodyne("fit", run_file, *STAND, "--by", "q", "-o", "out")
    assert done.status == 0, done.err
    assert done.out.startswith("[[Series]] static by stand, one fit per q (1/Å)\n")
    assert {path.name for path in Path("out").iterdir()} == {
        LIST,
        "by_q.csv",
        "by_q.json",
        "q_0.01",
        "q_0.02",
    }
    one = json.loads(Path("out/q_0.02/fit.json").read_text(encoding="utf-8"))
    assert [row["q"] for row in one["bins"]] == [0.02, 0.02]
    assert one["provenance"]["config"]["by"] == "q"
    assert one["provenance"]["command"].endswith("--by q -o out")
    listed = heterodyne("fit", run_file, *STAND, "--by", "phi", "--json")
    assert [row["phi"] for row in json.loads(listed.out)["groups"]] == [-90.0, 45.0]


def test_one_fit_per_file_has_a_folder_each_and_tables(heterodyne, rejected, run_file):
    Path("runs").mkdir()
    for name, seed in (("run10", "3"), ("run2", "4")):
        heterodyne("simulate", "-o", f"runs/{name}.h5", "--model", "static", "--frames", "30", "--seed", seed)
    done = heterodyne("fit", run_file, "runs/*.h5", *STAND, "--by", "file", "-o", "out")
    assert done.status == 0, done.err
    assert done.out.startswith("[[Series]] static by stand, one fit per file\n")
    assert {path.name for path in Path("out").iterdir()} == {
        LIST,
        "by_file.csv",
        "by_file.json",
        "file_run",
        "file_run2",
        "file_run10",
    }
    document = json.loads(Path("out/by_file.json").read_text(encoding="utf-8"))
    files = [(group["file"], group["folder"], group["n_bins"]) for group in document["groups"]]
    assert files == [
        ("run.h5", "file_run", 4),
        ("runs/run2.h5", "file_run2", 3),
        ("runs/run10.h5", "file_run10", 3),
    ]
    assert Path("out/by_file.csv").read_text(encoding="utf-8").splitlines()[2].startswith("runs/run2.h5,3,")
    one = json.loads(Path("out/file_run2/fit.json").read_text(encoding="utf-8"))
    assert one["provenance"]["config"]["data"] == ["run.h5", "runs/run2.h5", "runs/run10.h5"]
    assert one["provenance"]["group"] == {"by": "file", "value": "runs/run2.h5"}
    assert "no file matches runs/*.hdf" in rejected("fit", "runs/*.hdf", *STAND)
    assert "counted twice" in rejected("fit", run_file, run_file, *STAND, "--by", "file")


def test_groups_that_do_not_converge_are_named_and_have_status_3(heterodyne, run_file):
    done = heterodyne("fit", run_file, *STAND, "--by", "q", "--verdict", "stalled", "--quiet")
    assert done.status == 3
    assert done.err.splitlines() == [
        "heterodyne: warning: the fit of q_0.01 did not converge: stalled (so)",
        "heterodyne: warning: the fit of q_0.02 did not converge: stalled (so)",
    ]


def test_an_optimizer_without_a_likelihood_compares_nothing(rejected, run_file):
    message = rejected("fit", run_file, "--optimizer", "stand", "--compare", "static,no-flow", "--quiet")
    assert message.startswith("optimizer 'stand' gives no likelihood to compare models by")


def test_a_warm_start_gives_the_start_values(heterodyne, rejected, run_file):
    first = ("--start", "alpha=-0.3", "--start", "D0=77", "-o", "earlier", "--quiet")
    assert heterodyne("fit", run_file, *STAND, *first).status == 0
    options = ("--warm-start", "earlier", "--start", "D0=88", "--bounds", "D_offset=5:10")
    document = json.loads(heterodyne("fit", run_file, *STAND, *options, "--json").out)
    starts = {name: row["start"] for name, row in document["parameters"].items()}
    assert starts == {"D0": 88.0, "alpha": -0.3, "D_offset": 5.0}
    assert document["provenance"]["warm_start"] == "earlier"
    Path("deep").mkdir()
    Path("deep/fit.yaml").write_text(
        "data: ../run.h5\nmodel: static\noptimizer: stand\nwarm_start: ../earlier/fit.json\n"
    )
    document = json.loads(heterodyne("fit", "--config", "deep/fit.yaml", "--json").out)
    assert document["parameters"]["alpha"]["start"] == -0.3
    assert "cannot read a fit from run.h5: not JSON" in rejected(
        "fit", run_file, *STAND, "--warm-start", "run.h5"
    )
    assert "no start value for any of D_ref" in rejected(
        "fit", run_file, "--optimizer", "stand", "--model", "equilibrium", "--warm-start", "earlier"
    )


CHOSEN = {
    "fix": "alpha=0.1",
    "start": "D0=300",
    "bounds": "alpha=-1:0.5",
    "tie": "alpha_ref=alpha_sample",
    "prior": "D0=log-normal:8:1",
    "contrast": "0.2",
    "offset": "shared",
    "skip_lags": "3",
    "warm_start": "earlier",
}


@pytest.mark.slow
@pytest.mark.parametrize("choice", SPELLINGS)
def test_every_choice_has_a_flag_and_a_key_that_reach_the_optimizer(heterodyne, run_file, choice):
    stand = ("--optimizer", "stand", "--model", "no-flow" if choice == "tie" else "static")
    value = CHOSEN[choice]
    heterodyne("fit", run_file, *STAND, "-o", "earlier", "--quiet")
    without = json.loads(heterodyne("fit", run_file, *stand, "--json").out)
    by_flag = heterodyne("fit", run_file, *stand, f"--{choice.replace('_', '-')}", value, "--json")
    Path("fit.yaml").write_text(json.dumps({choice: value}))
    by_key = heterodyne("fit", run_file, *stand, "--config", "fit.yaml", "--json")
    reached = [json.loads(done.out)["statistics"]["choices"][choice] for done in (by_flag, by_key)]
    assert reached[0] == reached[1] != without["statistics"]["choices"][choice]


def test_every_choice_is_described_in_the_help(heterodyne):
    text = "".join(heterodyne("fit", "--help").out.replace("│", " ").split()).lower()
    for choice, spelling in SPELLINGS.items():
        assert f"--{choice.replace('_', '-')}{spelling.kind.metavar.lower()}" in text
        assert "".join(spelling.help.split()).lower() in text


def _parameters():
    """Every parameter of two-component with a value inside its bounds, and a partner of the same unit."""
    table = het.create_model("two-component").parameters
    for name, row in table.items():
        partner = next((n for n, other in table.items() if n != name and other.unit == row.unit), None)
        yield name, row, partner


@pytest.mark.slow
@pytest.mark.parametrize(("name", "row", "partner"), [*_parameters()], ids=lambda part: str(part)[:20])
def test_every_parameter_can_be_chosen_from_file_and_command_line(heterodyne, name, row, partner):
    heterodyne("simulate", "-o", "run.h5", "--frames", "10")
    value = 0.25 * row.low + 0.75 * row.high
    choices = {
        "fix": ({name: value}, f"{name}={value}"),
        "start": ({name: value}, f"{name}={value}"),
        "bounds": ({name: [value, row.high]}, f"{name}={value}:{row.high}"),
        "tie": ({name: partner}, f"{name}={partner}"),
    }
    if partner is None:
        del choices["tie"]
    for word, (in_file, on_line) in choices.items():
        Path("fit.yaml").write_text(json.dumps({"data": "run.h5", "optimizer": "stand", word: in_file}))
        ways = (("--config", "fit.yaml"), ("run.h5", "--optimizer", "stand", f"--{word}", on_line))
        from_file, from_line = (json.loads(heterodyne("fit", *way, "--json").out) for way in ways)
        assert from_file["parameters"] == from_line["parameters"]
        found = from_line["parameters"][name]
        if word in ("fix", "start"):
            assert found["start"] == value
            assert found["vary"] == (word == "start")
        elif word == "bounds":
            assert (found["low"], found["high"], found["vary"]) == (value, row.high, True)
        else:
            assert name not in from_line["statistics"]["varying"]


def test_what_excludes_each_other_is_said_and_the_command_line_goes_first(heterodyne, rejected, run_file):
    assert "leave by out" in rejected(
        "fit", run_file, "--optimizer", "stand", "--compare", "static,no-flow", "--by", "q"
    )
    assert "leave model out" in rejected("fit", run_file, *STAND, "--compare", "static,no-flow")
    assert "Input should be 'q', 'phi' or 'file'" in rejected("fit", run_file, *STAND, "--by", "age")
    Path("fit.yaml").write_text("data: run.h5\noptimizer: stand\ncompare: [static, no-flow]\n")
    done = heterodyne("fit", "--config", "fit.yaml", "--model", "static", "--by", "q", "--json")
    assert json.loads(done.out)["by"] == "q"


def test_links_are_allowed_by_flag_or_configuration(heterodyne, rejected, run_file):
    key = "entry/heterodyne/dq"
    with h5py.File(run_file, "r+") as file, h5py.File("other.h5", "w") as other:
        file.copy(key, other, "dq")
        del file[key]
        file[key] = h5py.ExternalLink("other.h5", "dq")
    Path("fit.yaml").write_text(f"data: {run_file}\nallow_links: true\n")
    assert "--allow-links" in rejected("fit", run_file, *STAND)
    for arguments in ((run_file, "--allow-links"), ("--config", "fit.yaml")):
        done = heterodyne("fit", *arguments, *STAND, "--json")
        assert done.status == 0
        (row,) = json.loads(done.out)["provenance"]["data"]
        assert [linked["file"] for linked in row["linked"]] == ["other.h5"]
