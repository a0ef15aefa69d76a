"""`heterodyne models`: the installed model variants, and the parameters of one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from heterodyne.plugins.manager import manager
from heterodyne.words import table
from heterodyne_cli.output import print_json
from heterodyne_cli.selection import Json

if TYPE_CHECKING:
    from heterodyne.parameters import Parameter, Prior


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show the parameters of this one.")
    ] = None,
    json: Json = False,
) -> None:
    """List the model variants, or the parameters of one: unit, start value, bounds, prior."""
    if name is not None:
        _show(name, json)
        return
    rows = [(record.name, record.summary) for record in manager().listing("model").values()]
    if json:
        print_json([{"name": name, "summary": summary} for name, summary in rows])
    else:
        print(table(("model", "summary"), rows))


def _show(name: str, json: bool) -> None:
    from heterodyne.model import Model

    record = manager().find("model", name)
    parameters = record.resolve(Model).parameters.values()
    if json:
        described = [asdict(parameter) for parameter in parameters]
        print_json({"name": record.name, "summary": record.summary, "parameters": described})
        return
    print(f"{record.name}: {record.summary}\n")
    header = ("parameter", "unit", "start", "bounds", "scale", "prior", "varies")
    print(table(header, [_cells(parameter) for parameter in parameters]))


def _cells(parameter: Parameter) -> tuple[str, ...]:
    bounds = f"{parameter.low:g}:{parameter.high:g}"
    varies = "yes" if parameter.vary else "no"
    start, prior = f"{parameter.start:g}", _prior(parameter.prior)
    return parameter.name, parameter.unit, start, bounds, parameter.scale, prior, varies


def _prior(prior: Prior) -> str:
    if prior.family == "uniform":
        return "uniform"
    location = f"ln {_exp(prior.location)}" if prior.family == "log-normal" else f"{prior.location:g}"
    duration = "/T" if prior.per_duration else ""
    return f"{prior.family}({location}, {prior.width:g}{duration})"


def _exp(logarithm: float) -> str:
    from math import exp

    return f"{exp(logarithm):.4g}"
