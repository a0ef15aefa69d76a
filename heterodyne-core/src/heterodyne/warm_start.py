"""Warm start: the estimates of an earlier result as start values of another fit."""

from __future__ import annotations

from pathlib import Path

from heterodyne.errors import DataError, ParameterError
from heterodyne.io.results import read_fit
from heterodyne.parameters import ParameterTable
from heterodyne.result import Fit


def earlier_fit(given: object) -> Fit:
    """The result that a warm start names: a `Fit`, or a folder or file that one was written to.

    Raises `DataError` for what is none.
    """
    if isinstance(given, Fit):
        return given
    if isinstance(given, str | Path):
        return read_fit(given)
    raise DataError(f"a warm start is a Fit, or the folder or fit.json of one, not a {type(given).__name__}")


def shared_names(table: ParameterTable, earlier: Fit) -> tuple[str, ...]:
    """The parameters whose estimate can be a start value here; raises `ParameterError` if there are none.

    A value outside the table's range, such as a rate that was fixed at 0, is none.
    """
    names = tuple(
        row.name for row in earlier.estimates if row.name in table and _inside(table, row.name, row.value)
    )
    if not names:
        raise ParameterError(
            f"the fit of {earlier.model!r} given as warm start has no start value for any of {', '.join(table)}"
        )
    return names


def warm_started(table: ParameterTable, earlier: Fit) -> ParameterTable:
    """The table with the estimates of ``earlier`` as start values, where it has any."""
    for name in shared_names(table, earlier):
        table = table.updated(name, start=earlier.values[name])
    return table


def _inside(table: ParameterTable, name: str, value: float) -> bool:
    return table[name].low <= value <= table[name].high
