"""Points of a bin over which S is averaged: Gauss-Legendre nodes over its widths."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Nodes(NamedTuple):
    """Points of a bin over which S is averaged, a grid of (q values, azimuths).

    Each of that shape: weights that add up to 1, q in Å⁻¹ and phi in degrees.
    """

    weight: np.ndarray
    q: np.ndarray
    phi: np.ndarray

    def listed(self) -> Nodes:
        """The same points in one list, (n,) each."""
        return Nodes(*(values.reshape(-1) for values in self))


def bin_nodes(
    q: float,
    phi: float,
    dq: float = math.nan,
    dphi: float = math.nan,
    order_q: int = 1,
    order_phi: int = 1,
) -> Nodes:
    """Gauss-Legendre nodes over the full widths ``dq`` and ``dphi`` around (q, phi).

    Of a width that is NaN or 0 only the centre is taken, whatever the order.
    """
    weight_q, at_q = _gauss_legendre(order_q, q, dq)
    weight_phi, at_phi = _gauss_legendre(order_phi, phi, dphi)
    return Nodes(np.outer(weight_q, weight_phi), *np.meshgrid(at_q, at_phi, indexing="ij"))


def _gauss_legendre(order: int, centre: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights that add up to 1 and nodes."""
    if order == 1 or not width > 0.0:
        return np.ones(1), np.array([centre])
    at, weight = np.polynomial.legendre.leggauss(order)
    return 0.5 * weight, centre + 0.5 * width * at
