"""`FitConfig`: everything that a fit accepts, under the names of the options of `heterodyne fit`.

A value may be written as in YAML or as on the command line: ``[40, 50]`` or ``40:50``,
``{v0: 1000}`` or ``v0=1000``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)

from heterodyne.catalogue import create_model
from heterodyne.errors import ConfigError, ParameterError, unknown
from heterodyne.parameters import SCALING, Family, unknown_parameter
from heterodyne.plugins.manager import manager, optimizer_record
from heterodyne.plugins.outputs import default_outputs, find_writers
from heterodyne.plugins.records import OptimizerRecord, Record
from heterodyne.problem.priors import as_prior


def as_number(value: Any) -> float:
    """A finite number, from a number or from text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return number


def as_whole(value: Any) -> int:
    """A whole number, 0 or more, from a number or from text."""
    number = as_number(value)
    if number % 1 or number < 0:
        raise ValueError(f"{value!r} is not a whole number, 0 or more")
    return int(number)


def as_range(value: Any) -> tuple[float, float]:
    """Two numbers, from ``LO:HI`` or a pair."""
    ends = value.split(":") if isinstance(value, str) else value
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise ValueError(f"{value!r} is not a range LO:HI")
    return as_number(ends[0]), as_number(ends[1])


def as_number_or_range(value: Any) -> float | tuple[float, float]:
    """A number, or a range where there is a colon or a pair."""
    is_range = isinstance(value, list | tuple) or (isinstance(value, str) and ":" in value)
    return as_range(value) if is_range else as_number(value)


def as_frames(value: Any) -> tuple[int, int]:
    """First and last frame, whole numbers, from ``A:B`` or a pair."""
    first, last = as_range(value)
    if first % 1 or last % 1:
        raise ValueError(f"{value!r} is not a range of whole frames A:B")
    return int(first), int(last)


def as_list(value: Any) -> Any:
    """A list, also from one item alone."""
    return list(value) if isinstance(value, list | tuple) else [value]


def as_names(value: Any) -> list[str]:
    """Names, also from ``a,b``."""
    return [name.strip() for item in as_list(value) for name in str(item).split(",")]


def as_mapping(value: Any) -> dict[str, Any]:
    """A mapping, also from ``NAME=VALUE`` or a list of them; a name alone has the value None."""
    if isinstance(value, Mapping):
        return dict(value)
    pairs: dict[str, Any] = {}
    for item in as_list(value):
        name, equals, text = str(item).partition("=")
        if name in pairs:
            raise ValueError(f"{name!r} is given twice")
        pairs[name.strip()] = text.strip() if equals else None
    return pairs


def as_assignments(value: Any) -> dict[str, Any]:
    """A mapping in which every name has a value, also from ``NAME=VALUE`` or a list of them."""
    pairs = as_mapping(value)
    for name, text in pairs.items():
        if text is None:
            raise ValueError(f"{name!r} has no value; write NAME=VALUE")
    return pairs


def _number_or_none(value: Any) -> float | None:
    return None if value is None else as_number(value)


def _design(value: Any) -> str | float:
    return value if isinstance(value, str) else as_number(value)


_NUMBER = {"type": "number"}

_TEXT = {"type": "string"}

_RANGE = {"anyOf": [{"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}, _TEXT]}

_PRIOR = {
    "type": "object",
    "properties": {
        "family": {"enum": list(get_args(Family))},
        "location": _NUMBER,
        "width": {"type": "number", "exclusiveMinimum": 0},
        "per_duration": {"type": "boolean"},
    },
    "required": ["family"],
    "additionalProperties": False,
}

Number = Annotated[float, PlainValidator(as_number), WithJsonSchema(_NUMBER)]

Wanted = Annotated[Any, PlainValidator(as_number_or_range), WithJsonSchema({"anyOf": [_NUMBER, _RANGE]})]

Whole = Annotated[int, PlainValidator(as_whole), WithJsonSchema({"type": "integer", "minimum": 0})]

Span = Annotated[Any, PlainValidator(as_range), WithJsonSchema(_RANGE)]

Frames = Annotated[Any, PlainValidator(as_frames), WithJsonSchema(_RANGE)]

Held = Annotated[Any, PlainValidator(_number_or_none), WithJsonSchema({"anyOf": [_NUMBER, {"type": "null"}]})]

Design = Annotated[Any, PlainValidator(_design), WithJsonSchema({"anyOf": [_NUMBER, _TEXT]})]

PriorOf = Annotated[Any, PlainValidator(as_prior), WithJsonSchema({"anyOf": [_PRIOR, _TEXT]})]

Name = Annotated[str, Field(min_length=1)]

Items = BeforeValidator(as_list)

Names = BeforeValidator(as_names)

Pairs = BeforeValidator(as_assignments)

_EXCLUSIVE = {"compare": ("model", "by"), "model": ("compare",), "by": ("compare",)}

_CONTRADICTED = {  # what an override says about a parameter takes away what it contradicts
    "fix": ("start", "tie", "prior"),
    "start": ("fix", "tie"),
    "bounds": ("fix", "tie"),
    "tie": ("fix", "start", "bounds", "prior"),
    "prior": ("fix", "tie"),
}


class FitConfig(BaseModel):
    """What a fit accepts; keys that do not exist are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Annotated[tuple[Name, ...], Items] = Field(default=(), description="files, fitted jointly")
    loader: Name | None = Field(default=None, description="file layout; recognised if not given")
    q: Annotated[tuple[Wanted, ...], Items] = Field(
        default=(), description="wavevectors in Å⁻¹: a value takes the nearest ring, LO:HI a range"
    )
    phi: Annotated[tuple[Wanted, ...], Items] = Field(
        default=(),
        description="azimuths in degrees: a value takes the nearest, LO:HI a range; LO > HI wraps at ±180",
    )
    frames: Frames | None = Field(default=None, description="first and last frame A:B, from 1, both included")
    dt: Number | None = Field(default=None, description="frame spacing in s, in place of the file's")
    age: Number | None = Field(
        default=None, description="time in s before the first stored frame, in place of the file's"
    )
    model: str = Field(default="two-component", description="model variant; see `heterodyne models`")
    compare: Annotated[tuple[Name, ...], Names] = Field(
        default=(), description="model variants to fit and to compare, in place of one model"
    )
    by: Literal["q", "phi"] | None = Field(
        default=None, description="q or phi: one fit per q or azimuth, and tests of constancy"
    )
    optimizer: str = Field(default="nlsq", description="optimizer; see `heterodyne optimizers`")
    fix: Annotated[dict[str, Held], BeforeValidator(as_mapping)] = Field(
        default={}, description="parameters held at a value, or at the start value where none is given"
    )
    start: Annotated[dict[str, Number], Pairs] = Field(default={}, description="start values of parameters")
    bounds: Annotated[dict[str, Span], Pairs] = Field(default={}, description="bounds LO:HI of parameters")
    tie: Annotated[dict[str, str], Pairs] = Field(default={}, description="parameters equal to another one")
    prior: Annotated[dict[str, PriorOf], Pairs] = Field(
        default={},
        description="priors FAMILY:LOCATION:WIDTH of parameters, contrast or offset, for a sampler",
    )
    contrast: Design = Field(
        default="auto",
        description="auto, individual, shared, fourier:M or a number; auto is decided by the fit",
    )
    offset: Design = Field(
        default="auto",
        description="auto, individual, shared, fourier:M or a number; auto follows the contrast",
    )
    skip_lags: Whole = Field(default=0, description="lags next to the diagonal to leave out, in frames")
    warm_start: Name | None = Field(
        default=None, description="folder or fit.json of an earlier fit, whose estimates are the start values"
    )
    options: dict[str, Any] = Field(default={}, description="options of the optimizer")
    write: Annotated[tuple[str, ...], Names] | None = Field(
        default=None,
        description="what to write into the output folder; if not given json, npz, profiles and what the "
        "optimizer adds",
    )
    output: Name | None = Field(
        default=None, description="folder for the results; without it nothing is written"
    )

    def overridden(self, by: FitConfig) -> FitConfig:
        """This configuration with what ``by`` sets in its place.

        Mappings are merged by name, and what ``by`` says about a parameter (say ``start``) takes away what
        it contradicts here (``fix``, ``tie``); everything else is replaced. So do ``compare`` and ``model``
        or ``by``.
        """
        mine, new = (config.model_dump(exclude_unset=True) for config in (self, by))
        if by.optimizer != self.optimizer and "optimizer" in new:
            mine.pop("options", None)
        for key in filter(new.get, _EXCLUSIVE):
            mine = {name: value for name, value in mine.items() if name not in _EXCLUSIVE[key]}
        for key, others in _CONTRADICTED.items():
            for other in others:
                kept = {n: v for n, v in mine.get(other, {}).items() if n not in new.get(key, {})}
                mine |= {other: kept} if other in mine else {}
        merged = {key: {**mine.get(key, {}), **new[key]} for key in new if isinstance(new[key], dict)}
        return FitConfig(**{**mine, **new, **merged})


def create_config(values: Mapping[str, Any], place: str) -> FitConfig:
    """The configuration with these values; raises `ConfigError` with ``place`` and key in one line."""
    for key in values:
        if key not in FitConfig.model_fields:
            raise ConfigError(f"{place}: {unknown('key', str(key), FitConfig.model_fields)}")
    try:
        return FitConfig(**values)
    except ValidationError as error:
        raise ConfigError(f"{place}: {_first(error)}") from error


def check_names(config: FitConfig) -> None:
    """Raise a `HeterodyneError` for the first name in ``config`` that nothing answers to."""
    if config.loader is not None:
        manager().find("loader", config.loader)
    _check_outputs(config)
    optimizer_record(config.optimizer).complete(config.options)
    for other in _EXCLUSIVE["compare"]:
        if config.compare and config.model_dump(exclude_unset=True).get(other):
            raise ConfigError(f"compare names the models to fit to all data: leave {other} out")
    tables = [create_model(name).parameters for name in config.compare or (config.model,)]
    known = {name for table in tables for name in table}
    for name in _parameter_names(config):
        if name not in known:
            raise ParameterError(unknown_parameter(name, known))


def _check_outputs(config: FitConfig) -> None:
    """Raise for an output that does not exist, and for one that only fits by another optimizer have."""
    for record in find_writers(config.write or ()):
        owners = [
            name for name, one in manager().listing("optimizer").items() if record.name in _outputs_of(one)
        ]
        if owners and config.optimizer not in owners:
            listing = ", ".join(owners)
            raise ConfigError(
                f"output {record.name!r} is written of fits by {listing}, not by {config.optimizer}: add "
                f"--optimizer {owners[0]}, or leave it out"
            )


def _outputs_of(record: Record) -> tuple[str, ...]:
    return record.outputs if isinstance(record, OptimizerRecord) else ()


def effective(config: FitConfig) -> dict[str, Any]:
    """Every key with its value, defaults and the optimizer's options included: a configuration again."""
    options = optimizer_record(config.optimizer).complete(config.options)
    named = default_outputs(config.optimizer) if config.write is None else config.write
    write = [] if config.output is None else list(named)
    found = {**config.model_dump(mode="json"), "options": options, "write": write}
    if config.compare:
        del found["model"]
    return found


def _parameter_names(config: FitConfig) -> Iterable[str]:
    for mapping in (config.fix, config.start, config.bounds, config.tie):
        yield from mapping
    yield from config.tie.values()
    yield from (name for name in config.prior if name not in SCALING)


def _first(error: ValidationError) -> str:
    """The first thing wrong: key path and reason."""
    found = error.errors()[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found["loc"])
    cause = found.get("ctx", {}).get("error")
    return f"{path.removeprefix('.')}: {cause or found['msg']}"
