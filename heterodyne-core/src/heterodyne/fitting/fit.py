"""Fitting: from data and choices to a `Fit`, through the optimizer of that name."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from inspect import signature
from time import perf_counter
from typing import Any, Protocol, Unpack, runtime_checkable

from heterodyne.catalogue import create_model
from heterodyne.data.one_time import FirstRow
from heterodyne.data.two_time import TwoTime
from heterodyne.device.backend import check_device
from heterodyne.device.compilation import keep_compiled_code
from heterodyne.device.cores import one_core_each
from heterodyne.errors import ConfigError, EmptyBins, PluginError, unknown
from heterodyne.frozen import FrozenMapping
from heterodyne.model import Model
from heterodyne.plugins.manager import optimizer_record
from heterodyne.problem.choices import SPELLINGS, ChoiceKeywords, Choices, spells_choices
from heterodyne.problem.one_time import Data
from heterodyne.problem.problem import Problem, create_problem
from heterodyne.problem.warm_start import WarmStart
from heterodyne.result.document import read_fit
from heterodyne.result.fit import Fit
from heterodyne.result.provenance import Provenance
from heterodyne.solution.outcome import create_fit
from heterodyne.solution.solution import Solution


@runtime_checkable
class Optimizer(Protocol):
    """From a problem to where its fit ended; ``progress`` is called with a line of text now and then.

    Of a `Solution`, errors, findings, bands, structure and scaling are made here; a `Fit` is taken as it is.
    """

    def __call__(
        self, problem: Problem, options: Mapping[str, Any], progress: Callable[[str], None]
    ) -> Solution | Fit: ...


@spells_choices
def fit(
    data: Data | Sequence[Data],
    model: str | Model = "two-component",
    optimizer: str = "nlsq",
    *,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
    **choices: Unpack[ChoiceKeywords],
) -> Fit:
    """The fit of ``model`` to all bins of ``data`` jointly, two-time data or one-time data.

    ``options`` are the optimizer's. No start value is needed; a fit in which every varying parameter has one
    begins there alone, and one that ``start`` gives goes before that of ``warm_start``. Raises
    `HeterodyneError` subclasses for what cannot be fitted; a fit that does not converge is returned with its
    verdict.
    """
    return fit_chosen(data, model, optimizer, create_choices(choices), options, progress)


def create_choices(keywords: Mapping[str, Any]) -> Choices:
    """The choices that these keywords make, with the result that a warm start names read.

    Raises `ConfigError` for a keyword that does not exist, and what `Choices` and `read_fit` raise.
    """
    for name in keywords:
        if name not in SPELLINGS:
            raise ConfigError(unknown("argument of a fit", name, signature(fit).parameters))
    choices = Choices(**keywords)
    if not isinstance(choices.warm_start, str):
        return choices
    earlier = read_fit(choices.warm_start)
    return replace(choices, warm_start=WarmStart(choices.warm_start, earlier.model, earlier.values))


def fit_chosen(
    data: Data | Sequence[Data],
    model: str | Model,
    optimizer: str,
    choices: Choices,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Fit:
    """The fit under choices that are made, with where it comes from; raises what `fit` raises."""
    record = optimizer_record(optimizer)
    settings = record.complete({} if options is None else options)
    problem = create_problem(data, model if isinstance(model, Model) else create_model(model), choices)
    check_device()
    keep_compiled_code()

    def optimized(problem: Problem) -> Fit:
        return _optimized(problem, record.resolve(Optimizer), record.name, settings, progress or _silent)

    try:
        result = optimized(problem)
    except EmptyBins as empty:
        problem = _without(problem, empty)
        result = _told(optimized(problem), empty)
    provenance = Provenance(
        data=tuple(map(_origin, problem.data)),
        options=settings,
        scaling={"contrast": str(choices.contrast), "offset": str(choices.offset)},
        skip_lags=choices.skip_lags,
        warm_start=None if choices.warm_start is None else str(choices.warm_start),
        versions=versions(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return replace(result, provenance=provenance | result.provenance)


def _without(problem: Problem, empty: EmptyBins) -> Problem:
    """The problem without these bins, of which a warning tells; raises the error itself if none are left."""
    kept = [
        data.bins([index for index in range(data.n_bins) if (number, index) not in empty.bins])
        for number, data in enumerate(problem.data)
    ]
    if not sum(data.n_bins for data in kept):
        raise empty
    warnings.warn(f"left out of the fit: {empty}", stacklevel=4)
    return create_problem([data for data in kept if data.n_bins], problem.model, problem.choices)


def _told(result: Fit, empty: EmptyBins) -> Fit:
    """The result with what was left out in its message."""
    return replace(result, message="; ".join(filter(None, (result.message, f"left out: {empty}"))))


def _optimized(
    problem: Problem,
    optimizer: Optimizer,
    name: str,
    options: Mapping[str, Any],
    progress: Callable[[str], None],
) -> Fit:
    """The result of an optimizer, whose name it bears; ``options`` are all that it has.

    Raises `PluginError` where it is neither a `Solution` nor a `Fit`.
    """
    began = perf_counter()
    with one_core_each(sum(data.n_bins for data in problem.data)):
        result = optimizer(problem, options, progress)
    if isinstance(result, Solution):
        seconds = perf_counter() - began
        progress("errors")
        return create_fit(result, name, seconds)
    if not isinstance(result, Fit):
        raise PluginError(f"optimizer {name!r} returned {type(result).__name__}, not a Solution or a Fit")
    return replace(result, optimizer=name)


def labelled(progress: Callable[[str], None] | None, label: str) -> Callable[[str], None] | None:
    """``progress`` that is told each line with the label of one of several fits before it."""
    return None if progress is None else lambda line: progress(f"{label}: {line}")


def _origin(data: TwoTime) -> dict[str, Any]:
    """Where the numbers come from, and the times that they were fitted with."""
    if isinstance(data, FirstRow):
        of_lags = {"one_time": True, "n_lags": data.n_frames - 1, "errors": data.has_errors}
        return {**data.provenance, "dt": data.dt, "n_bins": data.n_bins, **of_lags}
    times = {"dt": data.dt, "age": data.age, "n_frames": data.n_frames, "n_bins": data.n_bins}
    return {**data.provenance, **times}


def _silent(line: str) -> None:
    """Progress that nobody watches."""


@lru_cache
def versions() -> Mapping[str, str]:
    """Versions of Python, NumPy, JAX and the installed heterodyne distributions."""
    numbers = {"python": platform.python_version()}
    for distribution in metadata.distributions():
        name = distribution.name
        if name in ("jax", "numpy") or name.startswith("heterodyne-"):
            numbers[name] = distribution.version
    return FrozenMapping(sorted(numbers.items()))
