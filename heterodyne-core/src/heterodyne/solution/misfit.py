"""What is left of the residuals at a solution: their means over lag and age, with the covariance of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from heterodyne.bins.kept import in_place
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
    noise = noise_of_frames(here, residuals)

    def row(cluster: ScoreCluster) -> tuple[Any, ...]:
        of_members = ([every[b] for b in cluster.members] for every in (cells, residuals, noise))
        return here._replace(weighted=objective.part(cluster.members)), cluster.alone, *of_members

    coupling, covariances = np.zeros((sum(counts), p + here.scaling.design.shape[1])), []
    bins = [objective.bins[of.members[0]] for of in clusters]
    found = in_place(_examined, bins, [row(of) for of in clusters])
    for cluster, (coupled, covariance) in zip(clusters, found, strict=True):
        own = np.concatenate([places[b] for b in cluster.members])
        coupling[np.ix_(own, cluster.acts)] = coupled
        covariances.append((own, cluster.acts, covariance))
    taken, unit = _taken(here, coupling), np.eye(len(coupling))
    spread = [_carried(unit[:, own], -taken[:, acts], of) for own, acts, of in covariances]
    return residual_structure(cells, np.sum(spread, axis=0))


def _carried(cells: np.ndarray, scores: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """The covariance of all cells that those of a cluster, and its scores, give."""
    loading = np.concatenate([cells, scores], axis=1)
    return loading @ covariance @ loading.T


def _taken(here: AtSolution, coupling: np.ndarray) -> np.ndarray:
    """K: what of the scores of coordinates and scaling weights the fit takes out of every cell."""
    of_weights = independent_covariance(
        spectrum_of(here.scaling.hessian, np.full(len(here.scaling.hessian), np.inf))
    )
    p = int(here.free.sum())
    return np.concatenate(
        [coupling[:, :p] @ independent_covariance(here.spectrum), coupling[:, p:] @ of_weights], axis=1
    )


def _examined(
    here: AtSolution,
    cluster: ScoreCluster,
    cells: Sequence[Cells],
    residuals: Sequence[Residuals],
    noise: Sequence[FrameNoise],
) -> tuple[np.ndarray, np.ndarray]:
    """Σ W z T / σ² of the cells of a cluster's bins and the rows T of its tangent space, and the covariance of the
    cells and, after them, the scores."""
    objective, model, theta = here.weighted, here.weighted.problem.model, here.weighted.theta(here.x)
    counts = [len(cells[b].sums) for b in cluster.members]
    ends = np.cumsum(counts)
    coupling = np.zeros((sum(counts), len(cluster.acts)))

    def panels(number: int) -> Iterator[ScorePart]:
        b = cluster.members[number]
        bin, of, linear = objective.bins[b], residuals[b], cluster.linear[b]
        rows = slice(ends[number] - counts[number], ends[number])
        tangents = influence_panels(model, theta, bin.plain, linear)
        for part, tangent in zip(influence_panels(model, theta, bin, linear), tangents, strict=True):
            _, frames, width = part.scores.shape
            columns = slice(part.second, part.second + width)
            stacked = np.zeros((sum(counts) + len(part.scores), frames, width))
            own = cell_panel(cells[b].z, of.sums.frames, of.sums.grain, columns)
            _, above, beside = own.shape
            coupling[rows] += 0.5 * np.tensordot(
                own, tangent.scores[:, :above, :beside], axes=([1, 2], [1, 2])
            )
            stacked[rows, :above, :beside] = own
            stacked[: -len(part.scores)] *= bin.weights(slice(0, frames), columns) / of.noise**2
            stacked[-len(part.scores) :] = part.scores
            yield part._replace(scores=stacked)
        coupling[rows] *= (linear.sigma / of.noise) ** 2

    parts = [panels(number) for number in range(len(cluster.members))]
    covariance = speckle_covariance(objective, theta, cluster, noise, parts)
    return coupling, covariance


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
