"""The series figure shows every parameter against q or azimuth, with error bars where there are any."""

from __future__ import annotations

import math

import matplotlib
import numpy as np

from heterodyne.fitting.constancy import constancy
from heterodyne.fitting.series import Group, Series
from heterodyne.testing.results import estimate, fit_by_hand
from heterodyne_viz.series import figure, write

PLACES = (0.01, 0.02, 0.03)
ERRORS = (1.0, math.nan, 2.0)


def series(count: int = 4) -> Series:
    names = [f"p{k}" for k in range(count)]
    groups = tuple(
        Group(
            q,
            f"q_{q}",
            3,
            fit_by_hand([estimate(name, 10.0 * q, error, unit="s") for name in names]),
        )
        for q, error in zip(PLACES, ERRORS, strict=True)
    )
    freedom, values = np.full(3, math.inf), np.array([10.0 * q for q in PLACES])
    tests = {name: constancy(name, "s", values, np.array(ERRORS), freedom, ("a", "b", "c")) for name in names}
    return Series("q", groups, tests)


def test_every_parameter_has_a_panel_with_its_values_and_errors():
    page = figure(series())
    shown = [axes for axes in page.axes if axes.get_visible()]
    assert [axes.get_ylabel() for axes in shown] == [f"p{k} (s)" for k in range(4)]
    (bars,) = shown[0].containers
    line, _, (segments,) = bars
    np.testing.assert_allclose(line.get_xydata(), [[0.01, 0.1], [0.03, 0.3]])
    np.testing.assert_allclose(
        [segment[:, 1] for segment in segments.get_segments()], [[-0.9, 1.1], [-1.7, 2.3]]
    )
    hollow = next(line for line in shown[0].lines if line.get_markerfacecolor() == "none")
    np.testing.assert_allclose(hollow.get_xydata(), [[0.02, 0.2]])
    assert shown[0].get_title(loc="right").startswith("constant, p = ")


def test_a_few_parameters_leave_no_empty_panels():
    assert len([axes for axes in figure(series(2)).axes if axes.get_visible()]) == 2


def test_the_figure_is_named_after_what_it_runs_over(tmp_path):
    assert write(series(), tmp_path) == tmp_path / "figures" / "by_q.png"
    assert (tmp_path / "figures" / "by_q.png").stat().st_size > 1000


def test_files_stand_side_by_side_under_their_names():
    by_q = series(1)
    groups = tuple(Group(f"runs/{k}.h5", f"file_{k}", 3, group.fit) for k, group in enumerate(by_q.groups))
    (axes,) = figure(Series("file", groups, by_q.tests)).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2"]
    assert axes.get_xlabel() == "file"


def test_figures_have_a_style_of_their_own_whatever_the_user_has_set(tmp_path):
    plain = write(series(), tmp_path).read_bytes()
    users = {
        "text.usetex": True,
        "font.size": 30.0,
        "axes.facecolor": "black",
        "lines.linewidth": 7.0,
        "figure.facecolor": "red",
        "axes.grid": True,
        "text.color": "green",
        "axes.spines.top": False,
        "font.family": "serif",
        "figure.constrained_layout.use": True,
        "axes.formatter.limits": (0, 0),
    }
    with matplotlib.rc_context(users):
        assert write(series(), tmp_path).read_bytes() == plain
        assert matplotlib.rcParams["font.size"] == 30.0
