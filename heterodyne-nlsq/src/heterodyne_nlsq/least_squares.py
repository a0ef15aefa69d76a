"""The optimizer `nlsq`: trust-region least squares over all bins jointly."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from heterodyne.data.tiles import StreamedBin
from heterodyne.problem import Problem
from heterodyne.result import Fit
from heterodyne_nlsq.finite_bins import bin_warnings, fit_averaged
from heterodyne_nlsq.objective import Objective, create_objective
from heterodyne_nlsq.outcome import create_fit, residual_noise
from heterodyne_nlsq.scaling_choice import shared_where_unknown
from heterodyne_nlsq.starts import start_points
from heterodyne_nlsq.strategies.choice import choose, read
from heterodyne_nlsq.strategies.sequential import bin_by_bin
from heterodyne_nlsq.strategies.streamed import on_excerpts
from heterodyne_nlsq.trust_region import Solution, Tolerances, minimise

_WEIGHT_ROUNDS = 2
_EXCERPT = 50  # iterations on excerpts, whose solution is only a start
_TRIAL = 12  # iterations after which the better half of the screened starts goes on


def fit(problem: Problem, options: Mapping[str, Any], progress: Callable[[str], None]) -> Fit:
    """The least-squares fit of a problem."""
    began = perf_counter()
    choice = choose(problem, options["strategy"], options["memory"])
    progress(f"{choice.name}: {choice.reason}")
    objective = create_objective(problem, read(problem, choice))
    tolerances = Tolerances(*(options[name] for name in ("ftol", "xtol", "gtol", "max_iterations")))
    record: dict[str, Any] = {"strategy": choice.name, "strategy_reason": choice.reason}
    points = _points(objective, options, tolerances, progress)
    if choice.name == "sequential":
        best = points[np.argmin([_cost(objective, point) for point in points])]
        start, record["sequential"] = bin_by_bin(objective, best, tolerances, progress)
        points = start[None]
    solution = _best(objective, points, options, tolerances, progress)
    if options["bin_average"]:
        objective, solution = fit_averaged(objective, solution, tolerances, progress)
    if (shared := shared_where_unknown(objective, solution, progress)) is not None:
        objective, solution = shared, _again(shared, solution, tolerances)
    rounds = _WEIGHT_ROUNDS if options["weights"] == "noise" and len(objective.bins) > 1 else 0
    for number in range(rounds):
        objective = objective.weighted(residual_noise(objective, solution))
        progress(f"weights, round {number + 1}: noise {_listed(objective.sigma)}")
        solution = _again(objective, solution, tolerances)
    doubts = bin_warnings(objective, solution, options["bin_average"])
    for line in doubts:
        warnings.warn(line, stacklevel=3)
    result = create_fit(objective, solution, perf_counter() - began, doubts)
    return replace(result, statistics={**result.statistics, **record})


def _again(objective: Objective, solution: Solution, tolerances: Tolerances) -> Solution:
    """The minimum of a changed objective next to a solution of another; iterations are added up."""
    found = minimise(objective, solution.x, objective.low, objective.high, tolerances, floor=objective.floor)
    return replace(found, iterations=solution.iterations + found.iterations)


def _points(
    objective: Objective, options: Mapping[str, Any], tolerances: Tolerances, progress: Callable[[str], None]
) -> np.ndarray:
    """Where to start, (points, p); without start values a streamed fit starts where excerpts of it lead."""
    if not (objective.problem.needs_start and isinstance(objective.bins[0], StreamedBin)):
        return start_points(objective, options["starts"], options["seed"])
    *parts, both = on_excerpts(objective)
    progress(f"start from {len(both.bins)} excerpts of the data")
    limits = replace(tolerances, max_iterations=min(_EXCERPT, tolerances.max_iterations))
    found = [
        _best(part, start_points(part, options["starts"], options["seed"]), options, limits, progress).x
        for part in parts
    ]
    return _best(both, np.array(found), options, limits, progress).x[None]


def _best(
    objective: Objective,
    points: np.ndarray,
    options: Mapping[str, Any],
    tolerances: Tolerances,
    progress: Callable[[str], None],
) -> Solution:
    """The solution of least cost over the starts that are polished."""

    def watch(iteration: int, cost: float) -> None:
        progress(f"iteration {iteration}: cost {cost:.8g}")

    def run(x: np.ndarray, limits: Tolerances) -> Solution:
        return minimise(objective, x, objective.low, objective.high, limits, watch, objective.floor)

    if len(points) > 1:
        progress(f"screening {len(points)} starts")
        points = points[np.argsort([_cost(objective, point) for point in points])[: 2 * options["polish"]]]
        short = replace(tolerances, max_iterations=min(_TRIAL, tolerances.max_iterations))
        trials = sorted((run(x, short) for x in points), key=lambda one: one.equations.cost)
        points = np.array([one.x for one in trials[: options["polish"]]])
    return min((run(x, tolerances) for x in points), key=lambda one: one.equations.cost)


def _cost(objective: Objective, point: np.ndarray) -> float:
    cost = objective.cost(point)
    return cost if np.isfinite(cost) else np.inf


def _listed(values: np.ndarray) -> str:
    shown = ", ".join(f"{value:.3g}" for value in values[:6])
    return shown + (", ..." if len(values) > 6 else "")
