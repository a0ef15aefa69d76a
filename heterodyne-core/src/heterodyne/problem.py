"""`Problem`: a model, the data, which parameters vary within which bounds, and the scaling designs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.errors import ConfigError, DataError, ParameterError
from heterodyne.model import Model
from heterodyne.parameters import SCALING, ParameterTable, Prior
from heterodyne.priors import scaling_priors, with_priors
from heterodyne.result import Fit
from heterodyne.scaling import scaling_design, settled
from heterodyne.warm_start import shared_names, warm_started

Fixed = Mapping[str, float | None] | Iterable[str]
Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Problem:
    """What an optimizer is given.

    ``parameters`` is the model's table with the user's starts, bounds and fixed values written into it;
    ``ties`` maps a parameter to the one it equals; ``started`` names the parameters whose start the user
    or an earlier result gave; ``contrast`` and ``offset`` are scaling designs by name
    (`heterodyne.scaling`). ``skip_lags`` is the number of lags next to the diagonal, in frames, that every
    bin leaves out. ``priors`` names the parameters whose prior the user gave;
    ``scaling_priors`` are those given of contrast and offset.
    """

    model: Model
    data: tuple[TwoTime, ...]
    parameters: ParameterTable
    ties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    started: frozenset[str] = frozenset()
    contrast: str | float = "auto"
    offset: str | float = "auto"
    skip_lags: int = 0
    priors: frozenset[str] = frozenset()
    scaling_priors: Mapping[str, Prior] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def varying(self) -> tuple[str, ...]:
        """The parameters that the optimizer moves, in table order."""
        return tuple(n for n, row in self.parameters.items() if row.vary and n not in self.ties)

    @property
    def needs_start(self) -> bool:
        """Whether some varying parameter has only the table's start value."""
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
    prior: Mapping[str, Any] | None = None,
    contrast: str | float = "auto",
    offset: str | float = "auto",
    skip_lags: int = 0,
    warm_start: Fit | None = None,
) -> Problem:
    """The problem these choices state.

    ``fix`` maps names to values (None: the start value) or lists names; ``start``, ``bounds`` and ``tie``
    map names, as does ``prior``, to a `heterodyne.parameters.Prior` or what `heterodyne.priors.as_prior`
    takes; of contrast and offset it has to be normal. A start, bounds or a prior for a parameter that does
    not vary by default (f2) frees it; a parameter that another is tied to stays within the bounds of both.
    Estimates of ``warm_start`` are the start values of the parameters that it has too, moved into
    ``bounds``, where ``start`` gives none.
    Raises `ParameterError` for unknown names, values outside bounds and contradictions, `DataError` for
    bins that the model cannot serve, `ConfigError` for more skipped lags than the data have.
    """
    sets = data_sets(data)
    _check_data(sets, model)
    _check_lags(skip_lags, sets)
    named = (("start", start), ("bounds", bounds), ("tie", tie), ("prior", prior))
    start, bounds, ties, priors = (_mapping(*given) for given in named)
    of_scaling = {name: priors.pop(name) for name in SCALING if name in priors}
    table, warm = model.parameters, ()
    if warm_start is not None:
        table, warm = warm_started(table, warm_start), shared_names(table, warm_start)
    table = _chosen(table, names_or_mapping(fix), start, bounds, ties, priors)
    problem = Problem(
        model,
        sets,
        table,
        MappingProxyType(ties),
        frozenset((*start, *warm)),
        contrast,
        offset,
        skip_lags,
        frozenset(priors),
        MappingProxyType(scaling_priors(of_scaling, {"contrast": contrast, "offset": offset})),
    )
    if not problem.varying:
        raise ParameterError(f"every parameter of {model.name!r} is fixed or tied: nothing is left to fit")
    _check_count(problem)
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
        table = _started(table, name, _number(f"start of {name!r}", value))
    for name, value in fixed.items():
        table = _fixed(table, name, value)
    for name, source in ties.items():
        table = _tied(table, name, source, ties, source in start)
    return table


def data_sets(data: object) -> tuple[TwoTime, ...]:
    """The data sets in what a caller gives as data; raises `DataError` for anything else."""
    sets = (data,) if isinstance(data, TwoTime) else data
    if not isinstance(sets, list | tuple) or not all(isinstance(one, TwoTime) for one in sets):
        raise DataError(
            f"data must be what heterodyne.load returns, or a list of those, not {type(data).__name__}"
        )
    return tuple(sets)


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
    low, high = (_number(f"a bound of {name!r}", end) for end in given)
    return low, high


def _number(what: str, value: object) -> float:
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise ParameterError(f"{what} must be a number, not {value!r}")


def _check_data(sets: tuple[TwoTime, ...], model: Model) -> None:
    if not sets or not sum(data.n_bins for data in sets):
        raise DataError("there is no data to fit")
    for one, other in combinations(sets, 2):
        if shared := _shared_bin(one, other):
            raise DataError(
                f"{one.provenance.get('file', 'data')}: the same frames of bin {shared} are given twice "
                "and would be counted twice"
            )
    for data in sets:
        if model.uses_azimuth and np.isnan(data.phi).any():
            bad = data.label(int(np.flatnonzero(np.isnan(data.phi))[0]))
            raise DataError(
                f"model {model.name!r} needs an azimuth for every bin, and {bad} has none; "
                "select bins with phi or use a model without flow (no-flow, static)"
            )


def _shared_bin(one: TwoTime, other: TwoTime) -> str | None:
    """The label of a bin of which both hold common frames of one file; None if there is none."""
    if one is not other:
        prints = [_fingerprint(data) for data in (one, other)]
        if (
            prints[0] is None
            or prints[0] != prints[1]
            or min(one.t[-1], other.t[-1]) < max(one.t[0], other.t[0])
        ):
            return None
    labels = {other.label(index) for index in range(other.n_bins)}
    return next((label for index in range(one.n_bins) if (label := one.label(index)) in labels), None)


def _fingerprint(data: TwoTime) -> object:
    """What tells whether two data sets come from one file, whatever its name; None for data from none."""
    origin = data.provenance
    if "sha256" in origin:
        return origin["sha256"]
    return (origin["size"], origin["mtime_ns"]) if "mtime_ns" in origin else None


def _check_count(problem: Problem) -> None:
    """Raise `DataError` where the pairs of frames are too few for what is to be fitted."""
    q, phi = (np.concatenate([getattr(data, name) for data in problem.data]) for name in ("q", "phi"))
    fitted = len(problem.varying)
    for which, choice in zip(("contrast", "offset"), settled(problem.contrast, problem.offset), strict=True):
        if not isinstance(choice, str):
            _number(which, choice)
        fitted += scaling_design(which, choice, q, phi).matrix.shape[1]
    pairs = sum(_pair_count(data, problem.skip_lags) for data in problem.data)
    if pairs <= fitted:
        raise DataError(
            f"{pairs} pairs of frames cannot determine {fitted} numbers (parameters, contrast and offset): "
            "select more frames or fix parameters"
        )


def _pair_count(data: TwoTime, skip_lags: int) -> int:
    """At least so many pairs of frames are left by masks, skipped lags and the list of bad pairs."""
    used = data.mask.sum(axis=1)
    near = sum(int((data.mask[:, :-lag] & data.mask[:, lag:]).sum()) for lag in range(1, skip_lags + 1))
    return int(np.sum(used * (used - 1) // 2)) - near - len(data.bad_pairs)


def _check_lags(skip_lags: object, sets: tuple[TwoTime, ...]) -> None:
    if not isinstance(skip_lags, int | np.integer) or isinstance(skip_lags, bool) or skip_lags < 0:
        raise ConfigError(f"skip_lags must be a whole number of frames, 0 or more, not {skip_lags!r}")
    fewest = min(data.n_frames for data in sets)
    if skip_lags and skip_lags >= fewest - 3:
        raise ConfigError(f"skip_lags={skip_lags} leaves too little of {fewest} frames: at most {fewest - 4}")


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
    held = row.start if value is None else _number(f"fixed value of {name!r}", value)
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
