"""What a configuration may hold, for people (a commented template) and for editors (JSON schema)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from textwrap import fill
from typing import Any

from heterodyne.catalogue import create_model
from heterodyne.config.files import config_text
from heterodyne.config.schema import FitConfig
from heterodyne.parameters import ParameterTable
from heterodyne.plugins.manager import manager, optimizer_record
from heterodyne.plugins.records import OptimizerRecord, Option

_EXAMPLES = {
    "data": ["run.h5"],
    "loader": "aps-u",
    "q": [0.01],
    "phi": ["-10:10", "40:50", "80:100"],
    "frames": "1:200",
    "dt": 0.1,
    "age": 0.0,
    "dq": 0.0005,
    "dphi": 6.0,
    "baseline": 1,
    "exclude_frames": ["12", "40:55"],
    "mask": "mask.npz",
    "symmetrise": "mean",
    "key": "c2",
    "write": ["json", "npz"],
    "output": "out",
}


def template(model: str, optimizer: str) -> str:
    """A configuration file in which every key is described and most are commented out.

    Descriptions follow ``# ``, settings that are commented out follow ``#`` alone.
    Raises `PluginError` for a model or an optimizer that is not installed.
    """
    table: ParameterTable = create_model(model).parameters
    record = optimizer_record(optimizer)
    blocks = ["# heterodyne fit --config THIS_FILE; options on the command line override it.\n"]
    examples = {**_EXAMPLES, **_parameter_examples(table)}
    for name, field in FitConfig.model_fields.items():
        if name == "options":
            blocks.append("\n".join(_options(record)))
            continue
        chosen = {"model": model, "optimizer": optimizer}.get(name)
        example = config_text({name: chosen or examples.get(name, _plain(field.default))})
        described = fill(field.description or "", 110, initial_indent="# ", subsequent_indent="# ")
        blocks.append(f"{described}\n{example if chosen else _commented(example)}")
        if name == "model":
            blocks.append("\n".join(_parameters(model, table)))
    return "\n".join(block.rstrip("\n") + "\n" for block in blocks)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a configuration, with the options of every installed optimizer."""
    schema = FitConfig.model_json_schema()
    records = manager().listing("optimizer").values()
    named = {o.name: _option_schema(o) for r in records if isinstance(r, OptimizerRecord) for o in r.options}
    schema["properties"]["options"] |= {"properties": named, "additionalProperties": False}
    return schema


def _parameter_examples(table: ParameterTable) -> dict[str, Any]:
    """Entries that this model takes, all at once: of its first and last parameter, and the first two of one unit."""
    first, *_, last = table.values()
    tied = next(((b.name, a.name) for a, b in combinations(table.values(), 2) if a.unit == b.unit), None)
    return {
        "fix": {first.name: first.start},
        "start": {last.name: last.start},
        "bounds": {last.name: f"{last.low:g}:{last.high:g}"},
        "tie": {tied[0]: tied[1]} if tied else {},
        "prior": {last.name: f"normal:{last.start:g}:{0.1 * (last.high - last.low):g}"},
    }


def _options(record: OptimizerRecord) -> Iterator[str]:
    yield f"# options of the optimizer {record.name}"
    yield "#options:"
    for option in record.options:
        choices = f" ({', '.join(option.choices)})" if option.choices else ""
        value = config_text({option.name: _plain(option.default)}).rstrip("\n")
        yield f"#  {value}  # {option.help}{choices}"


def _parameters(model: str, table: ParameterTable) -> Iterator[str]:
    yield f"# parameters of {model}: start, bounds, unit"
    width = max(map(len, table))
    for name, row in table.items():
        fixed = "" if row.vary else ", fixed unless given a start or bounds"
        unit = "" if row.unit == "1" else f", {row.unit}"
        yield f"# {name:<{width}}  {row.start:g}, {row.low:g}:{row.high:g}{unit}{fixed}"


def _option_schema(option: Option) -> dict[str, Any]:
    word = {bool: "boolean", int: "integer", float: "number", str: "string"}[option.type]
    about = {"default": _plain(option.default), "description": option.help}
    if option.many:
        return {"type": ["array", word, "null"], "items": {"type": word}, **about}
    schema: dict[str, Any] = {"type": [word, "null"], **about}
    limits = {"minimum": option.low, "maximum": option.high}
    schema |= {name: limit for name, limit in limits.items() if limit is not None}
    return schema | ({"enum": [*option.choices, None]} if option.choices else {})


def _commented(text: str) -> str:
    return "".join(f"#{line}\n" for line in text.splitlines())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
