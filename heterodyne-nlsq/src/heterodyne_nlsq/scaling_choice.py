"""``auto`` of contrast and offset: one per bin where the data tell every contrast, else one per q."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from heterodyne.problem.kinds import AUTO
from heterodyne.problem.scaling import without_auto
from heterodyne.solution.solution import AtSolution, Solution, at_solution
from heterodyne.solution.standard_errors import scaling_errors
from heterodyne.words import first_listed
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.refine import continued

_SILENT = 0.2  # of the shared contrast; a bin with less has no correlation to speak of
_TELLING = 50.0  # the χ² by which the shared contrast has to be worse for a bin to show that
_KNOWN = 0.2  # the largest relative error of a contrast that is left to its bin


def shared_where_unknown(solution: Solution, search: Search) -> Solution:
    """The solution with one contrast per q where ``auto`` calls for it, else this one as it is.

    It does where some bin's contrast is not known to 20 %, or has no error because it lies on a bound or
    is undetermined. Where every q has one bin there is nothing to share, and a bin without contrast beside others
    that have it keeps its own and is named.
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
    found = continued(shared, solution, search.tolerances)
    silent = unknown & _without_contrast(here, found)
    return _with_silent(solution, here, silent) if silent.any() else found


def _without_contrast(here: AtSolution, shared: Solution) -> np.ndarray:
    """Which bins (bins,) show that they have next to none of the contrast that they would share."""
    scaling = at_solution(shared).scaling
    worse = (scaling.ssr - here.scaling.ssr) / here.weighted.sigma**2
    return (here.scaling.contrast < _SILENT * scaling.contrast) & (worse > _TELLING)


def _with_silent(solution: Solution, here: AtSolution, silent: np.ndarray) -> Solution:
    """The solution with the bins named in which nothing acts."""
    bins = [
        f"q={bin.q:.4g} phi={bin.phi:.4g}"
        for bin, is_silent in zip(here.weighted.bins, silent, strict=True)
        if is_silent
    ]
    doubt = f"no correlation, and no say in the fit, in the bins {first_listed(bins)}"
    return replace(solution, doubts=(*solution.doubts, doubt))


def _worst(here: AtSolution, error: np.ndarray, unknown: np.ndarray) -> str:
    """The bin whose contrast is known least, in words."""
    contrast = here.scaling.contrast
    ratio = np.where(unknown, np.nan_to_num(error / np.maximum(contrast, 1e-300), nan=np.inf), 0.0)
    index = int(ratio.argmax())
    bin = here.weighted.bins[index]
    return f"that of q={bin.q:.4g} phi={bin.phi:.4g} is {contrast[index]:.3g} ± {error[index]:.2g}"
