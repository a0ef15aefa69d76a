"""A global search beside the starts from the data: differential evolution over all that the bounds allow.

Coordinates are normalised to the bounds, in the logarithm where the table says so. The population, half of it
anywhere within the bounds and half starts from the data, evolves on excerpts of the data (Storn & Price, J. Glob.
Optim. 11 (1997) 341, `scipy.optimize.differential_evolution`). A point counts as the trust region improves it in a
few iterations: fringes are basins too narrow to be met by chance, and a fit without them is a broad one. The best
points are then polished on all data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from heterodyne.problem.objective import Objective
from heterodyne.result.statistics import Statistics
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.starts.excerpts import on_excerpts
from heterodyne_nlsq.starts.points import data_points, latin_hypercube
from heterodyne_nlsq.starts.search import best_of
from heterodyne_nlsq.trust_region.minimise import Tolerances, minimise

_EXCERPTS = (2, 64, 128)  # windows of every bin, frames of a window, frames of the thinned matrix

_POPULATION = 5  # times the number of parameters
_LEAST = 8  # points in each half of the population
_GENERATIONS = 15
_IMPROVE = 8  # trust-region iterations
_GATHERED = 1  # standard deviation of the deviance over the population at which it has gathered
_LOWER = 1e-9  # relative: by less than this a cost is not lower


def with_global_search(
    objective: Objective,
    solution: Solution,
    options: Mapping[str, Any],
    tolerances: Tolerances,
    progress: Callable[[str], None],
) -> tuple[Solution, Statistics, str]:
    """The better of a solution and of what the global search finds, figures of both, and what it added.

    Iterations are added up.
    """
    points, evaluations = _evolved(objective, options, tolerances, progress)
    found = best_of(objective, points, options, tolerances, progress)
    without, alone = (float(np.sum(objective.solve(one.x)[1].ssr)) for one in (solution, found))
    lower = found.equations.cost < solution.equations.cost * (1.0 - _LOWER)
    words = (
        f"the global search found a lower minimum: ssr {alone:.8g}, without it {without:.8g}"
        if lower
        else f"the global search found nothing lower: ssr {alone:.8g}, without it {without:.8g}"
    )
    best, other = (found, solution) if lower else (solution, found)
    figures = Statistics(ssr_without_global=without, ssr_global=alone, global_evaluations=evaluations)
    total = best.iterations + other.iterations
    return Solution(best.x, best.equations, best.active, best.verdict, best.message, total), figures, words


def _evolved(
    objective: Objective, options: Mapping[str, Any], tolerances: Tolerances, progress: Callable[[str], None]
) -> tuple[np.ndarray, int]:
    """The best points of the evolved population in coordinates, best first, and the number of points tried."""
    # scipy.optimize loads it on demand
    from scipy.optimize import differential_evolution

    coarse = on_excerpts(objective, *_EXCERPTS)[-1]
    low, width = objective.low, objective.high - objective.low
    size = len(low)
    half = max(_POPULATION * size // 2, _LEAST)
    anywhere = latin_hypercube(half, size, options["seed"])
    near = (data_points(coarse, half, options["seed"]) - low) / width
    population: Any = np.clip(np.concatenate([anywhere, near]), 0.0, 1.0)
    pairs, generation = sum(bin.moments.pairs for bin in coarse.bins), 0
    limits = replace(tolerances, max_iterations=_IMPROVE)

    def improved(unit: np.ndarray) -> Solution:
        start = low + unit * width
        return minimise(coarse, start, low, low + width, limits, floor=coarse.floor)

    def deviance(unit: np.ndarray) -> float:
        cost = improved(unit).equations.cost
        return pairs * float(np.log(cost)) if np.isfinite(cost) else np.inf

    def watch(intermediate_result: Any) -> None:
        nonlocal generation
        generation += 1
        progress(f"global search, generation {generation}: deviance {intermediate_result.fun:.8g}")

    found = differential_evolution(
        deviance,
        [(0.0, 1.0)] * size,
        maxiter=_GENERATIONS,
        tol=0.0,
        atol=_GATHERED,
        mutation=(0.4, 1.0),
        recombination=0.9,
        init=population,
        rng=options["seed"],
        polish=False,
        callback=watch,
    )
    order = np.argsort(found.population_energies)[: 2 * options["polish"]]
    return np.array([improved(unit).x for unit in found.population[order]]), int(found.nfev)
