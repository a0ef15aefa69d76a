"""The fit of S averaged over finite bins, begun at the solution for bins taken as points."""

from __future__ import annotations

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
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.refine import continued


def fit_averaged(solution: Solution, search: Search) -> Solution:
    """The solution of the objective averaged as finely as this very solution needs.

    Where no width is known or none matters, it is returned as it is. Iterations are added up.
    """
    orders = orders_of(solution.objective.bins)
    while True:
        needed = _sufficient(solution)
        finer = BinOrders(max(orders.q, needed.q), max(orders.phi, needed.phi))
        if finer == orders:
            return solution
        orders = finer
        search.progress(f"S averaged over every bin: {orders}")
        solution = continued(_averaged(solution.objective, orders), solution, search.tolerances)


def _averaged(objective: Objective, orders: BinOrders) -> Objective:
    return replace(objective, bins=tuple(with_orders(bin, orders) for bin in objective.bins))


def bin_warnings(solution: Solution, bin_average: bool) -> tuple[str, ...]:
    """One line each about bins not averaged over though it matters, and about too coarse an average."""
    return tuple(filter(None, (_unaveraged(solution, bin_average), _coarse(solution))))


def _unaveraged(solution: Solution, bin_average: bool) -> str:
    bins, model = solution.objective.bins, solution.objective.problem.model
    params = solution.objective.parameters(solution.x)
    too_wide = [
        (*widths, bin)
        for index, bin in enumerate(bins)
        if np.isnan(bin.dphi) or not bin_average
        if (widths := critical_width(model, params, bins, index))
    ]
    if not too_wide:
        return ""
    critical, width, bin = min(too_wide, key=lambda row: row[0] / row[1])
    effect = f"from {critical:.2g}° on its fringes average out, which a fit takes for decay"
    where = f"bin q={bin.q:.4g} phi={bin.phi:.4g}"
    if np.isnan(bin.dphi):
        return f"the azimuthal width of {where} is unknown, and {effect}: give dphi with the data"
    return f"{where} is {width:.3g}° wide and was fitted as a point, and {effect}: leave bin_average on"


def _coarse(solution: Solution) -> str:
    used = orders_of(solution.objective.bins)
    if used == BinOrders():
        return ""
    needed = _sufficient(solution)
    if needed.error <= TOLERANCE:
        return ""
    return f"S varies too fast over the bins: the average over {used} is off by {needed.error:.1g}"


def _sufficient(solution: Solution) -> BinOrders:
    objective = solution.objective
    return sufficient_orders(objective.problem.model, objective.parameters(solution.x), objective.bins)
