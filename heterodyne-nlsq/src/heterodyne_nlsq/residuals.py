"""Residuals at a solution: noise per element and structure over lag and age (`heterodyne.structure`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from heterodyne.device.cores import side_by_side
from heterodyne.goodness import Residuals, examine_residuals
from heterodyne.kernels.tangent import block_tangent
from heterodyne.normal_equations import SolvedScaling
from heterodyne.objective import Objective
from heterodyne.robust import decay_frames, speckle_clusters
from heterodyne.structure import BinBlocks, Structure, residual_structure


def residuals_at(objective: Objective, u: np.ndarray, scaling: SolvedScaling) -> list[Residuals]:
    """Noise and sums of the residuals of every bin."""
    params = objective.problem.expand(objective.to_values(u))
    rows = list(zip(objective.bins, scaling.contrast, scaling.offset, strict=True))
    return side_by_side(
        lambda row: examine_residuals(objective.problem.model, params, *row), rows, objective.at_once
    )


def structure_at(
    objective: Objective, u: np.ndarray, free: np.ndarray, scaling: SolvedScaling, found: list[Residuals]
) -> Structure:
    """The structure of residuals, over the coordinates that are ``free`` of their bounds.

    The objective's noise per bin is that of the residuals.
    """
    columns = (objective.problem.selection_matrix() * objective.slopes(u))[:, free]
    of_contrast, of_offset = np.split(scaling.design, 2)
    bins = []
    for b, (one, residuals) in enumerate(zip(objective.bins, found, strict=True)):
        sums, weight = residuals.sums, 1.0 / float(objective.sigma[b]) ** 2
        place = one.t, one.nodes, sums.frames, sums.grain
        s = block_tangent(objective.problem.model, objective.theta(u), *place)
        moved = scaling.contrast[b] * np.tensordot(columns.T, s[1:], axes=1)
        weights = of_contrast[b][:, None, None] * s[0] + of_offset[b][:, None, None]
        tangent = np.concatenate([moved, weights])
        bins.append(BinBlocks(weight * sums.residual, weight * sums.weight, tangent))
    clusters = speckle_clusters(objective)
    grains = [found[members[0]].sums.grain for members in clusters]
    return residual_structure(bins, clusters, grains, decay_frames(objective, u))


def structure_statistics(found: Structure) -> dict[str, Any]:
    """The verdict and its figures, for the statistics of a fit."""
    words: dict[str, Any] = {"structure": found.verdict}
    for name, check in (("lag", found.lag), ("age", found.age)):
        words[f"{name}_chi2"] = check.chi2 / max(check.cells, 1)
        words[f"{name}_probability"] = check.probability
    words["lag_residuals"] = [row.tolist() for row in found.lag_z]
    words["age_residuals"] = [row.tolist() for row in found.age_z]
    return words
