"""Figures in one style, as files that appear whole or not at all."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from heterodyne.atomic import replacing

own_style = partial(style.context, "default", after_reset=True)
"""Decorates what draws: the style of these figures is not that of the user's matplotlibrc."""


def figures_folder(folder: Path) -> Path:
    """The folder figures/ in ``folder``, made if need be."""
    home = Path(folder) / "figures"
    home.mkdir(parents=True, exist_ok=True)
    return home


@own_style()
def save_png(page: Figure, path: Path) -> Path:
    """Write the figure as PNG; returns the path."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        FigureCanvasAgg(page).print_png(file)
    return path
