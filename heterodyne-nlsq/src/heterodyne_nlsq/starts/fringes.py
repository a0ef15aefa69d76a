"""Decay rates, velocity and flow direction read off the data, for fits that start from nothing.

Along the lag m (in frames) and within a window of age, c2 is close to

    y(m) = k0 + k1 e^{-Γ m} + k2 e^{-Γ m} cos(ω m),      ω = q |cos(φ - φ0) v| dt.

For every bin and window the three k are solved on a grid of Γ and ω. Then one velocity v (t/t_ref)^β and one
φ0 are sought whose ω fit all bins and windows together; the best few, well apart, are returned.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.bins.kept import in_place
from heterodyne.data.geometry import between_axes

_WINDOWS = 3
RATES = np.geomspace(3e-3, 3.0, 14)
"""Decay rates that are tried, per unit of lag."""

_FREQUENCIES = np.concatenate([[0.0], np.geomspace(2e-4, 0.03, 24), np.linspace(0.04, np.pi, 240)])

_AZIMUTHS = np.arange(-87.0, 91.0, 3.0)

_EXPONENTS = np.linspace(-0.6, 0.6, 7)


@dataclass(frozen=True)
class FlowCandidate:
    """One candidate: speed in Å/s at the reference time, exponent β and flow azimuth φ0 in degrees."""

    speed: float
    beta: float
    phi0: float


@dataclass(frozen=True, eq=False)
class Crude:
    """What the data suggest: transport rate J in Å²/s at ``time`` in s, its exponent, and flow candidates."""

    time: float
    rate: float
    alpha: float
    flows: tuple[FlowCandidate, ...]


def crude_estimates(bins: tuple[Bin, ...], candidates: int = 6) -> Crude:
    """The estimates from all bins; the reference time is the geometric middle of the windows."""
    times = [_window_times(bin) for bin in bins]
    misfits = in_place(_misfits, bins, [(bin,) for bin in bins])
    # every bin and window counts by how far it is from its own best description
    relative = np.array([[m / max(m.min(), 1e-300) for m in row] for row in misfits])
    best = relative.min(axis=3).reshape(len(bins), _WINDOWS, -1)
    which = relative.min(axis=2).argmin(axis=2)
    q, dt = np.array([bin.q for bin in bins]), np.array([_spacing(bin) for bin in bins])
    j = RATES[which] / (q**2 * dt)[:, None]
    log_t = np.log(np.array(times))
    slope = np.polyfit(log_t.ravel(), np.log(j).ravel(), 1)[0]
    middle = 0.5 * (log_t.min() + log_t.max())
    found = flows(best, q, np.array([bin.phi for bin in bins]), dt, log_t - middle, candidates)
    rate, alpha = float(np.exp(np.median(np.log(j)))), float(np.clip(slope, -1.0, 1.0))
    return Crude(float(np.exp(middle)), rate, alpha, found)


def _misfits(bin: Bin) -> list[np.ndarray]:
    """The misfits of every window of a bin."""
    return [misfit(*_lag_curve(bin, w)) for w in range(_WINDOWS)]


def _spacing(bin: Bin) -> float:
    return float((bin.t[bin.frames - 1] - bin.t[0]) / (bin.frames - 1))


def _window_times(bin: Bin) -> list[float]:
    edges = np.linspace(0, bin.frames - 1, _WINDOWS + 1).astype(int)
    return [float(bin.t[(a + b) // 2]) for a, b in itertools.pairwise(edges)]


def _lag_curve(bin: Bin, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lags in frames, mean of c2 over the pairs whose middle lies in the window, and their summed weights."""
    frames = bin.frames
    low, high = window * frames // _WINDOWS, (window + 1) * frames // _WINDOWS
    furthest = max(high - low, 4)
    lags = np.unique(
        np.concatenate([np.arange(1, min(49, furthest)), np.geomspace(1, furthest - 1, 40)]).astype(int)
    )
    means, counts = np.zeros(len(lags)), np.zeros(len(lags))
    for k, lag in enumerate(lags):
        first = np.arange(max(low - lag // 2, 0), min(high - lag // 2, frames - lag))
        counts[k] = bin.weights_at(lag)[first].sum()
        means[k] = bin.d[first, first + lag].sum() / counts[k] if counts[k] else 0.0
    return lags, means, counts


def misfit(
    lags: np.ndarray,
    means: np.ndarray,
    counts: np.ndarray,
    rates: np.ndarray = RATES,
    frequencies: np.ndarray = _FREQUENCIES,
) -> np.ndarray:
    """Weighted Σ (mean - y)² at the best k, (frequencies, rates)."""
    fall = np.exp(-rates[None, :, None] * lags)
    wave = np.cos(frequencies[:, None, None] * lags)
    columns = np.stack(np.broadcast_arrays(np.ones_like(fall), fall, fall * wave), axis=-1)
    root = np.sqrt(counts)
    weighted, target = columns * root[:, None], means * root
    gram = np.einsum("frmk,frml->frkl", weighted, weighted)
    # the last term keeps a window without pairs from being singular
    gram += (1e-9 * np.trace(gram, axis1=2, axis2=3)[..., None, None] + 1e-300) * np.eye(3)
    cross = np.einsum("frmk,m->frk", weighted, target)
    solved = np.linalg.solve(gram, cross[..., None])[..., 0]
    return np.maximum(target @ target - np.sum(solved * cross, axis=-1), 0.0)


def flows(
    best: np.ndarray, q: np.ndarray, phi: np.ndarray, dt: np.ndarray, log_t: np.ndarray, candidates: int
) -> tuple[FlowCandidate, ...]:
    """The best flows, each unlike those before it.

    ``best`` is (bins, windows, frequencies), ``log_t`` (bins, windows) ln of time over the reference time.
    """
    if np.isnan(phi).any():
        return ()
    turn = q * dt
    speeds = np.geomspace(_FREQUENCIES[1], np.pi, 240) / turn.max()
    cosine = np.abs(np.cos(np.deg2rad(phi[:, None] - _AZIMUTHS)))
    total = np.zeros((len(speeds), len(_EXPONENTS), len(_AZIMUTHS)))
    for b in range(len(q)):
        for w in range(best.shape[1]):
            growth = np.exp(_EXPONENTS * log_t[b, w])
            omega = turn[b] * speeds[:, None, None] * growth[:, None] * cosine[b]
            # beyond Nyquist a fringe shows as its alias
            folded = np.abs((omega + np.pi) % (2 * np.pi) - np.pi)
            total += np.interp(folded, _FREQUENCIES, best[b, w])
    found: list[FlowCandidate] = []
    for index in np.argsort(total, axis=None):
        k, e, a = np.unravel_index(index, total.shape)
        flow = FlowCandidate(float(speeds[k]), float(_EXPONENTS[e]), float(_AZIMUTHS[a]))
        if all(_apart(flow, other) for other in found):
            found.append(flow)
        if len(found) == candidates:
            break
    return tuple(found)


def _apart(flow: FlowCandidate, other: FlowCandidate) -> bool:
    turned = float(between_axes(flow.phi0, other.phi0))
    return abs(np.log(flow.speed / other.speed)) > 0.15 or turned > 9.0 or abs(flow.beta - other.beta) > 0.3
