"""`FitConfig`: everything that a fit accepts, under the names of the options of `heterodyne fit`.

A value may be written as in YAML or as on the command line: ``[40, 50]`` or ``40:50``,
``{v0: 1000}`` or ``v0=1000``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic import create_model as create_schema

from heterodyne.catalogue import create_model
from heterodyne.data.triangle import Symmetrise
from heterodyne.errors import ConfigError, HeterodyneError, unknown
from heterodyne.loading.asked import RING, frame_range
from heterodyne.plugins.manager import manager, optimizer_record
from heterodyne.plugins.outputs import default_outputs, find_writers
from heterodyne.plugins.records import OptimizerRecord, Record
from heterodyne.problem.choices import NO_CHOICES, SPELLINGS, Choices, Spelling
from heterodyne.problem.kinds import RANGE
from heterodyne.problem.spellings import as_list, as_number, as_range
from heterodyne.problem.table import chosen_parameters


def as_number_or_range(value: Any) -> float | tuple[float, float]:
    """A number, or a range where there is a colon or a pair."""
    is_range = isinstance(value, list | tuple) or (isinstance(value, str) and ":" in value)
    return as_range(value) if is_range else as_number(value)


def as_azimuth(value: Any) -> float | tuple[float, float] | str:
    """A number or a range, or the word for bins without an azimuth."""
    is_ring = (isinstance(value, str) and value.strip().lower().lstrip(".") in RING) or value != value
    return RING[0] if is_ring else as_number_or_range(value)


def as_excluded(value: Any) -> list[str]:
    """Frames N and ranges A:B as text, also from numbers, pairs and ``12,40:55``; ``@FILE`` stays as it is."""
    items = [part for item in as_list(value) for part in (item.split(",") if _is_text(item) else [item])]
    return [item if _names_file(item) else _range_text(item) for item in items]


def _is_text(item: Any) -> bool:
    return isinstance(item, str) and not _names_file(item)


def _names_file(item: Any) -> bool:
    return isinstance(item, str) and item.startswith("@")


def _range_text(item: Any) -> str:
    first, last = frame_range(tuple(item) if isinstance(item, list) else item)
    return f"{first}" if first == last else f"{first}:{last}"


def as_frames(value: Any) -> tuple[int, int]:
    """First and last frame, whole numbers, from ``A:B`` or a pair."""
    first, last = as_range(value)
    if first % 1 or last % 1:
        raise ValueError(f"{value!r} is not a range of whole frames A:B")
    return int(first), int(last)


def as_names(value: Any) -> list[str]:
    """Names, also from ``a,b``."""
    return [name.strip() for item in as_list(value) for name in str(item).split(",")]


def as_name(value: Any) -> str:
    """A name, which may be of a file and then hold bytes that are not UTF-8."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"{value!r} is not a name")
    return value


_NUMBER = {"type": "number"}

Number = Annotated[float, PlainValidator(as_number), WithJsonSchema(_NUMBER)]

Wanted = Annotated[Any, PlainValidator(as_number_or_range), WithJsonSchema({"anyOf": [_NUMBER, RANGE]})]

Azimuth = Annotated[
    Any, PlainValidator(as_azimuth), WithJsonSchema({"anyOf": [_NUMBER, RANGE, {"const": RING[0]}]})
]

Excluded = BeforeValidator(as_excluded)

Frames = Annotated[Any, PlainValidator(as_frames), WithJsonSchema(RANGE)]

Name = Annotated[str, PlainValidator(as_name), WithJsonSchema({"type": "string", "minLength": 1})]

Items = BeforeValidator(as_list)

Names = BeforeValidator(as_names)

_EXCLUSIVE = {"compare": ("model", "by"), "model": ("compare",), "by": ("compare",)}


class _Fitted(BaseModel):
    """Which data are fitted by what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Annotated[tuple[Name, ...], Items] = Field(
        default=(), description="files or patterns such as runs/*.h5, fitted jointly"
    )
    loader: Name | None = Field(default=None, description="file layout; recognised if not given")
    q: Annotated[tuple[Wanted, ...], Items] = Field(
        default=(), description="wavevectors in Å⁻¹: a value takes the nearest ring, LO:HI a range"
    )
    phi: Annotated[tuple[Azimuth, ...], Items] = Field(
        default=(),
        description="azimuths in degrees: a value takes the nearest, LO:HI a range; LO > HI wraps at ±180; "
        "ring: bins without an azimuth",
    )
    frames: Frames | None = Field(default=None, description="first and last frame A:B, from 1, both included")
    dt: Number | None = Field(default=None, description="frame spacing in s, in place of the file's")
    age: Number | None = Field(
        default=None, description="time in s before the first stored frame, in place of the file's"
    )
    dq: Number | None = Field(default=None, description="full width of bins in Å⁻¹, in place of the file's")
    dphi: Number | None = Field(
        default=None, description="full width of bins in degrees, in place of the file's"
    )
    baseline: Number | None = Field(
        default=None, description="c2 without correlation as stored, 1 or 0; data of 0 are shifted by +1"
    )
    exclude_frames: Annotated[tuple[str, ...], Excluded] = Field(
        default=(), description="bad frames to leave out, N or A:B from 1, or @FILE for a text file of these"
    )
    mask: Name | None = Field(
        default=None, description=".npz archive with the key mask, per frame or (bins, frames): True is used"
    )
    allow_links: bool = Field(
        default=False,
        description="whether an HDF5 file may send the reader to other files by links and external storage",
    )
    symmetrise: Symmetrise | None = Field(
        default=None, description="what counts where the halves of a matrix differ: mean, upper or lower"
    )
    one_time: bool = Field(
        default=False, description="the one-time data g2 of files that hold two-time data as well"
    )
    cache: bool = Field(
        default=False,
        description="whether matrices stored in one piece are kept in tiles in the cache folder, for later runs",
    )
    key: Name | None = Field(
        default=None, description="which array is c2, which analysis or trains, in files of several"
    )
    model: str = Field(default="two-component", description="model variant; see `heterodyne models`")
    compare: Annotated[tuple[Name, ...], Names] = Field(
        default=(), description="model variants to fit and to compare, in place of one model"
    )
    by: Literal["q", "phi", "file"] | None = Field(
        default=None, description="q, phi or file: one fit per q, azimuth or file, and tests of constancy"
    )
    optimizer: str = Field(default="nlsq", description="optimizer; see `heterodyne optimizers`")


def _key(choice: str, spelling: Spelling) -> Any:
    """Type and default of the key for a choice."""
    read = PlainValidator(partial(spelling.kind.read, choice))
    default = Field(default=getattr(NO_CHOICES, choice), description=spelling.help)
    return Annotated[Any, read, WithJsonSchema(dict(spelling.kind.schema))], default


_KEYS: dict[str, Any] = {choice: _key(choice, spelling) for choice, spelling in SPELLINGS.items()}

_Chosen = create_schema("_Chosen", __base__=_Fitted, **_KEYS)


class FitConfig(_Chosen):
    """What a fit accepts; keys that do not exist are errors."""

    options: dict[str, Any] = Field(default={}, description="options of the optimizer")
    write: Annotated[tuple[str, ...], Names] | None = Field(
        default=None,
        description="what to write into the output folder; if not given json, npz, profiles and what the "
        "optimizer adds",
    )
    output: Name | None = Field(
        default=None, description="folder for the results; without it nothing is written"
    )

    @property
    def choices(self) -> Choices:
        """What is chosen about the fit; raises `ParameterError` for contradictions."""
        return Choices(**{choice: getattr(self, choice) for choice in SPELLINGS})

    def overridden(self, by: FitConfig) -> FitConfig:
        """This configuration with what ``by`` sets in its place.

        Mappings are merged by name, and what ``by`` says about a parameter (say ``start``) takes away what
        it contradicts here (``fix``, ``tie``), though not the start at which it holds one; everything else is
        replaced. So do ``compare`` and ``model`` or ``by``.
        """
        mine, new = (config.model_dump(exclude_unset=True) for config in (self, by))
        if by.optimizer != self.optimizer and "optimizer" in new:
            mine.pop("options", None)
        for key in filter(new.get, _EXCLUSIVE):
            mine = {name: value for name, value in mine.items() if name not in _EXCLUSIVE[key]}
        for key, spelling in SPELLINGS.items():
            for other in spelling.against:
                gone = [
                    name for name, value in new.get(key, {}).items() if other != "start" or value is not None
                ]
                kept = {name: value for name, value in mine.get(other, {}).items() if name not in gone}
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
    models = [create_model(name) for name in config.compare or (config.model,)]
    config.choices.check_names(name for model in models for name in model.parameters)
    if not config.compare:  # a model takes what it has of choices for several
        chosen_parameters(models[0].parameters, config.choices, {})


def _check_outputs(config: FitConfig) -> None:
    """Raise for an output that does not exist, and for one that only fits by another optimizer have, or none."""
    if config.write == () and config.output is not None:
        raise ConfigError("write names no output: leave it out for json, npz and profiles")
    optimizers = manager().listing("optimizer").items()
    for writer in find_writers(config.write or ()):
        owners = [name for name, record in optimizers if writer.name in _outputs_of(record)]
        if owners and config.optimizer not in owners:
            listing = ", ".join(owners)
            raise ConfigError(
                f"output {writer.name!r} is written of fits by {listing}, not by {config.optimizer}: add "
                f"--optimizer {owners[0]}, or leave it out"
            )


def _outputs_of(record: Record) -> tuple[str, ...]:
    return record.outputs if isinstance(record, OptimizerRecord) else ()


def effective(config: FitConfig) -> dict[str, Any]:
    """Every key with its value, defaults and the optimizer's options included: a configuration again."""
    options = optimizer_record(config.optimizer).complete(config.options)
    named = default_outputs(config.optimizer) if config.write is None else config.write
    write = [] if config.output is None else list(named)
    values = {**config.model_dump(mode="json"), "options": options, "write": write}
    if config.compare:
        del values["model"]
    return values


def _first(error: ValidationError) -> str:
    """The first thing wrong: key path and reason; what is wrong with a choice names it itself."""
    wrong = error.errors()[0]
    cause = wrong.get("ctx", {}).get("error")
    if isinstance(cause, HeterodyneError):
        return str(cause)
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in wrong["loc"])
    return f"{path.removeprefix('.')}: {cause or wrong['msg']}"
