"""`heterodyne fit`: from data files to a report, and to an output folder where one is given.

One model is fitted to all bins, or to each q, azimuth or file alone (``--by``), or several models are compared.
"""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heterodyne.errors import ConfigError, HeterodyneError
from heterodyne_cli.checkpoint import OPTION, RESUME, default_checkpoint, remove_done, told_if_interrupted
from heterodyne_cli.flags import MODEL_PANEL, check_owner
from heterodyne_cli.output import NOT_CONVERGED, progress, show
from heterodyne_cli.selection import load_with, present, selecting

if TYPE_CHECKING:
    from heterodyne.config.schema import FitConfig
    from heterodyne.fitting.comparison import Comparison
    from heterodyne.fitting.series import Series
    from heterodyne.result.fit import Fit

_OUTPUT = "Output"

Files = Annotated[
    list[str] | None, typer.Argument(metavar="DATA", help="Files or patterns ('runs/*.h5'), fitted jointly.")
]

ConfigFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Configuration in YAML; options here override it.")
]

ModelName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Model variant (default two-component).", rich_help_panel=MODEL_PANEL),
]

Compare = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,...",
        help="Fit several model variants to the same data and say which one the data prefer.",
        rich_help_panel=MODEL_PANEL,
    ),
]

By = Annotated[
    str | None,
    typer.Option(
        metavar="q|phi|file",
        help="One fit per q, azimuth or file, parameters against it, and whether they are constant.",
        rich_help_panel=MODEL_PANEL,
    ),
]

OptimizerName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Optimizer (default nlsq).", rich_help_panel=MODEL_PANEL),
]

Write = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,...",
        help="What to write into the folder (default json,npz,profiles and what the optimizer adds).",
        rich_help_panel=_OUTPUT,
    ),
]

Output = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.", rich_help_panel=_OUTPUT),
]

JsonResult = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the result as JSON (fit.json) instead of the report.", rich_help_panel=_OUTPUT
    ),
]

Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print neither progress nor report.", rich_help_panel=_OUTPUT)
]


@selecting
def fit(
    context: typer.Context,
    data: Files = None,
    config: ConfigFile = None,
    model: ModelName = None,
    compare: Compare = None,
    by: By = None,
    optimizer: OptimizerName = None,
    write: Write = None,
    output: Output = None,
    json: JsonResult = False,
    quiet: Quiet = False,
    *,
    selected: Mapping[str, Any],
    choices: Mapping[str, Any],
    options: Mapping[str, Any],
) -> None:
    """Fit a model to two-time correlation matrices, or to one-time g2; no start values are needed.

    Without -o the report is printed and nothing is written.

    Exit status: 0 converged, 1 input rejected, 2 wrong command line, 3 not converged.
    """
    stated = {**present(data=data), **selected}
    stated |= present(model=model, compare=compare, by=by, optimizer=optimizer, write=write, output=output)
    settings = _settings(config, {**stated, **choices, "options": dict(options)})
    checkpoint = default_checkpoint(settings)
    with told_if_interrupted(checkpoint):
        with progress(quiet) as say:
            result = _fitted(settings, checkpoint, context.obj.arguments, say)
        written = _saved(result, settings, json, quiet)
        _show(result, json, quiet)
        if written and not quiet:
            show("\n".join(f"wrote {path}" for path in written), sys.stderr)
    _warn(result)
    remove_done(checkpoint, [part.checkpoint for part in _parts(result).values()])
    if not result.success:
        raise typer.Exit(NOT_CONVERGED)


def _fitted(
    settings: FitConfig, checkpoint: Path | None, arguments: tuple[str, ...], say: Callable[[str], None]
) -> Fit | Series | Comparison:
    """What a configuration states; the provenance of fits holds the configuration and the command."""
    import heterodyne as het
    from heterodyne.config.schema import effective
    from heterodyne.result.provenance import Provenance

    config = effective(settings)
    data = [load_with(path, settings) for path in settings.data]
    stated = {**vars(settings.choices), "optimizer": settings.optimizer, "options": config["options"]}
    stated["progress"] = say
    if checkpoint is not None:  # not in the provenance: whoever repeats the fit has a folder of their own
        stated["options"] = {**config["options"], OPTION: str(checkpoint)}
        config = {**config, "options": {**config["options"], RESUME: False}}
    origin = Provenance(config=config, command=shlex.join(("heterodyne", *arguments)))

    def noted(fit: Fit) -> Fit:
        return replace(fit, provenance=fit.provenance | origin)

    if settings.compare:
        compared = het.compare(data, settings.compare, **stated)
        return replace(compared, fits={name: noted(fit) for name, fit in compared.fits.items()})
    if settings.by is not None:
        series = het.fit_by(data, settings.by, model=settings.model, **stated)
        return replace(series, groups=tuple(replace(group, fit=noted(group.fit)) for group in series.groups))
    return noted(het.fit(data, settings.model, **stated))


def _settings(file: Path | None, stated: Mapping[str, Any]) -> FitConfig:
    """File and command line joined, every name in them checked, and the folder that is to be written."""
    from heterodyne.atomic import check_folder
    from heterodyne.config.files import read_config
    from heterodyne.config.schema import FitConfig, check_names, create_config
    from heterodyne.loading.patterns import expanded
    from heterodyne.plugins.outputs import Writer, default_outputs, find_writers

    base = FitConfig() if file is None else read_config(file)
    settings = base.overridden(create_config(stated, "command line"))
    check_owner(settings.optimizer, stated["options"])
    check_names(settings)
    if not settings.data:
        raise ConfigError(
            "no data to fit: name files, as in `heterodyne fit run.h5`, or set data in --config"
        )
    settings = settings.model_copy(update={"data": expanded(settings.data)})
    if settings.output is not None:
        check_folder(Path(settings.output))
        named = default_outputs(settings.optimizer) if settings.write is None else settings.write
        for record in find_writers(named):
            record.resolve(Writer)  # one that cannot be loaded must not cost a fit
    elif settings.write:
        raise ConfigError("there is something to write but no folder for it: add -o DIR")
    return settings


def _saved(result: Fit | Series | Comparison, settings: FitConfig, json: bool, quiet: bool) -> list[Path]:
    """The files written, before anything is printed: output that nobody reads must not cost the fit.

    Where they cannot be written the result is printed at least: neither may a disk that is full.
    """
    if settings.output is None:
        return []
    try:
        written = result.save(settings.output, settings.write)
    except HeterodyneError:
        _show(result, json, quiet=False)
        raise
    if not written:
        warnings.warn(
            f"nothing is written: the result has no {', '.join(settings.write or ())}", stacklevel=2
        )
    return written


def _show(result: Fit | Series | Comparison, json: bool, quiet: bool) -> None:
    if json:
        show(_json_text(result).removesuffix("\n"))
    elif not quiet:
        show(result.report())


def _warn(result: Fit | Series | Comparison) -> None:
    for label, part in _parts(result).items():
        if not part.success:
            reason = f" ({part.message})" if part.message else ""
            warnings.warn(f"the fit{label} did not converge: {part.verdict}{reason}", stacklevel=2)


def _json_text(result: Fit | Series | Comparison) -> str:
    from heterodyne.result.document import fit_text
    from heterodyne.result.fit import Fit

    return fit_text(result) if isinstance(result, Fit) else result.text()


def _parts(result: Fit | Series | Comparison) -> Mapping[str, Fit]:
    """The fits in a result, each with the words that tell it from the others."""
    from heterodyne.fitting.comparison import Comparison
    from heterodyne.fitting.series import Series

    if isinstance(result, Comparison):
        return {f" of {name}": part for name, part in result.fits.items()}
    if isinstance(result, Series):
        return {f" of {group.name}": group.fit for group in result.groups}
    return {"": result}
