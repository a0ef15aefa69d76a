"""`heterodyne optimizers`: the installed optimizers, and the options of one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from heterodyne.plugins.manager import manager, optimizer_record
from heterodyne.plugins.records import Option
from heterodyne.words import table
from heterodyne_cli.output import print_json
from heterodyne_cli.selection import Json


def optimizers(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show the options of this one.")] = None,
    json: Json = False,
) -> None:
    """List the optimizers, or the options of one."""
    if name is not None:
        _show(name, json)
        return
    rows = [(record.name, record.summary) for record in manager().listing("optimizer").values()]
    if json:
        print_json([{"name": name, "summary": summary} for name, summary in rows])
    elif rows:
        print(table(("optimizer", "summary"), rows))
    else:
        print("no optimizer is installed; pip install heterodyne-nlsq")


def _show(name: str, json: bool) -> None:
    record = optimizer_record(name)
    if json:
        options = [_plain(option) for option in record.options]
        print_json({"name": record.name, "summary": record.summary, "options": options})
        return
    print(f"{record.name}: {record.summary}\n")
    print(table(("option", "type", "default", "meaning"), [_cells(option) for option in record.options]))


def _cells(option: Option) -> tuple[str, ...]:
    kind = "|".join(option.choices) or f"{option.type.__name__}{', ...' if option.many else ''}"
    default = "none" if option.default == () else str(option.default)
    return option.name, kind, default, option.help


def _plain(option: Option) -> dict[str, Any]:
    return {**vars(option), "type": option.type.__name__}
