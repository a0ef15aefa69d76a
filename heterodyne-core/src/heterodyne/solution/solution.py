"""`Solution`: the point where an optimizer ended, of which a `Fit` is made, and what errors there are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from heterodyne.errors import PluginError
from heterodyne.problem.normal_equations import NormalEquations, SolvedScaling
from heterodyne.problem.objective import Objective
from heterodyne.problem.spectrum import Spectrum, spectrum_of
from heterodyne.result.identifiability import Identifiability
from heterodyne.result.statistics import Statistics

_PULL = 0.01  # half of a χ² over the whole range: a slope below that draws a coordinate to no bound

_AT_BOUND = 1e-6  # of the range: methods that stay inside their bounds end so far from one

Verdict = Literal["converged", "lower elsewhere", "max iterations", "stalled", "failed"]


class Rival(NamedTuple):
    """Another minimum that was met: its point ``x`` (p,), and by how much its cost, half of a χ², is above."""

    x: np.ndarray
    more: float


@dataclass(frozen=True, eq=False)
class Solution:
    """Where an optimizer ended: the point ``x`` (p,) in the coordinates of ``objective``.

    ``equations`` are the normal equations there, ``active`` (p,) the bounds on which x lies and beyond which the
    cost falls: -1 low, 0 none, 1 high. Errors are robust, or take all elements of c2 for independent where
    ``robust`` is not wanted. ``rivals`` are other minima whose cost is nearly the same. What only its optimizer
    knows joins that of the `Fit`: ``doubts`` the message, ``statistics`` and ``identifiability``, also as plain
    mappings, those of the `Fit`.
    """

    objective: Objective
    x: np.ndarray
    equations: NormalEquations
    active: np.ndarray
    verdict: Verdict
    message: str = ""
    iterations: int = 0
    robust: bool = True
    rivals: tuple[Rival, ...] = ()
    doubts: tuple[str, ...] = ()
    statistics: Mapping[str, Any] = field(default_factory=Statistics)
    identifiability: Mapping[str, Any] = field(default_factory=Identifiability)

    @property
    def values(self) -> dict[str, float]:
        """Every parameter's value by name."""
        return self.objective.parameters(self.objective.folded(self.x))

    def folded(self) -> Solution:
        """The same with axes within their bounds: 95 degrees is -85."""
        return replace(self, x=self.objective.folded(self.x))


def create_solution(
    objective: Objective,
    x: np.ndarray,
    verdict: Verdict = "converged",
    message: str = "",
    iterations: int = 0,
    **own: Any,
) -> Solution:
    """The solution at ``x`` (p,), in the coordinates of the objective, which `Objective.point` gives of parameters.

    A coordinate that is drawn to a bound and lies within 1e-6 of its range from it is put on it. ``own`` are
    further fields of `Solution`. Raises `PluginError` for an x that is no point within the bounds.
    """
    x, low, high = np.asarray(x, dtype=float), objective.low, objective.high
    near = _AT_BOUND * (high - low)
    _check_point(objective, x, near)
    x = np.clip(x, low, high)
    equations = objective(x)
    drawn = equations.active(x, low + near, high - near)
    ending = np.where(drawn < 0, low, np.where(drawn > 0, high, x))
    if not np.array_equal(ending, x):
        equations = objective(ending)
    active = equations.active(ending, low, high)
    return Solution(objective, ending, equations, active, verdict, message, iterations, **own)


def _check_point(objective: Objective, x: np.ndarray, near: np.ndarray) -> None:
    names = objective.problem.varying
    if x.shape != (len(names),):
        raise PluginError(
            f"x of a solution has the shape {x.shape}, not one coordinate for each of {', '.join(names)}"
        )
    inside = (x >= objective.low - near) & (x <= objective.high + near)
    if not inside.all():
        outside = ", ".join(name for name, is_inside in zip(names, inside, strict=True) if not is_inside)
        raise PluginError(f"x of a solution lies outside the bounds of {outside}: clip it to low and high")


class AtSolution(NamedTuple):
    """Normal equations and scaling at a solution ``x``, weighted by the residual noise of every bin.

    ``weighted`` is the objective so weighted, its cost half of χ²; ``free`` (p,) marks the coordinates that
    are off their bounds or lie on them by chance, ``spectrum`` is the spectrum over those.
    """

    x: np.ndarray
    weighted: Objective
    equations: NormalEquations
    scaling: SolvedScaling
    free: np.ndarray
    spectrum: Spectrum


def at_solution(solution: Solution) -> AtSolution:
    """What errors at a solution are made from."""
    weighted = solution.objective.weighted(residual_noise(solution))
    equations, scaling = weighted.solve(solution.x)
    vanishing = weighted.log & (solution.x <= weighted.low)
    free = _free(equations, solution.active, weighted.width, vanishing)
    spectrum = spectrum_of(equations.gram[np.ix_(free, free)], weighted.width[free])
    return AtSolution(solution.x, weighted, equations, scaling, free, spectrum)


def _free(
    equations: NormalEquations, active: np.ndarray, width: np.ndarray, vanishing: np.ndarray
) -> np.ndarray:
    """Which coordinates (p,) count as off their bounds.

    One that lies on a bound without being drawn there does too if it takes part in a lost direction: the
    parameters that merge with it are not determined by the place where the fit happened to end. A logarithm that
    is ``vanishing`` does not: next to 0 nothing draws it.
    """
    free = active == 0
    idle = ~free & ~vanishing & (np.abs(equations.gradient) * width < _PULL)
    if not idle.any():
        return free
    together = free | idle
    spectrum = spectrum_of(equations.gram[np.ix_(together, together)], width[together])
    together[together] = spectrum.undetermined
    return free | (idle & together)


def residual_noise(solution: Solution) -> np.ndarray:
    """σ per bin from the residual: sqrt(SSR / (pairs - the bin's share of the fitted numbers))."""
    objective = solution.objective
    _, scaling = objective.solve(solution.x)
    count = np.array([bin.moments.pairs for bin in objective.bins])
    fitted = (len(solution.x) + scaling.design.shape[1]) / len(count)
    noise = np.sqrt(scaling.ssr / np.maximum(count - fitted, 1.0))
    spread = np.sqrt([bin.summed.square / bin.moments.pairs for bin in objective.bins])
    return np.maximum(noise, 1e-12 * spread + 1e-300)  # data without noise would weigh infinitely much
