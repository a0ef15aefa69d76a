"""What commands that read data have in common: which file, which bins and frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from heterodyne.config.schema import FitConfig
    from heterodyne.data.two_time import TwoTime

_PANEL = "Selection"

Q = Annotated[
    list[str] | None,
    typer.Option(
        metavar="VALUE|LO:HI",
        help="Wavevectors in 1/Å: a value takes the nearest ring, LO:HI a range. Repeatable.",
        rich_help_panel=_PANEL,
    ),
]
Phi = Annotated[
    list[str] | None,
    typer.Option(
        metavar="VALUE|LO:HI",
        help="Azimuths in degrees: a value takes the nearest, LO:HI a range (LO > HI wraps). Repeatable.",
        rich_help_panel=_PANEL,
    ),
]
Frames = Annotated[
    str | None,
    typer.Option(metavar="A:B", help="First and last frame, from 1, both included.", rich_help_panel=_PANEL),
]
Dt = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Frame spacing, in place of the file's.", rich_help_panel=_PANEL),
]
Age = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Time before the first stored frame, in place of the file's.",
        rich_help_panel=_PANEL,
    ),
]
LoaderName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="File layout; recognised if not given.", rich_help_panel=_PANEL),
]
AllowLinks = Annotated[
    bool | None,
    typer.Option(
        "--allow-links",
        help="Read other files that an HDF5 file links to, or has its values in.",
        rich_help_panel=_PANEL,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def present(**values: Any) -> dict[str, Any]:
    """The options that are on the command line: those that are neither None nor empty lists."""
    return {name: value for name, value in values.items() if value is not None and value != []}


def load_selected(path: str, values: Mapping[str, Any]) -> TwoTime:
    """The data of one file under the selection options of the command line."""
    from heterodyne.config.schema import create_config

    return load_with(path, create_config(values, "command line"))


def load_with(path: str, config: FitConfig) -> TwoTime:
    """The data of one file under the selection of a configuration."""
    from heterodyne.loading.load import load

    return load(
        path,
        q=list(config.q) or None,
        phi=list(config.phi) or None,
        frames=config.frames,
        dt=config.dt,
        age=config.age,
        loader=config.loader,
        allow_links=config.allow_links,
    )
