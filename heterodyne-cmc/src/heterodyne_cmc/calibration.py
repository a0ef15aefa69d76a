"""The curvature adjustment that gives a likelihood of independent elements the covariance that is true.

In coordinates x, with H the likelihood's precision at the solution and V the covariance there that standard errors
are made of (`heterodyne.solution.standard_errors`),

    C = H^-½ (H^½ V H^½)^-½ H^½,    Cᵀ H C = V⁻¹,

on the directions that the data determine, and the identity on the others. Ribatet, Cooley & Davison,
Stat. Sin. 22 (2012) 813.

The adjustment is a linear map about a point, and holds next to it. Where priors move the posterior away from
the best fit, it is made at the posterior's mode instead, at which the likelihood's gradient g is not 0. There a
likelihood with precision V⁻¹ has the gradient V⁻¹ H⁻¹ g, and l(x + C d) that of Cᵀ g: the difference is added
as a tilt. V is that of the noise, the residual at the best fit, as if it lay about the model at the mode. What
is sampled is

    l(x + C d) + (V⁻¹ H⁻¹ g - Cᵀ g)·d,

which is greatest at d = H⁻¹ g, ½ gᵀ H⁻¹ V⁻¹ H⁻¹ g above its value at d = 0.

Contrast and offset w given the parameters follow from the joint covariance of both: where they are solved for, their
rest w - ŵ(θ) has a mean of K (d - H⁻¹ g), and the covariance that is left of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from heterodyne.bins.bin import Dense, Whitened
from heterodyne.errors import DataError
from heterodyne.evaluators.meshgrid import averaged_tile
from heterodyne.problem.objective import Objective
from heterodyne.problem.spectrum import Spectrum, spectrum_of
from heterodyne.solution.residuals import noise_of_frames, residuals_at
from heterodyne.solution.solution import AtSolution
from heterodyne.solution.standard_errors import ExcessNoise, ScoreNoise, score_noise


class Calibration(NamedTuple):
    """At the solution, in coordinates x: the likelihood's ``precision`` H (p, p), the ``adjustment`` C (p, p), and
    the ``tilt`` (p,).

    Of contrast and offset given the parameters the covariance ``scaling`` (bins, 2, 2), and what their mean is off
    where they are solved for: ``slope`` K (bins, 2, p) and ``shift`` (bins, 2), -K H⁻¹ g. ``rise`` is how much the
    likelihood rises from the centre to its top, ``rank`` the number of determined directions and ``inflation`` the
    mean of H V over directions, H of elements that weigh alike. ``dof``, ``noise_ratio``, ``bandwidth`` in frames
    and ``at_most`` are those of V; of a likelihood that is not adjusted dof is infinite, and the others 0.
    """

    precision: np.ndarray
    adjustment: np.ndarray
    scaling: np.ndarray
    tilt: np.ndarray
    slope: np.ndarray
    shift: np.ndarray
    rise: np.ndarray
    rank: np.ndarray
    inflation: np.ndarray
    dof: np.ndarray
    noise_ratio: np.ndarray
    bandwidth: np.ndarray
    at_most: np.ndarray


def uncalibrated(p: int, bins: int) -> Calibration:
    """What there is without a solution: no precision, no adjustment."""
    return Calibration(
        precision=np.zeros((p, p)),
        adjustment=np.eye(p),
        scaling=np.zeros((bins, 2, 2)),
        tilt=np.zeros(p),
        slope=np.zeros((bins, 2, p)),
        shift=np.zeros((bins, 2)),
        rise=np.array(0.0),
        rank=np.array(0),
        inflation=np.array(1.0),
        dof=np.array(np.inf),
        noise_ratio=np.array(0.0),
        bandwidth=np.array(0),
        at_most=np.array(False),
    )


def excess_of(calibration: Calibration) -> ExcessNoise:
    """The noise of the data beyond that of speckle and frames."""
    ratio, dof, at_most = calibration.noise_ratio, calibration.dof, calibration.at_most
    return ExcessNoise(float(ratio), float(dof), bool(at_most))


def not_adjusted(objective: Objective, x: np.ndarray) -> Calibration:
    """The likelihood as it is at x."""
    return uncalibrated(len(x), len(objective.bins))._replace(precision=objective.solve(x)[0].gram)


def at_point(objective: Objective, x: np.ndarray) -> AtSolution:
    """What errors at x are made from, all coordinates being free."""
    equations, scaling = objective.solve(x)
    free = np.ones(len(x), dtype=bool)
    return AtSolution(x, objective, equations, scaling, free, spectrum_of(equations.gram, objective.width))


def calibrate(objective: Objective, x: np.ndarray, solution: np.ndarray | None = None) -> Calibration:
    """The adjustment at x of an objective that is weighted by the noise of its bins.

    The noise of the data is what is left at the ``solution``, x itself if None. Raises `DataError` where it cannot
    be told.
    """
    gradient = -objective.solve(x)[0].gradient
    if solution is not None:
        objective = with_noise_about(objective, solution, x)
    here = at_point(objective, x)
    frames = noise_of_frames(here, residuals_at(here))
    if not np.all(np.isfinite([of.scale_near for of in frames])):
        raise DataError(
            "no two neighbouring pairs of frames are in use in some bin, so that its noise is not known: leave that "
            "bin out, or add --likelihood independent"
        )
    noise, spectrum = score_noise(here, frames), here.spectrum
    meat = noise.matrix[: len(x), : len(x)]
    slope, covariance = scaling_given_parameters(noise, here)
    top = step_to_top(spectrum, gradient)
    return Calibration(
        precision=here.equations.gram,
        adjustment=adjustment(spectrum, meat),
        scaling=covariance,
        tilt=tilt_of(spectrum, meat, gradient),
        slope=slope,
        shift=-slope @ top,
        rise=np.array(rise_of(spectrum, meat, gradient)),
        rank=np.array(spectrum.rank),
        inflation=np.array(inflation(spectrum, meat, _equal_precision(objective, x))),
        dof=np.array(noise.excess.dof),
        noise_ratio=np.array(noise.excess.ratio),
        bandwidth=np.array(noise.meat.bandwidth),
        at_most=np.array(noise.excess.at_most),
    )


def _equal_precision(objective: Objective, x: np.ndarray) -> np.ndarray:
    """The precision at x of a likelihood of independent elements that weigh alike in every bin, (p, p)."""
    plain = objective.plain()
    pairs = np.array([bin.moments.pairs for bin in plain.bins])
    return plain.weighted(np.sqrt(plain.solve(x)[1].ssr / pairs)).solve(x)[0].gram


def scaling_given_parameters(noise: ScoreNoise, here: AtSolution) -> tuple[np.ndarray, np.ndarray]:
    """K (bins, 2, p), and the covariance (bins, 2, 2) of contrast and offset given the parameters.

    In directions z = (z₁, z₂) of unit Gauss-Newton matrix, the fit's errors are z₁ along the coordinates, and z₂ along
    the scaling that is left when it is solved for; they are correlated where c2 is.
    """
    spectrum, whole, bins = here.spectrum, noise.whole, len(here.weighted.bins)
    of_coordinates = np.flatnonzero(~spectrum.lost[~spectrum.flat])
    rest = np.arange(int((~spectrum.flat).sum()), len(noise.inner))
    inner = noise.inner[np.ix_(of_coordinates, of_coordinates)]
    along = np.linalg.solve(inner, noise.inner[np.ix_(of_coordinates, rest)]).T
    left = noise.inner[np.ix_(rest, rest)] - along @ inner @ along.T
    back = whole.half[: whole.coordinates, of_coordinates].T @ here.equations.gram
    scaling = whole.scaling[:, rest].reshape(2, bins, -1).swapaxes(0, 1)
    return scaling @ along @ back, scaling @ left @ scaling.swapaxes(1, 2)


def with_noise_about(objective: Objective, solution: np.ndarray, x: np.ndarray) -> Objective:
    """The objective of other data: the residual at the solution, about the model at x.

    Frames that are weighted by their covariance are so by that at the solution.
    """
    before, after = _means(objective, solution), _means(objective, x)
    bins = []
    for bin, old, new in zip(objective.plain().bins, before, after, strict=True):
        w = bin.weights()
        d = bin.d + w * (new - old)
        upper = np.triu(w > 0, 1)
        square = float(np.sum(d[upper] ** 2 / w[upper]))
        moments = bin.moments._replace(total=float(d[upper].sum()), square=square)
        bins.append(replace(bin, values=Dense(d), moments=moments))
    moved = replace(objective, bins=tuple(bins))
    return moved.whitened(solution, ratios_of(objective)) if is_whitened(objective) else moved


def is_whitened(objective: Objective) -> bool:
    """Whether some bin is weighted by the covariance of its frames."""
    return any(isinstance(bin.values, Whitened) for bin in objective.bins)


def ratios_of(objective: Objective) -> np.ndarray:
    """κ of the weights of every bin, (bins,), NaN where there are none."""
    return np.array([getattr(bin.values, "noise", np.nan) for bin in objective.bins])


def _means(objective: Objective, x: np.ndarray) -> Iterator[np.ndarray]:
    """The mean of c2 of every bin at x, (M, M), with contrast and offset at their best."""
    scaling, params = objective.solve(x)[1], objective.parameters(x)
    for bin, contrast, offset in zip(objective.bins, scaling.contrast, scaling.offset, strict=True):
        size = len(bin.t)
        s = averaged_tile(objective.problem.model, params, bin.t, bin.nodes, 0, 0, size, size)
        yield contrast * np.asarray(s) + offset


def adjustment(precision: Spectrum, meat: np.ndarray) -> np.ndarray:
    """C of the sandwich with this meat (p, p), in the coordinates of the precision's spectrum."""
    basis, h, v = _determined(precision, meat)
    c = _power(v * np.sqrt(np.outer(h, h)), -0.5) * np.sqrt(h) / np.sqrt(h)[:, None]
    whole = basis @ c @ basis.T + np.eye(len(basis)) - basis @ basis.T
    return whole * precision.size / precision.size[:, None]


def step_to_top(precision: Spectrum, gradient: np.ndarray) -> np.ndarray:
    """H⁻¹ g, (p,), 0 along directions that are not determined."""
    basis = precision.basis[:, ~precision.lost]
    return basis @ (basis.T @ gradient / precision.eigenvalues[~precision.lost])


def rise_of(precision: Spectrum, meat: np.ndarray, gradient: np.ndarray) -> float:
    """½ gᵀ H⁻¹ V⁻¹ H⁻¹ g of the same sandwich."""
    basis, h, v = _determined(precision, meat)
    along = (basis.T @ (gradient / precision.size)) / h
    return float(0.5 * along @ np.linalg.solve(v, along))


def inflation(precision: Spectrum, meat: np.ndarray, equal: np.ndarray) -> float:
    """The mean of the eigenvalues of V times the precision ``equal`` (p, p), 1 along each that is not determined."""
    basis, _, v = _determined(precision, meat)
    inner = basis / precision.size[:, None]
    return float((np.trace(inner.T @ equal @ inner @ v) + len(basis) - len(v)) / len(basis))


def tilt_of(precision: Spectrum, meat: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """(V⁻¹ H⁻¹ - Cᵀ) g of the same sandwich, (p,), 0 along directions that are not determined."""
    basis, h, v = _determined(precision, meat)
    right = basis @ np.linalg.solve(v, (basis.T @ (gradient / precision.size)) / h)
    across = gradient / precision.size - basis @ (basis.T @ (gradient / precision.size))
    return precision.size * (right + across) - adjustment(precision, meat).T @ gradient


def _determined(precision: Spectrum, meat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The k determined directions (p, k) in scaled coordinates, H along them (k,) and V there (k, k)."""
    keep = ~precision.lost
    basis, h = precision.vectors[:, keep], precision.eigenvalues[keep]
    inner = basis / precision.size[:, None]
    return basis, h, inner.T @ meat @ inner / np.outer(h, h)


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """The symmetric power of a positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T
