"""R-hat and effective sample sizes of chains, by ranks: as ArviZ computes them, without what importing it takes.

Chains are split in halves, and values replaced by the normal scores of their ranks. With the autocovariances γ_t of a
chain of n draws, W their variance within and V that of all chains,

    R-hat² = V / W,      ESS = m n / τ,      τ = -1 + 2 Σ ρ_t,      ρ_t = 1 - (W - mean γ_t) / V,

summed over pairs of lags while they are positive, and no larger than the pair before (Geyer, Stat. Sci. 7 (1992) 473).
Vehtari, Gelman, Simpson, Carpenter & Bürkner, Bayesian Anal. 16 (2021) 667.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtri
from scipy.stats import rankdata

_TAIL = (0.05, 0.95)


def rhat(x: np.ndarray) -> float:
    """Rank-normalised R-hat of draws (chains, draws): of their values, or of their distances from the median."""
    halves = _halves(x)
    return max(_rhat(_scores(halves)), _rhat(_scores(np.abs(halves - np.median(halves)))))


def ess_bulk(x: np.ndarray) -> float:
    """The effective sample size of the rank-normalised draws (chains, draws)."""
    return _ess(_scores(_halves(x)))


def ess_tail(x: np.ndarray) -> float:
    """The least effective sample size of the 5 % and 95 % quantiles of draws (chains, draws)."""
    return min(_ess(_halves((x <= _quantile(x, level)).astype(float))) for level in _TAIL)


def bfmi(energy: np.ndarray) -> np.ndarray:
    """Estimated fraction of missing information of every chain, of energies (chains, draws)."""
    return np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1, ddof=1)


def _quantile(x: np.ndarray, level: float) -> float:
    """The quantile by linear interpolation, rounded as ArviZ rounds it where a draw is the quantile."""
    place = x.size * level + 1.0 - level
    below = int(np.clip(place, 1, x.size - 1))
    share, ordered = np.clip(place - below, 0.0, 1.0), np.sort(x, axis=None)
    return float((1.0 - share) * ordered[below - 1] + share * ordered[below])


def _halves(x: np.ndarray) -> np.ndarray:
    half = x.shape[1] // 2
    return np.concatenate([x[:, :half], x[:, -half:]])


def _scores(x: np.ndarray) -> np.ndarray:
    """The normal scores of ranks."""
    if np.isnan(x).any():
        return np.full(x.shape, np.nan)
    return ndtri((rankdata(x).reshape(x.shape) - 0.375) / (x.size + 0.25))


def _rhat(x: np.ndarray) -> float:
    n = x.shape[1]
    between, within = n * np.var(x.mean(axis=1), ddof=1), np.mean(np.var(x, axis=1, ddof=1))
    with np.errstate(all="ignore"):
        return float(np.sqrt((between / within + n - 1) / n))


def _ess(x: np.ndarray) -> float:
    """The effective sample size of the mean of draws (chains, draws); all draws where they are the same number."""
    chains, n = x.shape
    if np.isnan(x).any():
        return np.nan
    if np.ptp(x) < np.finfo(float).resolution:
        return float(x.size)
    covariance = _autocovariance(x).mean(axis=0)
    within = covariance[0] * n / (n - 1.0)
    whole = covariance[0] + (np.var(x.mean(axis=1), ddof=1) if chains > 1 else 0.0)
    rho = 1.0 - (within - covariance) / whole
    rho[0] = 1.0
    time = max(_correlation_time(rho), 1.0 / np.log10(x.size))
    return float(x.size / time)


def _autocovariance(x: np.ndarray) -> np.ndarray:
    """γ_t of every chain, (chains, draws)."""
    n = x.shape[1]
    length = next_fast_len(2 * n)
    of = np.asarray(rfft(x - x.mean(axis=1, keepdims=True), n=length, axis=1))
    return np.asarray(irfft(np.abs(of) ** 2, n=length, axis=1))[:, :n] / n


def _correlation_time(rho: np.ndarray) -> float:
    """τ from ρ_t (draws,): the initial monotone sequence of Geyer, the even lag after it once."""
    most = max((len(rho) - 3) // 2, 1)  # pairs of lags that are looked at
    sums = rho[: 2 * most + 2].reshape(-1, 2).sum(axis=1)
    (negative,) = np.nonzero(sums[: most + 1] < 0.0)
    end = int(negative[0]) if len(negative) else most
    kept = np.minimum.accumulate(sums[:end])
    return float(-1.0 + 2.0 * kept.sum() + max(rho[2 * end], 0.0))
