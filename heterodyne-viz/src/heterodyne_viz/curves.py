"""The figure of the derived curves: J(t), v(t) and f(t) with their 95 % bands, those of draws with 68 % too.

A curve that the data do not determine is drawn dotted and without a band. Beside a rate J stands the axis of
D = J/2, the Stokes-Einstein diffusion coefficient; a rate whose band spans more than a factor of 100 is drawn over its
logarithm.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heterodyne.errors import HeterodyneError
from heterodyne.kernels.curves import RATE
from heterodyne.result.band import Band
from heterodyne.result.fit import Fit
from heterodyne_viz.pages import figures_folder, own_style, save_png

FILE = "curves.png"

_WIDTH, _HEIGHT, _EDGE, _DPI = 6.4, 2.4, 0.5, 150  # inches: of the page, of a panel, below all panels

_FONT, _SMALL = 13.0, 11.0  # points

_DECADES = 100.0  # high over low from which a rate is drawn over its logarithm

_ROOM = 0.05  # of the range of a curve and its band, above and below


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write figures/curves.png into ``folder``; returns its path, none for a model without curves."""
    home = figures_folder(folder)
    return [save_png(figure(fit), home / FILE)] if fit.curves else []


@own_style()
def figure(fit: Fit) -> Figure:
    """The figure of all curves of a fit; raises `HeterodyneError` where it has none."""
    if not fit.curves:
        raise HeterodyneError(f"the fit of {fit.model} holds no curves of time to draw")
    page = Figure(figsize=(_WIDTH, _HEIGHT * len(fit.curves) + _EDGE), dpi=_DPI, layout="constrained")
    panels = np.atleast_1d(page.subplots(len(fit.curves), sharex=True))
    for axes, band in zip(panels, fit.curves, strict=True):
        _draw(axes, band)
    panels[-1].set_xlabel("t (s)", fontsize=_FONT)
    return page


def _draw(axes: Axes, band: Band) -> None:
    known = np.isfinite(band.error)
    axes.plot(band.t, np.where(known, band.value, np.nan), color="tab:blue")
    axes.fill_between(band.t, band.low, band.high, color="tab:blue", alpha=0.25, linewidth=0)
    if band.inner_low is not None and band.inner_high is not None:
        axes.fill_between(band.t, band.inner_low, band.inner_high, color="tab:blue", alpha=0.3, linewidth=0)
    if not known.all():
        axes.plot(band.t, np.where(known, np.nan, band.value), ":", color="0.5", label="undetermined")
        axes.legend(fontsize=_SMALL, frameon=False)
    shown = np.concatenate([band.value, band.low[known], band.high[known]])
    if band.unit == RATE:
        _add_diffusion(axes, band.name)
    if band.unit == RATE and 0.0 < _DECADES * shown.min() < shown.max():
        axes.set_yscale("log")
    else:
        room = _ROOM * (shown.max() - shown.min()) or 0.1 * abs(shown.max()) or 1.0
        axes.set_ylim(shown.min() - room, shown.max() + room)
    symbol = _symbol(band.name)
    axes.set_ylabel(symbol if band.unit == "1" else f"{symbol} ({band.unit})", fontsize=_FONT)
    axes.tick_params(labelsize=_SMALL)


def _add_diffusion(axes: Axes, name: str) -> None:
    """The axis of half of a rate, at the right."""
    right = axes.secondary_yaxis("right", functions=(partial(np.multiply, 0.5), partial(np.multiply, 2.0)))
    right.set_ylabel(f"D = {_symbol(name)}/2 ({RATE})", fontsize=_SMALL)
    right.tick_params(labelsize=_SMALL)


def _symbol(name: str) -> str:
    letter, _, which = name.partition("_")
    return rf"${letter}_{{\mathrm{{{which}}}}}$" if which else f"${letter}$"
