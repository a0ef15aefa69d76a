"""Robust errors of a solution: clusters of bins, bandwidth, and the sandwich of `heterodyne.solution.covariance`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from heterodyne.bins.bin import Whitened
from heterodyne.data.geometry import axis_of, ring_of
from heterodyne.device.cores import side_by_side
from heterodyne.evaluators.influence import evened, influence_panels, score_covariance, scores_of_panels
from heterodyne.evaluators.meshgrid import averaged_tile
from heterodyne.evaluators.residual import ResidualPart, correlation, residual_parts
from heterodyne.evaluators.scores import Linear, ScorePart, score_parts
from heterodyne.evaluators.whitened import frame_factor
from heterodyne.problem.normal_equations import SolvedScaling
from heterodyne.problem.objective import Objective
from heterodyne.solution.covariance import (
    ClusterScores,
    add_scores,
    bandwidth_of,
    degrees_of_freedom,
    grain_of,
    longest_bandwidth,
    no_scores,
)
from heterodyne.solution.frame_noise import FrameNoise

_TOGETHER = 0.2
"""Correlation of the residuals of two bins from which they hold the same speckle."""


@dataclass(frozen=True, eq=False)
class Meat:
    """The covariance of scores over the free coordinates and, after them, the scaling weights, (q, q).

    ``matrix`` is M of the residual, with its bandwidth in frames, whether that is the longest, ``at_most``, and degrees
    of freedom; ``shared`` (p, p) is M over
    the coordinates with all bins of one length as one cluster, None where that is the same. ``model`` is the covariance
    that c2 of speckle with the noise of its frames gives. ``longest`` is the same with the longest bandwidth, for noise
    that is correlated over longer than the scores show, None where that is this.
    """

    matrix: np.ndarray
    bandwidth: int
    dof: float
    shared: np.ndarray | None
    model: np.ndarray
    at_most: bool = False
    longest: Meat | None = None


def robust_meat(objective: Objective, u: np.ndarray, free: np.ndarray, noise: Sequence[FrameNoise]) -> Meat:
    """The meat of the sandwich at ``u`` over the coordinates that are ``free`` of their bounds.

    ``noise`` is that of the frames of every bin.
    """
    scaling, p = objective.solve(u)[1], int(free.sum())
    clusters = score_clusters(objective, scaling, u, free)

    summed = partial(_summed, objective, u, noise)
    scores, modelled = zip(*side_by_side(summed, clusters, objective.at_once), strict=True)
    of_coordinates = [cluster.rows(slice(p)) for cluster in scores]
    bandwidth = bandwidth_of((cluster.frames for cluster in of_coordinates), decay_frames(objective, u))
    shortest = min(cluster.frames.shape[1] for cluster in scores)
    size, acts = p + scaling.design.shape[1], [cluster.acts for cluster in clusters]
    model, longest = _placed(size, acts, modelled), longest_bandwidth(shortest)

    def at(bandwidth: int) -> Meat:
        return Meat(
            _placed(size, acts, [cluster.meat(bandwidth) for cluster in scores]),
            bandwidth,
            degrees_of_freedom(shortest, bandwidth),
            _shared(of_coordinates, bandwidth),
            model,
            bandwidth >= longest,
        )

    meat = at(bandwidth)
    return meat if meat.at_most else replace(meat, longest=at(longest))


def modelled_meat(
    objective: Objective, u: np.ndarray, free: np.ndarray, noise: Sequence[FrameNoise]
) -> np.ndarray:
    """The ``model`` of `robust_meat` alone."""
    scaling = objective.solve(u)[1]
    clusters = score_clusters(objective, scaling, u, free)
    modelled = side_by_side(partial(_modelled, objective, u, noise), clusters, objective.at_once)
    return _placed(int(free.sum()) + scaling.design.shape[1], [of.acts for of in clusters], modelled)


@dataclass(frozen=True, eq=False)
class ScoreCluster:
    """Bins that hold the same speckle, by number, and the models of all bins with the derivatives that act on these.

    ``shared`` is the part of their noise that is the same, ``acts`` the places among the coordinates and, after them,
    the scaling weights.
    """

    members: tuple[int, ...]
    shared: float
    acts: np.ndarray
    linear: tuple[Linear, ...]


def score_clusters(
    objective: Objective, scaling: SolvedScaling, u: np.ndarray, free: np.ndarray
) -> list[ScoreCluster]:
    """The clusters of an objective at ``u`` over the coordinates that are ``free`` of their bounds."""
    linear, p = _linear(objective, scaling, u, free), int(free.sum())
    found = []
    for members, shared in speckle_clusters(objective, scaling, u).items():
        weights = _weights_of(scaling, members)
        acts = np.concatenate([np.arange(p), p + weights])
        found.append(ScoreCluster(members, shared, acts, _with_weights(linear, scaling, weights)))
    return found


def _placed(size: int, acts: Sequence[np.ndarray], parts: Sequence[np.ndarray]) -> np.ndarray:
    """The sum (size, size) of matrices whose rows and columns stand in the places ``acts``."""
    total = np.zeros((size, size))
    for of, part in zip(acts, parts, strict=True):
        total[np.ix_(of, of)] += part
    return total


def _modelled(
    objective: Objective, u: np.ndarray, noise: Sequence[FrameNoise], cluster: ScoreCluster
) -> np.ndarray:
    """The covariance of the scores of a cluster."""
    model, theta = objective.problem.model, objective.theta(u)
    panels = [
        influence_panels(model, theta, objective.bins[index], cluster.linear[index])
        for index in cluster.members
    ]
    return speckle_covariance(objective, theta, cluster, noise, panels)


def speckle_covariance(
    objective: Objective,
    theta: np.ndarray,
    cluster: ScoreCluster,
    noise: Sequence[FrameNoise],
    panels: Sequence[Iterator[ScorePart]],
) -> np.ndarray:
    """The covariance of sums Σ_{i<j} D_ij R_ij over a cluster, for speckle with the noise of its first bin's frames."""
    here, bin = noise[cluster.members[0]], objective.bins[cluster.members[0]]
    factor = frame_factor(objective.problem.model, theta, bin, here.ratio)
    even = [evened(objective.bins[b], parts) for b, parts in zip(cluster.members, panels, strict=True)]
    return here.scale_near * score_covariance(even, factor, cluster.shared)


def _shared(scores: list[ClusterScores], bandwidth: int) -> np.ndarray | None:
    """M with all clusters of one length as one, None where no two have one length."""
    by_length: dict[int, ClusterScores] = {}
    for cluster in scores:
        length = cluster.frames.shape[1]
        by_length[length] = by_length[length] + cluster if length in by_length else cluster
    if len(by_length) == len(scores):
        return None
    return np.sum([cluster.meat(bandwidth) for cluster in by_length.values()], axis=0)


def _weights_of(scaling: SolvedScaling, members: tuple[int, ...]) -> np.ndarray:
    """The scaling weights that act on these bins."""
    per_bin = scaling.design.reshape(2, len(scaling.contrast), -1)[:, list(members)]
    return np.flatnonzero(per_bin.any(axis=(0, 1)))


def _with_weights(
    linear: tuple[Linear, ...], scaling: SolvedScaling, columns: np.ndarray
) -> tuple[Linear, ...]:
    """Every bin's model with the derivatives by these scaling weights after the others."""
    of_contrast, of_offset = np.split(scaling.design[:, columns], 2)
    return tuple(
        model._replace(
            slopes=np.concatenate(
                [model.slopes, np.outer(of_contrast[b], np.eye(1, model.slopes.shape[1])[0])]
            ),
            shift=np.concatenate([model.shift, of_offset[b]]),
        )
        for b, model in enumerate(linear)
    )


def speckle_clusters(
    objective: Objective, scaling: SolvedScaling, u: np.ndarray
) -> dict[tuple[int, ...], float]:
    """Bins that hold the same speckle, with the part of their noise that they share.

    These are of `one_region`, and their residuals at ``u`` vary together: repeats of one region vary on their own.
    """
    params = objective.parameters(u)
    found: dict[tuple[int, ...], float] = {}

    def parts(index: int) -> Iterator[ResidualPart]:
        at = float(scaling.contrast[index]), float(scaling.offset[index])
        return residual_parts(objective.problem.model, params, objective.bins[index], *at)

    for region in one_region(objective):
        left = list(region)
        while left:
            first, *others = left
            alike = {index: correlation(parts(first), parts(index)) for index in others}
            same = [index for index in others if alike[index] > _TOGETHER]
            shared = float(np.mean([alike[index] for index in same])) if same else 1.0
            found[first, *same] = min(shared, 1.0)
            left = [index for index in others if index not in same]
    return found


def one_region(objective: Objective) -> list[tuple[int, ...]]:
    """Bins of one file, of one q (5 %), and of φ equal modulo 180° (half a bin).

    Bins at φ and φ + 180° are Friedel mates: their fields are conjugate and their intensities equal.
    """
    files = objective.problem.data
    owner = np.repeat(np.arange(len(files)), [data.n_bins for data in files])
    q, phi, dphi = (np.array([getattr(bin, name) for bin in objective.bins]) for name in ("q", "phi", "dphi"))
    number = axis_of(phi, dphi, list(zip(owner.tolist(), ring_of(q, phi).tolist(), strict=True)))
    return [tuple(np.flatnonzero(number == k).tolist()) for k in range(number.max() + 1)]


def _linear(
    objective: Objective, scaling: SolvedScaling, u: np.ndarray, free: np.ndarray
) -> tuple[Linear, ...]:
    """Every bin's model, linear in the free coordinates, less the projection on the scaling design."""
    columns = objective.columns(u)[:, free]
    projection = np.linalg.pinv(scaling.hessian, hermitian=True) @ scaling.coupling[:, free]
    of_contrast, of_offset = np.split(scaling.design @ projection, 2)
    return tuple(
        Linear(
            float(scaling.contrast[b]),
            float(scaling.offset[b]),
            np.concatenate([-of_contrast[b][:, None], scaling.contrast[b] * columns.T], axis=1),
            -of_offset[b],
            float(objective.sigma[b]),
        )
        for b in range(len(objective.bins))
    )


def _summed(
    objective: Objective, u: np.ndarray, noise: Sequence[FrameNoise], cluster: ScoreCluster
) -> tuple[ClusterScores, np.ndarray]:
    """The scores of a cluster, those of one pair of frames in several bins added up, and their covariance."""
    model, theta = objective.problem.model, objective.theta(u)
    frames = max(objective.bins[index].frames for index in cluster.members)
    total = no_scores(len(cluster.acts), frames, grain_of(frames))

    def panels(index: int) -> Iterator[ScorePart]:
        bin, linear = objective.bins[index], cluster.linear[index]
        of_panels = None
        if isinstance(bin.values, Whitened):
            of_panels = scores_of_panels(model, theta, bin, linear)
        else:
            for part in score_parts(model, theta, bin, linear):
                add_scores(total, part)
        for panel in influence_panels(model, theta, bin, linear):
            if of_panels:
                add_scores(total, of_panels(panel))
            yield panel

    modelled = speckle_covariance(objective, theta, cluster, noise, [panels(b) for b in cluster.members])
    return total, modelled


def decay_frames(objective: Objective, u: np.ndarray) -> int:
    """The frames in which S falls to 1/e after the middle frame, the most over the bins."""
    model, params = objective.problem.model, objective.parameters(u)
    longest = 1
    for bin in objective.bins:
        last = bin.frames - 1
        middle = last // 2
        (s,) = averaged_tile(model, params, bin.t, bin.nodes, middle, middle, 1, last - middle + 1)
        below = np.flatnonzero(s < 1.0 / np.e)
        longest = max(longest, int(below[0]) if len(below) else len(s))
    return longest
