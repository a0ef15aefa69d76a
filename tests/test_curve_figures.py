"""The figure of derived curves, by the data handed to the axes."""

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import HeterodyneError
from heterodyne.result.band import Band
from heterodyne_viz import curves

T = np.linspace(0.1, 2.0, 20)


@pytest.fixture(scope="module")
def fit():
    data = het.simulate(model="static", params={"D0": 4e3, "alpha": 0.2, "D_offset": 0.0}, frames=50, seed=0)
    return het.fit(data, model="static", fix={"D_offset": 0.0})


def band(name, unit, known=True):
    error = np.where(known, 0.1 * T, np.nan)
    return Band(name, unit, T, 1.0 + T, error, 1.0 + T - 2 * error, 1.0 + T + 2 * error)


def test_a_panel_per_curve_with_its_values_and_band(fit):
    page = curves.figure(replace(fit, curves=(band("J_ref", "Å²/s"), band("f", "1"))))
    first, second = page.axes
    np.testing.assert_array_equal(first.lines[0].get_ydata(), 1.0 + T)
    corners = first.collections[0].get_paths()[0].vertices
    assert corners[:, 1].max() == pytest.approx((1.0 + 1.2 * T).max())
    assert first.get_ylabel() == r"$J_{\mathrm{ref}}$ (Å²/s)"
    assert second.get_ylabel() == "$f$"
    (half,), none = first.child_axes, second.child_axes
    page.draw_without_rendering()
    np.testing.assert_allclose(half.get_ylim(), 0.5 * np.array(first.get_ylim()))
    assert half.get_ylabel() == r"D = $J_{\mathrm{ref}}$/2 (Å²/s)"
    assert not none
    assert second.get_xlabel() == "t (s)"


def test_a_rate_that_is_hardly_known_is_drawn_over_its_logarithm(fit):
    wide = Band("J", "Å²/s", T, 1.0 + T, 1.0 + T, (1.0 + T) / 30.0, (1.0 + T) * 30.0)
    wide_page, narrow_page = (curves.figure(replace(fit, curves=(one,))) for one in (wide, band("J", "Å²/s")))
    assert (wide_page.axes[0].get_yscale(), narrow_page.axes[0].get_yscale()) == ("log", "linear")
    low, high = wide_page.axes[0].get_ylim()
    assert low <= wide.low.min()
    assert high >= wide.high.max()


def test_an_undetermined_curve_is_dotted_and_has_no_band(fit):
    page = curves.figure(replace(fit, curves=(band("v", "Å/s", known=False),)))
    (axes,) = page.axes
    solid, dotted = axes.lines
    assert np.all(np.isnan(solid.get_ydata()))
    np.testing.assert_array_equal(dotted.get_ydata(), 1.0 + T)
    assert dotted.get_linestyle() == ":"
    assert axes.get_legend().get_texts()[0].get_text() == "undetermined"


def test_curves_are_written_beside_the_other_figures(fit, tmp_path):
    paths = fit.save(tmp_path, ["figures"])
    assert tmp_path / "figures" / "curves.png" in paths
    assert (tmp_path / "figures" / "curves.png").stat().st_size > 10_000


def test_a_model_without_curves_leaves_no_figure(fit, tmp_path):
    assert curves.write(replace(fit, curves=()), tmp_path) == []
    assert not (tmp_path / "figures" / "curves.png").exists()
    with pytest.raises(HeterodyneError, match="no curves of time"):
        curves.figure(replace(fit, curves=()))
