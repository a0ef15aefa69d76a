"""Whether a minimum lies where the model clips a fraction or a rate, as the descent supposes from edges of the cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from heterodyne.kernels.curves import Curve, curve_values
from heterodyne.solution.solution import Solution
from heterodyne_nlsq.trust_region.minimise import ON_EDGE

_TOUCH = 1e-3  # of the size of a curve: so near a limit it is clipped at one of the frames, or next to it


def where_it_clips(solution: Solution) -> Solution:
    """The solution, which says that it lies on an edge only where a curve that the model states reaches its limits."""
    words, curves = solution.message.split("; "), solution.objective.problem.model.curves
    if ON_EDGE not in words or not curves or any(_is_clipped(solution, curve) for curve in curves):
        return solution
    return replace(solution, message="; ".join(word for word in words if word != ON_EDGE))


def _is_clipped(solution: Solution, curve: Curve) -> bool:
    low, high = curve.limits
    for data in solution.objective.problem.data:
        values = curve_values(curve, solution.values, data.t, clipped=False)
        margin = _TOUCH * float(np.max(np.abs(values)))
        if np.any(values <= low + margin) or np.any(values >= high - margin):
            return True
    return False
