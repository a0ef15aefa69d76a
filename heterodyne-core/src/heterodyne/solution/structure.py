"""Structure of residuals over lag and age, against the noise that speckle and frames make.

The mean residual of a cell of pairs is a sum g = Σ W r z / σ² over the patches of `heterodyne.solution.patches`. Over
lag the cells are bins of how far apart groups of frames are, z = 1 inside. Over age they are thirds of the ages within
a lag bin, and z is less its mean at every lag, so that it does not see what depends on lag alone. Of the pairs within a
group nothing is asked. A fit moves its parameters, contrasts and offsets by H⁻¹ times their scores, sums of r with D
(`heterodyne.evaluators.influence`), and so takes K = Σ W z T / σ² H⁻¹ times these scores out of g, T the tangent
space. What is left is a sum of r with z - K D, whose covariance for speckle is

    V = ½ tr(D_f C D_f' C) scale,

C and the scale from differences of the residual between neighbours, which a misfit cannot inflate
(`heterodyne.solution.frame_noise`). Then

    χ² = gᵀ V⁻¹ g,

over the directions of the cells of all bins along which their correlation matrix is more than 1 % of its largest
eigenvalue, has as many degrees of freedom as there are of these; likewise with the cells of all bins added up, in which
shows what they have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc

from heterodyne.solution.patches import Patches, PatchSums

_SINGULAR = 0.01  # of the largest eigenvalue: along less, V is no better known than the noise is Gaussian

LEVEL = 0.005
"""Structure over lag, and over age, is reported where noise alone would show as much less often than this."""

AGES = 3
"""Parts into which the ages are divided."""

_TAKEN = 1e-6  # of a cell's own variance: with less than this left, its mean has been taken out


class Cells(NamedTuple):
    """Cells of one bin: z (cells, W, s, s) of every kind of patches, and what they sum and touch.

    ``sums`` g (F,) over all F cells, ``alone`` (F,) Σ W z² / σ². In every lag bin that over lag is first, those over
    age follow.
    """

    patches: tuple[Patches, ...]
    z: tuple[np.ndarray, ...]
    sums: np.ndarray
    alone: np.ndarray


def cells_of(sums: Sequence[PatchSums], sigma: float) -> Cells:
    """The cells of a bin whose noise per element is ``sigma``."""
    z = tuple(_cells(of.patches, of.weight) for of in sums)
    found = [
        (np.tensordot(of, part.residual, 3), np.tensordot(of**2, part.weight, 3))
        for of, part in zip(z, sums, strict=True)
    ]
    total, alone = (np.concatenate(parts) / sigma**2 for parts in zip(*found, strict=True))
    return Cells(tuple(of.patches for of in sums), z, total, alone)


def _cells(patches: Patches, weight: np.ndarray) -> np.ndarray:
    """z of the lag bins, 1, and of the thirds of ages within them, less their means."""
    apart = patches.apart
    ages = (patches.ages(AGES) == np.arange(AGES)[:, None, None, None]).astype(float)
    kinds = np.concatenate([np.ones((1, *weight.shape)), ages - _lag_means(ages * weight, weight, apart)])
    inside = [(apart >= low) & (apart < high) for low, high in pairwise(lag_edges(patches.size).tolist())]
    return (np.array(inside)[:, None, None] * kinds).reshape(-1, *weight.shape)


def lag_bins(patches: Sequence[Patches]) -> list[tuple[int, int]]:
    """The first and the last lag, in frames, of every lag bin of these patches."""
    return [lags for of in patches for lags in of.lags(lag_edges(of.size))]


@dataclass(frozen=True)
class Check:
    """χ² of the cells of all bins, its degrees of freedom, and how often noise exceeds it."""

    chi2: float
    cells: int
    probability: float

    @property
    def found(self) -> bool:
        """Whether there is structure."""
        return self.probability < LEVEL


@dataclass(frozen=True, eq=False)
class Structure:
    """The checks over lag and age.

    ``lag_z`` (lag bins,) and ``age_z`` (lag bins, 3) of every bin are the mean residuals in standard errors,
    NaN where nothing is left to see.
    """

    lag: Check
    age: Check
    lag_z: tuple[np.ndarray, ...]
    age_z: tuple[np.ndarray, ...]

    @property
    def verdict(self) -> str:
        """The checks in words."""
        over = [name for name, check in (("lag", self.lag), ("age", self.age)) if check.found]
        return f"structure over {' and '.join(over)}" if over else "no structure found"


def lag_edges(size: int) -> np.ndarray:
    """Edges of the lag bins between n frames or groups, 1, 2, 3, 5, 9, 17, ..., n/2, and of the rest, n/2 to n."""
    last = max(size // 2, 2)
    inner = 1 + 2 ** np.arange(last.bit_length())
    return np.concatenate([[1], inner[3 * inner < 2 * last], [last, max(size, last + 1)]])


def residual_structure(cells: Sequence[Cells], variance: np.ndarray) -> Structure:
    """The structure of the cells of all bins, whose sums have this covariance (F, F)."""
    sums, alone = (np.concatenate([getattr(of, name) for of in cells]) for name in ("sums", "alone"))
    kinds, own = 1 + AGES, np.diag(variance)
    place = np.concatenate([np.arange(len(of.sums)) for of in cells])
    seen = own > _TAKEN * np.max(own / np.maximum(alone, 1e-300), initial=0.0) * alone
    lag, age = (
        _joined(sums, variance, place, seen & among) for among in (place % kinds == 0, place % kinds > 0)
    )
    z = np.where(seen, sums / np.sqrt(np.where(seen, own, 1.0)), np.nan)
    rows = [row.reshape(-1, kinds) for row in np.split(z, np.cumsum([len(of.sums) for of in cells])[:-1])]
    return Structure(lag, age, tuple(row[:, 0] for row in rows), tuple(row[:, 1:] for row in rows))


def _joined(sums: np.ndarray, variance: np.ndarray, place: np.ndarray, among: np.ndarray) -> Check:
    """The check over some of the cells one by one, and over those in one ``place`` of all bins together.

    What all bins have in common stands out where they are added up. Each of the two may find it.
    """
    chosen, covariance = sums[among], variance[np.ix_(among, among)]
    apart = _check(chosen, covariance)
    together = (np.unique(place[among])[:, None] == place[among]).astype(float)
    if len(together) == len(chosen):
        return apart
    pooled = _check(together @ chosen, together @ covariance @ together.T)
    return replace(apart, probability=min(1.0, 2.0 * min(apart.probability, pooled.probability)))


def _lag_means(values: np.ndarray, weights: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Σ values / Σ weights over the pairs of groups equally far apart, (rows, 1, s, s), for rows (rows, W, s, s)."""
    sums = [
        np.array(
            [np.bincount(apart.ravel(), row.ravel()) for row in of.sum(axis=-3).reshape(-1, *apart.shape)]
        )
        for of in (values, weights)
    ]
    return _mean(*np.broadcast_arrays(*sums))[:, None, apart]


def _mean(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)


def _check(sums: np.ndarray, covariance: np.ndarray) -> Check:
    """The check of sums with this covariance."""
    left = np.diag(covariance) > 0.0
    sums, covariance = sums[left], covariance[np.ix_(left, left)]
    size = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(size, size))
    keep = values > _SINGULAR * np.max(values, initial=0.0)
    if not keep.any():
        return Check(0.0, 0, 1.0)
    along = (sums / size) @ vectors[:, keep]
    chi2, count = float(np.sum(along**2 / values[keep])), int(keep.sum())
    return Check(chi2, count, float(chdtrc(count, chi2)))
