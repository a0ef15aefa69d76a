"""A detector sector of finite widths: S averaged over the q and the azimuths of its pixels.

    <S>_ij = 1/(δq δφ) ∫∫ S_ij(q', φ') dq' dφ',      |q' - q| ≤ δq/2,  |φ' - φ| ≤ δφ/2

Over a sector the fringe's phase q' cos(φ' - φ0) V varies, so that fringes at long lag average out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from heterodyne.bins.nodes import Nodes, bin_nodes
from heterodyne.errors import DataError
from heterodyne.evaluators.elementwise import averaged_pairs, precompute_shard_grid
from heterodyne.evaluators.meshgrid import averaged_matrix
from heterodyne.model import Model

_FIRST_ORDER, _LAST_ORDER = 8, 128
_TOLERANCE = 1e-10


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
    spread = dphi if model.uses_azimuth else math.nan
    if not (dq > 0.0 or spread > 0.0):
        return centre
    values = model.parameters.complete(params)
    return averaged_matrix(model, values, t, _sufficient_nodes(model, values, t, (q, phi, dq, spread)))


def _sufficient_nodes(
    model: Model, params: Mapping[str, float], t: np.ndarray, sector: tuple[float, float, float, float]
) -> Nodes:
    """As many nodes as the pairs of the first frame and of the last frame with all others need."""
    n = len(t)
    probe = precompute_shard_grid(t, np.repeat([0, n - 1], n), np.tile(np.arange(n), 2))
    coarse, order = np.full(2 * n, np.inf), _FIRST_ORDER
    while order <= _LAST_ORDER:
        nodes = bin_nodes(*sector, order, order)
        fine = averaged_pairs(model, params, probe, nodes)
        if np.max(np.abs(fine - coarse)) <= _TOLERANCE:
            return nodes
        coarse, order = fine, 2 * order
    q, phi, dq, dphi = sector
    raise DataError(
        f"S varies too fast over the bin q={q:g} phi={phi:g} to be averaged: "
        f"make dq={dq:g} or dphi={dphi:g} smaller"
    )
