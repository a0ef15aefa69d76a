"""A detector sector of finite widths: S averaged over the q and the azimuths of its pixels.

    <S>_ij = 1/(δq δφ) ∫∫ S_ij(q', φ') dq' dφ',      |q' - q| ≤ δq/2,  |φ' - φ| ≤ δφ/2

Over a sector the fringe's phase q' cos(φ' - φ0) V varies, so that fringes at long lag average out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from heterodyne.errors import DataError
from heterodyne.kernels.elementwise import correlation_pairs, precompute_shard_grid
from heterodyne.kernels.meshgrid import correlation_matrix
from heterodyne.model import Model

_FIRST_ORDER, _LAST_ORDER = 8, 128
_TOLERANCE = 1e-10


class Node(NamedTuple):
    """One point of a quadrature over a sector: its weight (all add up to 1), q in Å⁻¹, phi in degrees."""

    weight: float
    q: float
    phi: float


def sector_correlation(
    model: Model,
    params: Mapping[str, float],
    t: np.ndarray,
    q: float,
    phi: float,
    dq: float = math.nan,
    dphi: float = math.nan,
) -> np.ndarray:
    """S averaged over q ± dq/2 and phi ± dphi/2, shape (N, N).

    Gauss-Legendre with so many nodes that half as many change S by less than 1e-10. A width that is NaN
    or 0 is not averaged over, nor is phi where the model does not use it. Raises `DataError` for a
    sector over which S varies too fast.
    """
    centre = model.correlation(params, t, q, phi)
    spread_q = 0.0 if math.isnan(dq) else dq
    spread_phi = dphi if model.uses_azimuth and not math.isnan(dphi) else 0.0
    if spread_q == spread_phi == 0.0:
        return centre
    total = np.zeros_like(centre)
    values = model.parameters.complete(params)
    for node in _sufficient_nodes(model, values, t, (q, spread_q), (phi, spread_phi)):
        total += node.weight * np.asarray(correlation_matrix(model, values, t, node.q, node.phi))
    return total


def _sufficient_nodes(
    model: Model,
    params: Mapping[str, float],
    t: np.ndarray,
    q: tuple[float, float],
    phi: tuple[float, float],
) -> list[Node]:
    """As many nodes as the pairs of the first frame and of the last frame with all others need."""
    n = len(t)
    probe = precompute_shard_grid(t, np.repeat([0, n - 1], n), np.tile(np.arange(n), 2))
    coarse, order = np.full(2 * n, np.inf), _FIRST_ORDER
    while order <= _LAST_ORDER:
        nodes = [
            Node(w_q * w_phi, node_q, node_phi)
            for w_q, node_q in _gauss_legendre(order, *q)
            for w_phi, node_phi in _gauss_legendre(order, *phi)
        ]
        fine = np.zeros(2 * n)
        for node in nodes:
            fine += node.weight * np.asarray(correlation_pairs(model, params, probe, node.q, node.phi))
        if np.max(np.abs(fine - coarse)) <= _TOLERANCE:
            return nodes
        coarse, order = fine, 2 * order
    raise DataError(
        f"S varies too fast over the bin q={q[0]:g} phi={phi[0]:g} to be averaged: "
        f"make dq={q[1]:g} or dphi={phi[1]:g} smaller"
    )


def _gauss_legendre(order: int, centre: float, width: float) -> list[tuple[float, float]]:
    """Weights that add up to 1 and nodes within ``width`` around ``centre``; one node where it is 0."""
    if width == 0.0:
        return [(1.0, centre)]
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return [(0.5 * w, centre + 0.5 * width * x) for w, x in zip(weights, nodes, strict=True)]
