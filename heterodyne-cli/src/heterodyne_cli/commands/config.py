"""`heterodyne config`: a template, a check and the schema of configuration files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from heterodyne.errors import HeterodyneError
from heterodyne_cli.output import print_json, refuse_existing, show

app = typer.Typer(no_args_is_help=True, help="Make and check configuration files of `heterodyne fit`.")


@app.command("new")
def new(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="File to write; printed if not given.")
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME", help="Model variant.")] = "two-component",
    optimizer: Annotated[str, typer.Option(metavar="NAME", help="Optimizer.")] = "nlsq",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Make a commented configuration file."""
    from heterodyne.atomic import replacing
    from heterodyne.config.template import template

    text = template(model, optimizer)
    if file is None:
        print(text, end="")
        return
    refuse_existing(file, force)
    with replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    show(f"wrote {file}")


@app.command("check")
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="Configuration in YAML.")]) -> None:
    """Check the keys, values and names in a configuration file, and that the files it names are there."""
    from heterodyne.config.files import check_files, read_config
    from heterodyne.config.schema import check_names

    config = read_config(file)
    try:
        check_names(config)
        check_files(config)
    except HeterodyneError as error:
        raise type(error)(f"{file}: {error}") from error
    show(f"{file}: good")


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of configuration files, for editors."""
    from heterodyne.config.template import json_schema

    print_json(json_schema())
