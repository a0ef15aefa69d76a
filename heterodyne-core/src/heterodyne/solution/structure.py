"""Structure of residuals over lag and age, against errors that know which elements share frames.

The mean residual of a cell of pairs is a sum g = Σ W r z / σ². Over lag the cells are the lag bins, z = 1 inside.
Over age they are thirds of the ages within a lag bin, and z is less its mean at every lag, so that it does
not see what depends on lag alone. The fit leaves no residual in the tangent space T of parameters, contrasts and
offsets: g is also the sum with z - T c, the part of z beyond T. So the variance of g is the kernel-weighted sum
over pairs that share frames (`heterodyne.solution.covariance`) of the scores r (z - T c): noise that is
correlated between elements widens the errors and does not count as structure. The residual in these scores is
taken less its cells, because what is found must not widen its own error. Then

    χ² = Σ g² / var(g) over the cells of all bins,

and χ²/K, K the number of cells, is compared with the F distribution of d and ν degrees of freedom:
d = K² / tr R² for cells of correlation matrix R; ν is that of the kernel's variance, of a third of the frames
for age. Sums over lag bins are exact; frames, ages and the tangent space are taken in blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag
from scipy.special import fdtrc

from heterodyne.solution.covariance import ClusterScores, bandwidth_of, degrees_of_freedom

BLOCKS = 128
"""Blocks of frames along a side at most."""

LEVEL = 0.01
"""Structure is reported where noise alone would show as much less often than this."""

AGES = 3
"""Parts into which the ages are divided."""

_SINGULAR = 1e-8  # eigenvalues of correlation matrices below this are rounding
_TAKEN = 1e-6  # of a cell's own variance: with less than this left, its mean has been taken out


class BlockSums(NamedTuple):
    """Sums over the pairs i < j of one bin by lag bin and by blocks of ``grain`` frames, (K, n, n) each.

    ``residual`` Σ W r and ``weight`` Σ W, 0 below the diagonal; ``frames`` is N.
    """

    residual: np.ndarray
    weight: np.ndarray
    frames: int
    grain: int


class BinBlocks(NamedTuple):
    """One bin: residuals and weights (K, n, n) over σ², and its part of the tangent space, ``tangent`` (a, n, n).

    ``acts`` (a,) says which of the fitted numbers of all bins its rows belong to: those that act on this bin.
    """

    residual: np.ndarray
    weight: np.ndarray
    tangent: np.ndarray
    acts: np.ndarray

    def lag_cells(self) -> np.ndarray:
        """z of the lag bins but the last, (K - 1, 1, 1, 1)."""
        return np.ones((len(self.weight) - 1, 1, 1, 1))

    def age_cells(self) -> np.ndarray:
        """z of the thirds of ages within the lag bins but the last, (K - 1, 3, n, n)."""
        number, weight = np.arange(self.weight.shape[1]), self.weight[:-1]
        ages = (number[:, None] + number) * AGES // (2 * len(number)) == np.arange(AGES)[:, None, None]
        means = [_lag_means(weight * age, weight) for age in ages]
        return ages - np.stack(means, axis=1)


@dataclass(frozen=True)
class Check:
    """χ² over the cells of all bins, their number, and how often noise exceeds it."""

    chi2: float
    cells: int
    probability: float

    @property
    def found(self) -> bool:
        """Whether there is structure."""
        return self.probability < LEVEL


@dataclass(frozen=True, eq=False)
class Structure:
    """The checks over lag and age and the bandwidth in frames.

    ``lag_z`` (lag bins,) and ``age_z`` (lag bins, 3) of every bin are the mean residuals in standard errors,
    NaN where nothing is left to see.
    """

    lag: Check
    age: Check
    bandwidth: int
    lag_z: tuple[np.ndarray, ...]
    age_z: tuple[np.ndarray, ...]

    @property
    def verdict(self) -> str:
        """The checks in words."""
        over = [name for name, check in (("lag", self.lag), ("age", self.age)) if check.found]
        return f"structure over {' and '.join(over)}" if over else "no structure found"


def lag_edges(frames: int) -> np.ndarray:
    """Edges of the lag bins in frames, 1, 2, 3, 5, 9, 17, ..., N/2, and of the rest, N/2 to N.

    The rest is no cell: it has too few stretches of independent frames to tell the noise of its mean.
    """
    last = max(frames // 2, 2)
    inner = 1 + 2 ** np.arange(last.bit_length())
    return np.concatenate([[1], inner[3 * inner < 2 * last], [last, max(frames, last + 1)]])


def residual_structure(
    bins: Sequence[BinBlocks], clusters: Sequence[Sequence[int]], grains: Sequence[int], fewest: int
) -> Structure:
    """The structure of the residuals of all bins, of which each cluster, a list of indices, holds one speckle.

    ``grains`` are the frames per block of every cluster; the bandwidth is at least ``fewest`` frames.
    """
    cells = [[bin.lag_cells() for bin in bins], [bin.age_cells() for bin in bins]]
    of_lag, of_age = (
        [_cluster_scores([bins[b] for b in members], [of_bin[b] for b in members]) for members in clusters]
        for of_bin in cells
    )
    acting = [np.unique(np.concatenate([bins[b].acts for b in members])) for members in clusters]
    bandwidth = bandwidth_of([cluster.frames for cluster in of_age], fewest, grains)
    frames = min(cluster.frames.shape[1] * grain for cluster, grain in zip(of_age, grains, strict=True))
    checks, rows = [], []
    for parts, of_bin, scores in zip((1, AGES), cells, (of_lag, of_age), strict=True):
        fit = _projection(bins, of_bin)
        variance = np.zeros_like(fit.variance)
        for members, acts, cluster, grain in zip(clusters, acting, scores, grains, strict=True):
            loading = np.concatenate([-fit.coefficients[:, acts], *(fit.own[b] for b in members)], axis=1)
            variance += loading @ cluster.meat(max(round(bandwidth / grain), 1)) @ loading.T
        # the kernel's factor for all frames is in it; means were taken over a part of them
        variance *= max(frames - bandwidth, 1) / max(frames - parts * bandwidth, 1)
        z, correlation = _standardised(fit, variance)
        dof = max(degrees_of_freedom(frames // parts, bandwidth) - (parts > 1), 1.0)
        checks.append(_check(z, correlation, dof))
        rows.append(tuple(z[own.any(axis=1)].reshape(-1, parts) for own in fit.own))
    lag_z = tuple(row[:, 0] for row in rows[0])
    return Structure(checks[0], checks[1], bandwidth, lag_z, rows[1])


class _Projection(NamedTuple):
    """``sums`` g (F,) of the cells of all bins, their ``variance`` (F, F) for independent elements, ``alone`` (F,)
    that without T, the ``coefficients`` c (F, q), and which cells are whose: ``own`` (F, cells) per bin."""

    sums: np.ndarray
    variance: np.ndarray
    alone: np.ndarray
    coefficients: np.ndarray
    own: list[np.ndarray]


def _projection(bins: Sequence[BinBlocks], cells: Sequence[np.ndarray]) -> _Projection:
    count = [z.shape[0] * z.shape[1] for z in cells]
    fitted = 1 + max(int(bin.acts.max(initial=-1)) for bin in bins)
    own = np.split(np.eye(sum(count)), np.cumsum(count)[:-1], axis=1)
    sums, variance = np.zeros(sum(count)), np.zeros((sum(count), sum(count)))
    coupling, hessian = np.zeros((sum(count), fitted)), np.zeros((fitted, fitted))
    for bin, z, place in zip(bins, cells, own, strict=True):
        acts, tangent = bin.acts, bin.tangent.reshape(len(bin.acts), -1)
        sums += place @ _sum(bin.residual[:-1, None] * z).ravel()
        variance += place @ np.asarray(block_diag(*_cell_gram(bin.weight, z))) @ place.T
        weighted = (bin.weight[:-1, None] * z).reshape(place.shape[1], -1)
        coupling[:, acts] += place @ (weighted @ tangent.T)
        hessian[np.ix_(acts, acts)] += (tangent * bin.weight.sum(axis=0).ravel()) @ tangent.T
    coefficients = coupling @ _inverse(hessian)
    return _Projection(sums, variance - coefficients @ coupling.T, np.diag(variance), coefficients, own)


def _cell_gram(weight: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Σ W z z' / σ² over the cells of each lag bin, (K - 1, cells, cells)."""
    flat = np.broadcast_to(cells, (*cells.shape[:2], *weight.shape[1:])).reshape(*cells.shape[:2], -1)
    return np.einsum("kai,ki,kbi->kab", flat, weight[:-1].reshape(len(flat), -1), flat, optimize=True)


def _sum(values: np.ndarray) -> np.ndarray:
    return values.sum(axis=(-2, -1))


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse over all directions that are not flat after scaling to unit diagonal."""
    size = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    size = np.where(size > 0, size, 1.0)
    return np.linalg.pinv(matrix / np.outer(size, size), _SINGULAR, hermitian=True) / np.outer(size, size)


def _cluster_scores(bins: Sequence[BinBlocks], cells: Sequence[np.ndarray]) -> ClusterScores:
    """The scores of bins with the same speckle: of their tangent space added up, of the cells bin by bin."""
    acts = np.unique(np.concatenate([bin.acts for bin in bins]))
    tangent, rows = np.zeros((len(acts), *bins[0].tangent.shape[1:])), []
    for bin, z in zip(bins, cells, strict=True):
        left = _centred(bin, z)
        tangent[np.searchsorted(acts, bin.acts)] += left.sum(axis=0) * bin.tangent
        rows.append((left[:-1, None] * z).reshape(-1, *left.shape[1:]))
    upper = np.concatenate([tangent, *rows])
    both = upper + upper.transpose(0, 2, 1)
    return ClusterScores(both.sum(axis=2), both, 1)


def _centred(bin: BinBlocks, cells: np.ndarray) -> np.ndarray:
    """Σ W r' / σ² (K, n, n), r' the residual less its cells; over age also less its mean at every lag."""
    left, weight = bin.residual.copy(), bin.weight
    left[-1] -= weight[-1] * _mean(_sum(bin.residual[-1]), _sum(weight[-1]))
    if cells.shape[1] > 1:
        left[:-1] -= weight[:-1] * _lag_means(bin.residual[:-1], weight[:-1])
    for k, gram in enumerate(_cell_gram(weight, cells)):
        means = _inverse(gram) @ _sum(left[k] * cells[k])
        left[k] -= weight[k] * np.tensordot(means, cells[k], axes=1)
    return left


def _lag_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Σ values / Σ weights over the pairs of blocks equally far apart, (K, n, n), for rows (K, n, n)."""
    number = np.arange(values.shape[-1])
    apart = np.abs(number - number[:, None])
    sums = [np.array([np.bincount(apart.ravel(), row.ravel()) for row in of]) for of in (values, weights)]
    return _mean(*sums)[:, apart]


def _mean(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)


def _standardised(fit: _Projection, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """g over its standard error (F,), NaN where nothing is left of it, and the correlation matrix of the rest."""
    seen = np.flatnonzero(np.diag(fit.variance) > _TAKEN * fit.alone)
    raised = _raised(variance[np.ix_(seen, seen)], fit.variance[np.ix_(seen, seen)])
    size, z = np.sqrt(np.diag(raised)), np.full(len(fit.sums), np.nan)
    z[seen] = fit.sums[seen] / size
    return z, raised / np.outer(size, size)


def _raised(variance: np.ndarray, least: np.ndarray) -> np.ndarray:
    """The variance matrix, nowhere below ``least``, that of independent elements."""
    size = np.sqrt(np.diag(least))
    values, vectors = np.linalg.eigh(least / np.outer(size, size))
    keep = values > _SINGULAR * max(values[-1:], default=0.0)
    root = vectors[:, keep] * np.sqrt(values[keep])
    back = (vectors[:, keep] / np.sqrt(values[keep])).T / size
    inner, directions = np.linalg.eigh(back @ variance @ back.T)
    half = size[:, None] * (root @ directions * np.sqrt(np.maximum(inner, 1.0)))
    return half @ half.T


def _check(z: np.ndarray, correlation: np.ndarray, dof: float) -> Check:
    cells = len(correlation)
    if not cells:
        return Check(0.0, 0, 1.0)
    chi2 = float(np.nansum(z**2))
    spread = cells**2 / float(np.sum(correlation**2))
    return Check(chi2, cells, float(fdtrc(spread, dof, chi2 / cells)))
