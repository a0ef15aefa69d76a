"""The curvature adjustment that gives a likelihood of independent elements the covariance that is true.

In coordinates x, with H the likelihood's precision at the solution and V the robust covariance there,

    C = H^-½ (H^½ V H^½)^-½ H^½,    Cᵀ H C = V⁻¹,

on the directions that the data determine, and the identity on the others. Ribatet, Cooley & Davison,
Stat. Sin. 22 (2012) 813.

The adjustment is a linear map about a point, and holds next to it. Where priors move the posterior away from
the best fit, it is made at the posterior's mode instead, at which the likelihood's gradient g is not 0. There a
likelihood with precision V⁻¹ has the gradient V⁻¹ H⁻¹ g, and l(x + C d) that of Cᵀ g: the difference is added
as a tilt. V is that of the noise, the residual at the best fit, as if it lay about the model at the mode. What
is sampled is

    l(x + C d) + (V⁻¹ H⁻¹ g - Cᵀ g)·d.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from heterodyne.bins.bin import Dense
from heterodyne.evaluators.meshgrid import averaged_tile
from heterodyne.problem.objective import Objective
from heterodyne.problem.spectrum import Spectrum, spectrum_of
from heterodyne.solution.covariance import robust_covariance, sandwich
from heterodyne.solution.robust import robust_meat


class Calibration(NamedTuple):
    """At the solution, in coordinates x: the likelihood's ``precision`` H (p, p), the ``adjustment`` C (p, p),
    the covariance ``scaling`` (bins, 2, 2) of contrast and offset given the parameters, the ``bandwidth``
    of the robust estimate in frames, 0 for a likelihood that is not adjusted, and the ``tilt`` (p,)."""

    precision: np.ndarray
    adjustment: np.ndarray
    scaling: np.ndarray
    bandwidth: np.ndarray
    tilt: np.ndarray


def uncalibrated(p: int, bins: int) -> Calibration:
    """What there is without a solution: no precision, no adjustment."""
    return Calibration(np.zeros((p, p)), np.eye(p), np.zeros((bins, 2, 2)), np.array(0), np.zeros(p))


def not_adjusted(objective: Objective, x: np.ndarray) -> Calibration:
    """The likelihood as it is at x."""
    return uncalibrated(len(x), len(objective.bins))._replace(precision=objective.solve(x)[0].gram)


def calibrate(objective: Objective, x: np.ndarray, solution: np.ndarray | None = None) -> Calibration:
    """The adjustment at x of an objective that is weighted by the noise of its bins.

    The noise of the data is what is left at the ``solution``, x itself if None.
    """
    gradient = objective.solve(x)[0].gradient
    if solution is not None:
        objective = with_noise_about(objective, solution, x)
    equations, scaling = objective.solve(x)
    meat = robust_meat(objective, x, np.ones(len(x), dtype=bool))
    of_parameters = spectrum_of(equations.gram, objective.width)
    of_weights = spectrum_of(scaling.hessian, np.full(len(scaling.hessian), np.inf))
    of_scaling = scaling.design @ robust_covariance(of_weights, meat.scaling) @ scaling.design.T
    bins = np.arange(len(objective.bins))
    own = of_scaling.reshape(2, len(bins), 2, len(bins))[:, bins, :, bins]
    c, tilt = adjustment(of_parameters, meat.matrix), tilt_of(of_parameters, meat.matrix, -gradient)
    return Calibration(equations.gram, c, own, np.array(meat.bandwidth), tilt)


def with_noise_about(objective: Objective, solution: np.ndarray, x: np.ndarray) -> Objective:
    """The objective of other data: the residual at the solution, about the model at x."""
    before, after = _means(objective, solution), _means(objective, x)
    bins = []
    for bin, old, new in zip(objective.bins, before, after, strict=True):
        w = bin.weights()
        d = bin.d + w * (new - old)
        upper = np.triu(w > 0, 1)
        square = float(np.sum(d[upper] ** 2 / w[upper]))
        moments = bin.moments._replace(total=float(d[upper].sum()), square=square)
        bins.append(replace(bin, values=Dense(d), moments=moments))
    return replace(objective, bins=tuple(bins))


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
    return basis, h, sandwich(np.diag(h), inner.T @ meat @ inner)


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """The symmetric power of a positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T
