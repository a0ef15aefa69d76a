"""Masked arrays of NumPy: what they hide becomes frames and pairs of frames that are not used."""

from __future__ import annotations

import numpy as np

from heterodyne.data.matrices import Matrices
from heterodyne.data.triangle import symmetric


def has_masks(matrices: Matrices) -> bool:
    """Whether some of the matrices are masked arrays."""
    if isinstance(matrices, list | tuple):
        return any(isinstance(matrix, np.ma.MaskedArray) for matrix in matrices)
    return isinstance(matrices, np.ma.MaskedArray)


def without_masks(
    matrices: Matrices, used: np.ndarray, bad_pairs: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Whole matrices without masks, the frames to use (bins, frames), and the pairs to leave out (n, 3).

    A pair hidden in either half is left out, but for a half that is hidden as a whole; a frame of which every
    pair is hidden is not used.
    """
    whole, used, pairs = [], used.copy(), [bad_pairs]
    for bin, matrix in enumerate(matrices):
        values, hidden = _unmasked(np.ma.asarray(matrix))
        beyond = hidden | ~used[bin]
        np.fill_diagonal(beyond, True)
        used[bin] &= ~beyond.all(axis=1)
        rows = np.argwhere(np.triu(hidden & used[bin] & used[bin][:, None], 1))
        pairs.append(np.insert(rows, 0, bin, axis=1))
        whole.append(values)
    return whole, used, np.concatenate(pairs)


def _unmasked(matrix: np.ma.MaskedArray) -> tuple[np.ndarray, np.ndarray]:
    """The whole matrix, NaN where it is hidden, and which pairs are hidden (frames, frames)."""
    masked = np.ma.getmaskarray(matrix)
    values = symmetric(matrix)
    gaps = np.isnan(values)
    return values, (gaps | gaps.T) & (masked | masked.T)
