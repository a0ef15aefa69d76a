"""What is left of the residuals at a solution: their means over lag and age, with the covariance of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from heterodyne.device.cores import side_by_side
from heterodyne.evaluators.influence import influence_panels
from heterodyne.evaluators.scores import ScorePart
from heterodyne.problem.spectrum import independent_covariance, spectrum_of
from heterodyne.result.statistics import Statistics
from heterodyne.solution.frame_noise import FrameNoise
from heterodyne.solution.residuals import Residuals, noise_of_frames
from heterodyne.solution.robust import ScoreCluster, score_clusters, speckle_covariance
from heterodyne.solution.solution import AtSolution
from heterodyne.solution.structure import Cells, Structure, cell_panel, cells_of, residual_structure


def structure_at(here: AtSolution, residuals: Sequence[Residuals]) -> Structure:
    """The structure of these residuals, over the coordinates that are free of their bounds."""
    objective, p = here.weighted, int(here.free.sum())
    clusters = score_clusters(objective, here.scaling, here.x, here.free)
    cells = [cells_of(of.sums, of.noise) for of in residuals]
    counts = [len(of.sums) for of in cells]
    places = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    owner = {b: cluster for cluster in clusters for b in cluster.members}
    coupling = np.zeros((sum(counts), p + here.scaling.design.shape[1]))

    def coupled(b: int) -> np.ndarray:
        return _coupling(here, b, owner[b], cells[b], residuals[b])

    couplings = side_by_side(coupled, range(len(cells)), objective.at_once)
    for b, (place, moved) in enumerate(zip(places, couplings, strict=True)):
        coupling[np.ix_(place, owner[b].acts)] = moved
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


def _coupling(
    here: AtSolution, b: int, cluster: ScoreCluster, cells: Cells, residual: Residuals
) -> np.ndarray:
    """Σ W z T / σ² over the pairs of a bin, for every cell and every row T of the tangent space of its cluster."""
    objective, bin = here.weighted, here.weighted.bins[b].plain
    total = np.zeros((len(cells.sums), len(cluster.acts)))
    for part in influence_panels(objective.problem.model, objective.theta(here.x), bin, cluster.linear[b]):
        columns = slice(part.second, part.second + part.scores.shape[2])
        z = cell_panel(cells.z, residual.sums.frames, residual.sums.grain, columns)
        _, frames, width = z.shape
        total += 0.5 * np.tensordot(z, part.scores[:, :frames, :width], axes=([1, 2], [1, 2]))
    return total * (cluster.linear[b].sigma / residual.noise) ** 2


def _taken(here: AtSolution, coupling: np.ndarray) -> np.ndarray:
    """K: what of the scores of coordinates and scaling weights the fit takes out of every cell."""
    of_weights = independent_covariance(
        spectrum_of(here.scaling.hessian, np.full(len(here.scaling.hessian), np.inf))
    )
    p = int(here.free.sum())
    return np.concatenate(
        [coupling[:, :p] @ independent_covariance(here.spectrum), coupling[:, p:] @ of_weights], axis=1
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
