"""``auto`` of contrast and offset: one per bin where the data tell every contrast, else one per q."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from heterodyne.problem.kinds import AUTO
from heterodyne.problem.objective import Objective
from heterodyne.problem.scaling import without_auto
from heterodyne.solution.solution import Solution, at_solution
from heterodyne.solution.standard_errors import scaling_errors

_KNOWN = 0.2  # the largest relative error of a contrast that is left to its bin


def shared_where_unknown(
    objective: Objective, solution: Solution, progress: Callable[[str], None]
) -> Objective | None:
    """The objective with one contrast per q where ``auto`` calls for it at this solution, else None.

    It does where some bin's contrast is not known to 20 %, or has no error because it lies on a bound or
    is undetermined. Where every q has one bin there is nothing to share.
    """
    choices = objective.problem.choices
    if choices.contrast != AUTO:
        return None
    shared = objective.scaled(*without_auto(choices.contrast, choices.offset, "shared"))
    if shared.contrast.matrix.shape == objective.contrast.matrix.shape:
        return None
    here = at_solution(objective, solution)
    error, _ = scaling_errors(here)
    unknown = ~(error <= _KNOWN * here.scaling.contrast)
    if not unknown.any():
        return None
    progress(f"contrast shared per q: {_worst(objective, here.scaling.contrast, error, unknown)}")
    return shared


def _worst(objective: Objective, contrast: np.ndarray, error: np.ndarray, unknown: np.ndarray) -> str:
    """The bin whose contrast is known least, in words."""
    ratio = np.where(unknown, np.nan_to_num(error / np.maximum(contrast, 1e-300), nan=np.inf), 0.0)
    index = int(ratio.argmax())
    one = objective.bins[index]
    return f"that of q={one.q:.4g} phi={one.phi:.4g} is {contrast[index]:.3g} ± {error[index]:.2g}"
