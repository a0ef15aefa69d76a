"""The fit-comparison figure: data, model and residual of every bin, and both averaged over age.

One row per bin: c2 | contrast · S + offset | (c2 - model) / σ over t1 and t2, then the averages over age
of data and model against the lag τ. σ is the bin's noise per element. The diagonal, which no fit uses, is drawn as
the mean of its neighbours in data and model (`heterodyne.data.diagonal`), for display only; in the residual it stays
blank, as do masked or dark frames everywhere, and neither enters an average over age. Matrices of more than 400 frame
periods, and those whose noise per element hides the contrast, are averaged over blocks of frames for display, and the
row's title says so; a block's residual is the mean of its elements' residuals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from heterodyne.bins.reading import read_bin
from heterodyne.data.diagonal import diagonal_from_neighbours
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError, HeterodyneError
from heterodyne.evaluators.meshgrid import averaged_matrix
from heterodyne.model import Model
from heterodyne.problem.averaging import nodes_of
from heterodyne.problem.problem import Problem
from heterodyne.result.fit import BinScaling, Fit
from heterodyne_viz.averages import block_average, lag_average, slots
from heterodyne_viz.pages import figures_folder, own_style, save_png

ROWS_PER_FILE = 5
"""Bins in one file: five rows have the shape of an upright A4 page."""

_MOST_BLOCKS = 400  # about the pixels across one image

_LEAST_BLOCKS = 100  # noise is averaged away no further than this

_NOISE = 0.4  # of the contrast: from here on a decay is hard to see

_FEW_PAIRS = 0.1  # of the longest lags, whose means of few pairs must not set the scale

_DPI = 150

_WIDTH, _HEIGHT = 13.6, 3.75  # of a row; these and the next two lines in inches

_LEFTS, _BOTTOM, _SIDE = (0.85, 3.5, 6.95, 10.95), 0.7, 2.45  # of the four panels, all square

_TITLE = (0.1, 3.52)

_FONT, _SMALL = 13.0, 11.0  # points

_BLANK = "0.75"  # grey: white would read as a residual of 0

_COLOURS, _DIVERGING = "viridis", "RdBu_r"


@dataclass(frozen=True, eq=False)
class Comparison:
    """One row's numbers: images (B, B), NaN where blank; averages over age at the lags ``lag`` in s.

    ``extent`` is (first, last, first, last) edge in s; ``residual`` is in units of σ where
    ``sigma_known``, else in those of c2.
    """

    title: str
    extent: tuple[float, float, float, float]
    data: np.ndarray
    model: np.ndarray
    residual: np.ndarray
    sigma_known: bool
    lag: np.ndarray
    data_average: np.ndarray
    model_average: np.ndarray


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write figures/fit-comparison-1.png, -2.png, ... into ``folder``, five bins each; returns their paths.

    Pages that an earlier, longer result left there are removed. Raises `HeterodyneError` for a fit
    without its data.
    """
    count = len(_bins(fit))
    home = figures_folder(folder)
    paths = []
    for page, first in enumerate(range(0, count, ROWS_PER_FILE), start=1):
        drawn = figure(fit, range(first, min(first + ROWS_PER_FILE, count)))
        paths.append(save_png(drawn, home / f"fit-comparison-{page}.png"))
    return paths


@own_style()
def figure(fit: Fit, bins: Sequence[int] | None = None) -> Figure:
    """The figure of these bins, numbered from 0 in the order of ``fit.scaling``; None takes all.

    Raises `HeterodyneError` for a fit without its data and `DataError` for a bin that does not exist.
    """
    rows = list(comparisons(fit, bins))
    page = Figure(figsize=(_WIDTH, _HEIGHT * len(rows)), dpi=_DPI)
    for below, row in zip(reversed(range(len(rows))), rows, strict=True):
        _draw(page, below * _HEIGHT, row)
    return page


def comparisons(fit: Fit, bins: Sequence[int] | None = None) -> Iterator[Comparison]:
    """The rows of these bins; one matrix is in memory at a time.

    Raises what `figure` raises, before anything is read.
    """
    places = _bins(fit)
    chosen = range(len(places)) if bins is None else bins
    for number in chosen:
        if not 0 <= number < len(places):
            raise DataError(f"the fit has no bin {number}; it has bins 0 to {len(places) - 1}")
    model = _problem(fit).model
    values = {name: fit.values[name] for name in model.parameters}
    return (_comparison(fit, model, values, *places[number]) for number in chosen)


def _problem(fit: Fit) -> Problem:
    if fit.problem is None:
        raise HeterodyneError(
            "this fit was read back from disk and holds no two-time data to draw; "
            "draw figures right after fitting: fit.save(folder, write=['figures'])"
        )
    return fit.problem


def _bins(fit: Fit) -> list[tuple[TwoTime, int, BinScaling, str]]:
    sets = _problem(fit).data
    suffixes = [f", data set {number}" if len(sets) > 1 else "" for number in range(1, len(sets) + 1)]
    places = [
        (data, index, _bin_title(data, index) + suffix)
        for data, suffix in zip(sets, suffixes, strict=True)
        for index in range(data.n_bins)
    ]
    return [(data, index, row, title) for (data, index, title), row in zip(places, fit.scaling, strict=True)]


def _bin_title(data: TwoTime, index: int) -> str:
    phi = data.phi[index]
    azimuth = "ring" if np.isnan(phi) else f"φ = {phi:.4g}°"
    return f"q = {data.q[index]:.4g} Å⁻¹, {azimuth}"


def _comparison(
    fit: Fit,
    model: Model,
    values: dict[str, float],
    data: TwoTime,
    index: int,
    scaling: BinScaling,
    title: str,
) -> Comparison:
    slot = slots(data.t, data.dt)
    width = _block_width(int(slot[-1]) + 1, scaling)
    bin = read_bin(data, index)
    weights = bin.weights()[: data.n_frames, : data.n_frames]
    usable = weights > 0
    d = bin.d[: data.n_frames, : data.n_frames]
    c2 = bin.moments.reference + np.divide(d, weights, out=np.zeros_like(d), where=usable)
    s = averaged_matrix(model, values, data.t, nodes_of(fit.statistics.bin_nodes or (1, 1), data, index))
    fitted = scaling.offset + scaling.contrast * s
    measured, modelled = (block_average(matrix, usable, slot // width) for matrix in (c2, fitted))
    first = float(data.t[0]) - 0.5 * data.dt
    last = first + len(measured) * width * data.dt
    sigma_known = scaling.noise > 0
    return Comparison(
        title=title + (f", images averaged over {width} × {width} frames" if width > 1 else ""),
        extent=(first, last, first, last),
        data=_with_diagonal(c2, usable, slot // width),
        model=_with_diagonal(fitted, usable, slot // width),
        residual=(measured - modelled) / (scaling.noise if sigma_known else 1.0),
        sigma_known=sigma_known,
        lag=np.arange(1, slot[-1] + 1) * data.dt,
        data_average=lag_average(c2, usable, slot)[1:],
        model_average=lag_average(fitted, usable, slot)[1:],
    )


def _with_diagonal(matrix: np.ndarray, usable: np.ndarray, block: np.ndarray) -> np.ndarray:
    """The image of the matrix, with neighbours' means on its diagonal."""
    shown = diagonal_from_neighbours(np.where(usable, matrix, np.nan))
    return block_average(shown, np.isfinite(shown), block)


def _block_width(periods: int, scaling: BinScaling) -> int:
    """Frames to average over for display: as many as the noise asks for, while the image stays fine."""
    tolerated = _NOISE * abs(scaling.contrast)
    quiet = math.ceil(scaling.noise / tolerated) if scaling.noise > tolerated > 0.0 else 1
    return max(math.ceil(periods / _MOST_BLOCKS), min(quiet, periods // _LEAST_BLOCKS))


def _draw(page: Figure, base: float, row: Comparison) -> None:
    width, height = page.get_size_inches()
    data, model, residual, average = (
        page.add_axes((left / width, (base + _BOTTOM) / height, _SIDE / width, _SIDE / height))
        for left in _LEFTS
    )
    page.text(_TITLE[0] / width, (base + _TITLE[1]) / height, row.title, fontsize=_FONT, fontweight="bold")
    low, high = np.nanpercentile(row.data, (0.5, 99.5))
    limit = np.nanpercentile(np.abs(row.residual), 99.5) or 1.0
    _draw_image(data, row.extent, row.data, _COLOURS, low, high)
    _draw_colorbar(page, _draw_image(model, row.extent, row.model, _COLOURS, low, high))
    _draw_colorbar(page, _draw_image(residual, row.extent, row.residual, _DIVERGING, -limit, limit))
    _draw_average(average, row)
    _label(data, "data $c_2$", "$t_1$ (s)", "$t_2$ (s)")
    _label(model, "model $c_2$", "$t_1$ (s)")
    _label(residual, "(data − model) / σ" if row.sigma_known else "data − model", "$t_1$ (s)")
    _label(average, "average over age", r"lag $\tau$ (s)", r"$\langle c_2 \rangle$")
    for beside in (model, residual):
        beside.tick_params(labelleft=False)


def _draw_image(
    axes: Axes,
    extent: tuple[float, float, float, float],
    values: np.ndarray,
    colours: str,
    low: float,
    high: float,
) -> AxesImage:
    axes.set_facecolor(_BLANK)
    image = axes.imshow(
        values, cmap=colours, vmin=low, vmax=high, extent=extent, origin="lower", interpolation="antialiased"
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    return image


def _draw_colorbar(page: Figure, image: AxesImage) -> None:
    beside = image.axes.inset_axes((1.04, 0.0, 0.045, 1.0))
    page.colorbar(image, cax=beside, extend="both")
    beside.tick_params(labelsize=_SMALL)


def _draw_average(axes: Axes, row: Comparison) -> None:
    axes.plot(row.lag, row.data_average, "o", markersize=4, markeredgewidth=0, color="0.5", label="data")
    axes.plot(row.lag, row.model_average, color="tab:red", linewidth=1.2, label="model")
    axes.set_xscale("log")
    sure = row.lag <= (1.0 - _FEW_PAIRS) * row.lag[-1]
    shown = np.concatenate([row.data_average[sure], row.model_average])
    low, high = np.nanmin(shown), np.nanmax(shown)
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    axes.legend(fontsize=_SMALL, frameon=False)


def _label(axes: Axes, name: str, horizontal: str, vertical: str = "") -> None:
    axes.set_title(name, fontsize=_FONT)
    axes.set_xlabel(horizontal, fontsize=_FONT)
    axes.set_ylabel(vertical, fontsize=_FONT)
    axes.tick_params(labelsize=_SMALL)
