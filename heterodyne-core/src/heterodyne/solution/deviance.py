"""The deviance: what two models of the same data are compared by.

    -2 log L = Σ_b n_b (1 + ln(2π ssr_b / n_b)),

of Gaussian elements with one σ per bin, each at its best value. The cost of a fit is none: in it each model sets
the weights.
"""

from __future__ import annotations

import numpy as np

from heterodyne.problem.objective import Objective

_NO_NOISE = 1e-24  # of Σ data², the least Σ residual² that is not rounding


def deviance(objective: Objective, ssr: np.ndarray) -> float:
    """-2 log L where the residuals of every bin have this sum of squares (bins,)."""
    pairs = np.array([bin.moments.pairs for bin in objective.bins])
    square = np.maximum(ssr, [_NO_NOISE * bin.moments.square for bin in objective.bins])
    return float(pairs @ (1.0 + np.log(2.0 * np.pi * square / pairs)))
