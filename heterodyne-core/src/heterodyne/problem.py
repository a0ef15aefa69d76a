"""`Problem`: a model, the data, which parameters vary within which bounds, and the scaling designs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError, ParameterError
from heterodyne.model import Model
from heterodyne.parameters import ParameterTable

Fixed = Mapping[str, float | None] | Iterable[str]
Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Problem:
    """What an optimizer is given.

    ``parameters`` is the model's table with the user's starts, bounds and fixed values written into it;
    ``ties`` maps a parameter to the one it equals; ``started`` names the parameters whose start the user
    gave; ``contrast`` and ``offset`` are scaling designs by name (`heterodyne.scaling`).
    """

    model: Model
    data: tuple[TwoTime, ...]
    parameters: ParameterTable
    ties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    started: frozenset[str] = frozenset()
    contrast: str | float = "individual"
    offset: str | float = "individual"

    @property
    def varying(self) -> tuple[str, ...]:
        """The parameters that the optimizer moves, in table order."""
        return tuple(n for n, row in self.parameters.items() if row.vary and n not in self.ties)

    @property
    def needs_start(self) -> bool:
        """Whether some varying parameter has no start value from the user."""
        return not set(self.varying) <= self.started

    def column(self, attribute: str) -> np.ndarray:
        """One attribute (start, low, high) of the varying parameters, as an array."""
        return np.array([getattr(self.parameters[name], attribute) for name in self.varying], dtype=float)

    def expand(self, values: Sequence[float] | np.ndarray) -> dict[str, float]:
        """All parameters by name from the values of the varying ones."""
        moved = dict(zip(self.varying, map(float, values), strict=True))
        free = {name: moved.get(name, row.start) for name, row in self.parameters.items()}
        return {name: free[self.ties.get(name, name)] for name in free}

    def selection_matrix(self) -> np.ndarray:
        """∂(all parameters)/∂(varying ones): zeros and ones, ties included, shape (all, varying)."""
        column = {name: k for k, name in enumerate(self.varying)}
        matrix = np.zeros((len(self.parameters), len(column)))
        for row, name in enumerate(self.parameters):
            source = self.ties.get(name, name)
            if source in column:
                matrix[row, column[source]] = 1.0
        return matrix


def create_problem(
    data: TwoTime | Sequence[TwoTime],
    model: Model,
    *,
    fix: Fixed = (),
    start: Mapping[str, float] | None = None,
    bounds: Bounds | None = None,
    tie: Mapping[str, str] | None = None,
    contrast: str | float = "individual",
    offset: str | float = "individual",
) -> Problem:
    """The problem these choices state.

    ``fix`` maps names to values (None: the start value) or lists names; ``start``, ``bounds`` and ``tie``
    map names. A start or bounds for a parameter that does not vary by default (f2) frees it.
    Raises `ParameterError` for unknown names, values outside bounds and contradictions, `DataError` for
    bins that the model cannot serve.
    """
    sets = (data,) if isinstance(data, TwoTime) else tuple(data)
    _check_data(sets, model)
    fixed = dict(fix) if isinstance(fix, Mapping) else dict.fromkeys(fix)
    start, bounds, ties = dict(start or {}), dict(bounds or {}), dict(tie or {})
    _check_conflicts(fixed, start, bounds, ties)
    table = model.parameters
    for name, (low, high) in bounds.items():
        table = _bounded(table, name, float(low), float(high))
    for name, value in start.items():
        table = _started(table, name, float(value))
    for name, value in fixed.items():
        table = _fixed(table, name, value)
    _check_ties(table, ties)
    problem = Problem(model, sets, table, MappingProxyType(ties), frozenset(start), contrast, offset)
    if not problem.varying:
        raise ParameterError(f"every parameter of {model.name!r} is fixed or tied: nothing is left to fit")
    return problem


def _check_data(sets: tuple[TwoTime, ...], model: Model) -> None:
    if not sets or not sum(data.n_bins for data in sets):
        raise DataError("there is no data to fit")
    for data in sets:
        if model.uses_azimuth and np.isnan(data.phi).any():
            bad = data.label(int(np.flatnonzero(np.isnan(data.phi))[0]))
            raise DataError(
                f"model {model.name!r} needs an azimuth for every bin, and {bad} has none; "
                "select bins with phi or use a model without flow (no-flow, static)"
            )


def _check_conflicts(fixed: Mapping, start: Mapping, bounds: Mapping, ties: Mapping) -> None:
    for name in fixed:
        for other, word in ((start, "a start value"), (ties, "a tie")):
            if name in other:
                raise ParameterError(f"parameter {name!r} is fixed and has {word}: give one of the two")
    for name in ties:
        for other, word in ((start, "a start value"), (bounds, "bounds")):
            if name in other:
                raise ParameterError(f"parameter {name!r} is tied and has {word}: give one of the two")


def _bounded(table: ParameterTable, name: str, low: float, high: float) -> ParameterTable:
    row = table[name]
    if not low < high:
        raise ParameterError(f"bounds of {name!r} must be low < high, not {low:g}:{high:g}")
    if low < row.low or high > row.high:
        raise ParameterError(
            f"bounds {low:g}:{high:g} of {name!r} leave the range of the model, {row.low:g}:{row.high:g}"
        )
    start = min(max(row.start, low), high)
    return table.updated(name, low=low, high=high, start=start, vary=True)


def _started(table: ParameterTable, name: str, value: float) -> ParameterTable:
    row = table[name]
    if not row.low <= value <= row.high:
        raise ParameterError(f"start {name}={value:g} lies outside its bounds {row.low:g}:{row.high:g}")
    return table.updated(name, start=value, vary=True)


def _fixed(table: ParameterTable, name: str, value: float | None) -> ParameterTable:
    row = table[name]
    held = row.start if value is None else float(value)
    if not row.accepts(held):
        raise ParameterError(f"fixed value {name}={held:g} lies outside its bounds {row.low:g}:{row.high:g}")
    return table.updated(name, start=held, vary=False)


def _check_ties(table: ParameterTable, ties: Mapping[str, str]) -> None:
    for name, source in ties.items():
        row, target = table[name], table[source]
        if name == source or source in ties:
            raise ParameterError(f"tie {name}={source} does not end at a parameter of its own")
        if row.unit != target.unit:
            raise ParameterError(f"tie {name}={source} joins different units, {row.unit} and {target.unit}")
