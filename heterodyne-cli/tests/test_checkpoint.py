"""The folder in which an optimizer keeps what it has done, and what the program does with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from heterodyne.errors import ConfigError
from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import OptimizerRecord, Option, WriterRecord
from heterodyne.result.fit import Fit
from heterodyne.result.statistics import Statistics
from heterodyne.switch import LIST

KEEP = ("--optimizer", "keep", "--model", "static", "--quiet")


def keep(problem, options, progress) -> Fit:
    """An optimizer that keeps a file in its checkpoint before it ends, fails or is interrupted."""
    folder = Path(options["checkpoint"]) / options["run"]
    folder.mkdir(parents=True, exist_ok=options["resume"])
    (folder / "state").touch()
    if options["fails"]:
        raise ConfigError("failed")
    if options["interrupted"]:
        raise KeyboardInterrupt
    done = sys.modules["standing_plugin"].stand(problem, {"verdict": "converged"}, progress)
    figures = Statistics(extra={"checkpoint": str(folder), "options": options})
    own = folder if options["run"] else None
    return replace(
        done, optimizer="keep", statistics=done.statistics | figures, problem=problem, checkpoint=own
    )


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write kept.txt."""
    (folder / "kept.txt").write_text(fit.optimizer)
    return [folder / "kept.txt"]


@hookimpl
def heterodyne_optimizers() -> Iterator[OptimizerRecord]:
    """One that has a checkpoint, and an output of its own."""
    options = (
        Option("checkpoint", str, "", "where"),
        Option("resume", bool, False, "go on"),
        Option("run", str, "", "name of the run"),
        Option("fails", bool, False, "end with an error"),
        Option("interrupted", bool, False, "end as by Ctrl-C"),
        Option("no_hurry", bool, False, "a switch whose name begins with no"),
    )
    yield OptimizerRecord("keep", "keeps what it does", "keeping_plugin:keep", options, outputs=("kept",))


@hookimpl
def heterodyne_writers() -> Iterator[WriterRecord]:
    """The output of that optimizer."""
    yield WriterRecord("kept", "kept.txt", "keeping_plugin:write")


@pytest.fixture(autouse=True)
def with_keep(only_plugins) -> None:
    """The plugin of this module beside the others."""
    offers = {"heterodyne_optimizers": heterodyne_optimizers, "heterodyne_writers": heterodyne_writers}
    plugin = SimpleNamespace(keep=keep, write=write, **offers)
    only_plugins("core", "cli", standing=sys.modules["standing_plugin"], keeping=plugin)


def test_the_checkpoint_lies_in_the_output_folder_until_results_are_written(heterodyne, run_file):
    assert heterodyne("fit", run_file, *KEEP, "-o", "out").status == 0
    assert {path.name for path in Path("out").iterdir()} == {LIST, "fit.json", "fit.npz", "kept.txt"}
    document = json.loads(Path("out/fit.json").read_text(encoding="utf-8"))
    assert document["statistics"]["checkpoint"] == str(Path("out/checkpoint"))
    assert heterodyne("fit", run_file, *KEEP, "-o", "out", "--no-hurry").status == 0


def test_the_outputs_of_an_optimizer_are_written_by_default_and_of_no_other(heterodyne, rejected, run_file):
    config = json.loads(heterodyne("fit", run_file, *KEEP, "-o", "out", "--json").out)["provenance"]["config"]
    assert config["write"] == ["json", "npz", "profiles", "kept"]
    line = rejected("fit", run_file, "--optimizer", "stand", "-o", "other", "--write", "kept")
    assert line.startswith("output 'kept' is written of fits by keep, not by stand")


def test_a_switch_whose_name_begins_with_no_is_a_single_flag(heterodyne, run_file):
    assert "--no-no-hurry" not in heterodyne("fit", "--help").out
    done = heterodyne("fit", run_file, *KEEP, "-o", "out", "--no-hurry", "--json")
    assert json.loads(done.out)["statistics"]["options"]["no_hurry"] is True


def test_a_run_that_was_not_finished_is_neither_lost_nor_taken_for_another(heterodyne, run_file):
    assert heterodyne("fit", run_file, *KEEP, "-o", "out", "--fails").status == 1
    assert Path("out/checkpoint/state").is_file()
    refused = heterodyne("fit", run_file, *KEEP, "-o", "out")
    assert refused.status == 1
    assert "out/checkpoint holds a run that was not finished: add --resume" in refused.err
    assert Path("out/checkpoint/state").is_file()
    resumed = heterodyne("fit", run_file, *KEEP, "-o", "out", "--resume", "--json")
    assert json.loads(resumed.out)["statistics"]["options"]["resume"] is True
    assert not Path("out/checkpoint").exists()


def test_only_the_draws_of_the_run_that_is_done_are_removed(heterodyne, run_file):
    heterodyne("fit", run_file, *KEEP, "-o", "out", "--run", "one", "--fails")
    assert heterodyne("fit", run_file, *KEEP, "-o", "out", "--run", "two", "--resume").status == 0
    assert [path.name for path in Path("out/checkpoint").iterdir()] == ["one"]
    assert heterodyne("fit", run_file, *KEEP, "-o", "out", "--run", "one", "--resume").status == 0
    assert not Path("out/checkpoint").exists()


def test_a_file_of_that_name_is_not_taken_for_a_run(rejected, run_file):
    Path("out").mkdir()
    Path("out/checkpoint").write_text("mine")
    for more in ((), ("--resume",)):
        assert "out/checkpoint is not a folder" in rejected("fit", run_file, *KEEP, "-o", "out", *more)
    assert Path("out/checkpoint").read_text() == "mine"


def test_a_configuration_in_a_result_names_no_checkpoint_of_that_result(heterodyne, run_file):
    heterodyne("fit", run_file, *KEEP, "-o", "out", "--fails")
    heterodyne("fit", run_file, *KEEP, "-o", "out", "--resume")
    config = json.loads(Path("out/fit.json").read_text(encoding="utf-8"))["provenance"]["config"]
    assert (config["options"]["checkpoint"], config["options"]["resume"]) == ("", False)


@pytest.mark.parametrize("place", [("--checkpoint", "kept"), ("--checkpoint", "kept", "-o", "out")])
def test_a_checkpoint_that_is_named_stays(heterodyne, run_file, place):
    assert heterodyne("fit", run_file, *KEEP, *place).status == 0
    assert Path("kept/state").is_file()


def test_an_interrupted_run_says_how_to_go_on(heterodyne, run_file):
    done = heterodyne("fit", run_file, *KEEP, "-o", "out", "--interrupted")
    assert done.status == 130
    assert "what was done is kept in out/checkpoint: add --resume to go on" in done.err
