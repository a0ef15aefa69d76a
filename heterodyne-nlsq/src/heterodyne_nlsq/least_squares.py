"""The optimizer `nlsq`: trust-region least squares over all bins jointly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from heterodyne.data.bin import read_bins
from heterodyne.problem import Problem
from heterodyne.result import Fit
from heterodyne_nlsq.objective import Objective, create_objective
from heterodyne_nlsq.outcome import create_fit, residual_noise
from heterodyne_nlsq.starts import start_points
from heterodyne_nlsq.trust_region import Solution, Tolerances, minimise

_WEIGHT_ROUNDS = 2
_TRIAL = 12  # iterations after which the better half of the screened starts goes on


def fit(problem: Problem, options: Mapping[str, Any], progress: Callable[[str], None]) -> Fit:
    """The least-squares fit of a problem."""
    began = perf_counter()
    objective = create_objective(problem, read_bins(problem.data))
    tolerances = Tolerances(*(options[name] for name in ("ftol", "xtol", "gtol", "max_iterations")))
    solution = _best(objective, options, tolerances, progress)
    rounds = _WEIGHT_ROUNDS if options["weights"] == "noise" and len(objective.bins) > 1 else 0
    iterations = solution.iterations
    for number in range(rounds):
        objective = objective.weighted(residual_noise(objective, solution))
        progress(f"weights, round {number + 1}: noise {_listed(objective.sigma)}")
        solution = minimise(
            objective, solution.x, objective.low, objective.high, tolerances, floor=objective.floor
        )
        iterations += solution.iterations
    return create_fit(objective, solution, iterations, perf_counter() - began)


def _best(
    objective: Objective, options: Mapping[str, Any], tolerances: Tolerances, progress: Callable[[str], None]
) -> Solution:
    """The solution of least cost over the starts that are polished."""

    def watch(iteration: int, cost: float) -> None:
        progress(f"iteration {iteration}: cost {cost:.8g}")

    def run(x: np.ndarray, limits: Tolerances) -> Solution:
        return minimise(objective, x, objective.low, objective.high, limits, watch, objective.floor)

    points = start_points(objective, options["starts"], options["seed"])
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
