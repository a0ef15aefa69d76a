"""Robust errors of a solution: clusters of bins, bandwidth, and the sandwich of `heterodyne.solution.covariance`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

import numpy as np

from heterodyne.bins.bin import Bin, Whitened
from heterodyne.bins.kept import in_place
from heterodyne.data.geometry import axis_of, ring_of
from heterodyne.evaluators.influence import (
    estimated_covariance,
    evened,
    influence_panels,
    score_covariance,
    scores_of_panels,
)
from heterodyne.evaluators.meshgrid import averaged_tile
from heterodyne.evaluators.probes import whitened_diagonals
from heterodyne.evaluators.quasiseparable import Factor, squared
from heterodyne.evaluators.residual import correlation, residual_parts
from heterodyne.evaluators.scores import Linear, ScorePart, score_parts
from heterodyne.evaluators.sums import pair_sums
from heterodyne.evaluators.whitened import frame_factor
from heterodyne.model import Model
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

Result = TypeVar("Result")

_SAME_NOISE = 0.02
"""Logarithm of 1 + κ within which the noise of frames is that of the weights."""

_PROBES = 128
"""Random vectors from which a covariance is estimated, to a few percent."""

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

    scores, modelled = zip(*_of_clusters(_summed, objective, u, noise, clusters), strict=True)
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
    objective: Objective,
    u: np.ndarray,
    free: np.ndarray,
    noise: Sequence[FrameNoise],
    estimated: bool = False,
) -> np.ndarray:
    """The ``model`` of `robust_meat` alone; of long series from random vectors if it may be ``estimated``."""
    scaling = objective.solve(u)[1]
    clusters = score_clusters(objective, scaling, u, free)
    modelled = _of_clusters(_estimated if estimated else _modelled, objective, u, noise, clusters)
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

    @property
    def alone(self) -> ScoreCluster:
        """The cluster in the `Objective.part` of its bins."""
        linear = tuple(self.linear[index] for index in self.members)
        return replace(self, members=tuple(range(len(self.members))), linear=linear)


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


def _of_clusters(
    function: Callable[..., Result],
    objective: Objective,
    u: np.ndarray,
    noise: Sequence[FrameNoise],
    clusters: Sequence[ScoreCluster],
) -> list[Result]:
    """The function of every cluster, where its bins are, with the part of the objective and the noise that it needs."""
    rows = [
        (objective.part(of.members), u, [noise[index] for index in of.members], of.alone) for of in clusters
    ]
    return in_place(function, [objective.bins[of.members[0]] for of in clusters], rows)


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
    known = _of_weights(objective, u, noise, cluster)
    if known is not None:
        return known
    model, theta = objective.problem.model, objective.theta(u)
    panels = [
        influence_panels(model, theta, objective.bins[index], cluster.linear[index])
        for index in cluster.members
    ]
    return speckle_covariance(objective, theta, cluster, noise, panels)


def _estimated(
    objective: Objective, u: np.ndarray, noise: Sequence[FrameNoise], cluster: ScoreCluster
) -> np.ndarray:
    """The same from random vectors, where pairs weigh what their frames do and these are more."""
    index = cluster.members[0]
    bin, here = objective.bins[index], noise[index]
    if len(cluster.members) > 1 or bin.is_whitened or not bin.is_separable or bin.frames <= 2 * _PROBES:
        return _modelled(objective, u, noise, cluster)
    model, theta = objective.problem.model, objective.theta(u)
    factor = frame_factor(model, theta, bin, here.ratio)
    return here.scale_near * estimated_covariance(model, theta, bin, cluster.linear[index], factor, _PROBES)


def speckle_covariance(
    objective: Objective,
    theta: np.ndarray,
    cluster: ScoreCluster,
    noise: Sequence[FrameNoise],
    panels: Sequence[Iterator[ScorePart]],
) -> np.ndarray:
    """The covariance of sums Σ_{i<j} D_ij R_ij over a cluster, for speckle with the noise of its first bin's frames."""
    factor, scale = noise_of_cluster(objective, theta, noise, cluster)
    even = [evened(objective.bins[b], parts) for b, parts in zip(cluster.members, panels, strict=True)]
    return scale * score_covariance(even, factor, cluster.shared)


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
    regions = one_region(objective)
    found: list[dict[tuple[int, ...], float]] = [{} for _ in regions]
    left = dict(enumerate(regions))
    while left:
        pairs = [(members[0], other) for members in left.values() for other in members[1:]]
        alike = dict(zip(pairs, _correlations(objective, scaling, u, pairs), strict=True))
        for region, (first, *others) in list(left.items()):
            same = [index for index in others if alike[first, index] > _TOGETHER]
            shared = float(np.mean([alike[first, index] for index in same])) if same else 1.0
            found[region][first, *same] = min(shared, 1.0)
            left[region] = tuple(index for index in others if index not in same)
        left = {region: members for region, members in left.items() if members}
    return {members: shared for of_region in found for members, shared in of_region.items()}


def _correlations(
    objective: Objective, scaling: SolvedScaling, u: np.ndarray, pairs: Sequence[tuple[int, int]]
) -> list[float]:
    """The correlation of the residuals of these pairs of bins."""
    model, params = objective.problem.model, objective.parameters(u)

    def at(index: int) -> tuple[Bin, float, float]:
        return objective.bins[index], float(scaling.contrast[index]), float(scaling.offset[index])

    rows = [(model, params, at(first), at(other)) for first, other in pairs]
    return in_place(_correlation, [objective.bins[first] for first, _ in pairs], rows)


def _correlation(
    model: Model,
    params: dict[str, float],
    one: tuple[Bin, float, float],
    other: tuple[Bin, float, float],
) -> float:
    return correlation(*(residual_parts(model, params, *of) for of in (one, other)))


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


def noise_of_cluster(
    objective: Objective, theta: np.ndarray, noise: Sequence[FrameNoise], cluster: ScoreCluster
) -> tuple[Factor[np.ndarray], float]:
    """The factor of C and the scale of the noise of a cluster's first bin, those of its weights where they are its own.

    Who subtracts covariances from one another must take the same noise for all of them.
    """
    index = cluster.members[0]
    bin, here = objective.bins[index], noise[index]
    larger = _over_weights(bin, here, cluster)
    if larger is not None and isinstance(bin.values, Whitened):
        return bin.values.factor, here.scale_near * larger**2
    return frame_factor(objective.problem.model, theta, bin, here.ratio), here.scale_near


def _over_weights(bin: Bin, here: FrameNoise, cluster: ScoreCluster) -> float | None:
    """1 + κ of the noise of a lone bin over that of its weights, None where they differ or it has none."""
    if len(cluster.members) > 1 or not isinstance(bin.values, Whitened) or not bin.is_separable:
        return None
    larger = (1.0 + here.ratio) / (1.0 + bin.values.noise)
    return larger if abs(np.log(larger)) <= _SAME_NOISE else None


def _of_weights(
    objective: Objective,
    u: np.ndarray,
    noise: Sequence[FrameNoise],
    cluster: ScoreCluster,
) -> np.ndarray | None:
    """The covariance of the scores of one bin whose weights are those of the noise of its frames, None for others.

    With C = W⁻¹ scale and D_a = W ∂_a W less its diagonal δ_a, which no pair has,

        ½ tr(D_a C D_b C) = scale² (⟨∂_a, ∂_b⟩ + ½ δ_aᵀ (C∘C) δ_b),

    as tr(δ_a W⁻¹ D_b W⁻¹) sees the diagonal of ∂_b alone, which is 0: the Gauss-Newton matrix, and a little more.
    """
    index = cluster.members[0]
    bin, here, linear = objective.bins[index], noise[index], cluster.linear[index]
    values, larger = bin.values, _over_weights(bin, here, cluster)
    if larger is None or not isinstance(values, Whitened):
        return None
    model, theta = objective.problem.model, objective.theta(u)
    sums = pair_sums(model, theta, (bin,))
    across = np.outer(linear.slopes @ sums.model.total[0], linear.shift)
    gram = linear.slopes @ sums.model.gram[0] @ linear.slopes.T + across + across.T
    gram += sums.data.pairs[0] * np.outer(linear.shift, linear.shift)
    own = whitened_diagonals(model, theta, bin, linear)
    beside = 0.5 * own @ squared(values.factor, own.T)
    return here.scale_near * larger**2 * (gram / linear.sigma**4 + beside)


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

    known, parts = _of_weights(objective, u, noise, cluster), [panels(b) for b in cluster.members]
    if known is None:
        return total, speckle_covariance(objective, theta, cluster, noise, parts)
    for _ in chain(*parts):
        pass
    return total, known


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
