"""What a choice may be: how it is read from any spelling, and what a configuration may hold as JSON schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from heterodyne.errors import ConfigError, ParameterError
from heterodyne.parameters import SCALING, Family
from heterodyne.problem.priors import as_prior
from heterodyne.problem.spellings import as_assignments, as_bounds, as_mapping, as_number, as_whole
from heterodyne.problem.warm_start import as_warm_start

AUTO = "auto"
"""The scaling design that a fit decides."""


@dataclass(frozen=True)
class Kind:
    """What a choice may be: ``read`` gives the value from the choice's name and any spelling, or raises.

    ``metavar`` is how it is written on the command line, ``schema`` the JSON schema of what a configuration
    may hold.
    """

    metavar: str
    read: Callable[[str, Any], Any]
    schema: Mapping[str, Any]

    @property
    def is_mapping(self) -> bool:
        """Whether the choice is made parameter by parameter."""
        return self.schema["type"] == "object"


def _by_parameter(
    metavar: str,
    entry: Callable[[Any], Any],
    schema: Mapping[str, Any],
    pairs: Callable[[Any], dict[str, Any]] = as_assignments,
) -> Kind:
    """A mapping of parameters to what ``entry`` reads."""

    def read(choice: str, given: Any) -> dict[str, Any]:
        where = choice
        try:
            values = pairs(given)
            for name, value in values.items():
                where = f"{choice} of {name!r}"
                values[name] = entry(value)
        except ValueError as reason:
            raise ParameterError(f"{where}: {reason}") from None
        return values

    return Kind(metavar, read, {"type": "object", "additionalProperties": schema})


def _single(metavar: str, value: Callable[[Any], Any], schema: Mapping[str, Any]) -> Kind:
    """One value for the fit."""

    def read(choice: str, given: Any) -> Any:
        try:
            return value(given)
        except ValueError as reason:
            raise ConfigError(f"{choice}: {reason}") from None

    return Kind(metavar, read, schema)


def _number_or_none(given: Any) -> float | None:
    return None if given is None else as_number(given)


def _name(given: Any) -> str:
    if not isinstance(given, str):
        raise ValueError(f"{given!r} is not the name of a parameter")
    return given


def _design(choice: str, given: Any) -> str | float:
    """A scaling design by name, or a number inside the registry's bounds."""
    if isinstance(given, str) and (given in (AUTO, "individual", "shared") or _is_fourier(given)):
        return given
    try:
        number = as_number(given)
    except ValueError:
        designs = "auto, individual, shared, fourier:M or a number"
        raise ConfigError(f"{choice} must be {designs}, not {given!r}") from None
    low, high = SCALING[choice].low, SCALING[choice].high
    if not low <= number <= high:
        raise ConfigError(f"{choice} {number:g} lies outside {low:g}:{high:g}")
    return number


def _is_fourier(design: str) -> bool:
    kind, _, order = design.partition(":")
    return kind == "fourier" and order.isdecimal()


_NUMBER = {"type": "number"}
_TEXT = {"type": "string"}
RANGE = {"anyOf": [{"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}, _TEXT]}
_END = {"type": ["number", "null"]}
_BOUNDS = {"anyOf": [{"type": "array", "items": _END, "minItems": 2, "maxItems": 2}, _TEXT]}
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

HELD = _by_parameter("NAME[=V]", _number_or_none, {"type": ["number", "null"]}, as_mapping)
NUMBERS = _by_parameter("NAME=V", as_number, _NUMBER)
BOUNDS = _by_parameter("NAME=LO:HI", as_bounds, _BOUNDS)
NAMES = _by_parameter("NAME=OTHER", _name, _TEXT)
PRIORS = _by_parameter("NAME=FAMILY:LOCATION:WIDTH", as_prior, {"anyOf": [_PRIOR, _TEXT]})
DESIGN = Kind("auto|individual|shared|fourier:M|VALUE", _design, {"type": ["number", "string"]})
WHOLE = _single("M", as_whole, {"type": "integer", "minimum": 0})
EARLIER = _single("FIT", as_warm_start, {"type": ["string", "null"], "minLength": 1})
