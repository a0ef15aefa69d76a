"""A fit written and read back is the same fit, whatever numbers it lacks."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from heterodyne.atomic import check_folder
from heterodyne.catalogue import create_model
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError, HeterodyneError, PluginError
from heterodyne.problem.problem import create_problem
from heterodyne.result.band import Band
from heterodyne.result.document import SCHEMA, fit_document, fit_text, read_fit
from heterodyne.result.fit import BinScaling, Estimate, Fit
from heterodyne.result.identifiability import Finding, Held, Identifiability
from heterodyne.result.provenance import Provenance
from heterodyne.result.statistics import Diagnosis, Statistics

FINDING = Finding("other solution", "D0 = 3", ("D0",), values={"D0": 3.0})

T = np.arange(1, 6) * 0.5


@pytest.fixture(scope="module")
def fit() -> Fit:
    """A fit with everything that can be missing: errors, an azimuth, open bounds, statistics."""
    data = TwoTime(np.ones((2, 5, 5)), np.array([0.01, 0.02]), np.array([np.nan, 45.0]), T, 0.5)
    nan = math.nan
    return Fit(
        model="static",
        optimizer="by hand",
        estimates=(
            Estimate(
                "D0",
                2.5e4,
                12.5,
                3.25,
                "Å²/s^(α+1)",
                0.0,
                math.inf,
                1e4,
                True,
                "determined",
                (24970.0, 25031.0),
            ),
            Estimate("alpha", -0.1, nan, nan, "1", -math.inf, 2.0, nan, True, "undetermined"),
            Estimate("D_offset", 0.0, nan, nan, "Å²/s", -1e5, 1e5, nan, False, "fixed"),
        ),
        scaling=(
            BinScaling(0.01, nan, 0.15, 1.0, 0.01, 0.001, 0.02, 10),
            BinScaling(0.02, 45.0, 0.2, 1.1, nan, nan, 0.03, 10),
        ),
        covariance=np.array([[156.25]]),
        covariance_names=("D0",),
        statistics=Statistics(
            ssr=0.5,
            noise=(0.02, nan),
            n_pairs=20,
            diagnostics=(Diagnosis({"D0": 1.0}, {"D0": 400.0}, {"D0": 380.0}, 0.9, 0, 0, 7.5, 100),),
            extra={"walkers": 50},
        ),
        verdict="max iterations",
        message="stopped early",
        identifiability=Identifiability(
            names=("D0", "alpha"),
            rank=1,
            eigenvalues=(1.0, 1e-12),
            correlated=(("D0", "alpha", -0.97),),
            findings=(Finding("merged", "alpha alone", ("alpha",), True), FINDING),
            held=Held(parameters={"alpha": {"from": 0.1, "to": 0.0}}, cost_change=1e-9, words="held"),
        ),
        provenance=Provenance(data=({"file": "run.h5", "frames": (1, 5)},), warm_start=None),
        problem=create_problem(data, create_model("static")),
        curves=(
            Band("J_ref", "Å²/s", T, 600.0 * T, 10.0 * T, 580.0 * T, 621.0 * T, half="3 D_ref"),
            Band("f", "1", T, 0.1 * T, nan * T, nan * T, nan * T),
        ),
    )


def test_a_fit_read_back_is_the_fit_that_was_written(fit: Fit, tmp_path: Path):
    fit.save(tmp_path)
    found = read_fit(tmp_path)
    assert found.problem is None
    for mine, its in zip((*fit.estimates, *fit.scaling), (*found.estimates, *found.scaling), strict=True):
        assert type(mine) is type(its)
        np.testing.assert_equal(asdict(its), asdict(mine))
    np.testing.assert_array_equal(found.covariance, fit.covariance)
    for name in ("model", "optimizer", "covariance_names", "verdict", "message", "undetermined", "success"):
        assert getattr(found, name) == getattr(fit, name)
    np.testing.assert_equal(dict(found.statistics), dict(fit.statistics))
    assert (found.statistics.extra, found.statistics.diagnostics) == (
        {"walkers": 50},
        fit.statistics.diagnostics,
    )
    assert found.identifiability == fit.identifiability
    assert found.identifiability.findings == fit.identifiability.findings
    assert found.provenance == fit.provenance
    assert found.provenance.warm_start is None
    assert found.report() == fit.report()
    assert fit_text(found) == fit_text(fit)


def test_the_report_has_units_where_there_are_any_and_no_empty_section(fit: Fit):
    lines = [line.strip() for line in fit.report().splitlines()]
    assert "D0:       25000 +/- 12 (0.05%) Å²/s^(α+1) [24970, 25031] (init = 10000)" in lines
    assert "alpha:    -0.1 (undetermined, no error bar)" in lines
    assert "D_offset: 0 Å²/s (fixed)" in lines
    assert [line.split()[1] for line in lines if line.startswith("q=")] == ["ring", "phi=45"]
    assert "contrast = 0.150 +/- 0.010, offset = 1.0000 +/- 0.0010" in lines[-2]
    assert "contrast = 0.2 (no error bar), offset = 1.1 (no error bar)" in lines[-1]
    assert "[[Correlations]]" not in fit.report()


def test_curves_are_shown_at_three_times_and_beside_a_rate_its_half(fit: Fit):
    table = fit.report().partition("[[Derived]]")[2].splitlines()
    assert "D = J/2 is the Stokes-Einstein diffusion coefficient" in table[0]
    assert [re.split("  +", line)[1:] for line in table[1:5]] == [
        ["t = 0.5 s", "t = 1.5 s", "t = 2.5 s"],
        ["J_ref (Å²/s)", "300.0 [290.0, 310.5]", "900 [870, 932]", "1500 [1450, 1552]"],
        [
            "D = J_ref/2 = 3 D_ref (Å²/s)",
            "150.0 [145.0, 155.2]",
            "450.0 [435.0, 465.8]",
            "750 [725, 776]",
        ],
        ["f", *["undetermined"] * 3],
    ]


def test_a_result_of_an_earlier_version_is_read(fit: Fit, tmp_path: Path):
    document = fit_document(fit)
    del document["derived"]
    for row in document["parameters"].values():
        del row["interval"]
    (tmp_path / "fit.json").write_text(json.dumps(document), encoding="utf-8")
    found = read_fit(tmp_path)
    assert found.derived == ()
    assert np.isnan([row.interval for row in found.estimates]).all()
    assert "D0:       25000 +/- 12 (0.05%) Å²/s^(α+1) (init = 10000)" in found.report()
    assert "[[Derived]]" not in found.report()


def test_a_fit_and_its_data_are_short_in_a_prompt(fit: Fit):
    assert repr(fit) == "<Fit of static by by hand: max iterations>"
    assert fit.problem is not None
    assert repr(fit.problem.data[0]) == "<TwoTime: 2 bins, 5 frames, dt 0.5 s>"


def test_the_document_is_strict_json_of_the_published_schema(fit: Fit, tmp_path: Path):
    path, _ = fit.save(tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert document["schema"] == SCHEMA == "heterodyne/fit/1"
    assert document["parameters"]["alpha"] == {
        "value": -0.1,
        "error": None,
        "error_independent": None,
        "unit": "1",
        "low": None,
        "high": 2.0,
        "start": None,
        "vary": True,
        "status": "undetermined",
        "interval": [None, None],
    }
    assert document["parameters"]["D0"]["interval"] == [24970.0, 25031.0]
    assert document["derived"][1] == {
        "name": "J_ref/2",
        "unit": "Å²/s",
        "t": [0.5, 1.5, 2.5],
        "value": [150.0, 450.0, 750.0],
        "error": [2.5, 7.5, 12.5],
        "low": [145.0, 435.0, 725.0],
        "high": [155.25, 465.75, 776.25],
        "words": "D = J_ref/2 = 3 D_ref",
    }
    assert document["derived"][2]["error"] == [None, None, None]
    assert document["bins"][0]["phi"] is None
    assert set(document["bins"][1]) == set(asdict(fit.scaling[0]))
    assert document["covariance"] == {"names": ["D0"], "matrix": [[156.25]]}
    assert list(document["statistics"]) == ["ssr", "noise", "n_pairs", "diagnostics", "walkers"]
    assert document["statistics"]["noise"] == [0.02, None]
    assert document["identifiability"]["findings"][1] == {
        "kind": "other solution",
        "words": "D0 = 3",
        "parameters": ["D0"],
        "undetermined": False,
        "values": {"D0": 3.0},
    }


def test_a_fit_without_determined_parameters_is_read_back(fit: Fit, tmp_path: Path):
    replace(fit, covariance=np.zeros((0, 0)), covariance_names=()).save(tmp_path, ["json"])
    assert read_fit(tmp_path / "fit.json").covariance.shape == (0, 0)


def test_the_arrays_are_plain_and_complete(fit: Fit, tmp_path: Path):
    fit.save(tmp_path, ["npz"])
    with np.load(tmp_path / "fit.npz", allow_pickle=False) as arrays:
        assert list(arrays["name"]) == ["D0", "alpha", "D_offset"]
        np.testing.assert_array_equal(arrays["error"], [12.5, np.nan, np.nan])
        np.testing.assert_array_equal(arrays["contrast"], [0.15, 0.2])
        np.testing.assert_array_equal(arrays["covariance"], fit.covariance)
        np.testing.assert_array_equal(arrays["t"], T)
        np.testing.assert_array_equal(arrays["n_frames"], [5])
        np.testing.assert_array_equal(arrays["bin_file"], [0, 0])


def test_a_fit_that_was_read_back_can_be_saved_again(fit: Fit, tmp_path: Path):
    fit.save(tmp_path / "one")
    read_fit(tmp_path / "one").save(tmp_path / "two")
    assert (tmp_path / "one/fit.json").read_bytes() == (tmp_path / "two/fit.json").read_bytes()
    with np.load(tmp_path / "two/fit.npz", allow_pickle=False) as arrays:
        assert "t" not in arrays.files


def test_an_unknown_writer_is_refused_before_anything_is_written(fit: Fit, tmp_path: Path):
    with pytest.raises(PluginError, match=r"'jsn'; did you mean 'json'"):
        fit.save(tmp_path / "out", ["json", "jsn"])
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_refused(fit: Fit, tmp_path: Path):
    (tmp_path / "out").write_text("")
    for folder in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(HeterodyneError, match="is not a folder"):
            check_folder(folder)
        with pytest.raises(HeterodyneError, match="cannot write to"):
            fit.save(folder)


def test_a_folder_that_takes_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    check_folder(tmp_path / "new" / "deep")
    assert not list(tmp_path.iterdir())

    def denied(dir: Path):
        assert dir == tmp_path
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("heterodyne.atomic.TemporaryFile", denied)
    with pytest.raises(HeterodyneError, match=r"cannot write to .*deep: Permission denied"):
        check_folder(tmp_path / "new" / "deep")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "its schema is None"),
        ('{"schema": "heterodyne/fit/9"}', "its schema is 'heterodyne/fit/9'"),
        ('{"schema": "heterodyne/fit/1"}', "incomplete fit: KeyError"),
    ],
)
def test_what_is_not_a_fit_is_refused(tmp_path: Path, text: str, reason: str):
    (tmp_path / "fit.json").write_text(text)
    with pytest.raises(DataError, match=reason):
        read_fit(tmp_path)


def damaged(document, *path, value):
    """The document with another value at the path, or without it where the value is ``...``."""
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("parameters",), [], "AttributeError .*parameters"),
        (("parameters", "D0"), 3, "TypeError .*parameters"),
        (("parameters", "D0", "value"), "x", r"TypeError value is 'x' \(in parameters\)"),
        (("parameters", "D0", "value"), True, "TypeError value is True"),
        (("parameters", "D0", "low"), 10**400, r"OverflowError .*parameters"),
        (("parameters", "D0", "error"), ..., r"KeyError 'error' \(in parameters\)"),
        (("bins", 0, "q"), [], r"TypeError q is \[\] \(in bins\)"),
        (("bins",), {"a": 1}, "in bins"),
        (("covariance", "matrix"), [[1.0, 2.0]], r"ValueError .*in covariance"),
        (("covariance", "matrix"), [["x"]], r"ValueError .*in covariance"),
        (("covariance", "names"), [3], r"TypeError 3 is no text \(in covariance\)"),
        (("model",), None, r"TypeError None is no text \(in model\)"),
        (("verdict",), {}, r"in verdict"),
        (("statistics",), [], r"in statistics"),
        (("statistics", "ssr"), "x", r"TypeError ssr is 'x' \(in statistics\)"),
        (("statistics", "extra"), 1, r"in statistics"),
        (("statistics", "diagnostics"), [{"rhat": 1}], r"in statistics"),
        (("identifiability", "findings"), 3, r"in identifiability"),
        (("identifiability", "held"), [1], r"in identifiability"),
        (("provenance", "data"), "run.h5", r"TypeError data is 'run.h5' \(in provenance\)"),
        (("profiles",), {"x/../../escaped": {}}, r"'x/../../escaped' is no parameter \(in profiles\)"),
        (("profiles",), {"D0": {}}, r"KeyError .*in profiles"),
        (("profiles",), 3, r"in profiles"),
        (("parameters", "D0", "interval"), [1.0], r"ValueError .*in parameters"),
        (("parameters", "D0", "interval"), ["1", 2.0], r"TypeError '1' is no number \(in parameters\)"),
        (("derived",), 3, r"in derived"),
        (("derived", 0, "value"), 3, r"TypeError 3 is no list of numbers \(in derived\)"),
        (("derived", 0, "value"), [3.0], r"columns differ in length \(in derived\)"),
        (("derived", 0, "name"), 3, r"TypeError name is 3 \(in derived\)"),
    ],
)
def test_a_damaged_fit_is_one_line_that_names_file_and_place(fit: Fit, tmp_path: Path, path, value, said):
    document = damaged(fit_document(fit), *path, value=value)
    (tmp_path / "fit.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=rf"fit.json is an incomplete fit: .*{said}") as error:
        read_fit(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"schema": ' + "9" * 5000 + "}", "\ud800"])
def test_what_json_cannot_hold_is_one_line(tmp_path: Path, text: str):
    (tmp_path / "fit.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=r"fit.json: not JSON"):
        read_fit(tmp_path)


def test_a_missing_result_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"cannot read a fit from .*fit.json: No such file"):
        read_fit(tmp_path)


def test_the_document_is_that_of_the_text(fit: Fit):
    assert json.loads(fit_text(fit)) == fit_document(fit)


def test_a_writer_that_fails_is_named_and_costs_no_other_output(fit: Fit, tmp_path: Path, monkeypatch):
    def fail(fit: Fit, folder: Path):
        raise RuntimeError("no ink")

    monkeypatch.setattr("heterodyne.writing.fit_json.write", fail)
    with pytest.raises(
        PluginError, match=r"writer 'json' \(RuntimeError: no ink\) failed; written: .*fit\.npz"
    ):
        fit.save(tmp_path, ["json", "npz"])


@pytest.mark.parametrize("returned", [None, "fit.json", [Path("nowhere.json")]])
def test_a_writer_that_does_not_return_its_files_is_named(fit: Fit, tmp_path: Path, monkeypatch, returned):
    monkeypatch.setattr("heterodyne.writing.fit_json.write", lambda fit, folder: returned)
    with pytest.raises(PluginError, match=r"writer 'json' .*it returned .*, not a list of the files"):
        fit.save(tmp_path, ["json"])


@pytest.mark.parametrize("path", ["", None, 3])
def test_a_result_needs_a_folder_with_a_name(fit: Fit, path):
    with pytest.raises(DataError, match="does not name"):
        fit.save(path)
    with pytest.raises(DataError, match="does not name"):
        read_fit(path)


def test_no_terminal_obeys_a_report_of_a_foreign_fit(fit):
    hostile = replace(fit, model="a\x1b]0;b\x07", message="\u202eabc", verdict="con\nverged")
    text = hostile.report()
    assert not any(sign in text for sign in ("\x1b", "\x07", "\u202e"))
    assert "\\u001b" in text
