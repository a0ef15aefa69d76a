"""`heterodyne fit`: from data files to a report, and to an output folder where one is given."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heterodyne.errors import ConfigError
from heterodyne_cli.flags import check_owner
from heterodyne_cli.output import progress
from heterodyne_cli.selection import Age, Dt, Frames, Loader, Phi, Q, given, load_with

if TYPE_CHECKING:
    from heterodyne.config.schema import FitConfig
    from heterodyne.result import Fit

_MODEL, _OUTPUT = "Model", "Output"
_NOT_CONVERGED = 3

Files = Annotated[list[str] | None, typer.Argument(metavar="DATA", help="Files, fitted jointly.")]
ConfigFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Configuration in YAML; options here override it.")
]
ModelName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Model variant (default two-component).", rich_help_panel=_MODEL),
]
OptimizerName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Optimizer (default nlsq).", rich_help_panel=_MODEL),
]
Fix = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME[=V]", help="Hold a parameter. Repeatable.", rich_help_panel=_MODEL),
]
Start = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=V", help="Start value; none is needed. Repeatable.", rich_help_panel=_MODEL),
]
Bounds = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=LO:HI", help="Bounds of a parameter. Repeatable.", rich_help_panel=_MODEL),
]
Tie = Annotated[
    list[str] | None,
    typer.Option(metavar="A=B", help="Keep parameter A equal to B. Repeatable.", rich_help_panel=_MODEL),
]
Design = Annotated[
    str | None,
    typer.Option(
        metavar="auto|individual|shared|fourier:M|VALUE",
        help="One per bin, one per q, harmonics of phi per q, or held at a value; auto (default) takes one "
        "per bin where every contrast is known to 20 %, else one per q.",
        rich_help_panel=_MODEL,
    ),
]
SkipLags = Annotated[
    int | None,
    typer.Option(
        metavar="M", help="Leave out the M lags next to the diagonal (default 0).", rich_help_panel=_MODEL
    ),
]
Write = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,...", help="What to write into the folder (default json,npz).", rich_help_panel=_OUTPUT
    ),
]
Output = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.", rich_help_panel=_OUTPUT),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print fit.json instead of the report.", rich_help_panel=_OUTPUT)
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print neither progress nor report.", rich_help_panel=_OUTPUT)
]


def fit(
    context: typer.Context,
    data: Files = None,
    config: ConfigFile = None,
    q: Q = None,
    phi: Phi = None,
    frames: Frames = None,
    dt: Dt = None,
    age: Age = None,
    loader: Loader = None,
    model: ModelName = None,
    optimizer: OptimizerName = None,
    fix: Fix = None,
    start: Start = None,
    bounds: Bounds = None,
    tie: Tie = None,
    contrast: Design = None,
    offset: Design = None,
    skip_lags: SkipLags = None,
    write: Write = None,
    output: Output = None,
    json: Json = False,
    quiet: Quiet = False,
    *,
    options: Mapping[str, Any],
) -> None:
    """Fit a model to two-time correlation matrices; no start values are needed.

    Without -o the report is printed and nothing is written.

    Exit status: 0 converged, 1 input rejected, 2 wrong command line, 3 not converged.
    """
    chosen = given(data=data, q=q, phi=phi, frames=frames, dt=dt, age=age, loader=loader)
    chosen |= given(model=model, optimizer=optimizer, fix=fix, start=start, bounds=bounds, tie=tie)
    chosen |= given(contrast=contrast, offset=offset, skip_lags=skip_lags, write=write, output=output)
    settings = _settings(config, {**chosen, "options": dict(options)})
    with progress(quiet) as say:
        result = _fit(settings, context.obj.arguments, say)
    written = [] if settings.output is None else result.save(settings.output, settings.write)
    _show(result, written, json, quiet)
    if not result.success:
        raise typer.Exit(_NOT_CONVERGED)


def _fit(settings: FitConfig, arguments: tuple[str, ...], say: Callable[[str], None]) -> Fit:
    """The fit that a configuration states; its provenance holds the configuration and the command."""
    import heterodyne as het
    from heterodyne.config.schema import effective

    config = effective(settings)
    result = het.fit(
        [load_with(path, settings) for path in settings.data],
        **{name: config[name] for name in ("model", "optimizer", "options")},
        **{name: getattr(settings, name) for name in ("fix", "start", "bounds", "tie")},
        **{name: getattr(settings, name) for name in ("contrast", "offset", "skip_lags")},
        progress=say,
    )
    command = shlex.join(("heterodyne", *arguments))
    return replace(result, provenance={**result.provenance, "config": config, "command": command})


def _settings(file: Path | None, chosen: Mapping[str, Any]) -> FitConfig:
    """File and command line joined, every name in them checked, and the folder that is to be written."""
    from heterodyne.config.files import read_config
    from heterodyne.config.schema import FitConfig, check_names, create_config
    from heterodyne.io.writers import check_folder, find_writers

    base = FitConfig() if file is None else read_config(file)
    settings = base.overridden(create_config(chosen, "command line"))
    check_owner(settings.optimizer, chosen["options"])
    check_names(settings)
    if not settings.data:
        raise ConfigError(
            "no data to fit: name files, as in `heterodyne fit run.h5`, or set data in --config"
        )
    if settings.output is not None:
        check_folder(Path(settings.output))
        for record in find_writers(settings.write):
            record.resolve()  # one that cannot be loaded must not cost a fit
    elif settings.write and "write" in settings.model_fields_set:
        raise ConfigError("there is something to write but no folder for it: add -o DIR")
    return settings


def _show(result: Fit, written: list[Path], json: bool, quiet: bool) -> None:
    from heterodyne.io.results import fit_text

    if json:
        print(fit_text(result), end="")
    elif not quiet:
        print(result.report())
    if written and not quiet:
        print(*(f"wrote {path}" for path in written), sep="\n", file=sys.stderr)
    if not result.success:
        reason = f" ({result.message})" if result.message else ""
        warnings.warn(f"the fit did not converge: {result.verdict}{reason}", stacklevel=2)
