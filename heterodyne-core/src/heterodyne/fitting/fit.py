"""Fitting: from data and choices to a `Fit`, through the optimizer of that name."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from heterodyne.catalogue import create_model
from heterodyne.data.two_time import TwoTime
from heterodyne.device.compilation import keep_compiled_code
from heterodyne.errors import PluginError
from heterodyne.fitting.warm_start import earlier_fit, start_values
from heterodyne.model import Model
from heterodyne.plugins.manager import optimizer_record
from heterodyne.problem.choices import Bounds, Fixed, create_problem
from heterodyne.result.fit import Fit
from heterodyne.result.provenance import Provenance

if TYPE_CHECKING:
    from heterodyne.problem.problem import Problem


@runtime_checkable
class Optimizer(Protocol):
    """From a problem to a result; ``progress`` is called with a line of text now and then."""

    def __call__(
        self, problem: Problem, options: Mapping[str, Any], progress: Callable[[str], None]
    ) -> Fit: ...


def fit(
    data: TwoTime | Sequence[TwoTime],
    model: str | Model = "two-component",
    optimizer: str = "nlsq",
    *,
    fix: Fixed = (),
    start: Mapping[str, float] | None = None,
    bounds: Bounds | None = None,
    tie: Mapping[str, str] | None = None,
    prior: Mapping[str, Any] | None = None,
    contrast: str | float = "auto",
    offset: str | float = "auto",
    skip_lags: int = 0,
    warm_start: Fit | str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Fit:
    """The fit of ``model`` to all bins of ``data`` jointly.

    ``fix`` maps parameters to values (None: the start value) or lists them; ``start``, ``bounds`` and
    ``tie`` map parameters; ``prior`` maps parameters to priors such as ``"normal:0:0.3"``, which a sampler
    takes in place of the model's; ``contrast`` and ``offset`` are ``auto``, ``individual``, ``shared``,
    ``fourier:M`` or a number; the ``skip_lags`` lags next to the diagonal are left out; ``options`` are the
    optimizer's. No start value is needed. ``warm_start`` is an earlier result, or the place where one was
    written, of this or of another model: its estimates are the start values of the parameters that it has
    too, except where ``start`` gives one. A fit in which every varying parameter has a start value begins
    there alone. Raises `HeterodyneError` subclasses for what cannot be fitted; a fit that does not converge
    is returned with its verdict.
    """
    record = optimizer_record(optimizer)
    settings = record.complete({} if options is None else options)
    chosen = model if isinstance(model, Model) else create_model(model)
    warm = None if warm_start is None else start_values(chosen.parameters, earlier_fit(warm_start))
    problem = create_problem(
        data,
        chosen,
        fix=fix,
        start=start,
        bounds=bounds,
        tie=tie,
        prior=prior,
        contrast=contrast,
        offset=offset,
        skip_lags=skip_lags,
        warm=warm,
    )
    keep_compiled_code()
    result = record.resolve(Optimizer)(problem, settings, progress or _silent)
    if not isinstance(result, Fit):
        raise PluginError(f"optimizer {record.name!r} returned {type(result).__name__}, not a Fit")
    provenance = Provenance(
        data=tuple(map(_origin, problem.data)),
        options=settings,
        scaling={"contrast": str(contrast), "offset": str(offset)},
        skip_lags=skip_lags,
        warm_start=None if warm_start is None else str(warm_start),
        versions=versions(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return replace(result, provenance=provenance | result.provenance)


def labelled(progress: Callable[[str], None] | None, label: str) -> Callable[[str], None] | None:
    """``progress`` that is told each line with the label of one of several fits before it."""
    return None if progress is None else lambda line: progress(f"{label}: {line}")


def _origin(data: TwoTime) -> dict[str, Any]:
    """Where the numbers come from, and the times that they were fitted with."""
    times = {"dt": data.dt, "age": data.age, "n_frames": data.n_frames, "n_bins": data.n_bins}
    return {**data.provenance, **times}


def _silent(line: str) -> None:
    """Progress that nobody watches."""


def versions() -> dict[str, str]:
    """Versions of Python, NumPy, JAX and the installed heterodyne distributions."""
    found = {"python": platform.python_version()}
    for distribution in metadata.distributions():
        name = distribution.name
        if name in ("jax", "numpy") or name.startswith("heterodyne-"):
            found[name] = distribution.version
    return dict(sorted(found.items()))
