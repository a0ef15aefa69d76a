"""Robust covariance: standard errors that know which elements of c2 share frames.

Elements of c2 that share a frame, or frames within a correlation time, are correlated; σ² (JᵀJ)⁻¹ takes them for
independent and comes out several times too small. The sandwich V = H⁻¹ M H⁻¹ uses instead

    M = Σ over clusters of (A - B),   F_i = Σ_j s_ij,   K_ii' = max(0, 1 - |i - i'|/b),
    A = Σ_ii' K_ii' F_i F_i'ᵀ,        B = ½ Σ K_ii' K_jj' s_ij s_i'j'ᵀ over all ordered i, j, i', j',

with the scores s_ij = s_ji = residual · ∂model / σ² of the pairs, s_ii = 0. B takes away what A counts twice, and
pairs of neighbouring frames are counted once (`ClusterScores.meat`);
with b = 1, A - B is the dyadic estimator of Fafchamps & Gubert, J. Dev. Econ. 83 (2007) 326. Kernel: Newey & West,
Econometrica 55 (1987) 703. A cluster is a set of bins with the same speckle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from heterodyne.evaluators.scores import ScorePart

_LONGEST = 0.2  # of the frames: a longer bandwidth leaves too few independent stretches
_FACTOR = 4.0  # bandwidth in integrated correlation times of the scores
_FREEDOM = 1.5  # degrees of freedom per stretch of one bandwidth
_SQUARES = 384  # along a side, in B


def quantile(dof: float, level: float = 0.95) -> float:
    """The half width, in standard errors, of the interval of this coverage: Student's t."""
    return float(stdtrit(dof, 0.5 * (1.0 + level)))


def degrees_of_freedom(frames: int, bandwidth: int) -> float:
    """ν = 1.5 N/b."""
    return _FREEDOM * frames / bandwidth


@dataclass(frozen=True, eq=False)
class ClusterScores:
    """Sums of a cluster's scores: ``frames`` F_i = Σ_j s_ij (p, N), and ``squares`` (p, n, n), the scores of
    both orders of every pair summed over squares of ``grain`` frames."""

    frames: np.ndarray
    squares: np.ndarray
    grain: int

    def __add__(self, other: ClusterScores) -> ClusterScores:
        return ClusterScores(self.frames + other.frames, self.squares + other.squares, self.grain)

    def rows(self, which: slice) -> ClusterScores:
        """The scores of some of the p coordinates."""
        return ClusterScores(self.frames[which], self.squares[which], self.grain)

    def meat(self, bandwidth: int) -> np.ndarray:
        """A - B, (p, p).

        Two pairs of frames may be near at one end, which A sees, or at both, which B takes back once. Pairs (i, j)
        closer than 2 b have both ends near both of another's, which A would count four times and B take back twice:
        of such scores ρ = max(0, 1 - |i - j|/(2b - 1)) counts in A half at either end and not in B. A kernel that
        reaches over b of N frames sees (1 - b/N) of the variance, which is made up for.
        """
        lag = self.grain * np.abs(np.subtract.outer(*(np.arange(self.squares.shape[1]),) * 2))
        kernel, near = (
            np.maximum(0.0, 1.0 - lag / bandwidth),
            np.maximum(0.0, 1.0 - lag / (2.0 * bandwidth - 1.0)),
        )
        of_near = 0.5 * (self.squares * near).sum(axis=2) / self.grain
        frames = self.frames - np.repeat(of_near, self.grain, axis=1)[:, : self.frames.shape[1]]
        a, far = frames @ bartlett(frames, bandwidth).T, self.squares * (1.0 - near)
        b = 0.5 * np.einsum("pij,qij->pq", far, kernel @ far @ kernel, optimize=True)
        meat = (a - b) / (1.0 - bandwidth / self.frames.shape[1])
        return 0.5 * (meat + meat.T)


def no_scores(p: int, frames: int, grain: int) -> ClusterScores:
    """Sums to which scores of p coordinates are to be added."""
    n = -(-frames // grain)
    return ClusterScores(np.zeros((p, frames)), np.zeros((p, n, n)), grain)


def add_scores(total: ClusterScores, part: ScorePart) -> None:
    """Add a part of the scores to their sums."""
    frames = total.frames.shape[1]
    inside = part.scores[:, : max(frames - part.first, 0), : max(frames - part.second, 0)]
    if inside.size:
        _add_to_frames(total.frames, part._replace(scores=inside))
        _add_to_squares(total.squares, part._replace(scores=inside), total.grain)


def _add_to_frames(total: np.ndarray, part: ScorePart) -> None:
    _, rows, columns = part.scores.shape
    total[:, part.first : part.first + rows] += part.scores.sum(axis=2)
    total[:, part.second : part.second + columns] += part.scores.sum(axis=1)


def _add_to_squares(total: np.ndarray, part: ScorePart, grain: int) -> None:
    _, rows, columns = part.scores.shape
    i = (part.first + np.arange(rows)) // grain
    j = (part.second + np.arange(columns)) // grain
    summed = part.scores
    if grain > 1:
        for axis, place in ((1, i), (2, j)):
            summed = np.add.reduceat(summed, np.unique(place, return_index=True)[1], axis=axis)
    total[:, i[0] : i[-1] + 1, j[0] : j[-1] + 1] += summed
    total[:, j[0] : j[-1] + 1, i[0] : i[-1] + 1] += summed.transpose(0, 2, 1)


def grain_of(frames: int) -> int:
    """Frames per square for B, so that there are at most 384 squares along a side.

    B is of the order b/N of A: in series so long that the squares are not small beside the bandwidth, it
    hardly counts.
    """
    return -(-frames // _SQUARES)


def bartlett(x: np.ndarray, bandwidth: int) -> np.ndarray:
    """Σ_i' max(0, 1 - |i - i'|/b) x_i' along the last axis of x (p, N)."""
    half = 1.0 - np.arange(min(bandwidth, x.shape[1])) / bandwidth
    size = x.shape[1] + len(half)
    even = 2.0 * np.fft.rfft(half, size).real - half[0]
    return np.fft.irfft(np.fft.rfft(x, size) * even, size)[:, : x.shape[1]]


def longest_bandwidth(frames: int) -> int:
    """The longest bandwidth for so many frames, a fifth of them."""
    return max(int(_LONGEST * frames), 1)


def bandwidth_of(frames: Iterable[np.ndarray], fewest: int, grains: Sequence[int] = ()) -> int:
    """The bandwidth for the frame scores (p, N) of all clusters: 4 mean integrated correlation times.

    At least ``fewest`` (the frames in which S falls to 1/e), at most a fifth of the frames. ``grains`` are
    the frames that stand in one column of each cluster, where that is not 1.
    """
    clusters = list(frames)
    lengths = list(zip(clusters, grains or [1] * len(clusters), strict=True))
    longest = longest_bandwidth(min(scores.shape[1] * grain for scores, grain in lengths))
    times = [correlation_time(scores) * grain for scores, grain in lengths]
    return int(np.clip(round(_FACTOR * float(np.mean(times))), min(fewest, longest), longest))


def correlation_time(frames: np.ndarray) -> float:
    """1 + 2 Σ ρ(k) of the whitened frame scores (p, N), summed to the first window of 5 times itself."""
    n = frames.shape[1]
    values, vectors = np.linalg.eigh(frames @ frames.T / n)
    keep = values > 1e-12 * max(values[-1], np.finfo(float).tiny)
    if not keep.any():  # no parameter acts on these frames
        return 1.0
    white = (vectors[:, keep] / np.sqrt(values[keep])).T @ frames
    time = 1.0
    for lag in range(1, n // 2):
        time += 2.0 * float(np.mean(np.sum(white[:, lag:] * white[:, :-lag], axis=1)) / n)
        if lag >= 5.0 * time:
            break
    return max(time, 1.0)
