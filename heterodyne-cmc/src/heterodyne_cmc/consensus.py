"""The posterior of all data from draws of shards (Scott et al., Int. J. Manag. Sci. Eng. Manag. 11 (2016) 78).

    ψ = (Σ_s W_s)⁻¹ Σ_s W_s ψ_s,    W_s = Cov_s(ψ)⁻¹,

with joint draws ψ of parameters, scaling and noise of all bins: full matrices, or correlations are lost.
Exact for normal shard posteriors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def combined(shards: Sequence[np.ndarray]) -> np.ndarray:
    """The combined draws (draws, n) of shards' joint draws (draws, n), as many as the shortest has."""
    count = min(len(draws) for draws in shards)
    centre = np.mean([draws.mean(axis=0) for draws in shards], axis=0)
    scale = np.mean([draws.std(axis=0) for draws in shards], axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    total, weighted = 0.0, 0.0
    for draws in shards:
        standard = (draws[:count] - centre) / scale
        weight = np.linalg.pinv(np.cov(standard.T).reshape(len(scale), -1), hermitian=True)
        total, weighted = total + weight, weighted + standard @ weight
    # what is held fixed has no variance and stays at the centre
    return centre + scale * (np.asarray(weighted) @ np.linalg.pinv(total, hermitian=True))
