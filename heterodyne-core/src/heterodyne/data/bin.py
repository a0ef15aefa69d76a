"""`Bin`: one bin's matrix in memory, checked and padded for the evaluators."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import checked

PADDING = 64
"""Frames are padded to a multiple of this, so that evaluators can cut tiles of one size."""


class Nodes(NamedTuple):
    """Points of a bin over which S is averaged, a grid of (q values, azimuths).

    Each of that shape: weights that add up to 1, q in Å⁻¹ and phi in degrees.
    """

    weight: np.ndarray
    q: np.ndarray
    phi: np.ndarray

    def listed(self) -> Nodes:
        """The same points in one list, (n,) each."""
        return Nodes(*(values.reshape(-1) for values in self))


def bin_nodes(
    q: float,
    phi: float,
    dq: float = math.nan,
    dphi: float = math.nan,
    order_q: int = 1,
    order_phi: int = 1,
) -> Nodes:
    """Gauss-Legendre nodes over the full widths ``dq`` and ``dphi`` around (q, phi).

    Of a width that is NaN or 0 only the centre is taken, whatever the order.
    """
    weight_q, at_q = _gauss_legendre(order_q, q, dq)
    weight_phi, at_phi = _gauss_legendre(order_phi, phi, dphi)
    return Nodes(np.outer(weight_q, weight_phi), *np.meshgrid(at_q, at_phi, indexing="ij"))


def _gauss_legendre(order: int, centre: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights that add up to 1 and nodes."""
    if order == 1 or not width > 0.0:
        return np.ones(1), np.array([centre])
    at, weight = np.polynomial.legendre.leggauss(order)
    return 0.5 * weight, centre + 0.5 * width * at


@dataclass(frozen=True, eq=False)
class Bin:
    """One bin ready for summation over its strict upper triangle, pairs weighted by W.

    ``d`` (M, M) = W (c2 - ``reference``) in float64, symmetric, frames padded to M, 0 for pairs that are not
    used; ``reference`` is the weighted mean of c2, without which the sum of squares would lose 3 to 6
    digits. W_ij = ``weight``_i ``weight``_j with ``weight`` (M,), 0 for frames that are masked or padding,
    but for the single pairs i < j that ``skipped`` (m, 2) leaves out; or W is ``pair_weight`` (M, M), 0 for
    every pair that is not used, where that is given. W is scaled to a mean of 1 over the pairs used:
    ``pairs`` = ΣW is their number, ``data`` and ``data2`` are ΣWd and ΣWd². ``dq`` and ``dphi`` are the
    bin's full widths, NaN where unknown.
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
    dq: float = math.nan
    dphi: float = math.nan

    def weights(self, rows: slice = slice(0, None)) -> np.ndarray:
        """W of every pair whose first frame lies in ``rows``, 0 for pairs not used and on the diagonal."""
        if self.pair_weight is not None:
            return self.pair_weight[rows]
        w = np.outer(self.weight[rows], self.weight)
        here = np.arange(len(w))
        w[here, rows.start + here] = 0.0
        for first, second in (self.skipped.T, self.skipped.T[::-1]):
            inside = (first >= rows.start) & (first < rows.start + len(w))
            w[first[inside] - rows.start, second[inside]] = 0.0
        return w

    def weights_at(self, lag: int) -> np.ndarray:
        """W of the pairs (i, i + lag), (M - lag,)."""
        if self.pair_weight is not None:
            return np.diagonal(self.pair_weight, lag)
        w = self.weight[:-lag] * self.weight[lag:]
        first, second = self.skipped.T
        w[first[second - first == lag]] = 0.0
        return w


def read_bins(data: tuple[TwoTime, ...], skip_lags: int = 0) -> tuple[Bin, ...]:
    """Every bin of every data set, read and checked, one matrix at a time."""
    return tuple(read_bin(one, index, skip_lags) for one in data for index in range(one.n_bins))


def read_bin(data: TwoTime, index: int, skip_lags: int = 0) -> Bin:
    """Bin ``index`` of ``data`` without its first ``skip_lags`` lags.

    Raises `DataError` for a matrix that cannot be used.
    """
    where = f"{data.provenance.get('file', 'data')} bin {index + 1} ({data.label(index)})"
    given, of_pairs = given_weights(data, index)
    left_out = left_out_pairs(data, index, skip_lags, of_pairs)
    mask = data.mask[index] & (given > 0)
    c2, used = checked(data.c2[index], mask, where, left_out if len(left_out) else None)
    frames = len(used)
    padding = -frames % PADDING
    d = _aligned_square(frames + padding)
    d[:frames, :frames] = c2
    weight = np.pad(given * used, (0, padding))
    if of_pairs is None:
        skipped, pair_weight = left_out[used[left_out].all(axis=1)], None
        weight, pairs = normalised(weight, skipped)
        reference, data1, data2 = _centre(d, weight, skipped, pairs)
    else:
        skipped, pair_weight = left_out[:0], np.pad(_without(of_pairs, left_out, used), (0, padding))
        pairs = float(np.count_nonzero(pair_weight) // 2)
        pair_weight *= 2.0 * pairs / pair_weight.sum()
        reference, data1, data2 = _centre_pairs(d, pair_weight, pairs)
    q, phi = float(data.q[index]), float(data.phi[index])
    return Bin(
        d,
        padded_times(data, padding),
        weight,
        q,
        phi,
        bin_nodes(q, phi),
        pairs,
        reference,
        data1,
        data2,
        skipped,
        pair_weight,
        dq=float(data.dq[index]),
        dphi=float(data.dphi[index]),
    )


def padded_times(data: TwoTime, padding: int) -> np.ndarray:
    """The frame times, and ``padding`` more at the nominal spacing."""
    return np.concatenate([data.t, data.t[-1] + data.dt * np.arange(1, padding + 1)])


def _aligned_square(size: int) -> np.ndarray:
    # JAX computes on memory that begins at a multiple of 64 bytes as it is, and copies any other at every call
    raw = np.zeros(8 * size**2 + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + 8 * size**2].view(float).reshape(size, size)


def given_weights(data: TwoTime, index: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights per frame (N,), and per pair (N, N), 0 on the diagonal, where those are given."""
    if data.weight is None:
        return np.ones(data.n_frames), None
    given = data.weight[index]
    if given.ndim == 1:
        return given / (given.max() or 1.0), None
    upper = np.triu(given, 1) / (given.max() or 1.0)
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


def _without(of_pairs: np.ndarray, left_out: np.ndarray, used: np.ndarray) -> np.ndarray:
    """The weights with 0 for pairs that are left out and frames that are not used."""
    kept = of_pairs * used * used[:, None]
    first, second = left_out.T
    kept[first, second] = kept[second, first] = 0.0
    return kept


def normalised(weight: np.ndarray, skipped: np.ndarray) -> tuple[np.ndarray, float]:
    """The weights scaled so that ΣW is the number of pairs, and that number."""
    first, second = skipped.T
    used = np.count_nonzero(weight)
    pairs = used * (used - 1) / 2 - len(skipped)
    total = 0.5 * (weight.sum() ** 2 - weight @ weight) - weight[first] @ weight[second]
    return weight * np.sqrt(pairs / total), pairs


def _centre(
    d: np.ndarray, weight: np.ndarray, skipped: np.ndarray, pairs: float
) -> tuple[float, float, float]:
    """Turn c2 into W (c2 - reference) in place; reference, ΣWd and ΣWd² over the pairs used."""
    first, second = skipped.T

    def leave_out() -> None:
        d[first, second] = d[second, first] = 0.0

    unused = np.flatnonzero(weight == 0.0)
    d[unused], d[:, unused] = 0.0, 0.0
    leave_out()
    reference = 0.5 * (weight @ d @ weight - weight**2 @ np.diag(d)) / pairs
    d -= reference
    leave_out()
    data2 = 0.5 * (_weighted_square(d, weight) - weight**2 @ np.diag(d) ** 2)
    d *= weight
    d *= weight[:, None]
    return float(reference), 0.5 * float(d.sum() - np.trace(d)), float(data2)


def _weighted_square(d: np.ndarray, weight: np.ndarray) -> float:
    # row by row: no second matrix
    return float(sum(w * (weight @ (row * row)) for w, row in zip(weight, d, strict=True) if w))


def _centre_pairs(d: np.ndarray, pair_weight: np.ndarray, pairs: float) -> tuple[float, float, float]:
    """The same with weights per pair."""
    reference = 0.5 * float(np.vdot(pair_weight, d)) / pairs
    d -= reference
    data2 = 0.5 * float(sum(w @ (row * row) for w, row in zip(pair_weight, d, strict=True)))
    d *= pair_weight
    return reference, 0.5 * float(d.sum()), data2
