"""The diagonal of a two-time matrix, for display only.

c2(t, t) carries the shot noise of one frame with itself and stands out in any picture. No fit looks at it, and none
may: what is put there here is made of other elements, and would count them twice.
"""

from __future__ import annotations

import numpy as np

CORRECTED = "diagonal replaced by the mean of its neighbours at lag 1"
"""How pictures say what was done to the matrix."""


def diagonal_from_neighbours(matrix: np.ndarray) -> np.ndarray:
    """A copy of a symmetric matrix (frames, frames) with c2(i, i) the mean of c2(i - 1, i) and c2(i, i + 1).

    The first and the last element have one neighbour; NaN neighbours are passed over, and two of them make NaN.
    Only elements off the diagonal are used, so that a second time changes nothing. float32 and float64 are kept.
    """
    shown = np.array(matrix, dtype=np.result_type(matrix, np.float32))
    beside = np.diagonal(shown, 1).astype(float)
    pairs = np.full((2, len(shown)), np.nan)
    pairs[0, 1:], pairs[1, :-1] = beside, beside
    known = ~np.isnan(pairs)
    count = known.sum(axis=0)
    total = np.where(known, pairs, 0.0).sum(axis=0)
    mean = np.divide(total, count, out=np.full(len(shown), np.nan), where=count > 0)
    np.fill_diagonal(shown, mean)
    return shown
