"""What commands that read data have in common: which file, which bins and frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from heterodyne.config.schema import FitConfig
    from heterodyne.data.one_time import OneTime
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
        metavar="VALUE|LO:HI|ring",
        help="Azimuths in degrees: a value takes the nearest, LO:HI a range (LO > HI wraps), ring a bin without "
        "an azimuth. Repeatable.",
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
Dq = Annotated[
    float | None,
    typer.Option(
        metavar="VALUE", help="Full width of bins in 1/Å, in place of the file's.", rich_help_panel=_PANEL
    ),
]
Dphi = Annotated[
    float | None,
    typer.Option(
        metavar="DEGREES",
        help="Full width of bins in degrees, in place of the file's.",
        rich_help_panel=_PANEL,
    ),
]
Baseline = Annotated[
    float | None,
    typer.Option(
        metavar="0|1",
        help="c2 without correlation, as stored; data of 0 (g2 - 1) are shifted by +1.",
        rich_help_panel=_PANEL,
    ),
]
ExcludeFrames = Annotated[
    list[str] | None,
    typer.Option(
        metavar="N,A:B|@FILE",
        help="Bad frames to leave out, from 1, or a text file that lists them. Repeatable.",
        rich_help_panel=_PANEL,
    ),
]
Mask = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.npz",
        help="Frames to use: key mask, per frame or (bins, frames), True is used.",
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
SymmetriseHow = Annotated[
    str | None,
    typer.Option(
        "--symmetrise",
        metavar="mean|upper|lower",
        help="What counts where the halves of a matrix differ.",
        rich_help_panel=_PANEL,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Which array is c2, which analysis or trains, in files of several.",
        rich_help_panel=_PANEL,
    ),
]
OneTimeOnly = Annotated[
    bool | None,
    typer.Option(
        "--one-time",
        help="The one-time data g2 of a file that holds two-time data as well.",
        rich_help_panel=_PANEL,
    ),
]
Cache = Annotated[
    bool | None,
    typer.Option(
        "--cache",
        help="Keep matrices that are stored in one piece in tiles in the cache folder, for later runs.",
        rich_help_panel=_PANEL,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def present(**values: Any) -> dict[str, Any]:
    """The options that are on the command line: those that are neither None nor empty lists."""
    return {name: value for name, value in values.items() if value is not None and value != []}


_OPTIONS: Mapping[str, Any] = {
    "q": Q,
    "phi": Phi,
    "frames": Frames,
    "dt": Dt,
    "age": Age,
    "dq": Dq,
    "dphi": Dphi,
    "baseline": Baseline,
    "exclude_frames": ExcludeFrames,
    "mask": Mask,
    "loader": LoaderName,
    "allow_links": AllowLinks,
    "symmetrise": SymmetriseHow,
    "key": Key,
    "one_time": OneTimeOnly,
    "cache": Cache,
}


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with the options of a selection in place of its parameter ``selected``.

    It is called with a mapping from the names of those that are on the command line to their values.
    """
    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[name])
        for name, parameter in signature(command).parameters.items()
        if name != "selected"
    ]
    every = own + [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in _OPTIONS.items()
    ]

    @wraps(command)
    def extended(**stated: Any) -> None:
        selected = {name: stated.pop(name) for name in _OPTIONS}
        command(**stated, selected=present(**selected))

    extended.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
    vars(extended)["__signature__"] = signature(command).replace(parameters=every, return_annotation=None)
    return extended


def load_selected(path: str, values: Mapping[str, Any]) -> TwoTime | OneTime:
    """The data of one file under the selection options of the command line."""
    from heterodyne.config.schema import create_config

    return load_with(path, create_config(values, "command line"))


def load_with(path: str, config: FitConfig) -> TwoTime | OneTime:
    """The data of one file under the selection of a configuration."""
    from heterodyne.loading.load import load

    return load(
        path,
        q=list(config.q) or None,
        phi=list(config.phi) or None,
        frames=config.frames,
        dt=config.dt,
        age=config.age,
        dq=config.dq,
        dphi=config.dphi,
        baseline=config.baseline,
        exclude_frames=list(config.exclude_frames) or None,
        mask=config.mask,
        loader=config.loader,
        allow_links=config.allow_links,
        symmetrise=config.symmetrise,
        key=config.key,
        one_time=config.one_time,
        cache=config.cache,
    )
