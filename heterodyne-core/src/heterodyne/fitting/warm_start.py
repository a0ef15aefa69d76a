"""Warm start: the estimates of an earlier result as start values of another fit."""

from __future__ import annotations

from pathlib import Path

from heterodyne.errors import DataError, ParameterError
from heterodyne.parameters import ParameterTable
from heterodyne.result.document import read_fit
from heterodyne.result.fit import Fit


def earlier_fit(given: object) -> Fit:
    """The result that a warm start names: a `Fit`, or a folder or file that one was written to.

    Raises `DataError` for what is none.
    """
    if isinstance(given, Fit):
        return given
    if isinstance(given, str | Path):
        return read_fit(given)
    raise DataError(f"a warm start is a Fit, or the folder or fit.json of one, not a {type(given).__name__}")


def start_values(table: ParameterTable, earlier: Fit) -> dict[str, float]:
    """The estimates that can be start values here, by parameter; raises `ParameterError` if there are none.

    A value outside the table's range, such as a rate that was fixed at 0, is none.
    """
    found = {
        row.name: row.value
        for row in earlier.estimates
        if row.name in table and table[row.name].low <= row.value <= table[row.name].high
    }
    if not found:
        raise ParameterError(
            f"the fit of {earlier.model!r} given as warm start has no start value for any of {', '.join(table)}"
        )
    return found
