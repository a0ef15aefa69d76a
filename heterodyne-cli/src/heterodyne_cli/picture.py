"""A matrix as a picture: in the terminal, in shades of characters where that is none, or as PNG."""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from heterodyne.errors import ConfigError, DataError
from heterodyne_cli.output import refuse_existing, show

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from heterodyne.data.picture import Picture
    from heterodyne.data.two_time import TwoTime

_PLAIN = 72  # columns where there is no terminal
_LINES_BESIDE = 4  # caption, prompt
_FINE = 1000  # pixels across a PNG
_SHADES = ".:-=+*#%@"
_COLOURS = ((24, 14, 72), (38, 74, 138), (30, 136, 140), (112, 190, 92), (250, 236, 110))
_RESET = "\x1b[0m"


def picture_file(path: Path, force: bool) -> None:
    """Raise `ConfigError` unless a PNG of this name may be written, and matplotlib is there to draw it."""
    if path.suffix.lower() != ".png":
        raise ConfigError(f"pictures are written as PNG: {path} must end in .png")
    refuse_existing(path, force)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError("a PNG needs matplotlib: pip install heterodyne-cli[viz]") from None


def draw(data: TwoTime, number: int, path: Path | None) -> None:
    """Draw the matrix of bin ``number``, from 1, into a file or here; raises `DataError` if there is no such bin."""
    from heterodyne.data.picture import picture

    if not 1 <= number <= data.n_bins:
        raise DataError(f"there is no bin {number} to draw; bins are 1 to {data.n_bins} of those selected")
    if path is not None:
        shown = picture(data, number - 1, _FINE)
        _save(shown, path)
        show(f"wrote {path}: {shown.caption}")
        return
    coloured = sys.stdout.isatty()
    shown = picture(data, number - 1, _across() if coloured else _PLAIN)
    show(shown.caption)
    print(half_blocks(shown) if coloured else shades(shown))


def _across() -> int:
    """Pixels across a square that the terminal has room for, two of them in the height of a line."""
    columns, lines = shutil.get_terminal_size()
    return max(20, min(columns, 2 * (lines - _LINES_BESIDE)))


def half_blocks(picture: Picture) -> str:
    """The picture in half-blocks of 24-bit colour, two rows of pixels a line, times rising to the right and up."""

    colours = [[_colour(value) for value in row] for row in _scaled(picture)[::-1]]
    if len(colours) % 2:
        colours.append([None] * len(colours))
    pairs = zip(colours[::2], colours[1::2], strict=True)
    return "\n".join("".join(map(_cell, *pair)) + _RESET for pair in pairs)


def _cell(above: tuple[int, int, int] | None, below: tuple[int, int, int] | None) -> str:
    """Two pixels, one above the other; None leaves the terminal's background."""
    if above is None and below is None:
        return f"{_RESET} "
    if above is None:
        return f"{_RESET}\x1b[38;2;{_code(below)}m▄"
    if below is None:
        return f"{_RESET}\x1b[38;2;{_code(above)}m▀"
    return f"\x1b[38;2;{_code(above)};48;2;{_code(below)}m▀"


def _code(colour: tuple[int, int, int] | None) -> str:
    return ";".join(map(str, colour or ()))


def _colour(value: float) -> tuple[int, int, int] | None:
    """The colour of a value from 0 to 1, None for NaN."""
    if math.isnan(value):
        return None
    place = value * (len(_COLOURS) - 1)
    first = min(int(place), len(_COLOURS) - 2)
    part = place - first
    red, green, blue = (
        round((1 - part) * a + part * b) for a, b in zip(_COLOURS[first], _COLOURS[first + 1], strict=True)
    )
    return red, green, blue


def shades(picture: Picture) -> str:
    """The picture in characters from . to @, blank where nothing is used, two rows of pixels a line."""
    import numpy as np

    values = _scaled(picture)[::-1]
    if len(values) % 2:
        values = np.concatenate([values, np.full((1, len(values)), np.nan)])
    pairs = np.stack([values[::2], values[1::2]])
    known = np.isfinite(pairs)
    count = known.sum(axis=0)
    total = np.where(known, pairs, 0.0).sum(axis=0)
    means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return "\n".join("".join(map(_shade, row)).rstrip() for row in means)


def _shade(value: float) -> str:
    return " " if math.isnan(value) else _SHADES[min(int(value * len(_SHADES)), len(_SHADES) - 1)]


def _scaled(picture: Picture) -> np.ndarray:
    """The values from 0 to 1."""
    span = picture.high - picture.low
    return ((picture.values - picture.low) / (span if span > 0 else 1.0)).clip(0.0, 1.0)


def _save(picture: Picture, path: Path) -> None:
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from heterodyne.atomic import replacing

    with style.context("default", after_reset=True):  # not that of the user's matplotlibrc
        page = _page(picture)
        with replacing(path) as temporary, temporary.open("wb") as file:
            FigureCanvasAgg(page).print_png(file)


def _page(picture: Picture) -> Figure:
    from matplotlib.figure import Figure

    page = Figure(figsize=(7.0, 6.4), dpi=150, layout="constrained")
    axes = page.subplots()
    axes.set_facecolor("0.75")  # white would read as a value
    first, last = picture.times
    image = axes.imshow(
        picture.values,
        vmin=picture.low,
        vmax=picture.high,
        extent=(first, last, first, last),
        origin="lower",
        interpolation="antialiased",
    )
    page.colorbar(image, ax=axes, extend="both", label="$c_2$")
    axes.set_title(picture.caption.replace(": ", "\n", 1), fontsize=9)
    axes.set_xlabel("$t_1$ (s)")
    axes.set_ylabel("$t_2$ (s)")
    return page
