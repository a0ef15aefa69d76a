"""Whether a number that was measured in several groups is the same in all of them.

For values x_k over K groups, of which each has a standard error below it and one above it, since intervals need not be
symmetric,

    χ² = min_x̄ Σ w_k (x_k - x̄)²,      w_k = 1/e_k²,      K - 1 degrees of freedom,

with the e_k of that side of x_k on which x̄ lies. With symmetric errors x̄ is the weighted mean. Errors that are
themselves estimated, with ν_k degrees of freedom, make χ² larger than its name says; the p value
is that of Welch, Biometrika 38 (1951) 330, and for large ν_k that of χ².
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, fdtrc

SIGNIFICANT = 0.01
"""A smaller p counts as not constant."""


@dataclass(frozen=True)
class Constancy:
    """The test of one parameter: weighted mean with its error, χ², degrees of freedom, p.

    ``left_out`` names the groups without an error bar. With fewer than two others nothing is tested: p is
    NaN.
    """

    name: str
    unit: str
    mean: float
    error: float
    chi2: float
    dof: int
    p: float
    left_out: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """``constant``, ``not constant`` (p < 0.01) or ``not tested``."""
        if math.isnan(self.p):
            return "not tested"
        return "not constant" if self.p < SIGNIFICANT else "constant"


def constancy(
    name: str,
    unit: str,
    values: np.ndarray,
    errors: np.ndarray,
    freedom: np.ndarray,
    labels: tuple[str, ...],
    period: float | None = None,
) -> Constancy:
    """The test for values (K,) with errors (K,), or (K, 2) below and above it, of ``freedom`` (K,) degrees.

    Errors are NaN where there is none. Values of an axis repeat after ``period``; ``labels`` name the groups.
    """
    errors = np.broadcast_to(errors.reshape(len(values), -1), (len(values), 2))
    used = np.all(errors > 0, axis=1)
    left_out = tuple(label for label, is_used in zip(labels, used, strict=True) if not is_used)
    if not used.any():
        return Constancy(name, unit, math.nan, math.nan, math.nan, 0, math.nan, left_out)
    x = _unwrapped(values[used], period)
    mean, w = _mean(x, errors[used])
    chi2 = float(w @ (x - mean) ** 2)
    p = welch(chi2, w, freedom[used])
    return Constancy(name, unit, mean, float(w.sum() ** -0.5), chi2, len(x) - 1, p, left_out)


def _mean(x: np.ndarray, errors: np.ndarray) -> tuple[float, np.ndarray]:
    """The x̄ of least χ² for errors (K, 2), and the weights (K,) of the sides on which it lies."""

    def weights(below: float) -> np.ndarray:
        return np.where(x > below, errors[:, 0], errors[:, 1]) ** -2.0

    # the slope of χ² grows with x̄: the last value at which it has not risen above 0 has x̄ next above it
    below = max(float(at) for at in x if weights(at) @ (at - x) <= 0.0)
    w = weights(below)
    return float(w @ x / w.sum()), w


def welch(chi2: float, w: np.ndarray, freedom: np.ndarray) -> float:
    """The probability of so large a χ² among equal means, for weights w (K,) with ν (K,) degrees of freedom.

    NaN for fewer than two.
    """
    k = len(w)
    if k < 2:
        return math.nan
    doubt = float(np.sum((1.0 - w / w.sum()) ** 2 / freedom))
    if doubt == 0.0:
        return float(chdtrc(k - 1, chi2))
    ratio = chi2 / (k - 1) / (1.0 + 2.0 * (k - 2) / (k**2 - 1) * doubt)
    return float(fdtrc(k - 1, (k**2 - 1) / (3.0 * doubt), ratio))


def _unwrapped(x: np.ndarray, period: float | None) -> np.ndarray:
    """Values of an axis next to the first of them, others as they are."""
    return x if period is None else x[0] + (x - x[0] + 0.5 * period) % period - 0.5 * period
