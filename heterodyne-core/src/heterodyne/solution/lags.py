"""What one-time data say at a solution: values at different lags are taken for independent.

Residuals r_k at neighbouring lags, in units of their noise, are compared by the ratio of von Neumann (Ann. Math.
Statist. 12 (1941) 367),

    η = Σ (r_k+1 - r_k)² / Σ r_k²,

which for n independent values has the mean 2 and the variance 4 (n-2)/(n²-1). Residuals that follow one another
give less; a fit, which takes away what varies slowly, gives more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from heterodyne.bins.bin import Bin
from heterodyne.data.one_time import FirstRow
from heterodyne.evaluators.meshgrid import averaged_tile
from heterodyne.problem.problem import Problem
from heterodyne.result.statistics import Statistics
from heterodyne.solution.solution import AtSolution
from heterodyne.solution.structure import LEVEL

_DOUBTED = 10.0
"""Reduced χ² from which, and below whose inverse, errors are no description of the noise."""

INDEPENDENT = "one-time data: the errors take the values at different lags for independent"
"""What is said of errors without shared frames."""


class LagResiduals(NamedTuple):
    """One bin over the lags in use: residual g2 - model, weight relative to the other lags, and 1 / error² as given."""

    residual: np.ndarray
    weight: np.ndarray
    stated: np.ndarray


def of_lags(here: AtSolution) -> Statistics:
    """Σ (residual / error)² per degree of freedom and what fitting costs, of one-time data; nothing of others."""
    problem = here.weighted.problem
    if not problem.one_time:
        return Statistics()
    fitted = int(here.free.sum()) + here.scaling.design.shape[1]
    figures = Statistics(effective_parameters=float(fitted))
    if not all(isinstance(data, FirstRow) and data.has_errors for data in problem.data):
        return figures
    square = sum(float(bin.stated @ bin.residual**2) for bin in lag_residuals(here))
    freedom = max(here.equations.n_pairs - fitted, 1)
    return figures | Statistics(reduced_chi2_errors=square / freedom)


def doubtful_errors(figures: Statistics) -> str:
    """What to say of errors in the file that are far from the noise of the residuals; empty where they are not."""
    ratio = figures.get("reduced_chi2_errors")
    if ratio is None or 1.0 / _DOUBTED < ratio < _DOUBTED:
        return ""
    return (
        f"reduced chi2 with the errors of the file is {ratio:.3g}: they are not the noise of g2, or the model does not "
        "hold; they weigh the lags"
    )


def structure_over_lags(here: AtSolution) -> tuple[Statistics, str]:
    """Whether residuals at neighbouring lags follow one another: for the statistics, and for the message."""
    scores = [_score(np.sqrt(bin.weight) * bin.residual) for bin in lag_residuals(here)]
    probability = float(ndtr(np.sum(scores) / np.sqrt(len(scores))))
    seen = probability < LEVEL
    verdict = "structure over lag" if seen else "no structure found over lag"
    words = f"{verdict}: the residuals are not noise about this model, or lags share their noise"
    figures = Statistics(structure=f"{verdict}; over age not asked", lag_probability=probability)
    return figures, words if seen else ""


def lag_residuals(here: AtSolution) -> Iterator[LagResiduals]:
    """The residuals of every bin at a solution."""
    objective, scaling = here.weighted, here.scaling
    params = objective.parameters(here.x)
    places = zip(_stated(objective.problem), objective.bins, scaling.contrast, scaling.offset, strict=True)
    for stated, bin, contrast, offset in places:
        (s,) = averaged_tile(objective.problem.model, params, bin.t, bin.nodes, 0, 1, 1, len(stated))
        g2, weight = _row(bin, len(stated))
        used = weight > 0
        yield LagResiduals((g2 - offset - contrast * s)[used], weight[used], stated[used])


def _stated(problem: Problem) -> Iterator[np.ndarray]:
    """The weights of every bin as its data state them, (lags,)."""
    for data in problem.data:
        assert isinstance(data, FirstRow)
        yield from data.row_weights


def _row(bin: Bin, lags: int) -> tuple[np.ndarray, np.ndarray]:
    """g2 and its weight at every lag of a bin, (lags,) each; g2 is the mean where the weight is 0."""
    weight = bin.weights(slice(0, 1))[0, 1 : lags + 1]
    away = np.divide(bin.d[0, 1 : lags + 1], weight, out=np.zeros(lags), where=weight > 0)
    return bin.moments.reference + away, weight


def _score(r: np.ndarray) -> float:
    """The ratio of von Neumann in standard deviations from 2, 0 where there is nothing to compare."""
    n, square = len(r), float(r @ r)
    if square == 0.0:
        return 0.0
    ratio = float(np.sum(np.diff(r) ** 2)) / square
    return 0.5 * (ratio - 2.0) / float(np.sqrt((n - 2) / (n**2 - 1)))
