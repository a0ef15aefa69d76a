"""Standard errors at a solution: robust or independent, of parameters, contrasts and offsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag

from heterodyne.problem.spectrum import FLAT, Spectrum, independent_covariance, spectrum_of, with_covariance
from heterodyne.result.statistics import Statistics
from heterodyne.solution.frame_noise import FrameNoise
from heterodyne.solution.residuals import Residuals, noise_of_frames, residuals_at
from heterodyne.solution.robust import Meat, robust_meat
from heterodyne.solution.solution import AtSolution, Solution, at_solution

_EXCESS = 1.5  # ratio of variances from which noise beyond speckle is said to be there
_MANY = 200.0  # degrees of freedom of errors that the model gives
_SINGULAR = 1e-12
_COMMON = 2.0  # ratio of errors from which bins are said to share noise


class StandardErrors(NamedTuple):
    """Covariances over the free coordinates (p, p), the spectrum judged by the first, and what to say.

    ``contrast`` and ``offset`` (bins,) are the standard errors of these, ``frames`` the noise of every bin's frames,
    and ``modelled`` (q, q) the covariance of scores that speckle gives, None where errors are not robust.
    """

    covariance: np.ndarray
    independent: np.ndarray
    spectrum: Spectrum
    statistics: Statistics
    contrast: np.ndarray
    offset: np.ndarray
    frames: tuple[FrameNoise, ...]
    doubts: tuple[str, ...] = ()
    modelled: np.ndarray | None = None


def judged(solution: Solution) -> AtSolution:
    """`at_solution` with the spectrum judged by the errors in use."""
    here = at_solution(solution)
    errors = standard_errors(here, residuals_at(here), solution.robust)
    return here._replace(spectrum=errors.spectrum)


def standard_errors(here: AtSolution, residuals: Sequence[Residuals], robust: bool) -> StandardErrors:
    """The standard errors at a solution with these residuals.

    They take all elements for independent where not ``robust``, those of one-time data, which share no frames, and
    those of which no two neighbours are in use, whose noise nothing tells.
    """
    width, robust = here.weighted.width[here.free], robust and not here.weighted.problem.one_time
    spectrum, independent = with_covariance(here.spectrum, independent_covariance(here.spectrum), width)
    frames = tuple(noise_of_frames(here, residuals))
    robust &= all(np.isfinite(of.scale_near) for of in frames)
    if not robust or not here.free.any():
        statistics = Statistics(errors="independent")
        return StandardErrors(independent, independent, spectrum, statistics, *scaling_errors(here), frames)
    meat, whole, excess, _, inner = score_noise(here, frames)
    spectrum, covariance = with_covariance(here.spectrum, whole.of_coordinates(inner), width)
    statistics = Statistics(
        errors="robust",
        bandwidth=meat.bandwidth,
        dof=excess.dof,
        noise_ratio=excess.ratio,
        effective_parameters=float(np.trace(inner)),
    )
    errors, doubts = whole.of_scaling(inner), excess.words()
    if meat.shared is None:
        return StandardErrors(
            covariance, independent, spectrum, statistics, *errors, frames, doubts, meat.model
        )
    p = len(meat.shared)
    own, together = (
        np.diag(whole.of_coordinates(whole.half[:p].T @ matrix @ whole.half[:p]))[~spectrum.undetermined]
        for matrix in (meat.matrix[:p, :p], meat.shared)
    )
    ratio = float(np.sqrt(np.max(together / np.maximum(own, 1e-300), initial=0.0, where=own > 0.0)))
    statistics |= Statistics(common_noise_ratio=ratio)
    doubts += _shared_noise(ratio)
    return StandardErrors(covariance, independent, spectrum, statistics, *errors, frames, doubts, meat.model)


class ScoreNoise(NamedTuple):
    """The meat at a solution, the directions that it is told in, and its ``excess`` over that of speckle and frames.

    ``matrix`` (q, q) is what errors are made of, over coordinates and scaling weights, ``inner`` (q', q') the same in
    the directions of ``whole``.
    """

    meat: Meat
    whole: Whole
    excess: ExcessNoise
    matrix: np.ndarray
    inner: np.ndarray


def score_noise(here: AtSolution, frames: Sequence[FrameNoise]) -> ScoreNoise:
    """The noise of the scores at a solution where the frames of every bin have this noise."""
    meat, whole = robust_meat(here.weighted, here.x, here.free, frames), Whole.of(here)
    excess = excess_noise(meat, whole.half)
    if excess.ratio >= _EXCESS and meat.longest:
        # noise that is no speckle may be correlated over longer than the decay of speckle lets expect
        longer = excess_noise(meat.longest, whole.half)
        meat, excess = (meat.longest, longer) if longer.ratio > excess.ratio else (meat, excess)
    matrix = excess.joined(meat)
    return ScoreNoise(meat, whole, excess, matrix, whole.half.T @ matrix @ whole.half)


class ExcessNoise(NamedTuple):
    """By how much the variance M that the residual shows exceeds that of speckle and frames, and its freedom ``dof``.

    ``ratio`` φ = tr(M_model⁻¹ M)/q is the mean over directions; ``at_most`` where its bandwidth is the longest.
    ``own`` is the weight of M against φ M_model, 0 where M differs from it by no more than its own noise.
    """

    ratio: float
    dof: float
    at_most: bool = False
    own: float = 0.0

    def joined(self, meat: Meat) -> np.ndarray:
        """The variance (q, q) of both: that of the model, and of the residual what exceeds it."""
        if self.ratio <= 1.0:
            return meat.model
        both = (1.0 - self.own) * self.ratio * meat.model + self.own * meat.matrix
        return _not_below(both, meat.model) if self.own else both

    def words(self) -> tuple[str, ...]:
        """What to say of it."""
        if self.ratio < _EXCESS:
            return ()
        larger = f"{self.ratio**0.5:.2g} times as large"
        words = f"the data hold noise beyond that of speckle and photons: errors are {larger}"
        if self.own:
            words += " on average"
        if self.at_most:
            words += ", or more, as it is correlated over more than a fifth of the frames"
        return (words,)


def excess_noise(meat: Meat, half: np.ndarray) -> ExcessNoise:
    """The excess of M over that of the model in the directions ``half`` (q, q'); none where there are no directions.

    Of Q = M_model^-½ M M_model^-½ with ν degrees of freedom, noise alone makes ‖Q - φ 1‖² = φ² q (q + 1)/ν; what is
    beyond that is how excess noise differs from direction to direction (Ledoit & Wolf, J. Multivar. Anal. 88 (2004)
    365). It is believed as far as the excess itself is.
    """
    back = half @ _inverse_root(half.T @ meat.model @ half)
    inner = np.linalg.eigvalsh(back.T @ meat.matrix @ back)
    if not inner.size or (ratio := float(np.mean(inner))) <= 1.0:
        return ExcessNoise(float(np.mean(inner)) if inner.size else 1.0, _MANY, meat.at_most)
    spread = float(np.mean((inner - ratio) ** 2))
    of_noise = ratio**2 * (len(inner) + 1.0) / meat.dof
    own = min((ratio - 1.0) / (_EXCESS - 1.0), 1.0) * max(1.0 - of_noise / max(spread, 1e-300), 0.0)
    directions = float(np.sum(inner) ** 2 / np.sum(inner**2))
    pooled = float(np.clip(directions * meat.dof, meat.dof, _MANY))
    dof = 1.0 / ((1.0 - own) ** 2 / pooled + own**2 / meat.dof)
    return ExcessNoise(ratio, dof, meat.at_most, own)


def _inverse_root(matrix: np.ndarray) -> np.ndarray:
    """R (q, r) with Rᵀ A R = 1 over the r directions in which A (q, q) is not 0."""
    size = np.sqrt(np.diag(matrix))
    size = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(matrix / np.outer(size, size))
    keep = values > _SINGULAR * np.max(values, initial=0.0)
    return vectors[:, keep] / np.sqrt(values[keep]) / size[:, None]


def _not_below(matrix: np.ndarray, least: np.ndarray) -> np.ndarray:
    """A matrix (q, q) made as large as another in the directions in which it is smaller."""
    back = _inverse_root(least)
    values, vectors = np.linalg.eigh(back.T @ matrix @ back)
    forward = least @ back @ vectors
    return (forward * np.maximum(values, 1.0)) @ forward.T


class Whole(NamedTuple):
    """Coordinates and scaling weights together, in the q' directions not flat, each of unit Gauss-Newton matrix.

    ``half`` (q, q') are the directions, ``scaling`` (2 bins, q') what they do to contrasts, then offsets; ``lost``
    (2 bins,) marks those that the data do not determine.
    """

    half: np.ndarray
    scaling: np.ndarray
    lost: np.ndarray
    coordinates: int

    @classmethod
    def of(cls, here: AtSolution) -> Whole:
        """That at a solution."""
        of_weights = spectrum_of(here.scaling.hessian, np.full(len(here.scaling.hessian), np.inf))
        halves = [
            spectrum.basis[:, ~spectrum.flat] / np.sqrt(spectrum.eigenvalues[~spectrum.flat])
            for spectrum in (here.spectrum, of_weights)
        ]
        along = independent_covariance(of_weights) @ here.scaling.coupling[:, here.free] @ halves[0]
        scaling = here.scaling.design @ np.concatenate([-along, halves[1]], axis=1)
        lost = np.isnan(np.concatenate(scaling_errors(here)))
        return cls(np.asarray(block_diag(*halves)), scaling, lost, len(halves[0]))

    def of_coordinates(self, meat: np.ndarray) -> np.ndarray:
        """The covariance of the coordinates (p, p)."""
        return self.half[: self.coordinates] @ meat @ self.half[: self.coordinates].T

    def of_scaling(self, meat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The errors of contrasts and of offsets, (bins,) each."""
        variance = np.einsum("bi,ij,bj->b", self.scaling, meat, self.scaling)
        contrast, offset = np.split(np.where(self.lost, np.nan, np.sqrt(np.maximum(variance, 0.0))), 2)
        return contrast, offset


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
