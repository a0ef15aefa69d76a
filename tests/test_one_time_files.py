"""One-time data as a user meets them on the command line: inspect, fit, series, figures, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import heterodyne as het
from experiments import one_time
from heterodyne.testing.layouts import multitau


@pytest.fixture
def g2_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = one_time("static", {"D0": 300.0}, q=(0.01, 0.02), phi=(0.0, 60.0), lags=15)
    return str(multitau.write(Path("g2.h5"), data, "aps-u"))


def test_inspect_says_what_lags_there_are(heterodyne, g2_file):
    out = heterodyne("inspect", g2_file).out
    assert "lags       15, 0.1 to 100 s, of g2 in xpcs/multitau/normalized_g2" in out
    assert "errors     from xpcs/multitau/normalized_g2_err" in out
    told = json.loads(heterodyne("inspect", g2_file, "--json").out)
    assert (told["one_time"], told["n_lags"], told["bins"][0]["n_used"]) == (True, 15, 15)


def test_a_fit_is_reported_and_drawn(heterodyne, g2_file):
    done = heterodyne("fit", g2_file, "--model", "static", "-o", "out", "--write", "json,npz,figures")
    assert done.status == 0, done.err
    assert "# reduced_chi2_errors=" in done.out
    assert Path("out/figures/one-time-1.png").is_file()
    fit = het.read_fit("out")
    assert abs(fit.values["D0"] - 300.0) < 4.0 * fit.errors["D0"]


def test_one_fit_per_q(heterodyne, g2_file):
    done = heterodyne("fit", g2_file, "--model", "static", "--by", "q")
    assert done.status == 0, done.err
    assert "[[Series]] static by nlsq, one fit per q" in done.out


def test_of_a_file_with_both_one_time_data_are_asked_for(heterodyne):
    het.simulate("static", frames=20, q=0.01, phi=(0.0, 60.0)).save("both.h5")
    multitau.write(Path("both.h5"), one_time("static", {"D0": 300.0}, phi=(0.0, 60.0)), "aps-u")
    assert "frames     20" in heterodyne("inspect", "both.h5").out
    assert "lags       27" in heterodyne("inspect", "both.h5", "--one-time").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit",), "model 'two-component' changes with age"),
        (("fit", "--model", "static", "--optimizer", "cmc"), "cmc samples two-time data"),
        (("fit", "--model", "static", "--strategy", "streamed"), "weights per pair need whole matrices"),
        (("fit", "--model", "static", "--frames", "1:10"), "frames says nothing of one-time data"),
        (("convert", "-o", "own.h5"), "a two-time file does not hold"),
    ],
)
def test_what_is_refused_is_one_line(heterodyne, g2_file, arguments, words):
    done = heterodyne(arguments[0], g2_file, *arguments[1:])
    assert done.status == 1
    (line,) = [line for line in done.err.splitlines() if "error" in line]
    assert words in line
