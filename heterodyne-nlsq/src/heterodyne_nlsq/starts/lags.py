"""Decay rate and flow read off one-time data, whose lags span decades and tell nothing of age.

As in `heterodyne_nlsq.starts.fringes`, with lags in a unit of their own: a tenth of the decay time that the bins
have on the whole, so that the same grids of rates and frequencies serve.
"""

from __future__ import annotations

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne_nlsq.starts.fringes import RATES, Crude, flows, misfit

_REACH = (0.03, 3.0)  # rates tried, over the inverse of the longest and of the shortest lag
_PER_DECADE = 6
_UNIT = 0.1  # the rate of decay per unit


def crude_of_lags(bins: tuple[Bin, ...]) -> Crude:
    """The estimates from the first rows of all bins."""
    rows = [_row(bin) for bin in bins]
    q = np.array([bin.q for bin in bins])
    j = np.median([_decay(*row) / at**2 for row, at in zip(rows, q, strict=True)])
    unit = _UNIT / float(j * np.median(q) ** 2)
    found = [misfit(tau / unit, g2, weight) for tau, g2, weight in rows]
    relative = np.array([m / max(m.min(), 1e-300) for m in found])
    rate = np.median(RATES[relative.min(axis=1).argmin(axis=1)] / (q**2 * unit))
    best, alike = relative.min(axis=2)[:, None], np.zeros((len(bins), 1))
    azimuths = np.array([bin.phi for bin in bins])
    return Crude(unit, float(rate), 0.0, flows(best, q, azimuths, np.full(len(bins), unit), alike, 6))


def _row(bin: Bin) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lags in s, g2 less its mean, and weights, of the lags in use."""
    weight = bin.weights(slice(0, 1))[0]
    used = np.flatnonzero(weight)
    return bin.t[used] - bin.t[0], bin.d[0, used] / weight[used], weight[used]


def _decay(tau: np.ndarray, g2: np.ndarray, weight: np.ndarray) -> float:
    """The rate of one exponential that describes a bin best, 1/s."""
    low, high = _REACH[0] / tau[-1], _REACH[1] / tau[0]
    rates = np.geomspace(low, high, 1 + int(np.ceil(_PER_DECADE * np.log10(high / low))))
    return float(rates[misfit(tau, g2, weight, rates, np.zeros(1))[0].argmin()])
