"""One fit per q, azimuth or file, the parameters against it, and whether they are constant."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from heterodyne.atomic import as_path, file_name, replacing
from heterodyne.catalogue import create_model
from heterodyne.data.geometry import axis_of, ring_of
from heterodyne.errors import ConfigError, DataError, EmptyBins
from heterodyne.fitting.constancy import SIGNIFICANT, Constancy, constancy
from heterodyne.fitting.fit import create_choices, fit_chosen, labelled
from heterodyne.kernels.curves import curve_values
from heterodyne.model import Model
from heterodyne.plugins.manager import optimizer_record
from heterodyne.plugins.outputs import OUTPUTS, Output, name_of_run, outputs_of, save_outputs
from heterodyne.problem.checks import check_data, data_sets
from heterodyne.problem.choices import ChoiceKeywords, spells_choices
from heterodyne.problem.one_time import Data, as_matrices
from heterodyne.result.derived import ABOUT
from heterodyne.result.document import plain
from heterodyne.result.fit import Estimate, Fit
from heterodyne.result.provenance import Provenance
from heterodyne.solution.covariance import quantile
from heterodyne.solution.other_solutions import twins
from heterodyne.words import significant, table
from heterodyne.writing.csv import write_csv

SCHEMA = "heterodyne/series/1"

BY: Mapping[str, str] = {"q": "1/Å", "phi": "degree", "file": ""}
"""What fits can be grouped by, and its unit."""

_LEFT_OUT = (
    "left out are groups whose fit did not converge or gives the parameter no error bar; offsets that are held at 0 "
    "give others one"
)

_ENDINGS = ("", "_error", "_interval_low", "_interval_high")  # of columns of derived quantities

_SAME_TIME = 0.02  # of a run: middles so near to one another are at one time

_TELLING = 3.84  # Δχ² of one parameter at 95 %: less does not tell two solutions apart


@dataclass(frozen=True, eq=False)
class Group:
    """The fit of the bins at one q or azimuth, or in one file, ``value``; ``name`` is that of its folder."""

    value: float | str
    name: str
    n_bins: int
    fit: Fit

    def estimate(self, name: str) -> Estimate:
        """One parameter of the fit."""
        return next(row for row in self.fit.estimates if row.name == name)


@dataclass(frozen=True, eq=False)
class Series:
    """The fits of all groups by value, or of files as given, and the tests of constancy by parameter.

    ``middles`` are those of the curves in the middle of the run, which data may determine where they do not determine
    the parameters.
    """

    by: str
    groups: tuple[Group, ...]
    tests: Mapping[str, Constancy]
    middles: Mapping[str, Constancy] = field(default_factory=dict)

    @property
    def success(self) -> bool:
        """Whether the fit of every group converged."""
        return all(group.fit.success for group in self.groups)

    def report(self) -> str:
        """Parameters against q, azimuth or file with robust errors, and the tests, as text."""
        first = self.groups[0].fit
        values = [_group_cells(group, self.tests) for group in self.groups]
        tests = [_test_cells(test) for test in (*self.tests.values(), *self.middles.values())]
        unit = f" ({BY[self.by]})" if BY[self.by] else ""
        return "\n".join(
            (
                f"[[Series]] {first.model} by {first.optimizer}, one fit per {self.by}{unit}",
                table((self.by, "bins", "verdict", *self.tests), values),
                *_derived(self),
                f"[[Constancy]] over {self.by}; p < {SIGNIFICANT:g} counts as not constant; {_LEFT_OUT}",
                table(("parameter", "mean", "chi2", "dof", "p", "verdict", "left out"), tests),
            )
        )

    def text(self) -> str:
        """The series as JSON text, the content of `by_q.json`, `by_phi.json` or `by_file.json`."""
        document = {
            "schema": SCHEMA,
            "by": self.by,
            "unit": BY[self.by],
            "groups": [_group_document(group, self.by) for group in self.groups],
            "constancy": _tests_document(self.tests),
            "constancy_middle": _tests_document(self.middles),
        }
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, folder: str | Path, write: Iterable[str] | None = None) -> list[Path]:
        """Write `by_q.json` and `by_q.csv` (or by_phi, by_file) into ``folder`` and every fit into a folder in it.

        ``write`` names the outputs of every fit, as in `Fit.save`; those that have a form for series
        (figures) write that too. Returns the paths written; raises what `Fit.save` raises.
        """
        outputs = [output for group in self.groups for output in group.fit.outputs(write, group.name)]
        own = outputs_of(self, OUTPUTS if write is None else write, "series")
        outputs += [Output("by", self._write_tables), *own]
        return save_outputs(outputs, as_path(folder), name_of_run(self.text()))

    def _write_tables(self, folder: Path) -> list[Path]:
        place = folder / f"by_{self.by}.json"
        with replacing(place) as temporary:
            temporary.write_text(self.text(), encoding="utf-8")
        return [place, write_csv(place.with_suffix(".csv"), *_columns(self))]


@spells_choices
def fit_by(
    data: Data | Sequence[Data],
    by: str,
    model: str | Model = "two-component",
    optimizer: str = "nlsq",
    *,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
    **choices: Unpack[ChoiceKeywords],
) -> Series:
    """One fit per q (bins within 5 %), per azimuth (modulo 180°, half a bin) or per file, and tests of constancy.

    ``by`` is ``q``, ``phi`` or ``file``. A group is fitted from the solutions of its neighbours too, and, but by
    file, from that of all bins, and the lowest deviance counts. Where several minima fit
    a group as well, such as reference and sample exchanged, it takes the one like the group before it. Raises
    `ConfigError` for another ``by``, `DataError` for bins without an azimuth, and what `heterodyne.fit` raises.
    """
    sets, chosen = data_sets(data), create_choices(choices)
    if by == "file":  # each is fitted alone, and the tests take them for independent
        check_data(as_matrices(sets), model if isinstance(model, Model) else create_model(model))

    def fitted(part: Sequence[Data], name: str, brief: bool = False, **more: Any) -> Fit:
        said, given = labelled(progress, name), options
        if brief:
            given = {**(options or {}), **_brief(optimizer)}
        return fit_chosen(part, model, optimizer, replace(chosen, **more), given, said)

    parts = grouped(sets, by)
    bins = [
        [data.bins(of_set) for data, of_set in zip(sets, members, strict=True) if of_set]
        for *_, members in parts
    ]
    again = [partial(fitted, some, name) for some, (_, name, _) in zip(bins, parts, strict=True)]
    found = _each_alone(again, [name for _, name, _ in parts])
    kept = [k for k, result in enumerate(found) if result is not None]
    results = [result for result in found if result is not None]
    again, parts = [again[k] for k in kept], [parts[k] for k in kept]
    leads = len(results) > 1 and by != "file" and all(map(_descends, results))
    results = agreed(results, fitted(sets, "all bins", brief=True) if leads else None, again)
    groups = [
        Group(value, name, sum(map(len, members)), _of_group(result, by, value))
        for (value, name, members), result in zip(parts, results, strict=True)
    ]
    names = [row.name for row in groups[0].fit.estimates if row.vary]
    tests = {name: _tested(name, groups) for name in names}
    return Series(by, tuple(groups), tests, dict(_tested_middles(groups)))


def _each_alone(alone: Sequence[Callable[..., Fit]], names: Sequence[str]) -> list[Fit | None]:
    """The fits of all groups; None for one without anything in its bins, of which a warning tells.

    Raises `EmptyBins` where there is no other.
    """
    found: list[Fit | None] = []
    for fit_alone, name in zip(alone, names, strict=True):
        try:
            found.append(fit_alone())
        except EmptyBins as empty:
            if len(found) == len(names) - 1 and not any(found):
                raise
            warnings.warn(f"{name} is left out: {empty}", stacklevel=3)
            found.append(None)
    return found


def _brief(optimizer: str) -> dict[str, str]:
    """Options with which a fit that is only a candidate takes no longer than it need."""
    offered = {option.name for option in optimizer_record(optimizer).options}
    return {"profiles": "asked"} if "profiles" in offered else {}


def _of_group(result: Fit, by: str, value: float | str) -> Fit:
    origin = Provenance(group={"by": by, "value": value})
    return replace(result, provenance=result.provenance | origin)


def grouped(sets: Sequence[Data], by: str) -> list[tuple[float | str, str, list[list[int]]]]:
    """Every group's value, name, and its bins in each data set, in order of value, or of the files."""
    if by not in BY:
        *others, last = BY
        raise ConfigError(f"fits are made by {', '.join(others)} or {last}, not by {by!r}")
    if not sum(data.n_bins for data in sets):
        raise DataError("there is no data to fit")
    if by == "file":
        return _by_file(sets)
    q, phi, dphi = (np.concatenate([getattr(data, name) for data in sets]) for name in ("q", "phi", "dphi"))
    if by == "phi" and np.isnan(phi).any():
        raise DataError("bins without an azimuth (rings) cannot be fitted by phi; fit them by q")
    number = ring_of(q, phi) if by == "q" else axis_of(phi, dphi)
    values = {k: float(np.median(q[number == k]) if by == "q" else phi[number == k][0]) for k in set(number)}
    order = sorted(values, key=lambda k: values[k])
    ends = np.cumsum([data.n_bins for data in sets])[:-1]
    members = [[np.flatnonzero(part == k).tolist() for part in np.split(number, ends)] for k in order]
    names = _folder_names(by, [values[k] for k in order])
    return [(values[k], name, bins) for k, name, bins in zip(order, names, members, strict=True)]


def _by_file(sets: Sequence[Data]) -> list[tuple[float | str, str, list[list[int]]]]:
    files = [str(data.provenance.get("file", f"data set {k}")) for k, data in enumerate(sets, 1)]
    stems = [file_name(Path(file).stem)[:60] for file in files]
    names = [
        f"file_{k}_{stem}" if stems.count(stem) > 1 else f"file_{stem}" for k, stem in enumerate(stems, 1)
    ]
    bins = [[list(range(data.n_bins)) if one is data else [] for one in sets] for data in sets]
    return list(zip(files, names, bins, strict=True))


def agreed(results: Sequence[Fit], joint: Fit | None, again: Sequence[Callable[..., Fit]]) -> list[Fit]:
    """The fits of all groups at the lowest minima that they lead one another to, with components named alike.

    ``again[k](start=...)`` fits group k from other values, ``brief`` where it is to be compared only. ``joint`` is the
    fit of all groups, as which the first of them names its components; each of the others names them as the one before
    it.
    """
    tried = [
        [own, *_from_others(own, [joint, *results[max(k - 1, 0) : k], *results[k + 1 : k + 2]], alone)]
        for k, (own, alone) in enumerate(zip(results, again, strict=True))
    ]
    named: list[Fit] = []
    for fits, alone in zip(tried, again, strict=True):
        neighbour = named[-1] if named else joint
        found = nearest_of(fits, neighbour)
        if found is not fits[0]:
            found = alone(start=_inside(found, found.values))
        named.append(found if neighbour is None else named_alike(found, neighbour, alone))
    return named


def _from_others(own: Fit, others: Sequence[Fit | None], again: Callable[..., Fit]) -> list[Fit]:
    """The fits of a group from the solutions of others that are not its own within its errors."""
    tried: list[Fit] = []
    for other in others if _descends(own) else ():
        if other is not None and all(_is_apart(other.values, fit) for fit in (own, *tried)):
            tried.append(again(start=_inside(own, other.values), brief=True))
    return tried


def _descends(fit: Fit) -> bool:
    """Whether a fit depends on where it starts and is quickly made again: draws are neither."""
    return _stated(fit) and fit.posterior is None


def _is_apart(values: Mapping[str, float], fit: Fit) -> bool:
    """Whether values are no solution that a fit has found: off by more than its errors, rms, or without errors."""
    squares = _squares(values, fit)
    return not squares or sum(squares) > len(squares)


def nearest_of(fits: Sequence[Fit], neighbour: Fit | None) -> Fit:
    """The fit like its neighbour among those whose deviance is the lowest, or higher by what says nothing.

    Those that converged go before others; without a neighbour the lowest is taken.
    """
    least = min(_deviance(fit) for fit in fits)
    if neighbour is None:
        return min(fits, key=_deviance)
    near = [fit for fit in fits if _deviance(fit) <= least + _TELLING]
    return min(near, key=lambda fit: (not fit.success, _distance(fit.values, neighbour)))


def named_alike(found: Fit, neighbour: Fit, again: Callable[..., Fit]) -> Fit:
    """The fit with reference and sample named as in its neighbour, where the data do not tell the two apart.

    The exchange is exact for a constant fraction only: ``again(start=..., brief=True)`` fits from the exchanged
    estimates, and its result is taken if it is not worse than noise explains. An optimizer that states no
    deviance is left alone.
    """
    problem = found.problem
    if problem is None or not _stated(found) or not (found.success and neighbour.success):
        return found
    nearest = min(
        (twin for _, twin in twins(problem, found.values)),
        key=lambda twin: _distance(twin, neighbour),
        default=found.values,
    )
    if _distance(nearest, neighbour) >= _distance(found.values, neighbour):
        return found
    other = again(start=_inside(found, nearest), brief=True)  # profiles would lead back to the lower minimum
    worse = _deviance(other) - _deviance(found)
    return other if other.success and worse <= _TELLING else found


def _inside(fit: Fit, values: Mapping[str, float]) -> dict[str, float]:
    """Start values of what a fit varies, within its bounds."""
    assert fit.problem is not None
    rows = fit.problem.parameters
    return {name: min(max(values[name], rows[name].low), rows[name].high) for name in fit.problem.varying}


def _stated(fit: Fit) -> bool:
    """Whether a fit can be compared with others of the same data, and be made again."""
    return fit.problem is not None and fit.statistics.deviance is not None


def _deviance(fit: Fit) -> float:
    return math.inf if fit.statistics.deviance is None else fit.statistics.deviance


def _tested(name: str, groups: Sequence[Group]) -> Constancy:
    """The test of one parameter over the groups whose fit converged and gives it an error bar.

    That of a parameter on a log scale is of its logarithm, whose interval is the symmetric one.
    """
    problem = groups[0].fit.problem
    parameter = None if problem is None else problem.parameters[name]
    is_log = parameter is not None and parameter.scale == "log"
    rows = [group.estimate(name) for group in groups]
    values = np.array([row.value for row in rows])
    found = constancy(
        name,
        rows[0].unit,
        np.log(values) if is_log else values,
        np.array([_sides(group.fit, row, is_log) for row, group in zip(rows, groups, strict=True)]),
        np.array([group.fit.statistics.get("dof", math.inf) for group in groups]),
        tuple(group.name for group in groups),
        None if parameter is None else parameter.period,
    )
    if not is_log:
        return found
    mean = math.exp(found.mean)
    return replace(found, mean=mean, error=mean * found.error)


def _tested_middles(groups: Sequence[Group]) -> Iterator[tuple[str, Constancy]]:
    """The tests of the curves of the model in the middle of the run, over the groups whose fit converged."""
    freedom = np.array([group.fit.statistics.get("dof", math.inf) for group in groups])
    labels = tuple(group.name for group in groups)
    for place, first in enumerate(groups[0].fit.derived):
        if first.words:  # half of the curve before it
            continue
        rows = [group.fit.derived[place] for group in groups]
        times = np.array([row.t[row.middle] for row in rows])
        if np.ptp(times) > _SAME_TIME * np.ptp(
            first.t
        ):  # of runs of other length or age: the curve may change
            continue
        middles = [row.at(row.middle) for row in rows]
        values, errors = np.array([[value, error] for value, error, *_ in middles]).T
        errors[[not group.fit.success for group in groups]] = math.nan
        name = f"{first.name}, middle"
        yield name, constancy(name, first.unit, values, errors, freedom, labels)


def _sides(fit: Fit, row: Estimate, is_log: bool) -> tuple[float, float]:
    """The standard errors below and above an estimate, or its logarithm, that its 95 % interval tells.

    An end at a bound tells none: there the error bar stands.
    """
    if not (fit.success and row.error > 0.0):
        return math.nan, math.nan
    error = row.error / row.value if is_log else row.error
    half = quantile(fit.statistics.get("dof", math.inf))

    def side(end: float, bound: float) -> float:
        if not math.isfinite(end) or end in (bound, row.value):
            return error
        return abs(math.log(end / row.value) if is_log else end - row.value) / half

    return side(row.interval[0], row.low), side(row.interval[1], row.high)


def _distance(values: Mapping[str, float], neighbour: Fit) -> float:
    """How far values are from those of a fit, in squares of its errors."""
    return sum(_squares(values, neighbour))


def _squares(values: Mapping[str, float], fit: Fit) -> list[float]:
    """By how many of its errors values are off those of a fit, squared.

    Where it gives some of its parameters no error, those of its curves count too.
    """
    known = {name: error for name, error in fit.errors.items() if error > 0}
    squares = [((values[name] - fit.values[name]) / error) ** 2 for name, error in known.items()]
    curves = () if fit.problem is None else fit.problem.model.curves
    if all(row.name in known for row in fit.estimates if row.vary):
        curves = ()
    derived = {row.name: row for row in fit.derived}
    for curve in curves:
        if row := derived.get(curve.name):
            off = (curve_values(curve, values, np.array(row.t)) - row.value) / np.array(row.error)
            squares += [float(each) ** 2 for each in off if math.isfinite(each)]
    return squares


def _folder_names(by: str, values: Sequence[float]) -> list[str]:
    """Names that tell the values apart, with as few digits as that takes, at least four."""
    digits = 4
    while digits < 17 and len({f"{value:.{digits}g}" for value in values}) < len(values):
        digits += 1
    return [f"{by}_{value:.{digits}g}" for value in values]


def _columns(series: Series) -> tuple[list[str], list[list[Any]]]:
    """Header and rows of the table: value, bins, verdict, six columns per parameter, four per derived quantity."""
    rows = [_row(group, series.tests) for group in series.groups]
    return [series.by, "n_bins", "verdict", *rows[0]], [
        [group.value, group.n_bins, group.fit.verdict, *row.values()]
        for group, row in zip(series.groups, rows, strict=True)
    ]


def _row(group: Group, names: Iterable[str]) -> dict[str, Any]:
    """The numbers of a group by column."""
    cells: dict[str, Any] = {}
    for name in names:
        row = group.estimate(name)
        low, high = row.interval
        cells |= {name: row.value, f"{name}_error": row.error}
        cells |= {f"{name}_interval_low": low, f"{name}_interval_high": high}
        cells |= {f"{name}_error_independent": row.error_independent, f"{name}_status": row.status}
    for of in group.fit.derived:
        middle = of.at(of.middle)
        cells |= {f"{of.name}_middle{end}": number for end, number in zip(_ENDINGS, middle, strict=True)}
    return cells


def _group_cells(group: Group, names: Iterable[str]) -> list[str]:
    cells = [_value(group), str(group.n_bins), group.fit.verdict]
    return cells + [_estimate_cell(group.estimate(name)) for name in names]


def _derived(series: Series) -> list[str]:
    """The derived quantities in the middle of the run against q, azimuth or file; nothing where there are none."""
    first = series.groups[0].fit.derived
    if not first:
        return []
    cells = [
        [_value(group), *(row.cells()[row.middle] for row in group.fit.derived)] for group in series.groups
    ]
    return [
        f"[[Derived]] in the middle of the run, {ABOUT}",
        table((series.by, *(row.title for row in first)), cells),
    ]


def _value(group: Group) -> str:
    return group.value if isinstance(group.value, str) else f"{group.value:.4g}"


def _estimate_cell(row: Estimate) -> str:
    if row.status == "undetermined":
        return row.status
    return significant(row.value, row.error) if row.error > 0 else f"{row.value:.4g} ({row.status})"


def _test_cells(test: Constancy) -> list[str]:
    mean = significant(test.mean, test.error) if test.error > 0 else "-"
    tested = not math.isnan(test.p)
    numbers = [f"{test.chi2:.4g}", str(test.dof), f"{test.p:.2g}"] if tested else ["-", "-", "-"]
    return [test.name, mean, *numbers, test.verdict, ", ".join(test.left_out)]


def _tests_document(tests: Mapping[str, Constancy]) -> dict[str, Any]:
    return {name: plain({**vars(test), "verdict": test.verdict}) for name, test in tests.items()}


def _group_document(group: Group, by: str) -> dict[str, Any]:
    keys = ("value", "error", "interval", "error_independent", "status")
    rows = {row.name: {key: getattr(row, key) for key in keys} for row in group.fit.estimates}
    about = {by: group.value, "folder": group.name, "n_bins": group.n_bins}
    said = {"verdict": group.fit.verdict, "message": group.fit.message}
    return plain({**about, **said, "parameters": rows, "derived": group.fit.derived})
