"""The curvature adjustment that gives a likelihood of independent elements the covariance that is true.

In coordinates x, with H the likelihood's precision at the solution and V the robust covariance there,

    C = H^-½ (H^½ V H^½)^-½ H^½,    Cᵀ H C = V⁻¹,

on the directions that the data determine, and the identity on the others. Ribatet, Cooley & Davison,
Stat. Sin. 22 (2012) 813.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from heterodyne.covariance import robust_covariance, sandwich
from heterodyne.identifiability import Spectrum, spectrum
from heterodyne.objective import Objective
from heterodyne.robust import robust_meat


class Calibration(NamedTuple):
    """At the solution, in coordinates x: the likelihood's ``precision`` H (p, p), the ``adjustment`` C (p, p),
    the covariance ``scaling`` (bins, 2, 2) of contrast and offset given the parameters, and the ``bandwidth``
    of the robust estimate in frames, 0 for a likelihood that is not adjusted."""

    precision: np.ndarray
    adjustment: np.ndarray
    scaling: np.ndarray
    bandwidth: np.ndarray


def unknown(p: int, bins: int) -> Calibration:
    """What there is without a solution: no precision, no adjustment."""
    return Calibration(np.zeros((p, p)), np.eye(p), np.zeros((bins, 2, 2)), np.array(0))


def not_adjusted(objective: Objective, x: np.ndarray) -> Calibration:
    """The likelihood as it is at the solution x."""
    return unknown(len(x), len(objective.bins))._replace(precision=objective.solve(x)[0].gram)


def calibrate(objective: Objective, x: np.ndarray) -> Calibration:
    """The adjustment at the solution x of an objective that is weighted by the noise of its bins."""
    equations, scaling = objective.solve(x)
    meat = robust_meat(objective, x, np.ones(len(x), dtype=bool))
    found = spectrum(equations.gram, objective.width)
    of_weights = spectrum(scaling.hessian, np.full(len(scaling.hessian), np.inf))
    of_scaling = scaling.design @ robust_covariance(of_weights, meat.scaling) @ scaling.design.T
    bins = np.arange(len(objective.bins))
    own = of_scaling.reshape(2, len(bins), 2, len(bins))[:, bins, :, bins]
    return Calibration(equations.gram, adjustment(found, meat.matrix), own, np.array(meat.bandwidth))


def adjustment(found: Spectrum, meat: np.ndarray) -> np.ndarray:
    """C of the sandwich with this meat (p, p), in the coordinates of the spectrum."""
    keep = ~found.lost
    basis, h = found.vectors[:, keep], found.eigenvalues[keep]
    inner = basis / found.size[:, None]
    v = sandwich(np.diag(h), inner.T @ meat @ inner)
    c = _power(v * np.sqrt(np.outer(h, h)), -0.5) * np.sqrt(h) / np.sqrt(h)[:, None]
    whole = basis @ c @ basis.T + np.eye(len(keep)) - basis @ basis.T
    return whole * found.size / found.size[:, None]


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """The symmetric power of a positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T
