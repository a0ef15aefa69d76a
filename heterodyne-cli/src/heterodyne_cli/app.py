"""The program: every plugin adds its commands, and whatever a user can mend ends in one line.

Exit status: 0 done and converged; 1 rejected; 2 not understood by the option parser; 3 ran but did not
converge; 130 interrupted.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import Annotated, TextIO

import typer

from heterodyne.errors import HeterodyneError, escaped
from heterodyne.plugins.manager import Plugin, manager

NAME = "heterodyne"


@dataclass(frozen=True)
class Invocation:
    """How the program was called, and the plugins whose commands could not be added."""

    arguments: tuple[str, ...]
    broken: tuple[Plugin, ...]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program with these arguments (those of the process if None) and exit with its status."""
    arguments = tuple(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # Å and α must not end a fit on a narrow terminal
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            app, broken = create_app()
            app(list(arguments), prog_name=NAME, obj=Invocation(arguments, broken))
        except HeterodyneError as error:
            _fail(str(error))
        except MemoryError as error:
            _fail(f"not enough memory: {error}")
        except Warning as warning:  # where PYTHONWARNINGS or -W makes errors of warnings
            _fail(str(warning))
        except OSError as error:
            _fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))


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


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"{NAME}: warning: {_one_line(message)}", file=file or sys.stderr)


def _fail(message: str) -> None:
    print(f"{NAME}: error: {_one_line(message)}", file=sys.stderr)
    sys.exit(1)


def _one_line(message: object) -> str:
    return escaped(" ".join(str(message).split()))
