"""How well a model fits, judged by noise that the model cannot take part in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.device.cores import side_by_side
from heterodyne.evaluators.influence import influence_panels
from heterodyne.evaluators.residual import ResidualPart, residual_parts
from heterodyne.evaluators.scores import ScorePart
from heterodyne.evaluators.tangent import block_tangent
from heterodyne.problem.spectrum import independent_covariance, spectrum_of
from heterodyne.result.statistics import Statistics
from heterodyne.solution.frame_noise import LEAST_RATIO, FrameNoise, NeighbourSums, frame_noise
from heterodyne.solution.robust import ScoreCluster, score_clusters, speckle_covariance
from heterodyne.solution.solution import AtSolution
from heterodyne.solution.structure import (
    BLOCKS,
    BlockSums,
    Cells,
    Structure,
    cell_panel,
    cells_of,
    lag_edges,
    residual_structure,
)

if TYPE_CHECKING:
    from heterodyne.model import Model


_ALIEN = 8.0
"""Times the median of W r² from which what a frame has beside its neighbours is no noise of the others."""


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
    Never more than a part of the matrix is formed; neighbours in two tiles are not compared. What neighbours have in
    common is asked without frames whose residuals are 8 times as large as those of the others.
    """
    frames = bin.frames
    grain = -(-frames // BLOCKS)
    edges, blocks = lag_edges(frames), -(-frames // grain)
    square, count, ssr = 0.0, 0, 0.0
    totals = np.zeros((2, (len(edges) - 1) * blocks**2))
    squares = np.zeros((2, frames))
    for first, second, residual, _, weights in residual_parts(model, params, bin, contrast, offset):
        more_square, more_count = _neighbour_sums(residual, weights)
        square, count = square + more_square, count + more_count
        _add_blocks(totals, first, second, residual, weights, edges, grain, blocks)
        _add_squares(squares, first, second, residual, weights)
        ssr += float(np.vdot(weights, np.where(weights > 0, residual, 0.0) ** 2))
    noise = float(np.sqrt(square / count)) if count else float("nan")
    residuals, used = totals.reshape(2, -1, blocks, blocks)
    with np.errstate(invalid="ignore"):
        of_frames = squares[0] / squares[1]
        alike = np.pad(~(of_frames > _ALIEN * np.nanmedian(of_frames)), (0, len(bin.t) - frames))
    sums = BlockSums(residuals, used, frames, grain)
    neighbours = _neighbours(residual_parts(model, params, bin, contrast, offset), alike, frames)
    neighbours = neighbours._replace(square=neighbours.in_row * ssr / bin.moments.pairs)
    return Residuals(noise, sums, of_frames, ssr, neighbours)


def _neighbours(parts: Iterator[ResidualPart], alike: np.ndarray, frames: int) -> NeighbourSums:
    """The sums over neighbours, of residuals and S times √W, between the frames that are ``alike`` (M,)."""
    total, above = np.zeros(len(NeighbourSums._fields)), None
    for part in parts:
        rows, columns = part.residual.shape
        kept = np.outer(alike[part.first : part.first + rows], alike[part.second : part.second + columns])
        more, above = _common(part._replace(weights=part.weights * kept), above, frames)
        total += more
    return NeighbourSums(*total.tolist())


class _Row(NamedTuple):
    """The last row of a part: the frame after it, its first column, differences in it, and where there are any."""

    next: int
    second: int
    change: np.ndarray
    both: np.ndarray


def _common(part: ResidualPart, above: _Row | None, frames: int) -> tuple[np.ndarray, _Row]:
    """The `NeighbourSums` of a part, below the row ``above`` it if that is its neighbour, and its own last row."""
    first, second, residual, s, weights = part
    used, root = weights > 0, np.sqrt(weights)
    both = used[:, 1:] & used[:, :-1]
    r = root * np.where(used, residual, 0.0)
    here, beside = np.where(both, r[:, :-1], 0.0), np.where(both, r[:, 1:], 0.0)
    change = here - beside
    rows, has = change, both
    if above is not None and (above.next, above.second) == (first, second):
        rows, has = np.vstack([above.change, change]), np.vstack([above.both, both])
    all_four = has[1:] & has[:-1]
    mixed = np.where(all_four, rows[1:] - rows[:-1], 0.0)
    # S between the frames j and j + 1 stands in the row of j, whether that pair is used or not
    last = min(len(s), second + s.shape[1] - first - 1, frames - first - 1)
    number = np.arange(max(second - first - 1, 0), max(last, 0))
    s_next, even = s[number, number + first + 1 - second], root * s
    sums = (
        np.count_nonzero(both),
        0.5 * (float(np.vdot(here, here)) + float(np.vdot(beside, beside))),
        0.5 * float(np.vdot(change, change)),
        float(np.vdot(np.where(both, even[:, :-1], 0.0), even[:, :-1])),
        np.count_nonzero(all_four),
        0.25 * float(np.vdot(mixed, mixed)),
        len(s_next),
        float(s_next.sum()),
    )
    return np.array(sums, dtype=float), _Row(first + len(s), second, change[-1], both[-1])


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


def noise_of_weights(here: AtSolution, residuals: Sequence[Residuals]) -> np.ndarray:
    """κ to weight every bin's frames with, (bins,): the noise of its frames, and at least 2.

    With less, intensities that are not Gaussian are amplified.
    """
    return np.maximum([of.ratio for of in noise_of_frames(here, residuals)], LEAST_RATIO)


def structure_at(here: AtSolution, residuals: Sequence[Residuals]) -> Structure:
    """The structure of these residuals, over the coordinates that are free of their bounds."""
    objective, p = here.weighted, int(here.free.sum())
    clusters = score_clusters(objective, here.scaling, here.x, here.free)
    cells = [_cells(here, b, residuals[b]) for b in range(len(objective.bins))]
    places = np.split(
        np.arange(sum(len(of.sums) for of in cells)), np.cumsum([len(of.sums) for of in cells])[:-1]
    )
    coupling = np.zeros((sum(map(len, places)), p + here.scaling.design.shape[1]))
    for b, place in enumerate(places):
        coupling[np.ix_(place, np.concatenate([np.arange(p), p + _acting(here, b)]))] = cells[b].coupling
    taken, noise = _taken(here, coupling), noise_of_frames(here, residuals)

    def spread(cluster: ScoreCluster) -> np.ndarray:
        own = np.concatenate([places[b] for b in cluster.members])
        covariance = _cell_covariance(here, cluster, cells, residuals, noise)
        return _carried(np.eye(len(coupling))[:, own], -taken[:, cluster.acts], covariance)

    return residual_structure(cells, np.sum(side_by_side(spread, clusters, objective.at_once), axis=0))


def _carried(cells: np.ndarray, scores: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """The covariance of all cells that those of a cluster, and its scores, give."""
    loading = np.concatenate([cells, scores], axis=1)
    return loading @ covariance @ loading.T


def _acting(here: AtSolution, b: int) -> np.ndarray:
    """The scaling weights that act on a bin."""
    of_contrast, of_offset = (rows[b] for rows in np.split(here.scaling.design, 2))
    return np.flatnonzero((of_contrast != 0) | (of_offset != 0))


def _cells(here: AtSolution, b: int, residual: Residuals) -> Cells:
    """The cells of a bin, with the tangent space of what acts on it: the coordinates, then the scaling weights."""
    objective, scaling, bin = here.weighted, here.scaling, here.weighted.bins[b]
    columns, theta = objective.columns(here.x)[:, here.free], objective.theta(here.x)
    sums = residual.sums
    s = block_tangent(objective.problem.model, theta, bin.t, bin.nodes, sums.frames, sums.grain)
    moved = scaling.contrast[b] * np.tensordot(columns.T, s[1:], axes=1)
    of_contrast, of_offset = (rows[b, _acting(here, b)] for rows in np.split(scaling.design, 2))
    scaled = of_contrast[:, None, None] * s[0] + of_offset[:, None, None]
    return cells_of(sums, np.concatenate([moved, scaled]), residual.noise)


def _taken(here: AtSolution, coupling: np.ndarray) -> np.ndarray:
    """K: what of the scores of coordinates and scaling weights the fit takes out of every cell."""
    of_weights = independent_covariance(
        spectrum_of(here.scaling.hessian, np.full(len(here.scaling.hessian), np.inf))
    )
    p = int(here.free.sum())
    of_coordinates = coupling[:, :p] - coupling[:, p:] @ of_weights @ here.scaling.coupling[:, here.free]
    return np.concatenate(
        [of_coordinates @ independent_covariance(here.spectrum), coupling[:, p:] @ of_weights], axis=1
    )


def _cell_covariance(
    here: AtSolution,
    cluster: ScoreCluster,
    cells: Sequence[Cells],
    residuals: Sequence[Residuals],
    noise: Sequence[FrameNoise],
) -> np.ndarray:
    """The covariance of the cells of a cluster's bins and, after them, its scores."""
    objective, theta = here.weighted, here.weighted.theta(here.x)
    counts = [len(cells[b].sums) for b in cluster.members]

    def panels(number: int) -> Iterator[ScorePart]:
        b = cluster.members[number]
        bin, of = objective.bins[b], residuals[b]
        for part in influence_panels(objective.problem.model, theta, bin, cluster.linear[b]):
            _, frames, width = part.scores.shape
            columns = slice(part.second, part.second + width)
            stacked = np.zeros((sum(counts), frames, width))
            own = cell_panel(cells[b].z, of.sums.frames, of.sums.grain, columns)
            first = sum(counts[:number])
            stacked[first : first + len(own), : own.shape[1], : own.shape[2]] = own
            stacked *= bin.weights(slice(0, frames), columns) / of.noise**2
            yield part._replace(scores=np.concatenate([stacked, part.scores]))

    parts = [panels(number) for number in range(len(cluster.members))]
    return speckle_covariance(objective, theta, cluster, noise, parts)


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
