"""What a user chooses for a fit: held, started, bounded and tied parameters, priors, scaling designs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from heterodyne.data.two_time import TwoTime
from heterodyne.errors import ParameterError
from heterodyne.frozen import FrozenMapping
from heterodyne.model import Model
from heterodyne.parameters import SCALING, ParameterTable
from heterodyne.problem.checks import check_count, check_data, check_lags, data_sets, given_number
from heterodyne.problem.priors import scaling_priors, with_priors
from heterodyne.problem.problem import Problem

Fixed = Mapping[str, float | None] | Iterable[str]

Bounds = Mapping[str, tuple[float, float]]


def create_problem(
    data: TwoTime | Sequence[TwoTime],
    model: Model,
    *,
    fix: Fixed = (),
    start: Mapping[str, float] | None = None,
    bounds: Bounds | None = None,
    tie: Mapping[str, str] | None = None,
    prior: Mapping[str, Any] | None = None,
    contrast: str | float = "auto",
    offset: str | float = "auto",
    skip_lags: int = 0,
    warm: Mapping[str, float] | None = None,
) -> Problem:
    """The problem these choices state.

    ``fix`` maps names to values (None: the start value) or lists names; ``start``, ``bounds`` and ``tie``
    map names, as does ``prior``, to a `heterodyne.parameters.Prior` or what `heterodyne.problem.priors.as_prior`
    takes; of contrast and offset it has to be normal. A start, bounds or a prior for a parameter that does
    not vary by default (f2) frees it; a parameter that another is tied to stays within the bounds of both.
    ``warm`` are start values of some parameters that count where ``start`` gives none, moved into ``bounds``.
    Raises `ParameterError` for unknown names, values outside bounds and contradictions, `DataError` for
    bins that the model cannot serve, `ConfigError` for more skipped lags than the data have.
    """
    sets = data_sets(data)
    check_data(sets, model)
    check_lags(skip_lags, sets)
    named = (("start", start), ("bounds", bounds), ("tie", tie), ("prior", prior))
    start, bounds, ties, priors = (_mapping(*given) for given in named)
    of_scaling = {name: priors.pop(name) for name in SCALING if name in priors}
    table = model.parameters
    for name, value in (warm or {}).items():
        table = table.updated(name, start=value)
    table = _chosen(table, names_or_mapping(fix), start, bounds, ties, priors)
    problem = Problem(
        model,
        sets,
        table,
        FrozenMapping(ties),
        frozenset((*start, *(warm or {}))),
        contrast,
        offset,
        skip_lags,
        frozenset(priors),
        FrozenMapping(scaling_priors(of_scaling, {"contrast": contrast, "offset": offset})),
    )
    if not problem.varying:
        raise ParameterError(f"every parameter of {model.name!r} is fixed or tied: nothing is left to fit")
    check_count(problem)
    return problem


def _chosen(
    table: ParameterTable,
    fixed: Mapping[str, float | None],
    start: Mapping[str, Any],
    bounds: Mapping[str, Any],
    ties: Mapping[str, str],
    priors: Mapping[str, Any],
) -> ParameterTable:
    """The table with these choices written into it."""
    _check_conflicts(fixed, start, bounds, ties, priors)
    for name, limits in bounds.items():
        table = _bounded(table, name, *_limits(name, limits))
    table = with_priors(table, priors)
    for name, value in start.items():
        table = _started(table, name, given_number(f"start of {name!r}", value))
    for name, value in fixed.items():
        table = _fixed(table, name, value)
    for name, source in ties.items():
        table = _tied(table, name, source, ties, source in start)
    return table


def names_or_mapping(fix: object) -> dict[str, float | None]:
    """Values by name, None where only a name is given; raises `ParameterError` for anything else."""
    if isinstance(fix, Mapping):
        return dict(fix)
    names = (fix,) if isinstance(fix, str) else fix
    if not isinstance(names, Iterable):
        raise ParameterError(f"fix must list names or map them to values, not be {fix!r}")
    return dict.fromkeys(names)


def _mapping(word: str, given: object) -> dict[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise ParameterError(f"{word} must map parameter names to values, not be {given!r}")
    return dict(given or {})


def _limits(name: str, given: object) -> tuple[float, float]:
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise ParameterError(f"bounds of {name!r} must be two numbers (low, high), not {given!r}")
    low, high = (given_number(f"a bound of {name!r}", end) for end in given)
    return low, high


def _check_conflicts(fixed: Mapping, start: Mapping, bounds: Mapping, ties: Mapping, priors: Mapping) -> None:
    for name in fixed:
        for other, word in ((start, "a start value"), (ties, "a tie"), (priors, "a prior")):
            if name in other:
                raise ParameterError(f"parameter {name!r} is fixed and has {word}: give one of the two")
    for name in ties:
        for other, word in ((start, "a start value"), (bounds, "bounds"), (priors, "a prior")):
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
    held = row.start if value is None else given_number(f"fixed value of {name!r}", value)
    if not row.accepts(held):
        raise ParameterError(f"fixed value {name}={held:g} lies outside its bounds {row.low:g}:{row.high:g}")
    return table.updated(name, start=held, vary=False)


def _tied(
    table: ParameterTable, name: str, source: str, ties: Mapping[str, str], started: bool
) -> ParameterTable:
    """The table with ``source`` kept where ``name``, which equals it, may be too."""
    row, target = table[name], table[source]
    if name == source or source in ties:
        raise ParameterError(f"tie {name}={source} does not end at a parameter of its own")
    if row.unit != target.unit:
        raise ParameterError(f"tie {name}={source} joins different units, {row.unit} and {target.unit}")
    low, high = max(row.low, target.low), min(row.high, target.high)
    held = started or not target.vary
    if not low < high or (held and not row.accepts(target.start)):
        where = f"{target.start:g}" if held else f"within {target.low:g}:{target.high:g}"
        raise ParameterError(
            f"tie {name}={source}: {source} is {where}, outside the bounds {row.low:g}:{row.high:g} of {name}"
        )
    if not target.vary:
        return table
    return table.updated(source, low=low, high=high, start=min(max(target.start, low), high))
