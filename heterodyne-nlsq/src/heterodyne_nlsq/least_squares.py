"""The optimizer `nlsq`: trust-region least squares over all bins jointly."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from heterodyne.problem.objective import Objective, create_objective
from heterodyne.problem.problem import Problem
from heterodyne.result.fit import Fit
from heterodyne.result.identifiability import Identifiability
from heterodyne.result.statistics import Statistics
from heterodyne.solution.outcome import create_fit
from heterodyne.solution.solution import Solution, residual_noise
from heterodyne.solution.standard_errors import judged
from heterodyne_nlsq.averaged import bin_warnings, fit_averaged
from heterodyne_nlsq.held import check_priors, hold_undetermined
from heterodyne_nlsq.profile import check_profiled, fit_with_profiles
from heterodyne_nlsq.reading import choose, read
from heterodyne_nlsq.scaling_choice import shared_where_unknown
from heterodyne_nlsq.starts.global_search import with_global_search
from heterodyne_nlsq.starts.search import best_of, screened_cost, search_points
from heterodyne_nlsq.starts.sequential import bin_by_bin
from heterodyne_nlsq.trust_region.minimise import Tolerances, minimise

_WEIGHT_ROUNDS = 2


def fit(problem: Problem, options: Mapping[str, Any], progress: Callable[[str], None]) -> Fit:
    """The least-squares fit of a problem."""
    began = perf_counter()
    check_profiled(problem, options["profile"])
    check_priors(problem, options["hold_at_prior"])
    choice = choose(problem, options["strategy"], options["memory"])
    progress(f"{choice.name}: {choice.reason}")
    objective = create_objective(problem, read(problem, choice))
    tolerances = Tolerances(*(options[name] for name in ("ftol", "xtol", "gtol", "max_iterations")))
    record = Statistics(strategy=choice.name, strategy_reason=choice.reason)
    points = search_points(objective, options, tolerances, progress)
    if choice.name == "sequential":
        best = min(points, key=lambda point: screened_cost(objective, point))
        start, alone = bin_by_bin(objective, best, tolerances, progress)
        record |= Statistics(sequential=alone)
        points = start[None]
    solution = best_of(objective, points, options, tolerances, progress)
    added = ""
    if options["global"]:
        solution, figures, added = with_global_search(objective, solution, options, tolerances, progress)
        record |= figures
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
    doubts = (*filter(None, (added,)), *doubts)
    progress("errors")
    robust = options["errors"] == "robust"

    def conclude(at: Solution) -> Fit:
        at, holding = replace(at, x=objective.folded(at.x)), Identifiability()
        if options["hold_at_prior"]:
            here = judged(objective, at, robust)
            at, held = hold_undetermined(objective, at, here, tolerances, progress)
            at, holding = replace(at, x=objective.folded(at.x)), Identifiability(held=held)
        result = create_fit(objective, at, perf_counter() - began, robust, doubts)
        return replace(result, identifiability=result.identifiability | holding)

    result = fit_with_profiles(objective, solution, conclude, options["profile"], tolerances, progress)
    return replace(result, statistics=result.statistics | record)


def _again(objective: Objective, solution: Solution, tolerances: Tolerances) -> Solution:
    """The minimum of a changed objective next to a solution of another; iterations are added up."""
    found = minimise(objective, solution.x, objective.low, objective.high, tolerances, floor=objective.floor)
    return replace(found, iterations=solution.iterations + found.iterations)


def _listed(values: np.ndarray) -> str:
    shown = ", ".join(f"{value:.3g}" for value in values[:6])
    return shown + (", ..." if len(values) > 6 else "")
