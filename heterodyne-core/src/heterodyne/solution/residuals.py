"""How well a model fits, judged by noise that the model cannot take part in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.device.cores import side_by_side
from heterodyne.evaluators.meshgrid import averaged_tile
from heterodyne.evaluators.tangent import block_tangent
from heterodyne.result.statistics import Statistics
from heterodyne.solution.frame_noise import FrameNoise, NeighbourSums, frame_noise
from heterodyne.solution.robust import decay_frames, speckle_clusters
from heterodyne.solution.solution import AtSolution
from heterodyne.solution.structure import (
    BLOCKS,
    BinBlocks,
    BlockSums,
    Structure,
    lag_edges,
    residual_structure,
)

if TYPE_CHECKING:
    from heterodyne.model import Model


class Residuals(NamedTuple):
    """What one pass over the residuals of a bin gives: the noise per element, sums by lag and blocks, and
    ``of_frames`` (N,), the mean of W r² over the pairs of every frame, NaN for frames not in use; Σ W r² as ``ssr``,
    and what neighbours have in common."""

    noise: float
    sums: BlockSums
    of_frames: np.ndarray
    ssr: float
    neighbours: NeighbourSums


def examine_residuals(
    model: Model, params: dict[str, float], bin: Bin, contrast: float, offset: float
) -> Residuals:
    """The noise per element of one bin, half the variance of neighbouring differences of the residual, and
    sums of the residual for `heterodyne.solution.structure`.

    Of the data the noise would count a fast fringe. It is a lower bound, because neighbours share part of
    their noise; with weights it is that of an element of weight 1; NaN where no two neighbours are used.
    Never more than a part of the matrix is formed; neighbours in two tiles are not compared.
    """
    frames = bin.frames
    grain = -(-frames // BLOCKS)
    edges, blocks = lag_edges(frames), -(-frames // grain)
    square, count, ssr, neighbours = 0.0, 0, 0.0, np.zeros(len(NeighbourSums._fields))
    totals = np.zeros((2, (len(edges) - 1) * blocks**2))
    squares = np.zeros((2, frames))
    for first, second, c2, weights in bin.parts():
        s = averaged_tile(model, params, bin.t, bin.nodes, first, second, *c2.shape)
        residual = c2 - offset - contrast * s
        more_square, more_count = _neighbour_sums(residual, weights)
        square, count = square + more_square, count + more_count
        _add_blocks(totals, first, second, residual, weights, edges, grain, blocks)
        _add_squares(squares, first, second, residual, weights)
        ssr += float(np.vdot(weights, np.where(weights > 0, residual, 0.0) ** 2))
        neighbours += _common(first, second, residual, s, weights)
    noise = float(np.sqrt(square / count)) if count else float("nan")
    residuals, used = totals.reshape(2, -1, blocks, blocks)
    with np.errstate(invalid="ignore"):
        of_frames = squares[0] / squares[1]
    sums = BlockSums(residuals, used, frames, grain)
    return Residuals(noise, sums, of_frames, ssr, NeighbourSums(*neighbours.tolist()))


def _common(first: int, second: int, residual: np.ndarray, s: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The `NeighbourSums` of a part."""
    used = weights > 0
    both = used[:, 1:] & used[:, :-1]
    r = np.where(used, residual, 0.0)
    here, beside = np.where(both, r[:, :-1], 0.0), np.where(both, r[:, 1:], 0.0)
    all_four = both[1:] & both[:-1]
    change = here - beside
    mixed = np.where(all_four, change[1:] - change[:-1], 0.0)
    # S between the frames j and j + 1 stands in the row of j
    rows = np.arange(max(second - first - 1, 0), min(len(s), second + s.shape[1] - first - 1))
    columns = rows + first + 1 - second
    next_used = used[rows, columns]
    square = 0.5 * (float(np.vdot(here, here)) + float(np.vdot(beside, beside)))
    return np.array(
        [
            np.count_nonzero(both),
            square,
            0.5 * float(np.vdot(change, change)),
            float(np.vdot(np.where(both, s[:, :-1], 0.0), s[:, :-1])),
            np.count_nonzero(all_four),
            0.25 * float(np.vdot(mixed, mixed)),
            np.count_nonzero(next_used),
            float(s[rows, columns][next_used].sum()),
        ]
    )


def _add_blocks(
    totals: np.ndarray,
    first: int,
    second: int,
    residual: np.ndarray,
    weights: np.ndarray,
    edges: np.ndarray,
    grain: int,
    blocks: int,
) -> None:
    """Add Σ W r and Σ W of a part to ``totals`` (2, lag bins · blocks²)."""
    i, j = np.nonzero(weights)
    w, r, i, j = weights[i, j], residual[i, j], i + first, j + second
    of_lag = np.searchsorted(edges, np.arange(edges[-1]), side="right") - 1
    place = (of_lag[j - i] * blocks + i // grain) * blocks + j // grain
    totals[0] += np.bincount(place, w * r, totals.shape[1])
    totals[1] += np.bincount(place, w, totals.shape[1])


def _add_squares(
    squares: np.ndarray, first: int, second: int, residual: np.ndarray, weights: np.ndarray
) -> None:
    """Add Σ W r² and the number of pairs of every frame of a part to ``squares`` (2, N)."""
    used = weights > 0
    with np.errstate(invalid="ignore"):  # values that are not used may be NaN or infinite
        terms = np.where(used, weights * residual**2, 0.0), used
    for axis, start in ((1, first), (0, second)):
        for total, of_pairs in zip(squares, terms, strict=True):
            sums = of_pairs.sum(axis=axis)[: len(total) - start]
            total[start : start + len(sums)] += sums


def _neighbour_sums(residual: np.ndarray, weights: np.ndarray) -> tuple[float, int]:
    """Σ (r_ij - r_ij+1)² / (1/W_ij + 1/W_ij+1) over neighbours in a row both in use, and their number."""
    product = weights[:, 1:] * weights[:, :-1]
    both = product > 0
    harmonic = np.divide(product, weights[:, 1:] + weights[:, :-1], out=product, where=both)
    with np.errstate(invalid="ignore"):  # values that are not used may be NaN or infinite
        terms = np.where(both, np.diff(residual, axis=1) ** 2 * harmonic, 0.0)
    return float(terms.sum()), int(np.count_nonzero(both))


def residuals_at(here: AtSolution) -> list[Residuals]:
    """Noise and sums of the residuals of every bin at a solution."""
    objective, params = here.weighted, here.weighted.parameters(here.x)
    return side_by_side(
        lambda row: examine_residuals(objective.problem.model, params, *row),
        list(zip(objective.bins, here.scaling.contrast, here.scaling.offset, strict=True)),
        objective.at_once,
    )


def noise_of_frames(here: AtSolution, residuals: Sequence[Residuals]) -> list[FrameNoise]:
    """The noise of the frames of every bin."""
    rows = zip(residuals, here.weighted.bins, here.scaling.contrast, here.scaling.offset, strict=True)
    return [frame_noise(of.neighbours, bin, float(c), float(o)) for of, bin, c, o in rows]


def structure_at(here: AtSolution, residuals: list[Residuals]) -> Structure:
    """The structure of these residuals, over the coordinates that are free of their bounds."""
    objective, scaling = here.weighted, here.scaling
    columns, theta = objective.columns(here.x)[:, here.free], objective.theta(here.x)
    blocks = []
    for b, (bin, (_, sums, *_)) in enumerate(zip(objective.bins, residuals, strict=True)):
        weight = 1.0 / float(objective.sigma[b]) ** 2
        s = block_tangent(objective.problem.model, theta, bin.t, bin.nodes, sums.frames, sums.grain)
        moved = scaling.contrast[b] * np.tensordot(columns.T, s[1:], axes=1)
        of_contrast, of_offset = (rows[b] for rows in np.split(scaling.design, 2))
        of_bin = np.flatnonzero((of_contrast != 0) | (of_offset != 0))
        scaled = of_contrast[of_bin, None, None] * s[0] + of_offset[of_bin, None, None]
        acts = np.concatenate([np.arange(len(moved)), len(moved) + of_bin])
        blocks.append(
            BinBlocks(weight * sums.residual, weight * sums.weight, np.concatenate([moved, scaled]), acts)
        )
    clusters = speckle_clusters(objective)
    grains = [residuals[members[0]].sums.grain for members in clusters]
    return residual_structure(blocks, clusters, grains, decay_frames(objective, here.x))


def structure_statistics(structure: Structure) -> Statistics:
    """The verdict and its figures, for the statistics of a fit."""
    return Statistics(
        structure=structure.verdict,
        lag_chi2=structure.lag.chi2 / max(structure.lag.cells, 1),
        lag_probability=structure.lag.probability,
        age_chi2=structure.age.chi2 / max(structure.age.cells, 1),
        age_probability=structure.age.probability,
        lag_residuals=tuple(tuple(z.tolist()) for z in structure.lag_z),
        age_residuals=tuple(tuple(map(tuple, z.tolist())) for z in structure.age_z),
    )
