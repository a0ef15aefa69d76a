"""The program's own commands, added through the same hook as anyone's."""

from __future__ import annotations

import typer

from heterodyne.plugins import hookimpl
from heterodyne_cli.commands import config, convert, demo, fit, inspect, models, optimizers, plugins, simulate
from heterodyne_cli.flags import with_flags


@hookimpl
def heterodyne_commands(app: typer.Typer) -> None:
    """Commands of `heterodyne`, one per module."""
    app.command("fit")(with_flags(fit.fit))
    app.command("simulate")(simulate.simulate)
    app.command("inspect")(inspect.inspect)
    app.command("convert")(convert.convert)
    app.command("demo")(demo.demo)
    app.add_typer(config.app, name="config")
    app.command("models")(models.models)
    app.command("optimizers")(optimizers.optimizers)
    app.command("plugins")(plugins.plugins)
