"""The model's table of parameters with the choices of a user written into it."""

from __future__ import annotations

from collections.abc import Mapping

from heterodyne.errors import ParameterError
from heterodyne.parameters import SCALING, ParameterTable
from heterodyne.problem.choices import Choices
from heterodyne.problem.priors import check_prior


def chosen_parameters(
    table: ParameterTable, choices: Choices, earlier: Mapping[str, float]
) -> ParameterTable:
    """The table with these choices written into it.

    ``earlier`` are start values that count where the choices give none, moved into bounds. Raises
    `ParameterError` for names that the table does not have and values that leave its bounds.
    """
    for name, value in earlier.items():
        table = table.updated(name, start=value)
    for name, (low, high) in choices.bounds.items():
        table = _bounded(table, name, low, high)
    for name, prior in choices.prior.items():
        if name not in SCALING:
            check_prior(table[name], prior)
            table = table.updated(name, prior=prior, vary=True)
    for name, value in choices.start.items():
        table = _started(table, name, value)
    for name, value in choices.fix.items():
        table = _fixed(table, name, value)
    for name, source in choices.tie.items():
        table = _tied(table, name, source, choices)
    return table


def _bounded(table: ParameterTable, name: str, low: float | None, high: float | None) -> ParameterTable:
    row = table[name]
    low, high = row.low if low is None else low, row.high if high is None else high
    if not low < high:
        raise ParameterError(f"bounds of {name!r} must be low < high, not {low:g}:{high:g}")
    if low < row.low or high > row.high:
        raise ParameterError(
            f"bounds {low:g}:{high:g} of {name!r} leave the range of the model, {row.low:g}:{row.high:g}"
        )
    return table.updated(name, low=low, high=high, start=min(max(row.start, low), high), vary=True)


def _started(table: ParameterTable, name: str, value: float) -> ParameterTable:
    row = table[name]
    if not row.low <= value <= row.high:
        raise ParameterError(f"start {name}={value:g} lies outside its bounds {row.low:g}:{row.high:g}")
    return table.updated(name, start=value, vary=True)


def _fixed(table: ParameterTable, name: str, value: float | None) -> ParameterTable:
    row = table[name]
    held = row.start if value is None else value
    if not row.accepts(held):
        raise ParameterError(f"fixed value {name}={held:g} lies outside its bounds {row.low:g}:{row.high:g}")
    return table.updated(name, start=held, vary=False)


def _tied(table: ParameterTable, name: str, source: str, choices: Choices) -> ParameterTable:
    """The table with ``source`` kept where ``name``, which equals it, may be too."""
    row, target = table[name], table[source]
    if name == source or source in choices.tie:
        raise ParameterError(f"tie {name}={source} does not end at a parameter of its own")
    if row.unit != target.unit:
        raise ParameterError(f"tie {name}={source} joins different units, {row.unit} and {target.unit}")
    low, high = max(row.low, target.low), min(row.high, target.high)
    held = source in choices.start or not target.vary
    if not low < high or (held and not row.accepts(target.start)):
        where = f"{target.start:g}" if held else f"within {target.low:g}:{target.high:g}"
        raise ParameterError(
            f"tie {name}={source}: {source} is {where}, outside the bounds {row.low:g}:{row.high:g} of {name}"
        )
    if not target.vary:
        return table
    return table.updated(source, low=low, high=high, start=min(max(target.start, low), high))
