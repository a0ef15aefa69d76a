"""Warm start: the estimates of an earlier fit as start values of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from heterodyne.errors import ParameterError
from heterodyne.parameters import ParameterTable


@runtime_checkable
class EarlierFit(Protocol):
    """A result to start from, such as a `heterodyne.Fit`: the name of its model, and values by parameter."""

    @property
    def model(self) -> str: ...
    @property
    def values(self) -> Mapping[str, float]: ...


@dataclass(frozen=True)
class WarmStart:
    """The estimates of an earlier fit: where they are from in words, of which model, values by parameter."""

    origin: str
    model: str
    values: Mapping[str, float]

    def __str__(self) -> str:
        return self.origin

    def starts(self, table: ParameterTable) -> dict[str, float]:
        """The estimates that can be start values of this table; raises `ParameterError` if there are none.

        A value outside the table's range, such as a rate that was fixed at 0, is none.
        """
        starts = {
            name: value
            for name, value in self.values.items()
            if name in table and table[name].low <= value <= table[name].high
        }
        if not starts:
            raise ParameterError(
                f"the fit of {self.model!r} given as warm start has no start value for any of {', '.join(table)}"
            )
        return starts


def as_warm_start(given: object) -> WarmStart | str | None:
    """The estimates of what is given, or the place from which they are still to be read; None stays None."""
    if given is None or isinstance(given, WarmStart):
        return given
    if isinstance(given, EarlierFit):
        return WarmStart(str(given), given.model, dict(given.values))
    if isinstance(given, str | Path) and str(given):
        return str(given)
    raise ValueError(f"{given!r} is neither a Fit nor the folder or fit.json of one")
