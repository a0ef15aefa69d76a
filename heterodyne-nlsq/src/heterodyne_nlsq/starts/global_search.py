"""A global search beside the starts from the data: differential evolution over all that the bounds allow.

Coordinates are normalised to the bounds, in the logarithm where the table says so. The population, half of it
anywhere within the bounds and half starts from the data, evolves on excerpts of the data (Storn & Price, J. Glob.
Optim. 11 (1997) 341, `scipy.optimize.differential_evolution`). A point counts as the trust region improves it in a
few iterations: fringes are basins too narrow to be met by chance, and a fit without them is a broad one. The best
points are then polished on all data.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from heterodyne.problem.objective import Objective
from heterodyne.result.statistics import Statistics
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.starts.excerpts import on_excerpts
from heterodyne_nlsq.starts.minima import Minima, lowest
from heterodyne_nlsq.starts.points import data_points, latin_hypercube
from heterodyne_nlsq.starts.search import Search, minima_of
from heterodyne_nlsq.trust_region.refine import refined

_EXCERPTS = (2, 64, 128)  # windows of every bin, frames of a window, frames of the thinned matrix

_POPULATION = 5  # times the number of parameters
_LEAST = 8  # points in each half of the population
_GENERATIONS = 15
_IMPROVE = 8  # trust-region iterations
_GATHERED = 1  # standard deviation of the deviance over the population at which it has gathered
_LOWER = 1e-9  # relative: by less than this a cost is not lower


def with_global_search(minima: Minima, search: Search) -> Minima:
    """The lowest of these minima and of what the global search finds; each says what the search added."""
    objective = minima[0].objective
    points, evaluations = _evolved(objective, search)
    searched = minima_of(objective, points, search)
    without, alone = (float(np.sum(objective.solve(at[0].x)[1].ssr)) for at in (minima, searched))
    lower = searched[0].equations.cost < minima[0].equations.cost * (1.0 - _LOWER)
    found = "a lower minimum" if lower else "nothing lower"
    words = f"the global search found {found}: ssr {alone:.8g}, without it {without:.8g}"
    figures = Statistics(ssr_without_global=without, ssr_global=alone, global_evaluations=evaluations)
    # what is lower by rounding alone is the same minimum
    others = searched if lower else [at for at in searched if at.equations.cost >= minima[0].equations.cost]
    return tuple(
        replace(at, doubts=(*at.doubts, words), statistics=figures | at.statistics)
        for at in lowest((*minima, *others))
    )


def _evolved(objective: Objective, search: Search) -> tuple[np.ndarray, int]:
    """The best points of the evolved population in coordinates, best first, and the number of points tried."""
    # scipy.optimize loads it on demand
    from scipy.optimize import differential_evolution

    coarse = on_excerpts(objective, *_EXCERPTS)[-1]
    low, width = coarse.low, coarse.high - coarse.low
    pairs, generation = sum(part.moments.pairs for part in coarse.bins), 0
    short = search.tolerances.at_most(_IMPROVE)

    def improved(unit: np.ndarray) -> Solution:
        return refined(coarse, low + unit * width, short)

    def deviance(unit: np.ndarray) -> float:
        cost = improved(unit).equations.cost
        return pairs * float(np.log(cost)) if np.isfinite(cost) else np.inf

    def watch(intermediate_result: Any) -> None:
        nonlocal generation
        generation += 1
        search.progress(f"global search, generation {generation}: deviance {intermediate_result.fun:.8g}")

    evolved = differential_evolution(
        deviance,
        [(0.0, 1.0)] * len(low),
        maxiter=_GENERATIONS,
        tol=0.0,
        atol=_GATHERED,
        mutation=(0.4, 1.0),
        recombination=0.9,
        init=_population(coarse, search.seed),
        rng=search.seed,
        polish=False,
        callback=watch,
    )
    order = np.argsort(evolved.population_energies)[: 2 * search.polish]
    return np.array([improved(unit).x for unit in evolved.population[order]]), int(evolved.nfev)


def _population(coarse: Objective, seed: int) -> Any:
    """The first points, (points, p), over the range of the bounds: half of them anywhere, half from the data."""
    low, width = coarse.low, coarse.high - coarse.low
    half = max(_POPULATION * len(low) // 2, _LEAST)
    anywhere = latin_hypercube(half, len(low), seed)
    near = (data_points(coarse, half, seed) - low) / width
    return np.clip(np.concatenate([anywhere, near]), 0.0, 1.0)
