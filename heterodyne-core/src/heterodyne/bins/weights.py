"""Weights of frames and pairs, normalised, and the pairs that are left out."""

from __future__ import annotations

import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import weights
from heterodyne.errors import DataError


def padded_times(data: TwoTime, padding: int) -> np.ndarray:
    """The frame times, and ``padding`` more at the nominal spacing."""
    return np.concatenate([data.t, data.t[-1] + data.dt * np.arange(1, padding + 1)])


def given_weights(data: TwoTime, index: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights per frame (N,), and per pair (N, N), 0 on the diagonal, where those are given."""
    if data.weight is None:
        return np.ones(data.n_frames), None
    try:  # weights that stay in a file are checked here, where they are read
        weight = weights(data.weight[index][None], 1, data.n_frames)[0]
    except DataError as error:
        raise DataError(f"{data.provenance.get('file', 'data')} bin {index + 1}: {error}") from None
    if weight.ndim == 1:
        return weight / (weight.max() or 1.0), None
    upper = np.triu(weight, 1) / (weight.max() or 1.0)
    pairs = upper + upper.T
    return (pairs > 0).any(axis=1).astype(float), pairs


def left_out_pairs(data: TwoTime, index: int, lags: int, of_pairs: np.ndarray | None) -> np.ndarray:
    """The single pairs i < j that do not count, (m, 2): bad ones, those 1 to ``lags`` apart, of weight 0."""
    frames = data.n_frames
    parts = [np.stack([np.arange(frames - k), np.arange(k, frames)], axis=1) for k in range(1, lags + 1)]
    parts.append(data.bad_pairs[data.bad_pairs[:, 0] == index, 1:])
    if of_pairs is not None:
        parts.append(np.argwhere(np.triu(of_pairs == 0.0, 1)))
    return np.unique(np.concatenate(parts), axis=0)


def normalised(weight: np.ndarray, skipped: np.ndarray) -> tuple[np.ndarray, float]:
    """The weights scaled so that ΣW is the number of pairs, and that number."""
    first, second = skipped.T
    used = np.count_nonzero(weight)
    pairs = used * (used - 1) / 2 - len(skipped)
    total = 0.5 * (weight.sum() ** 2 - weight @ weight) - weight[first] @ weight[second]
    return weight * np.sqrt(pairs / total), pairs
