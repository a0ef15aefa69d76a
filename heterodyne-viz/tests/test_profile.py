"""The profile figure shows the profile, its intervals and what the standard error alone would say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heterodyne.result.fit import Fit
from heterodyne.result.profile import Interval, Profile
from heterodyne.testing.results import estimate, fit_by_hand
from heterodyne_viz.profile import figure, write

VALUES = np.array([8.0, 9.0, 10.0, 11.0, 12.0, 13.0])
SCALED = np.array([6.0, 2.0, 0.0, 1.0, 3.0, 5.0])


def fit_with(high=12.5) -> Fit:
    intervals = tuple(
        Interval(kind, level, threshold, 8.5, high)
        for kind, level, threshold in (
            ("robust", 0.95, 8.0),
            ("robust", 0.68, 2.0),
            ("independent", 0.95, 4.0),
        )
    )
    table = {"values": VALUES, "delta_chi2": 2.0 * SCALED, "cost": SCALED, "others": {}}
    profile = Profile(
        "v0", "Å/s", 10.0, low=0.0, high=20.0, scale=2.0, own_scale=True, intervals=intervals, **table
    )
    return fit_by_hand([estimate("v0", 10.0, 1.0, unit="Å/s")], profiles={"v0": profile})


def test_the_curve_is_the_scaled_profile_and_the_parabola_the_standard_error():
    (axes,) = figure(fit_with(), "v0").axes
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    np.testing.assert_array_equal(lines["profile"], np.column_stack([VALUES, SCALED]))
    x, y = lines["standard error"].T
    np.testing.assert_allclose(y, (x - 10.0) ** 2)
    assert [text.get_text().strip() for text in axes.texts] == ["95%", "68%"]
    assert axes.get_xlabel() == "v0 (Å/s)"


def test_an_open_interval_is_shaded_to_the_end_of_the_profile():
    (axes,) = figure(fit_with(high=np.inf), "v0").axes
    assert max(patch.get_x() + patch.get_width() for patch in axes.patches) == VALUES[-1]


def test_without_an_error_there_is_no_parabola():
    fit = fit_with()
    lost = replace(fit, estimates=(replace(fit.estimates[0], error=np.nan),))
    (axes,) = figure(lost, "v0").axes
    assert "standard error" not in [line.get_label() for line in axes.lines]


def test_one_file_per_profile(tmp_path):
    fit = fit_with()
    paths = write(replace(fit, profiles={"v0": fit.profiles["v0"], "v1": fit.profiles["v0"]}), tmp_path)
    assert [path.name for path in paths] == ["profile-v0.png", "profile-v1.png"]
    assert sorted((tmp_path / "figures").iterdir()) == paths


def test_a_profile_that_bears_a_path_as_its_name_stays_in_the_folder(tmp_path):
    fit = fit_with()
    (path,) = write(replace(fit, profiles={"x/../../../v0": fit.profiles["v0"]}), tmp_path / "a" / "b" / "c")
    assert path.parent == tmp_path / "a" / "b" / "c" / "figures"
    assert [path] == [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_parameter_without_a_profile_is_a_key_error():
    with pytest.raises(KeyError):
        figure(fit_with(), "beta")
