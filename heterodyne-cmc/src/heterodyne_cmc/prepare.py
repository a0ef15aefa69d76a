"""What sampling starts from: the least-squares solution, the noise there, and the calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from heterodyne.data.bin import Bin
from heterodyne.errors import ConfigError
from heterodyne.finite_bins import BinOrders, sufficient_orders, with_orders
from heterodyne.goodness import examine_residuals
from heterodyne.objective import create_objective
from heterodyne.plugins.manager import optimizer_record
from heterodyne.problem import Problem
from heterodyne.scaling import AUTO
from heterodyne_cmc.calibration import calibrate, not_adjusted, unknown


class Prepared(NamedTuple):
    """Values (p,) of the varying parameters, noise per bin, nodes per width of a bin, and the calibration:
    ``precision`` H and ``adjustment`` C (p, p), ``scaling`` (bins, 2, 2) and ``bandwidth``."""

    values: np.ndarray
    noise: np.ndarray
    orders: np.ndarray
    precision: np.ndarray
    adjustment: np.ndarray
    scaling: np.ndarray
    bandwidth: np.ndarray


def prepare(
    problem: Problem,
    bins: tuple[Bin, ...],
    warm_start: bool,
    calibrated: bool,
    progress: Callable[[str], None],
) -> Prepared:
    """The solution by the optimizer `nlsq`, or the start values where all are given, and the calibration there.

    Without ``warm_start`` only the start values and the noise of neighbouring elements.
    """
    p = len(problem.varying)
    if not warm_start:
        params = problem.expand(problem.column("start"))
        noise = np.array([examine_residuals(problem.model, params, one, 0.0, 0.0).noise for one in bins])
        return Prepared(problem.column("start"), noise, np.ones(2, dtype=int), *unknown(p, len(bins)))
    values = _least_squares(problem, progress) if problem.needs_start else problem.column("start")
    orders = sufficient_orders(problem.model, problem.expand(values), bins)
    objective = create_objective(problem, averaged_bins(bins, np.array([orders.q, orders.phi])))
    x = np.clip(objective.to_coordinates(values), objective.low, objective.high)
    pairs = np.array([one.pairs for one in bins])
    noise = np.sqrt(objective.solve(x)[1].ssr / pairs)
    objective = objective.weighted(noise)
    if calibrated:
        progress("calibrating the likelihood")
    found = calibrate(objective, x) if calibrated else not_adjusted(objective, x)
    return Prepared(values, noise, np.array([orders.q, orders.phi]), *found)


def averaged_bins(bins: tuple[Bin, ...], orders: np.ndarray) -> tuple[Bin, ...]:
    """The bins with so many nodes along their widths in q and in the azimuth."""
    return tuple(with_orders(one, BinOrders(*map(int, orders))) for one in bins)


def with_own_scaling(problem: Problem) -> Problem:
    """The problem with a contrast and an offset per bin, or given numbers.

    Raises `ConfigError` for other designs: what is integrated out is a pair per bin.
    """
    for which in ("contrast", "offset"):
        choice = getattr(problem, which)
        if isinstance(choice, str) and choice not in (AUTO, "individual") and not _is_number(choice):
            raise ConfigError(f"cmc samples with a {which} per bin or a given number, not with {choice!r}")
    return replace(
        problem,
        contrast=_own(problem.contrast),
        offset=_own(problem.offset),
    )


def _own(choice: str | float) -> str | float:
    return "individual" if choice == AUTO else choice


def _is_number(choice: str) -> bool:
    try:
        float(choice)
    except ValueError:
        return False
    return True


def held_scaling(problem: Problem) -> tuple[float | None, float | None]:
    """Contrast and offset where they are given numbers."""
    found = [
        None if choice == "individual" else float(choice) for choice in (problem.contrast, problem.offset)
    ]
    return found[0], found[1]


def _least_squares(problem: Problem, progress: Callable[[str], None]) -> np.ndarray:
    record = optimizer_record("nlsq")
    found = record.resolve()(problem, record.complete({"errors": "independent"}), progress)
    return np.array([found.values[name] for name in problem.varying])
