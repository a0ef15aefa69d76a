"""A fit to a measured matrix goes to another process and back, in a series and in a comparison too."""

from __future__ import annotations

import copy
import pickle
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import heterodyne as het
from heterodyne.fitting.alike import Judged
from heterodyne.fitting.comparison import Comparison, score_of
from heterodyne.fitting.constancy import Constancy
from heterodyne.fitting.series import Group, Series
from heterodyne.result.document import fit_text

MATRIX = Path(__file__).parent / "data" / "two_time_nsls2" / "test_g2.npy"


@pytest.fixture(scope="module")
def fit():
    data = het.load(MATRIX, q=0.01, phi=0.0, dt=0.1, frames=(1, 60))
    return het.fit(data, "static", options={"profile": ("D0",)})


@pytest.mark.slow
def test_a_fit_goes_to_another_process_and_back(fit):
    with get_context("spawn").Pool(1) as pool:
        back = pool.apply(copy.copy, (fit,))
    assert fit_text(back) == fit_text(fit)
    assert back.report() == fit.report()
    assert back.statistics == fit.statistics
    assert back.problem.model is fit.problem.model
    np.testing.assert_array_equal(back.profiles["D0"].values, fit.profiles["D0"].values)
    for there, here in zip(back.curves, fit.curves, strict=True):
        np.testing.assert_array_equal(there.value, here.value)


def test_the_matrix_stays_in_its_file(fit):
    assert len(pickle.dumps(fit.problem.data)) < fit.problem.data[0].c2[0].nbytes
    np.testing.assert_array_equal(copy.deepcopy(fit).problem.data[0].c2[0], np.load(MATRIX)[:60, :60])


@pytest.mark.parametrize("again", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_series_and_a_comparison_are_the_same_again(fit, again):
    test = Constancy("D0", "Å²/s", 1.0, 0.1, 0.0, 0, 1.0, ())
    series = Series("q", (Group(0.01, "q_0.01", 1, fit),), {"D0": test})
    assert again(series).text() == series.text()
    assert again(series).report() == series.report()
    comparison = Comparison({"static": fit}, (score_of("static", fit, Judged(1.0, 2.0)),))
    assert again(comparison).text() == comparison.text()
    assert fit_text(again(comparison).fits["static"]) == fit_text(fit)
