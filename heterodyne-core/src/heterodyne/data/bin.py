"""`Bin`: one bin's matrix in memory, checked and padded for the evaluators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import checked

PADDING = 64
"""Frames are padded to a multiple of this, so that evaluators can cut tiles of one size."""


class Nodes(NamedTuple):
    """Points of a bin over which S is averaged: weights that add up to 1, q in Å⁻¹, phi in degrees, (n,) each."""

    weight: np.ndarray
    q: np.ndarray
    phi: np.ndarray


@dataclass(frozen=True, eq=False)
class Bin:
    """One bin ready for summation over its strict upper triangle, pairs weighted by W.

    ``d`` (M, M) = W (c2 - ``reference``) in float64, symmetric, frames padded to M, 0 for pairs that are not
    used; ``reference`` is the weighted mean of c2, without which the sum of squares would lose 3 to 6
    digits. W_ij = ``weight``_i ``weight``_j with ``weight`` (M,), 0 for frames that are masked or padding,
    or ``pair_weight`` (M, M) where that is given. ``skipped`` (m, 2) lists single pairs i < j left out.
    ``pairs``, ``data`` and ``data2`` are ΣW, ΣWd and ΣWd² over the pairs used.
    """

    d: np.ndarray
    t: np.ndarray
    weight: np.ndarray
    q: float
    phi: float
    nodes: Nodes
    pairs: float
    reference: float
    data: float
    data2: float
    skipped: np.ndarray
    pair_weight: np.ndarray | None = None


def read_bins(data: tuple[TwoTime, ...], skip_lags: int = 0) -> tuple[Bin, ...]:
    """Every bin of every data set, read and checked, one matrix at a time."""
    return tuple(read_bin(one, index, skip_lags) for one in data for index in range(one.n_bins))


def read_bin(data: TwoTime, index: int, skip_lags: int = 0) -> Bin:
    """Bin ``index`` of ``data`` without its first ``skip_lags`` lags.

    Raises `DataError` for a matrix that cannot be used.
    """
    where = f"{data.provenance.get('file', 'data')} bin {index + 1} ({data.label(index)})"
    c2, used = checked(data.c2[index], data.mask[index], where)
    frames = len(used)
    padded = -(-frames // PADDING) * PADDING
    d = np.zeros((padded, padded))
    d[:frames, :frames] = c2
    weight = np.zeros(padded)
    weight[:frames] = used
    skipped = _band(frames, skip_lags)
    pairs, reference, data1, data2 = _centre(d, weight, skipped)
    q, phi = float(data.q[index]), float(data.phi[index])
    return Bin(
        d,
        np.concatenate([data.t, data.t[-1] + data.dt * np.arange(1, padded - frames + 1)]),
        weight,
        q,
        phi,
        Nodes(np.ones(1), np.array([q]), np.array([phi])),
        pairs,
        reference,
        data1,
        data2,
        skipped,
    )


def _band(frames: int, lags: int) -> np.ndarray:
    """The pairs of frames 1 to ``lags`` apart, (m, 2)."""
    pairs = [np.stack([np.arange(frames - k), np.arange(k, frames)], axis=1) for k in range(1, lags + 1)]
    return np.concatenate([np.zeros((0, 2), dtype=np.int64), *pairs])


def _centre(d: np.ndarray, weight: np.ndarray, skipped: np.ndarray) -> tuple[float, float, float, float]:
    """Turn c2 into W (c2 - reference) in place; ΣW, reference, ΣWd and ΣWd² over the pairs used."""
    first, second = skipped.T

    def leave_out() -> None:
        d[first, second] = d[second, first] = 0.0

    unused = np.flatnonzero(weight == 0.0)
    d[unused], d[:, unused] = 0.0, 0.0
    leave_out()
    pairs = 0.5 * (weight.sum() ** 2 - weight @ weight) - weight[first] @ weight[second]
    reference = 0.5 * (weight @ d @ weight - weight**2 @ np.diag(d)) / pairs
    d -= reference
    leave_out()
    data2 = 0.5 * (_weighted_square(d, weight) - weight**2 @ np.diag(d) ** 2)
    d *= weight
    d *= weight[:, None]
    return float(pairs), float(reference), 0.5 * float(d.sum() - np.trace(d)), float(data2)


def _weighted_square(d: np.ndarray, weight: np.ndarray) -> float:
    # row by row: no second matrix
    return float(sum(w * (weight @ (row * row)) for w, row in zip(weight, d, strict=True) if w))
