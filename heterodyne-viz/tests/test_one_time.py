"""The figure of one-time fits: what is handed to the axes, and the files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments import one_time
from heterodyne.catalogue import create_model
from heterodyne.errors import DataError, HeterodyneError
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne.result.fit import Fit
from heterodyne.testing.results import estimates_of, fit_by_hand, scaling_of
from heterodyne_viz import figures
from heterodyne_viz.one_time import PER_FILE, curves, figure

TRUTH = {"D0": 300.0, "alpha": 0.0, "D_offset": 0.0}
DATA = one_time("static", {"D0": 300.0}, noise=1e-3)


def fit_of(data=DATA, **choices) -> Fit:
    """A fit that ended exactly at the truth."""
    problem = create_problem(data, create_model("static"), Choices(**choices))
    scaling = scaling_of(problem.data, 0.3, 1.0, 1e-3)
    return fit_by_hand(estimates_of(problem, TRUTH), model="static", scaling=scaling, problem=problem)


def test_data_model_and_residuals_of_every_bin_are_drawn():
    found = list(curves(fit_of()))
    assert [curve.title for curve in found] == list(DATA.labels)
    for curve, g2, error in zip(found, DATA.g2, DATA.error, strict=True):
        np.testing.assert_allclose(curve.tau, DATA.tau)
        np.testing.assert_array_equal(curve.g2, g2)
        np.testing.assert_allclose(curve.error, error)
        truth = 1.0 + 0.3 * np.exp(-(0.01**2) * 300.0 * DATA.tau)
        np.testing.assert_allclose(curve.residual, (g2 - truth) / error, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(curve.model[np.searchsorted(curve.model_tau, curve.tau)], truth, rtol=1e-9)


def test_without_errors_bars_are_the_noise_of_the_bin():
    (curve, *_) = curves(fit_of(replace(DATA, error=None)))
    np.testing.assert_array_equal(curve.error, 1e-3)


def test_values_that_were_not_measured_are_not_drawn_and_skipped_ones_are_hollow():
    g2 = DATA.g2.copy()
    g2[0, 4] = np.nan
    with pytest.warns(UserWarning, match="left out"):
        fit = fit_of(replace(DATA, g2=g2), skip_lags=2)
    curve = next(curves(fit))
    assert len(curve.tau) == DATA.n_lags - 1
    np.testing.assert_array_equal(np.flatnonzero(~curve.fitted), [0, 1])


def test_pages_of_twelve_bins_are_written(tmp_path):
    many = one_time("static", {"D0": 300.0}, q=tuple(0.01 * 1.2**k for k in range(5)), lags=8)
    paths = figures.write(fit_of(many), tmp_path)
    assert [path.name for path in paths] == ["one-time-1.png", "one-time-2.png"]
    assert len(figure(fit_of(many), range(PER_FILE)).subfigs) == PER_FILE


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(DataError, match="the fit has no bin 3"):
        curves(fit_of(), [3])
    with pytest.raises(HeterodyneError, match="holds no data to draw"):
        curves(replace(fit_of(), problem=None))
