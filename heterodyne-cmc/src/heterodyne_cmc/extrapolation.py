"""Whether the draws stay where the curvature adjustment holds: near enough to the solution that it turns about.

At the solution Σ r²/σ² is the number n of pairs. In draws x it should exceed n by about (x - x̂)ᵀ H (x - x̂),
with H the likelihood's precision: the adjustment only moves draws about that much farther than independent
elements would. Where priors pull far along a bent valley, the adjusted likelihood sees the bottom of the valley
where the data do not have it, and the excess is many times that.
"""

from __future__ import annotations

import numpy as np

from heterodyne.objective import Objective

_DRAWS = 60
_FACTOR = 3.0  # of what is foreseen: curvature of honest posteriors stays below it


def excess(
    objective: Objective, draws: np.ndarray, solution: np.ndarray, precision: np.ndarray
) -> tuple[float, float]:
    """The median excess of Σ r²/σ² over the number of pairs in draws (n, p), and that foreseen.

    ``solution`` (p,) are the values at the solution and ``precision`` (p, p) is H in the objective's coordinates;
    the objective is weighted by the noise there.
    """
    centre, pairs = objective.to_coordinates(solution), sum(one.pairs for one in objective.bins)
    found, foreseen = [], []
    for values in draws[:: -(-len(draws) // _DRAWS)]:
        x = objective.to_coordinates(values)
        found.append(np.sum(objective.solve(x)[1].ssr / objective.sigma**2) - pairs)
        foreseen.append((x - centre) @ precision @ (x - centre))
    return float(np.median(found)), float(np.median(foreseen))


def extrapolation_failures(found: float, foreseen: float, p: int) -> list[str]:
    """What to say, and to do, where draws of p parameters fit worse than foreseen; empty if they do not."""
    if found <= _FACTOR * (foreseen + p):
        return []
    return [
        f"draws fit worse than the calibrated likelihood takes them to (χ² {found:.4g} above the best fit, foreseen "
        f"{foreseen:.4g}): priors pull far from the least-squares solution; fix or bound what the data do not "
        "determine, or take likelihood independent"
    ]
