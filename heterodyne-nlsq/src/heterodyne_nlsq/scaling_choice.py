"""``auto`` of contrast and offset: one per bin where the data tell every contrast, else one per q."""

from __future__ import annotations

import numpy as np

from heterodyne.problem.kinds import AUTO
from heterodyne.problem.scaling import without_auto
from heterodyne.solution.solution import AtSolution, Solution, at_solution
from heterodyne.solution.standard_errors import scaling_errors
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.refine import continued

_KNOWN = 0.2  # the largest relative error of a contrast that is left to its bin


def shared_where_unknown(solution: Solution, search: Search) -> Solution:
    """The solution with one contrast per q where ``auto`` calls for it, else this one as it is.

    It does where some bin's contrast is not known to 20 %, or has no error because it lies on a bound or
    is undetermined. Where every q has one bin there is nothing to share.
    """
    objective, choices = solution.objective, solution.objective.problem.choices
    if choices.contrast != AUTO:
        return solution
    shared = objective.scaled(*without_auto(choices.contrast, choices.offset, "shared"))
    if shared.contrast.matrix.shape == objective.contrast.matrix.shape:
        return solution
    here = at_solution(solution)
    error, _ = scaling_errors(here)
    unknown = ~(error <= _KNOWN * here.scaling.contrast)
    if not unknown.any():
        return solution
    search.progress(f"contrast shared per q: {_worst(here, error, unknown)}")
    return continued(shared, solution, search.tolerances)


def _worst(here: AtSolution, error: np.ndarray, unknown: np.ndarray) -> str:
    """The bin whose contrast is known least, in words."""
    contrast = here.scaling.contrast
    ratio = np.where(unknown, np.nan_to_num(error / np.maximum(contrast, 1e-300), nan=np.inf), 0.0)
    index = int(ratio.argmax())
    bin = here.weighted.bins[index]
    return f"that of q={bin.q:.4g} phi={bin.phi:.4g} is {contrast[index]:.3g} ± {error[index]:.2g}"
