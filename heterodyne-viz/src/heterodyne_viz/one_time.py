"""The figure of a fit to one-time data: g2 of every bin against the lag, the model, and the residual below.

Error bars are the errors that come with g2, where there are any, else the noise of the bin; residuals are in units of
these. Hollow values did not count in the fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from heterodyne.data.one_time import FirstRow
from heterodyne.errors import DataError, HeterodyneError
from heterodyne.evaluators.meshgrid import averaged_tile
from heterodyne.problem.averaging import nodes_of
from heterodyne.result.fit import BinScaling, Fit
from heterodyne_viz.pages import figures_folder, own_style, save_png

PER_FILE = 12
"""Bins in one file: four rows of three."""

_ACROSS = 3

_WIDTH, _HEIGHT, _DPI = 4.4, 3.6, 150  # inches: of one bin

_FONT, _SMALL = 12.0, 10.0  # points

_FINE = 300  # lags at which the model is drawn


@dataclass(frozen=True, eq=False)
class Curve:
    """One bin: g2 with errors at the lags ``tau`` in s, which of them were fitted, the residual over the error, and
    the model at many lags."""

    title: str
    tau: np.ndarray
    g2: np.ndarray
    error: np.ndarray
    fitted: np.ndarray
    residual: np.ndarray
    model_tau: np.ndarray
    model: np.ndarray


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write figures/one-time-1.png, -2.png, ... into ``folder``, 12 bins each; returns their paths.

    Raises `HeterodyneError` for a fit without its data.
    """
    home, count = figures_folder(folder), len(_bins(fit))
    pages = [range(first, min(first + PER_FILE, count)) for first in range(0, count, PER_FILE)]
    return [
        save_png(figure(fit, bins), home / f"one-time-{page}.png") for page, bins in enumerate(pages, start=1)
    ]


@own_style()
def figure(fit: Fit, bins: Sequence[int] | None = None) -> Figure:
    """The figure of these bins, numbered from 0 in the order of ``fit.scaling``; None takes all.

    Raises `HeterodyneError` for a fit without its data and `DataError` for a bin that does not exist.
    """
    drawn = list(curves(fit, bins))
    across = min(len(drawn), _ACROSS)
    rows = -(-len(drawn) // across)
    page = Figure(figsize=(_WIDTH * across, _HEIGHT * rows), dpi=_DPI, layout="constrained")
    parts = page.subfigures(rows, across, squeeze=False).ravel()
    for part, curve in zip(parts, drawn, strict=False):
        _draw(part, curve)
    return page


def curves(fit: Fit, bins: Sequence[int] | None = None) -> Iterator[Curve]:
    """The curves of these bins; raises what `figure` raises."""
    places = _bins(fit)
    chosen = range(len(places)) if bins is None else bins
    for number in chosen:
        if not 0 <= number < len(places):
            raise DataError(f"the fit has no bin {number}; it has bins 0 to {len(places) - 1}")
    return (_curve(fit, *places[number]) for number in chosen)


def _bins(fit: Fit) -> list[tuple[FirstRow, int, BinScaling, str]]:
    if fit.problem is None:
        raise HeterodyneError(
            "this fit was read back from disk and holds no data to draw; "
            "draw figures right after fitting: fit.save(folder, write=['figures'])"
        )
    sets = [data for data in fit.problem.data if isinstance(data, FirstRow)]
    places = [(number, data, index) for number, data in enumerate(sets, 1) for index in range(data.n_bins)]
    return [
        (data, index, row, data.label(index) + (f", data set {number}" if len(sets) > 1 else ""))
        for (number, data, index), row in zip(places, fit.scaling, strict=True)
    ]


def _curve(fit: Fit, data: FirstRow, index: int, scaling: BinScaling, title: str) -> Curve:
    weight = data.row_weights[index]
    there = weight > 0
    tau, g2 = data.tau[there], data.c2[index][0, 1:][there]
    noise = scaling.noise if scaling.noise > 0 else 1.0
    error = weight[there] ** -0.5 if data.has_errors else np.full(len(tau), noise)
    lags = np.unique(np.concatenate([tau, np.geomspace(tau[0], tau[-1], _FINE)]))
    model = _model(fit, data, index, scaling, lags)
    skipped = fit.problem.choices.skip_lags if fit.problem is not None else 0
    residual = (g2 - model[np.searchsorted(lags, tau)]) / error
    return Curve(title, tau, g2, error, np.flatnonzero(there) >= skipped, residual, lags, model)


def _model(fit: Fit, data: FirstRow, index: int, scaling: BinScaling, lags: np.ndarray) -> np.ndarray:
    """The model of a bin at these lags, averaged over the bin as in the fit."""
    assert fit.problem is not None
    model = fit.problem.model
    values = {name: fit.values[name] for name in model.parameters}
    t = data.t[0] + np.concatenate([[0.0], lags])
    nodes = nodes_of(fit.statistics.bin_nodes or (1, 1), data, index)
    (s,) = averaged_tile(model, values, t, nodes, 0, 1, 1, len(lags))
    return scaling.offset + scaling.contrast * s


def _draw(part: SubFigure, curve: Curve) -> None:
    above, below = part.subplots(2, sharex=True, height_ratios=(5, 2))
    for which, face in ((curve.fitted, "tab:blue"), (~curve.fitted, "none")):
        style = {"fmt": "o", "markersize": 4, "color": "tab:blue", "markerfacecolor": face, "elinewidth": 1}
        above.errorbar(curve.tau[which], curve.g2[which], curve.error[which], **style)
        below.plot(
            curve.tau[which],
            curve.residual[which],
            "o",
            markersize=3,
            color="tab:blue",
            markerfacecolor=face,
        )
    above.plot(curve.model_tau, curve.model, color="tab:red", linewidth=1.4, zorder=3)
    below.axhline(0.0, color="tab:red", linewidth=1.0)
    above.set_xscale("log")
    above.set_title(curve.title, fontsize=_FONT)
    _label(above, r"$g_2$")
    _label(below, "residual / σ")
    below.set_xlabel(r"lag $\tau$ (s)", fontsize=_FONT)


def _label(axes: Axes, words: str) -> None:
    axes.set_ylabel(words, fontsize=_SMALL)
    axes.tick_params(labelsize=_SMALL)
