"""Standard errors at a solution: robust or independent, of parameters, contrasts and offsets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heterodyne.problem.objective import Objective
from heterodyne.problem.spectrum import FLAT, Spectrum, independent_covariance, spectrum, with_covariance
from heterodyne.result.statistics import Statistics
from heterodyne.solution.covariance import effective_parameters, robust_covariance
from heterodyne.solution.robust import robust_meat
from heterodyne.solution.solution import AtSolution, Solution, at_solution

_COMMON = 2.0  # ratio of errors from which bins are said to share noise


def judged(objective: Objective, solution: Solution, robust: bool) -> AtSolution:
    """`at_solution` with the spectrum judged by the errors in use."""
    here = at_solution(objective, solution)
    return here._replace(found=standard_errors(objective, solution, here, robust).found)


class StandardErrors(NamedTuple):
    """Covariances over the free coordinates (p, p), the spectrum judged by the first, and what to say."""

    covariance: np.ndarray
    independent: np.ndarray
    found: Spectrum
    statistics: Statistics
    doubts: tuple[str, ...]


def standard_errors(
    objective: Objective, solution: Solution, here: AtSolution, robust: bool
) -> StandardErrors:
    independent, width = independent_covariance(here.found), objective.width[here.free]
    if not robust or not here.free.any():
        found, independent = with_covariance(here.found, independent, width)
        return StandardErrors(independent, independent, found, Statistics(errors="independent"), ())
    meat = robust_meat(here.weighted, solution.x, here.free)
    _, independent = with_covariance(here.found, independent, width)
    found, covariance = with_covariance(here.found, robust_covariance(here.found, meat.matrix), width)
    of_weights = spectrum(here.scaling.hessian, np.full(len(here.scaling.hessian), np.inf))
    count = effective_parameters(here.found, meat.matrix) + effective_parameters(of_weights, meat.scaling)
    statistics = Statistics(
        errors="robust", bandwidth=meat.bandwidth, dof=meat.dof, effective_parameters=count
    )
    if meat.shared is None:
        return StandardErrors(covariance, independent, found, statistics, ())
    _, shared = with_covariance(here.found, robust_covariance(here.found, meat.shared), width)
    together, apart = (np.diag(matrix)[~found.undetermined] for matrix in (shared, covariance))
    ratio = float(np.sqrt(np.max(together / apart, initial=0.0)))
    doubt = (
        f"errors would be up to {ratio:.1f} times larger with the bins taken for correlated: "
        "look for noise that they share (beam, drift)"
    )
    return StandardErrors(
        covariance,
        independent,
        found,
        statistics | Statistics(common_noise_ratio=ratio),
        (doubt,) if ratio > _COMMON else (),
    )


def scaling_errors(here: AtSolution) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors of the contrasts and of the offsets, (bins,) each, parameters varying along.

    NaN where there is none: the value is fixed, lies on a bound, or is undetermined, because S does not
    vary over the bin or a direction in which the data say nothing moves it.
    """
    design, found = here.scaling.design, here.found
    inner = spectrum(here.scaling.hessian, np.full(design.shape[1], np.inf))
    inverse = independent_covariance(inner)
    moved = design @ inverse @ here.scaling.coupling[:, here.free] @ (found.vectors / found.size[:, None])
    along = moved**2 / np.maximum(found.eigenvalues, FLAT * len(found.size))
    variance = np.einsum("bm,mn,bn->b", design, inverse, design) + along[:, ~found.flat].sum(axis=1)
    lost = along[:, found.flat].sum(axis=1) > variance
    lost |= design[:, inner.undetermined].any(axis=1) | ~design.any(axis=1)
    contrast, offset = np.split(np.sqrt(np.where(lost, np.nan, variance)), 2)
    return contrast, offset
