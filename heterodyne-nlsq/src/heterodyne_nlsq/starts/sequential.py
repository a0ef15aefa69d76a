"""Bin after bin: each fitted alone from the solution of the one before, then all jointly from the last.

One bin rarely determines all parameters (one azimuth cannot tell speed from direction), so the numbers of
single bins answer another question than those of the joint fit; they show whether bins agree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from heterodyne.problem.objective import Objective
from heterodyne.problem.scaling import ScalingDesign
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.refine import refined


def bin_by_bin(
    objective: Objective, start: np.ndarray, search: Search
) -> tuple[np.ndarray, tuple[dict[str, Any], ...]]:
    """The coordinates after the last bin, and every bin's q, phi, verdict, iterations and values.

    Every bin that is fitted alone has its own contrast and offset unless these are fixed.
    """
    x, table, count = start, [], len(objective.bins)
    for index, bin in enumerate(objective.bins):
        alone = refined(_on_one_bin(objective, index), x, search.tolerances)
        x, verdict = alone.x, alone.verdict
        search.progress(f"bin {index + 1} of {count}: {verdict}, cost {alone.equations.cost:.8g}")
        row = {"q": bin.q, "phi": bin.phi, "verdict": verdict, "iterations": alone.iterations}
        table.append({**row, "values": objective.parameters(x)})
    return x, tuple(table)


def _on_one_bin(objective: Objective, index: int) -> Objective:
    """The objective on one of its bins."""
    only = slice(index, index + 1)
    alone = replace(objective, bins=objective.bins[only], sigma=objective.sigma[only])
    return alone.scaled(*(_of_one_bin(design, index) for design in (objective.contrast, objective.offset)))


def _of_one_bin(design: ScalingDesign, index: int) -> str | float:
    return "individual" if design.matrix.size else float(design.fixed[index])
