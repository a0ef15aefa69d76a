"""Structure of residuals over lag and age, against errors that know which elements share frames.

The mean residual of a lag bin, or of an age bin, is a sum g = Σ W r z / σ² over the pairs with z = 1 there. What
the fit has taken out of it is known: g is also the sum with z̃ = z - T c, the part of z beyond the tangent
space T of parameters, contrasts and offsets. Its variance is the kernel-weighted sum over pairs that share
frames (`heterodyne.covariance`) of the scores r z̃, so that noise which is correlated between elements widens
the errors and does not count as structure. The residual in these scores is taken less its own lag and age
means: what is found must not widen its own error. Then

    χ² = Σ g² / var(g) over the lag bins of all bins, and over their age bins,

and χ²/K, K the number of terms, is compared with the F distribution of d and ν degrees of freedom:
d = K² / tr R² for terms of correlation matrix R, ν those of the kernel's variance.

Sums over lag bins are exact; frames, ages and the tangent space are taken in blocks, at most 128 of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
_TAKEN = 1e-6  # of a bin's own variance: with less than this left, the fit has taken its mean out


class BlockSums(NamedTuple):
    """Sums over the pairs i < j of one bin by lag bin and by blocks of ``grain`` frames, (K, n, n) each.

    ``residual`` Σ W r and ``weight`` Σ W, 0 below the diagonal; ``frames`` is N.
    """

    residual: np.ndarray
    weight: np.ndarray
    frames: int
    grain: int


class BinBlocks(NamedTuple):
    """One bin: residuals and weights (K, n, n) over σ², and the tangent space T (q, n, n).

    T has a row for every fitted number of all bins, 0 where that does not act on the bin.
    """

    residual: np.ndarray
    weight: np.ndarray
    tangent: np.ndarray


@dataclass(frozen=True)
class Check:
    """χ² over the lag bins or the age bins of all bins, its terms, and how often noise exceeds it."""

    chi2: float
    terms: int
    probability: float

    @property
    def found(self) -> bool:
        """Whether there is structure."""
        return self.probability < LEVEL


@dataclass(frozen=True, eq=False)
class Structure:
    """Both checks, the bandwidth in frames, and the mean residuals of every bin in standard errors.

    ``lag_z`` and ``age_z`` have one row per bin, NaN where the fit leaves nothing to see.
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

    The rest is no term: it has too few stretches of independent frames to tell the noise of its mean.
    """
    last = max(frames // 2, 2)
    inner = 1 + 2 ** np.arange(last.bit_length())
    return np.concatenate([[1], inner[3 * inner < 2 * last], [last, max(frames, last + 1)]])


def age_bins(blocks: int) -> np.ndarray:
    """The age bin of every pair of blocks (n, n), by the mean of their numbers."""
    number = np.arange(blocks)
    return (number[:, None] + number) * _AGES // (2 * blocks)


def residual_structure(
    bins: Sequence[BinBlocks], clusters: Sequence[Sequence[int]], grains: Sequence[int], fewest: int
) -> Structure:
    """The structure of the residuals of all bins, of which each cluster, a list of indices, holds one speckle.

    ``grains`` are the frames per block of every cluster; the bandwidth is at least ``fewest`` frames.
    """
    ends = np.cumsum([0, *(len(one.residual) - 1 + _AGES for one in bins)])
    columns = [np.arange(first, last) for first, last in zip(ends, ends[1:], strict=False)]
    fit = _projection(bins, columns)
    is_age = np.concatenate([np.arange(len(own)) >= len(own) - _AGES for own in columns])
    clustered = [
        [_cluster_sums([_scores(bins[b], _centred(bins[b], over_age)) for b in members], fit.fitted) for members in clusters]
        for over_age in (False, True)
    ]
    bandwidth = bandwidth_of([one.frames for one in clustered[1]], fewest, grains)
    shortest = min(one.frames.shape[1] * grain for one, grain in zip(clustered[0], grains, strict=True))
    checks, rows = [], []
    for over_age, sums in enumerate(clustered):
        variance = np.zeros_like(fit.variance)
        for members, one, grain in zip(clusters, sums, grains, strict=True):
            loading = _loading(fit.coefficients, [columns[b] for b in members])
            variance += loading @ one.meat(max(round(bandwidth / grain), 1)) @ loading.T
        dof = degrees_of_freedom(shortest, bandwidth)
        if over_age:
            variance *= (1.0 - bandwidth / shortest) / (1.0 - _AGES * bandwidth / shortest)
            dof = max(dof / _AGES - 1, 1.0)
        z, correlation = _standardised(fit, variance)
        which = is_age == over_age
        checks.append(_check(z[which], correlation[np.ix_(which, which)], dof))
        rows.append(tuple(z[own][is_age[own] == over_age] for own in columns))
    return Structure(*checks, bandwidth, *rows)


class _Projection(NamedTuple):
    """Terms (F) are the lag and age bins of all bins.

    ``sums`` g (F,), ``variance`` (F, F) of them for independent elements, ``own`` (F,) that without the fit,
    ``coefficients`` c (F, q), ``means`` (F,) of the residual fitted to z̃, and ``along`` (q,), T's share of them.
    """

    sums: np.ndarray
    variance: np.ndarray
    own: np.ndarray
    coefficients: np.ndarray

    @property
    def fitted(self) -> int:
        return self.coefficients.shape[1]


def _projection(bins: Sequence[BinBlocks], columns: Sequence[np.ndarray]) -> _Projection:
    count, fitted = columns[-1][-1] + 1, len(bins[0].tangent)
    sums, gram = np.zeros(count), np.zeros((count, count))
    coupling, hessian = np.zeros((count, fitted)), np.zeros((fitted, fitted))
    for one, own in zip(bins, columns, strict=True):
        weight = one.weight.sum(axis=0)
        sums[own] = _by_term(one.residual)
        gram[np.ix_(own, own)] = _term_gram(one.weight)
        acts = np.flatnonzero(one.tangent.any(axis=(1, 2)))
        tangent = one.tangent[acts]
        for place, row in zip(acts, tangent, strict=True):
            coupling[own, place] = _by_term(one.weight * row)
        flat = tangent.reshape(len(acts), -1)
        hessian[np.ix_(acts, acts)] += (flat * weight.ravel()) @ flat.T
    coefficients = coupling @ _inverse(hessian)
    variance = gram - coefficients @ coupling.T
    return _Projection(sums, variance, np.diag(gram).copy(), coefficients)


def _by_term(values: np.ndarray) -> np.ndarray:
    """Sums of values (K, n, n) over the lag bins, then over the age bins, both without the longest lags."""
    ages = np.bincount(age_bins(values.shape[1]).ravel(), values[:-1].sum(axis=0).ravel(), _AGES)
    return np.concatenate([values[:-1].sum(axis=(1, 2)), ages])


def _term_gram(weight: np.ndarray) -> np.ndarray:
    """Σ W z z' / σ² over the pairs of one bin."""
    both = np.array([_by_term(np.stack([row, row]))[1:] for row in weight[:-1]])
    return np.block([[np.diag(both.sum(axis=1)), both], [both.T, np.diag(both.sum(axis=0))]])


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse over all directions that are not flat after scaling to unit diagonal."""
    size = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    size = np.where(size > 0, size, 1.0)
    return np.linalg.pinv(matrix / np.outer(size, size), _FLAT, hermitian=True) / np.outer(size, size)


def _centred(one: BinBlocks, over_age: bool) -> np.ndarray:
    """Σ W r' / σ² (K, n, n), r' the residual less its mean in every lag bin, and then in every age bin."""
    means = _over(one.residual.sum(axis=(1, 2)), one.weight.sum(axis=(1, 2)))
    left = one.residual - one.weight * means[:, None, None]
    if not over_age:
        return left
    means = _over(_by_term(left)[-_AGES:], _by_term(one.weight)[-_AGES:])
    left[:-1] -= one.weight[:-1] * means[age_bins(left.shape[1])]
    return left


def _over(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)


def _scores(one: BinBlocks, left: np.ndarray) -> np.ndarray:
    """Σ W r' x / σ² per block, (q + terms, n, n), of the tangent space and the terms x."""
    ages = age_bins(left.shape[1]) == np.arange(_AGES)[:, None, None]
    by_age = np.where(ages, left[:-1].sum(axis=0), 0.0)
    return np.concatenate([left.sum(axis=0) * one.tangent, left[:-1], by_age])


def _cluster_sums(scores: Sequence[np.ndarray], fitted: int) -> ClusterScores:
    """The scores of bins with the same speckle: those of the tangent space add up, terms stay apart."""
    upper = np.concatenate([sum(one[:fitted] for one in scores), *(one[fitted:] for one in scores)])
    both = upper + upper.transpose(0, 2, 1)
    return ClusterScores(both.sum(axis=2), both, 1)


def _loading(coefficients: np.ndarray, columns: Iterable[np.ndarray]) -> np.ndarray:
    """What the scores of a cluster, as `_cluster_sums` orders them, do to the terms of all bins (F, rows)."""
    own = np.concatenate(list(columns))
    return np.concatenate([-coefficients, np.eye(len(coefficients))[:, own]], axis=1)


def _standardised(fit: _Projection, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """g over its standard error (F,), NaN where the fit has taken it out, and the correlation matrix."""
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
    terms = int(seen.sum())
    if not terms:
        return Check(0.0, 0, 1.0)
    chi2 = float(np.sum(z[seen] ** 2))
    spread = terms**2 / float(np.sum(correlation[np.ix_(seen, seen)] ** 2))
    return Check(chi2, terms, float(fdtrc(spread, dof, chi2 / terms)))
