"""The program's commands: every plugin adds its own."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from heterodyne.plugins.manager import Plugin, manager
from heterodyne_cli.output import NAME


@dataclass(frozen=True)
class Invocation:
    """How the program was called, and the plugins whose commands could not be added."""

    arguments: tuple[str, ...]
    broken: tuple[Plugin, ...]


def run(arguments: tuple[str, ...]) -> None:
    """Run the command that these arguments name; always ends in `SystemExit` or in an error."""
    app, broken = create_app()
    app(list(arguments), prog_name=NAME, obj=Invocation(arguments, broken))


def create_app() -> tuple[typer.Typer, tuple[Plugin, ...]]:
    """The program with the commands of every plugin, and the plugins that failed to add theirs."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(program)
    return app, manager().add_commands(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"{NAME} {version_of('heterodyne-cli')} (core {version_of('heterodyne-core')})")
        raise typer.Exit


def program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the installed versions and exit."
        ),
    ] = False,
) -> None:
    """Transport coefficients, velocity and fractions from two-time X-ray photon correlations."""
