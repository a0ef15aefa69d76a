"""Standard errors at a solution: robust or independent, of parameters, contrasts and offsets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heterodyne.problem.spectrum import FLAT, Spectrum, independent_covariance, spectrum_of, with_covariance
from heterodyne.result.statistics import Statistics
from heterodyne.solution.covariance import effective_parameters, robust_covariance
from heterodyne.solution.robust import robust_meat
from heterodyne.solution.solution import AtSolution, Solution, at_solution

_COMMON = 2.0  # ratio of errors from which bins are said to share noise


class StandardErrors(NamedTuple):
    """Covariances over the free coordinates (p, p), the spectrum judged by the first, and what to say."""

    covariance: np.ndarray
    independent: np.ndarray
    spectrum: Spectrum
    statistics: Statistics
    doubts: tuple[str, ...] = ()


def judged(solution: Solution) -> AtSolution:
    """`at_solution` with the spectrum judged by the errors in use."""
    here = at_solution(solution)
    return here._replace(spectrum=standard_errors(here, solution.robust).spectrum)


def standard_errors(here: AtSolution, robust: bool) -> StandardErrors:
    """The standard errors at a solution.

    They take all elements for independent where not ``robust``, and those of one-time data, which share no frames.
    """
    width, robust = here.weighted.width[here.free], robust and not here.weighted.problem.one_time
    spectrum, independent = with_covariance(here.spectrum, independent_covariance(here.spectrum), width)
    if not robust or not here.free.any():
        return StandardErrors(independent, independent, spectrum, Statistics(errors="independent"))
    meat = robust_meat(here.weighted, here.x, here.free)
    spectrum, covariance = with_covariance(
        here.spectrum, robust_covariance(here.spectrum, meat.matrix), width
    )
    of_weights = spectrum_of(here.scaling.hessian, np.full(len(here.scaling.hessian), np.inf))
    of_parameters, of_scaling = (
        effective_parameters(spectrum, part)
        for spectrum, part in ((here.spectrum, meat.matrix), (of_weights, meat.scaling))
    )
    statistics = Statistics(
        errors="robust",
        bandwidth=meat.bandwidth,
        dof=meat.dof,
        effective_parameters=of_parameters + of_scaling,
    )
    if meat.shared is None:
        return StandardErrors(covariance, independent, spectrum, statistics)
    _, shared = with_covariance(here.spectrum, robust_covariance(here.spectrum, meat.shared), width)
    together, apart = (np.diag(matrix)[~spectrum.undetermined] for matrix in (shared, covariance))
    ratio = float(np.sqrt(np.max(together / apart, initial=0.0)))
    statistics |= Statistics(common_noise_ratio=ratio)
    return StandardErrors(covariance, independent, spectrum, statistics, _shared_noise(ratio))


def _shared_noise(ratio: float) -> tuple[str, ...]:
    """What to say of errors that grow by this ratio where the bins are taken for correlated."""
    if ratio <= _COMMON:
        return ()
    return (
        f"errors would be up to {ratio:.1f} times larger with the bins taken for correlated: "
        "look for noise that they share (beam, drift)",
    )


def scaling_errors(here: AtSolution) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors of the contrasts and of the offsets, (bins,) each, parameters varying along.

    NaN where there is none: the value is fixed, lies on a bound, or is undetermined, because S does not
    vary over the bin or a direction in which the data say nothing moves it.
    """
    design, spectrum = here.scaling.design, here.spectrum
    of_weights = spectrum_of(here.scaling.hessian, np.full(design.shape[1], np.inf))
    inverse = independent_covariance(of_weights)
    moved = design @ inverse @ here.scaling.coupling[:, here.free] @ spectrum.basis
    along = moved**2 / np.maximum(spectrum.eigenvalues, FLAT * len(spectrum.size))
    variance = np.einsum("bm,mn,bn->b", design, inverse, design) + along[:, ~spectrum.flat].sum(axis=1)
    lost = along[:, spectrum.flat].sum(axis=1) > variance
    lost |= design[:, of_weights.undetermined].any(axis=1) | ~design.any(axis=1)
    contrast, offset = np.split(np.sqrt(np.where(lost, np.nan, variance)), 2)
    return contrast, offset
