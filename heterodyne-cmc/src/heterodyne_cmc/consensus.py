"""The posterior of all data from draws of shards (Scott et al., Int. J. Manag. Sci. Eng. Manag. 11 (2016) 78).

    ψ = (Σ_s W_s)⁻¹ Σ_s W_s ψ_s,    W_s = Cov_s(ψ)⁻¹,

with joint draws ψ of parameters, scaling and noise of all bins: full matrices, or correlations are lost. What
a shard knows nothing of, the scaling of a bin of which it holds no pair, has no weight there. Exact for normal
shard posteriors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

_THINNED = 4  # proposals per draw
_TAILS = 7.0  # degrees of freedom of the proposal: heavier tails than any normal


def combined(shards: Sequence[np.ndarray], columns: Sequence[np.ndarray]) -> np.ndarray:
    """The combined draws (draws, n) of shards' joint draws, as many as the shortest has.

    The draws of a shard are (draws, m) of these ``columns`` (m,) of ψ.
    """
    count, n = min(len(draws) for draws in shards), 1 + max(own.max() for own in columns)
    holders = np.bincount(np.concatenate(columns), minlength=n)
    centre, scale = np.zeros(n), np.zeros(n)
    for draws, own in zip(shards, columns, strict=True):
        centre[own] += draws.mean(axis=0) / holders[own]
        scale[own] += draws.std(axis=0) / holders[own]
    scale = np.where(scale > 0, scale, 1.0)
    total, weighted = np.zeros((n, n)), np.zeros((count, n))
    for draws, own in zip(shards, columns, strict=True):
        standard = (draws[:count] - centre[own]) / scale[own]
        weight = np.linalg.pinv(np.cov(standard.T).reshape(len(own), -1), hermitian=True)
        total[np.ix_(own, own)] += weight
        weighted[:, own] += standard @ weight
    # what is held fixed has no variance and stays at the centre
    return centre + scale * (weighted @ np.linalg.pinv(total, hermitian=True))


class Refined(NamedTuple):
    """Draws (chains, draws, p) of a posterior, and the share of proposals that were accepted."""

    u: np.ndarray
    acceptance: float


def refined(
    log_density: Callable[[np.ndarray], np.ndarray], draws: np.ndarray, chains: int, seed: int
) -> Refined:
    """Draws from a density (n, p) -> (n,) by independence Metropolis, proposed around ``draws`` (n, p).

    Consensus is exact for normal posteriors only, and off by some tenths of a standard deviation where shards
    are small. Proposals come from a multivariate t with the mean and covariance of its draws, and then of the
    draws that these gave; Tierney, Ann. Stat. 22 (1994) 1701.
    """
    rng = np.random.default_rng(seed)
    first = _independence(log_density, draws, chains, len(draws) // chains, rng)
    around = first.u.reshape(-1, draws.shape[1])
    second = _independence(log_density, around, chains, _THINNED * (len(draws) // chains), rng)
    return second._replace(u=second.u[:, ::_THINNED])


def _independence(
    log_density: Callable[[np.ndarray], np.ndarray],
    around: np.ndarray,
    chains: int,
    length: int,
    rng: np.random.Generator,
) -> Refined:
    """Chains (chains, length, p) of accepted proposals from a t distribution like ``around``."""
    n, p = chains * length, around.shape[1]
    root = np.linalg.cholesky(np.cov(around.T).reshape(p, p) * (_TAILS - 2.0) / _TAILS)
    standard = rng.normal(size=(n, p)) * np.sqrt(_TAILS / rng.chisquare(_TAILS, (n, 1)))
    proposals = around.mean(axis=0) + standard @ root.T
    log_proposal = -0.5 * (_TAILS + p) * np.log1p(np.sum(standard**2, axis=1) / _TAILS)
    weight = (log_density(proposals) - log_proposal).reshape(chains, length)
    limit = np.log(rng.random((chains, length)))
    place = np.zeros((chains, length), dtype=int)
    for chain in range(chains):
        for k in range(1, length):
            last = place[chain, k - 1]
            place[chain, k] = k if limit[chain, k] < weight[chain, k] - weight[chain, last] else last
    accepted = np.mean(np.diff(place, axis=1) > 0)
    taken = place + length * np.arange(chains)[:, None]
    return Refined(proposals[taken], float(accepted))
