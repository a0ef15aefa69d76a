"""The fit of S averaged over finite bins, begun at the solution for bins taken as points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from heterodyne.problem.averaging import (
    TOLERANCE,
    BinOrders,
    critical_width,
    orders_of,
    sufficient_orders,
    with_orders,
)
from heterodyne.problem.objective import Objective
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.trust_region.minimise import Tolerances, minimise


def fit_averaged(
    objective: Objective, solution: Solution, tolerances: Tolerances, progress: Callable[[str], None]
) -> tuple[Objective, Solution]:
    """The objective averaged as finely as its own solution needs, and that solution.

    Where no width is known or none matters, both are returned as they are. Iterations are added up.
    """
    orders = orders_of(objective.bins)
    while True:
        needed = sufficient_orders(objective.problem.model, _parameters(objective, solution), objective.bins)
        finer = BinOrders(max(orders.q, needed.q), max(orders.phi, needed.phi))
        if finer == orders:
            return objective, solution
        orders = finer
        progress(f"S averaged over every bin: {orders}")
        objective = replace(objective, bins=tuple(with_orders(bin, orders) for bin in objective.bins))
        again = minimise(
            objective, solution.x, objective.low, objective.high, tolerances, floor=objective.floor
        )
        solution = replace(again, iterations=solution.iterations + again.iterations)


def bin_warnings(objective: Objective, solution: Solution, bin_average: bool) -> tuple[str, ...]:
    """One line each about bins not averaged over though it matters, and about too coarse an average."""
    lines = (_unaveraged(objective, solution, bin_average), _coarse(objective, solution))
    return tuple(filter(None, lines))


def _unaveraged(objective: Objective, solution: Solution, bin_average: bool) -> str:
    model, params, bins = objective.problem.model, _parameters(objective, solution), objective.bins
    found = [
        (*widths, one)
        for index, one in enumerate(bins)
        if np.isnan(one.dphi) or not bin_average
        if (widths := critical_width(model, params, bins, index))
    ]
    if not found:
        return ""
    critical, width, one = min(found, key=lambda row: row[0] / row[1])
    effect = f"from {critical:.2g}° on its fringes average out, which a fit takes for decay"
    where = f"bin q={one.q:.4g} phi={one.phi:.4g}"
    if np.isnan(one.dphi):
        return f"the azimuthal width of {where} is unknown, and {effect}: give dphi with the data"
    return f"{where} is {width:.3g}° wide and was fitted as a point, and {effect}: leave bin_average on"


def _coarse(objective: Objective, solution: Solution) -> str:
    used = orders_of(objective.bins)
    if used == BinOrders():
        return ""
    needed = sufficient_orders(objective.problem.model, _parameters(objective, solution), objective.bins)
    if needed.error <= TOLERANCE:
        return ""
    return f"S varies too fast over the bins: the average over {used} is off by {needed.error:.1g}"


def _parameters(objective: Objective, solution: Solution) -> dict[str, float]:
    return objective.problem.expand(objective.to_values(solution.x))
