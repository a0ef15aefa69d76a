"""The series figure: every parameter against q, azimuth or file, with robust error bars and its mean.

A group without an error bar is drawn hollow: its value is undetermined or lies on a bound, and takes no part in
the test of constancy. The band is the weighted mean with its standard error.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heterodyne.fitting.constancy import Constancy
from heterodyne.fitting.series import Series
from heterodyne_viz.pages import figures_folder, own_style, save_png

_ACROSS = 3  # panels in a row

_WIDTH, _HEIGHT, _DPI = 4.2, 3.0, 150  # of a panel, inches

_FONT, _SMALL = 12.0, 10.0  # points

_AXIS = {"q": "q (Å⁻¹)", "phi": "φ (degree)", "file": "file"}


def write(series: Series, folder: Path) -> Path:
    """Write figures/by_q.png, by_phi.png or by_file.png into ``folder``; returns its path."""
    return save_png(figure(series), figures_folder(folder) / f"by_{series.by}.png")


@own_style()
def figure(series: Series) -> Figure:
    """The figure: one panel per parameter."""
    rows = math.ceil(len(series.tests) / _ACROSS)
    across = min(len(series.tests), _ACROSS)
    page = Figure(figsize=(_WIDTH * across, _HEIGHT * rows), dpi=_DPI, layout="constrained")
    panels = page.subplots(rows, across, squeeze=False).ravel()
    for axes, test in zip(panels, series.tests.values(), strict=False):
        _draw(axes, series, test)
    for axes in panels[len(series.tests) :]:
        axes.set_visible(False)
    return page


def _draw(axes: Axes, series: Series, test: Constancy) -> None:
    values = [group.value for group in series.groups]
    named = series.by == "file"
    x = np.arange(len(values)) if named else np.array(values)
    rows = [group.estimate(test.name) for group in series.groups]
    value, error = (np.array([getattr(row, name) for row in rows]) for name in ("value", "error"))
    known = error > 0
    axes.errorbar(x[known], value[known], error[known], fmt="o", color="tab:blue", markersize=5, capsize=3)
    axes.plot(x[~known], value[~known], "o", markerfacecolor="none", color="0.6", markersize=5)
    if test.error > 0:
        axes.axhspan(test.mean - test.error, test.mean + test.error, color="0.85", linewidth=0)
        axes.axhline(test.mean, color="0.5", linewidth=0.8)
    unit = "" if test.unit == "1" else f" ({test.unit})"
    p = "" if math.isnan(test.p) else f", p = {test.p:.2g}"
    axes.set_title(f"{test.verdict}{p}", fontsize=_SMALL, loc="right")
    axes.set_xlabel(_AXIS[series.by], fontsize=_FONT)
    if named:
        axes.set_xticks(
            x, [group.name.removeprefix("file_")[:24] for group in series.groups], rotation=45, ha="right"
        )
    axes.set_ylabel(f"{test.name}{unit}", fontsize=_FONT)
    axes.tick_params(labelsize=_SMALL)
