"""Structure of residuals over lag and age, against errors that know which elements share frames.

The mean residual of a cell of pairs is a sum g = Σ W r z / σ², z = 1 in the cell. The cells are the lag bins
and, for age, thirds of the ages within a lag bin. What has been taken out of g is known: g is also the sum
with z̃ = z - X c, the part of z beyond X, which is the tangent space of parameters, contrasts and offsets, and
for age the lag bins too. So the variance of g is the kernel-weighted sum over pairs that share frames
(`heterodyne.covariance`) of the scores r z̃: noise that is correlated between elements widens the errors and
does not count as structure. The residual in these scores is taken less its mean in the cell, because what is
found must not widen its own error. Then

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
from scipy.special import fdtrc

from heterodyne.covariance import ClusterScores, bandwidth_of, degrees_of_freedom

BLOCKS = 128
"""Blocks of frames along a side at most."""

LEVEL = 1e-3
"""Structure is reported where noise alone would show as much less often than this."""

_AGES = 3
_FLAT = 1e-8  # eigenvalues of correlation matrices below this are rounding
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
    """One bin: residuals and weights (K, n, n) over σ², and the tangent space (q, n, n).

    It has a row for every fitted number of all bins, 0 where that does not act on the bin.
    """

    residual: np.ndarray
    weight: np.ndarray
    tangent: np.ndarray


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
    scores = {
        over_age: [_cluster_scores([bins[b] for b in members], over_age) for members in clusters]
        for over_age in (False, True)
    }
    bandwidth = bandwidth_of([one.frames for one in scores[True]], fewest, grains)
    widths = [max(round(bandwidth / grain), 1) for grain in grains]
    frames = min(one.frames.shape[1] * grain for one, grain in zip(scores[True], grains, strict=True))
    dof = {False: degrees_of_freedom(frames, bandwidth)}
    dof[True] = max(degrees_of_freedom(frames // _AGES, bandwidth) - 1.0, 1.0)
    checks, rows = [], []
    for over_age, of_clusters in scores.items():
        fit = _projection(bins, over_age)
        variance = np.zeros_like(fit.variance)
        for members, one, width in zip(clusters, of_clusters, widths, strict=True):
            loading = _loading(fit, bins, members, over_age)
            variance += loading @ one.meat(width) @ loading.T
        if over_age:  # the kernel's factor for all frames is in it; means were taken over a third of them
            variance *= (frames - bandwidth) / (frames - _AGES * bandwidth)
        z, correlation = _standardised(fit, variance)
        checks.append(_check(z, correlation, dof[over_age]))
        rows.append(tuple(z[own] for own in _places(bins, over_age)))
    age_z = tuple(row.reshape(-1, _AGES) for row in rows[1])
    return Structure(*checks, bandwidth, rows[0], age_z)


class _Projection(NamedTuple):
    """``sums`` g (F,) of the cells of all bins, their ``variance`` (F, F) for independent elements, ``own``
    (F,) that without X, and the ``coefficients`` c (F, X)."""

    sums: np.ndarray
    variance: np.ndarray
    own: np.ndarray
    coefficients: np.ndarray


def _places(bins: Sequence[BinBlocks], over_age: bool) -> list[np.ndarray]:
    """The numbers of every bin's cells among those of all bins."""
    count = [(len(one.residual) - 1) * (_AGES if over_age else 1) for one in bins]
    return np.split(np.arange(sum(count)), np.cumsum(count)[:-1])


def _known(bins: Sequence[BinBlocks], over_age: bool) -> list[np.ndarray]:
    """The columns of X that belong to one bin alone, for every bin: its lag bins where age is asked for."""
    fitted = len(bins[0].tangent)
    return [fitted + own if over_age else own[:0] for own in _places(bins, False)]


def _projection(bins: Sequence[BinBlocks], over_age: bool) -> _Projection:
    places, known = _places(bins, over_age), _known(bins, over_age)
    cells, columns = places[-1][-1] + 1, len(bins[0].tangent) + sum(map(len, known))
    sums, own = np.zeros(cells), np.zeros(cells)
    coupling, hessian = np.zeros((cells, columns)), np.zeros((columns, columns))
    for one, place, lags in zip(bins, places, known, strict=True):
        weight, acts = _cells(one.weight), np.flatnonzero(one.tangent.any(axis=(1, 2)))
        tangent = one.tangent[acts]
        by_cell = np.array([_cells(one.weight * row) for row in tangent]).reshape(-1, *weight.shape)
        axis = () if over_age else (-1,)
        sums[place] = _cells(one.residual).sum(axis=axis).ravel()
        own[place] = weight.sum(axis=axis).ravel()
        coupling[np.ix_(place, acts)] = by_cell.sum(axis=axis).reshape(len(acts), -1).T
        flat = tangent.reshape(len(acts), -1)
        hessian[np.ix_(acts, acts)] += (flat * one.weight.sum(axis=0).ravel()) @ flat.T
        if over_age:
            coupling[place, np.repeat(lags, _AGES)] = weight.ravel()
            hessian[lags, lags] = weight.sum(axis=-1)
            hessian[np.ix_(acts, lags)] = by_cell.sum(axis=-1)
            hessian[np.ix_(lags, acts)] = by_cell.sum(axis=-1).T
    coefficients = coupling @ _inverse(hessian)
    return _Projection(sums, np.diag(own) - coefficients @ coupling.T, own, coefficients)


def _cells(values: np.ndarray) -> np.ndarray:
    """Sums of values (K, n, n) over lag bins and ages, (K - 1, ages), without the longest lags."""
    ages = _ages(values.shape[1]).ravel()
    return np.array([np.bincount(ages, row.ravel(), _AGES) for row in values[:-1]]).reshape(-1, _AGES)


def _ages(blocks: int) -> np.ndarray:
    """The age of every pair of blocks (n, n), 0 to 2, by the mean of their numbers."""
    number = np.arange(blocks)
    return (number[:, None] + number) * _AGES // (2 * blocks)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse over all directions that are not flat after scaling to unit diagonal."""
    size = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    size = np.where(size > 0, size, 1.0)
    return np.linalg.pinv(matrix / np.outer(size, size), _FLAT, hermitian=True) / np.outer(size, size)


def _cluster_scores(bins: Sequence[BinBlocks], over_age: bool) -> ClusterScores:
    """The scores of bins with the same speckle: of the tangent space added up, then bin by bin of the lag
    bins, where age is asked for, and of the cells."""
    tangent, cells = np.zeros_like(bins[0].tangent), []
    for one in bins:
        left = _centred(one, over_age)
        tangent += left.sum(axis=0) * one.tangent
        cells.append(left[:-1])
        if over_age:
            ages = _ages(left.shape[1]) == np.arange(_AGES)[:, None, None]
            cells.append((left[:-1, None] * ages).reshape(-1, *left.shape[1:]))
    upper = np.concatenate([tangent, *cells])
    both = upper + upper.transpose(0, 2, 1)
    return ClusterScores(both.sum(axis=2), both, 1)


def _centred(one: BinBlocks, over_age: bool) -> np.ndarray:
    """Σ W r' / σ² (K, n, n), r' the residual less its mean in every lag bin, or in every cell of age."""
    means = _mean(one.residual.sum(axis=(1, 2)), one.weight.sum(axis=(1, 2)))[:, None, None]
    if over_age:
        by_age = _mean(_cells(one.residual), _cells(one.weight))[:, _ages(one.residual.shape[1])]
        means = np.concatenate([by_age, np.broadcast_to(means[-1:], by_age[:1].shape)])
    return one.residual - one.weight * means


def _mean(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)


def _loading(
    fit: _Projection, bins: Sequence[BinBlocks], members: Sequence[int], over_age: bool
) -> np.ndarray:
    """What the scores of a cluster, as `_cluster_scores` orders them, do to the cells of all bins (F, rows)."""
    places, known = _places(bins, over_age), _known(bins, over_age)
    cells, fitted = np.eye(len(fit.sums)), len(bins[0].tangent)
    parts = [-fit.coefficients[:, :fitted]]
    for b in members:
        parts += [-fit.coefficients[:, known[b]], cells[:, places[b]]]
    return np.concatenate(parts, axis=1)


def _standardised(fit: _Projection, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """g over its standard error (F,), NaN where nothing is left of it, and the correlation matrix."""
    raised = _raised(variance, fit.variance)
    size = np.sqrt(np.maximum(np.diag(raised), 0.0))
    seen = np.diag(fit.variance) > _TAKEN * fit.own
    size = np.where(seen & (size > 0.0), size, np.nan)
    return fit.sums / size, raised / np.outer(size, size)


def _raised(variance: np.ndarray, least: np.ndarray) -> np.ndarray:
    """The variance matrix, nowhere below ``least``, that of independent elements."""
    size = np.sqrt(np.maximum(np.diag(least), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(least / np.outer(size, size))
    keep = values > _FLAT * max(values[-1], _FLAT)
    root = vectors[:, keep] * np.sqrt(values[keep])
    back = (vectors[:, keep] / np.sqrt(values[keep])).T / size
    inner, directions = np.linalg.eigh(back @ variance @ back.T)
    half = size[:, None] * (root @ directions * np.sqrt(np.maximum(inner, 1.0)))
    return half @ half.T


def _check(z: np.ndarray, correlation: np.ndarray, dof: float) -> Check:
    seen = np.isfinite(z)
    cells = int(seen.sum())
    if not cells:
        return Check(0.0, 0, 1.0)
    chi2 = float(np.sum(z[seen] ** 2))
    spread = cells**2 / float(np.sum(correlation[np.ix_(seen, seen)] ** 2))
    return Check(chi2, cells, float(fdtrc(spread, dof, chi2 / cells)))
