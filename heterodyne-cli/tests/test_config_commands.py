"""config new, check and schema."""

from __future__ import annotations

import json
from pathlib import Path


def test_a_new_configuration_is_good(heterodyne):
    made = heterodyne("config", "new", "fit.yaml", "--model", "static", "--optimizer", "stand")
    assert (made.status, made.out) == (0, "wrote fit.yaml\n")
    assert heterodyne("config", "check", "fit.yaml").out == "fit.yaml: good\n"
    text = Path("fit.yaml").read_text(encoding="utf-8")
    assert text == heterodyne("config", "new", "--model", "static", "--optimizer", "stand").out
    assert "#  verdict: converged  # what to say (converged, stalled)" in text


def test_an_existing_configuration_is_kept(rejected, heterodyne):
    heterodyne("config", "new", "fit.yaml", "--optimizer", "stand")
    message = rejected("config", "new", "fit.yaml", "--optimizer", "stand")
    assert message == "fit.yaml exists already: choose another name or add --force"


def test_a_configuration_that_cannot_be_written_is_no_file(rejected, full_after):
    with full_after(10):
        message = rejected("config", "new", "fit.yaml", "--optimizer", "stand")
    assert message == "cannot write fit.yaml: File too large"


def test_check_names_file_place_and_nearest(rejected):
    Path("fit.yaml").write_text("optimizer: stand\noptions: {sed: 3}\n")
    assert "no option of optimizer 'stand' named 'sed'; did you mean 'seed'?" in rejected(
        "config", "check", "fit.yaml"
    )
    Path("fit.yaml").write_text("optimiser: stand\n")
    assert rejected("config", "check", "fit.yaml").startswith(
        "fit.yaml: no key named 'optimiser'; did you mean 'optimizer'?"
    )


def test_check_tells_of_files_that_are_not_there(rejected, heterodyne, run_file):
    Path("fit.yaml").write_text("optimizer: stand\ndata: rum.h5\n")
    assert (
        rejected("config", "check", "fit.yaml") == "fit.yaml: there is no file rum.h5; did you mean run.h5?"
    )
    Path("fit.yaml").write_text("optimizer: stand\ndata: run.h5\n")
    assert heterodyne("config", "check", "fit.yaml").out == "fit.yaml: good\n"


def test_the_schema_holds_the_options_of_all_optimizers(heterodyne):
    schema = json.loads(heterodyne("config", "schema").out)
    assert set(schema["properties"]["options"]["properties"]) == {
        "seed",
        "verdict",
        "careful",
        "model",
        "depth",
    }
