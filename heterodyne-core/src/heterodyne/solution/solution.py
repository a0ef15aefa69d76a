"""`Solution`: the point where an optimizer ended, and what errors there are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from heterodyne.problem.normal_equations import NormalEquations, SolvedScaling
from heterodyne.problem.objective import Objective
from heterodyne.problem.spectrum import Spectrum, spectrum

_PULL = 0.01  # half of a χ² over the whole range: a slope below that draws a coordinate to no bound


class AtSolution(NamedTuple):
    """Normal equations and scaling at a solution, weighted by the residual noise of every bin.

    ``weighted`` is the objective so weighted, its cost half of χ²; ``free`` (p,) marks the coordinates that
    are off their bounds or lie on them by chance, ``found`` is the spectrum over those.
    """

    weighted: Objective
    equations: NormalEquations
    scaling: SolvedScaling
    free: np.ndarray
    found: Spectrum


def at_solution(objective: Objective, solution: Solution) -> AtSolution:
    """What errors at a solution are made from."""
    weighted = objective.weighted(residual_noise(objective, solution))
    equations, scaling = weighted.solve(solution.x)
    free = _free(equations, solution.active, objective.width)
    found = spectrum(equations.gram[np.ix_(free, free)], objective.width[free])
    return AtSolution(weighted, equations, scaling, free, found)


def _free(equations: NormalEquations, active: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Which coordinates (p,) count as off their bounds.

    One that lies on a bound without being drawn there does too if it takes part in a lost direction: the
    parameters that merge with it are not determined by the place where the fit happened to end.
    """
    free = active == 0
    idle = ~free & (np.abs(equations.gradient) * width < _PULL)
    if not idle.any():
        return free
    together = free | idle
    found = spectrum(equations.gram[np.ix_(together, together)], width[together])
    together[together] = found.undetermined
    return free | (idle & together)


def residual_noise(objective: Objective, solution: Solution) -> np.ndarray:
    """σ per bin from the residual: sqrt(SSR / (pairs - the bin's share of the fitted numbers))."""
    _, scaling = objective.solve(solution.x)
    count = np.array([bin.moments.pairs for bin in objective.bins])
    fitted = (len(solution.x) + scaling.design.shape[1]) / len(count)
    noise = np.sqrt(scaling.ssr / np.maximum(count - fitted, 1.0))
    spread = np.sqrt([bin.moments.square / bin.moments.pairs for bin in objective.bins])
    return np.maximum(noise, 1e-12 * spread + 1e-300)  # data without noise would weigh infinitely much


Verdict = Literal["converged", "max iterations", "stalled", "failed"]


@dataclass(frozen=True, eq=False)
class Solution:
    """The point reached, its normal equations, the active bounds (-1 low, 0 free, 1 high) and the verdict."""

    x: np.ndarray
    equations: NormalEquations
    active: np.ndarray
    verdict: Verdict
    message: str
    iterations: int
