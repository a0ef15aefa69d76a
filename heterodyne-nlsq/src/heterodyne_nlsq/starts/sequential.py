"""Bin after bin: each fitted alone from the solution of the one before, then all jointly from the last.

One bin rarely determines all parameters (one azimuth cannot tell speed from direction), so the numbers of
single bins answer another question than those of the joint fit; they show whether bins agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from heterodyne.problem.objective import Objective
from heterodyne.problem.scaling import ScalingDesign
from heterodyne_nlsq.trust_region.minimise import Tolerances, minimise


def bin_by_bin(
    objective: Objective, start: np.ndarray, tolerances: Tolerances, progress: Callable[[str], None]
) -> tuple[np.ndarray, tuple[dict[str, Any], ...]]:
    """The coordinates after the last bin, and every bin's q, phi, verdict, iterations and values.

    Every bin that is fitted alone has its own contrast and offset unless these are fixed.
    """
    x, table = start, []
    for index, one in enumerate(objective.bins):
        alone = replace(objective, bins=(one,), sigma=objective.sigma[index : index + 1]).scaled(
            *(_of_one_bin(design, index) for design in (objective.contrast, objective.offset))
        )
        found = minimise(alone, x, alone.low, alone.high, tolerances, floor=alone.floor)
        x = found.x
        progress(
            f"bin {index + 1} of {len(objective.bins)}: {found.verdict}, cost {found.equations.cost:.8g}"
        )
        table.append(
            {
                "q": one.q,
                "phi": one.phi,
                "verdict": found.verdict,
                "iterations": found.iterations,
                "values": objective.problem.expand(objective.to_values(x)),
            }
        )
    return x, tuple(table)


def _of_one_bin(design: ScalingDesign, index: int) -> str | float:
    return "individual" if design.matrix.size else float(design.fixed[index])
