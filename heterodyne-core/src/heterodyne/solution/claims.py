"""What a fit cannot claim: parameters where no correlation is seen or its size is not, frames unlike the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import chdtri

from heterodyne.problem.normal_equations import SolvedScaling
from heterodyne.problem.objective import Objective
from heterodyne.problem.problem import Problem
from heterodyne.result.identifiability import Finding
from heterodyne.solution.residuals import Residuals
from heterodyne.words import first_listed, spans

KIND = "no correlation"
"""The kind of the findings that leave every parameter open."""

NOT_SEEN = "not seen"
"""The kind of the findings about a flow or a component that the data do not show."""

_SEEN = 20.0
"""What χ² must fall by, and by `_PER_NUMBER` more per fitted number, where a curve stands in place of a constant.

The best of many curves through noise takes some 2 per number, and more where noise is shared between pairs.
"""
_PER_NUMBER = 3.0

_LEVEL = 1e-4
"""How often noise alone lowers χ² so much for parameters that are known but for their values."""

EXCESS = 2.0
"""The reduced χ² from which the residuals are said to be more than noise."""
_NO_FRAMES = "as noise that they share or a model that does not hold makes them"

_UNLIKE = 4.0  # times the median of W r² from which a frame is unlike the others where χ² is too large
_ALIEN = 25.0  # and where it is not: five times the noise, more than frames of few counts scatter


def rise_needed(numbers: int, trials: int = 1) -> float:
    """What χ² must rise by without so many ``numbers``, for what they describe to be seen.

    The quantile of χ² so far out in the tail that a search for the curve that fits noise best seldom reaches it, in
    any of so many ``trials`` of curves that have nothing in common.
    """
    return float(chdtri(max(numbers, 1), _LEVEL / trials))


def gain_needed(numbers: int) -> float:
    """What χ² must fall by with so many ``numbers`` fitted, for what they describe to be seen."""
    return _SEEN + _PER_NUMBER * numbers


def unsupported(objective: Objective, scaling: SolvedScaling) -> list[Finding]:
    """Why no parameter is determined: no correlation is seen, or its size is at a bound in every bin.

    The ``objective`` is weighted by the noise of every bin, and ``scaling`` solved there.
    """
    names = objective.problem.varying
    gain, needed = _gain(objective, scaling), gain_needed(len(names))
    if gain < needed:
        return [
            Finding(
                KIND,
                f"no parameter: a constant describes every bin as well (χ² falls by {max(gain, 0.0):.3g} with the "
                f"model, and by up to {needed:.3g} with curves through noise)",
                names,
                True,
            )
        ]
    design, contrast = objective.contrast, scaling.contrast
    if design.matrix.size and np.all((contrast <= design.low) | (contrast >= design.high)):
        words = "no parameter: the contrast is at its bound in every bin, so that the size of the correlation is open"
        return [Finding(KIND, words, names, True)]
    offset = scaling.offset
    if objective.offset.matrix.size and np.all(
        (offset <= objective.offset.low) | (offset >= objective.offset.high)
    ):
        words = (
            "no parameter: the offset is at its bound in every bin: c2 is not 1 without correlation; see baseline, or "
            "divide by its level"
        )
        return [Finding(KIND, words, names, True)]
    return []


def _gain(objective: Objective, scaling: SolvedScaling) -> float:
    """By how much χ² is below that of a constant per bin, the offset where that is held and else the best one."""
    held, gain = ~np.any(objective.offset.matrix, axis=1), 0.0
    for b, bin in enumerate(objective.bins):
        of = bin.summed
        level = objective.offset.fixed[b] - of.reference if held[b] else of.total / of.pairs
        constant = of.square - 2.0 * level * of.total + level**2 * of.pairs
        gain += float(constant - scaling.ssr[b]) / float(objective.sigma[b]) ** 2
    return gain


def excess(problem: Problem, residuals: Sequence[Residuals], reduced_chi2: float) -> str:
    """What to say of residuals that are more than the noise between neighbouring pairs, in all or in some frames.

    Empty where they are not. A bad pair of frames raises the noise that it is judged by, so frames are also held
    against one another.
    """
    remedy = "exclude these (exclude_frames), or list single pairs in bad_pairs, if they are bad"
    is_excess = reduced_chi2 > EXCESS
    frames = [] if problem.one_time else _unlike_others(problem, residuals, _UNLIKE if is_excess else _ALIEN)
    named = f"at frames {first_listed(spans(frames))}: {remedy}" if frames else ""
    if not is_excess:
        return f"residuals are far larger than elsewhere {named}" if frames else ""
    near = "lags" if problem.one_time else "pairs of frames"
    words = f"reduced chi2 is {reduced_chi2:.3g}: the residuals exceed the noise between neighbouring {near}"
    return f"{words}, {f'most {named}' if frames else _NO_FRAMES}"


def _unlike_others(problem: Problem, residuals: Sequence[Residuals], times: float) -> list[int]:
    """The frames, counted from 1 as in their file, whose W r² is so many ``times`` the median in some bin."""
    first = [data.provenance.get("frames", (1,))[0] for data in problem.data for _ in range(data.n_bins)]
    found = set()
    for start, residual in zip(first, residuals, strict=True):
        squares = residual.of_frames
        with np.errstate(invalid="ignore"):
            found.update((start + np.flatnonzero(squares > times * np.nanmedian(squares))).tolist())
    return sorted(found)
