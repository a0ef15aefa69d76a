"""The registry of parameters: the only place where names, units, starts, bounds and priors stand.

Lengths are in Å, times in s, angles in degrees. Source: He et al., PNAS 122 (2025),
doi 10.1073/pnas.2514216122, SI Eqs. S-77 to S-98; ranges cover the published values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal, Self, get_args

from heterodyne.errors import ParameterError, unknown
from heterodyne.frozen import FrozenMapping

Family = Literal["normal", "truncated-normal", "uniform", "log-normal", "half-normal"]
NO_NUMBERS = "a uniform prior takes no numbers: its range is that of the bounds"


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Prior:
    """A prior density of one parameter, truncated to the parameter's bounds.

    ``location`` and ``width`` are mean and standard deviation (``normal``, and ``truncated-normal``, which is
    the same here), the same of the natural logarithm (``log-normal``), where the density begins and the width
    of the normal density of which it is half (``half-normal``), and unused for ``uniform``. With
    ``per_duration`` the width is divided by the observed duration in seconds. Raises `ParameterError` for
    another family, a location that is no number, and a width that is not positive.
    """

    family: Family = "uniform"
    location: float = 0.0
    width: float = 1.0
    per_duration: bool = False

    def __post_init__(self) -> None:
        if self.family not in get_args(Family):
            raise ParameterError(unknown("family of priors", self.family, get_args(Family)))
        if not _is_finite(self.location):
            raise ParameterError(f"the location of a prior must be a number, not {self.location!r}")
        if not _is_finite(self.width) or self.width <= 0.0:
            raise ParameterError(f"the width of a prior must be positive, not {self.width!r}")
        if self.family == "uniform" and (self.location, self.width) != (0.0, 1.0):
            raise ParameterError(NO_NUMBERS)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a model: unit, start value, bounds, prior, scale and whether it varies.

    Values that differ by ``period`` mean the same; a fit moves freely over the ends of bounds that span it
    and is folded into (low, high] afterwards.
    """

    name: str
    unit: str
    start: float
    low: float
    high: float
    prior: Prior = Prior()
    scale: Literal["linear", "log"] = "linear"
    vary: bool = True
    period: float | None = None

    @property
    def is_periodic(self) -> bool:
        """Whether the bounds are no walls: they span a whole period."""
        return self.period is not None and self.high - self.low >= self.period

    def folded(self, value: float) -> float:
        """The value in (low, high] that means the same; ``value`` itself where the bounds are walls."""
        if self.period is None or not self.is_periodic or self.low < value <= self.high:
            return value
        return self.high - (self.high - value) % self.period

    def accepts(self, value: float) -> bool:
        """Whether ``value`` can be held fixed: inside the bounds, or 0 (no motion) on a log scale."""
        return self.low <= value <= self.high or (self.scale == "log" and value == 0.0)


class ParameterTable(Mapping[str, Parameter]):
    """An immutable, ordered mapping from parameter name to `Parameter`."""

    __slots__ = ("_rows",)
    _rows: Mapping[str, Parameter]

    def __new__(cls, parameters: Iterable[Parameter]) -> Self:
        rows = tuple(parameters)
        table = {row.name: row for row in rows}
        if len(table) != len(rows):
            raise ParameterError("a parameter table names one parameter twice")
        self = super().__new__(cls)
        object.__setattr__(self, "_rows", FrozenMapping(table))
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a parameter table is immutable; use ParameterTable.updated")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a parameter table is immutable; use ParameterTable.select")

    def __getitem__(self, name: str) -> Parameter:
        try:
            return self._rows[name]
        except KeyError:
            raise ParameterError(unknown_parameter(name, self._rows)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"ParameterTable({', '.join(self)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ParameterTable, (tuple(self.values()),)

    def select(self, names: Iterable[str]) -> ParameterTable:
        """The table with only these parameters, in this order."""
        return ParameterTable(self[name] for name in names)

    def updated(self, name: str, **changes: Any) -> ParameterTable:
        """The table with one parameter replaced; unknown names raise `ParameterError`."""
        row = replace(self[name], **changes)
        return ParameterTable(row if other == name else self[other] for other in self)

    def starts(self) -> dict[str, float]:
        """The start value of every parameter."""
        return {name: row.start for name, row in self.items()}

    def complete(self, values: Mapping[str, float]) -> dict[str, float]:
        """``values`` in table order, with start values where none is given.

        Raises `ParameterError` for a name that the table does not have.
        """
        for name in values:
            self[name]
        return {name: float(values.get(name, row.start)) for name, row in self.items()}


_RATE = Prior("log-normal", 9.210340371976184, 3.0)  # ln 1e4
_SPEED = Prior("log-normal", 6.907755278982137, 3.0)  # ln 1e3
_EXPONENT = Prior("normal", 0.0, 1.0)


def _transport(suffix: str) -> tuple[Parameter, ...]:
    return (
        Parameter(f"D0{suffix}", "Å²/s^(α+1)", 1e4, 1e-2, 1e6, _RATE, "log"),
        Parameter(f"alpha{suffix}", "1", 0.0, -2.0, 2.0, _EXPONENT),
        Parameter(f"D_offset{suffix}", "Å²/s", 0.0, -1e5, 1e5, Prior("normal", 0.0, 1e3)),
    )


REGISTRY = ParameterTable(
    (
        *_transport("_ref"),
        *_transport("_sample"),
        Parameter("v0", "Å/s^(β+1)", 1e3, 1e-6, 1e6, _SPEED, "log"),
        Parameter("beta", "1", 0.0, -2.0, 2.0, _EXPONENT),
        Parameter("v_offset", "Å/s", 0.0, -1e3, 1e3, Prior("normal", 0.0, 300.0)),
        Parameter("f0", "1", 0.5, 0.0, 1.0),
        Parameter("f1", "1/s", 0.0, -10.0, 10.0, Prior("normal", 0.0, 3.0, per_duration=True)),
        Parameter("f2", "s", 0.0, -1e4, 1e4, Prior("normal", 0.0, 1e3), vary=False),
        Parameter("f3", "1", 0.0, 0.0, 1.0),
        Parameter("phi0", "degree", 0.0, -90.0, 90.0, period=180.0),
        *_transport(""),
        Parameter("D_ref", "Å²/s", 1e3, 1e-3, 1e6, Prior("log-normal", 6.907755278982137, 3.0), "log"),
        Parameter("D_sample", "Å²/s", 1e3, 1e-3, 1e6, Prior("log-normal", 6.907755278982137, 3.0), "log"),
        Parameter("v", "Å/s", 1e3, 1e-6, 1e6, _SPEED, "log"),
        Parameter("x", "1", 0.2, 0.0, 1.0),
    )
)
"""Every parameter of core's variants."""

SCALING = ParameterTable(
    (
        Parameter("contrast", "1", 0.3, 0.0, 1.0),
        Parameter("offset", "1", 1.0, 0.5, 1.5),
    )
)
"""Contrast and offset, one pair per bin: solved inside the fit, never started."""


def unknown_parameter(name: str, known: Iterable[str]) -> str:
    """The line for a name that is no parameter of a model."""
    if name in SCALING:
        return (
            f"{name!r} is no parameter of a model: every bin has its own, solved or integrated out; "
            f"{name} itself can be held at a value ({name}: VALUE, --{name} VALUE)"
        )
    return unknown("parameter", name, known)
