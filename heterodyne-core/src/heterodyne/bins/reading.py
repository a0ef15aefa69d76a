"""Bins in memory: every matrix read, checked, centred and padded for the evaluators."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isclose

import numpy as np

from heterodyne.bins.bin import PADDING, Bin, Dense, Moments
from heterodyne.bins.nodes import bin_nodes
from heterodyne.bins.weights import given_weights, left_out_pairs, normalised, padded_times
from heterodyne.data.geometry import SAME_AZIMUTH, between_directions
from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import checked
from heterodyne.errors import DataError, EmptyBin, EmptyBins

_ROUNDED, _SQUARES = 3e-8, 1e-5
"""Relative: what the mean, and the sum of squares about it, of c2 change by when it is rounded to float32."""


def read_bins(data: tuple[TwoTime, ...], skip_lags: int = 0) -> tuple[Bin, ...]:
    """Every bin of every data set, read and checked, one matrix at a time; raises what `each_bin` raises."""
    return each_bin(data, lambda measured, index: read_bin(measured, index, skip_lags))


def each_bin(data: tuple[TwoTime, ...], read: Callable[[TwoTime, int], Bin]) -> tuple[Bin, ...]:
    """What ``read`` makes of every bin of every data set.

    Raises `EmptyBins` naming all that have nothing to fit, once every matrix was read, and `DataError` for the first
    that cannot be used and for one matrix that is given twice.
    """
    bins: list[Bin] = []
    empty: dict[tuple[int, int], str] = {}
    for number, measured in enumerate(data):
        for index in range(measured.n_bins):
            try:
                bins.append(read(measured, index))
            except EmptyBin as error:
                empty[number, index] = str(error)
    if empty:
        raise EmptyBins("; ".join(empty.values()), tuple(empty))
    _check_distinct(bins)
    return tuple(bins)


def _check_distinct(bins: Sequence[Bin]) -> None:
    """Raise `DataError` for two bins of one q and φ whose values are equal, and warn of such bins at others.

    Values are equal where they have the same moments, whatever their times: no two measurements share these.
    """
    ordered = sorted(bins, key=lambda bin: bin.moments.reference)
    for first, second in pairwise(ordered):
        if not _same_values(first, second):
            continue
        turned = float(between_directions(first.phi, second.phi))
        if isclose(first.q, second.q, rel_tol=1e-6) and not turned > SAME_AZIMUTH:
            raise DataError(
                f"the matrix of q={second.q:.4g} phi={second.phi:.4g} is given twice, with equal values: it would "
                "be counted twice"
            )
        warnings.warn(
            f"the matrices of q={first.q:.4g} phi={first.phi:.4g} and q={second.q:.4g} phi={second.phi:.4g} are equal: "
            "if one is a copy of the other, it counts twice and at the wrong place",
            stacklevel=5,
        )


def _same_values(first: Bin, second: Bin) -> bool:
    """Whether two bins have the same moments to what float32 rounds."""
    here, there = first.moments, second.moments
    return (
        here.pairs == there.pairs
        and isclose(here.reference, there.reference, rel_tol=_ROUNDED)
        and isclose(here.square, there.square, rel_tol=_SQUARES)
    )


def read_bin(data: TwoTime, index: int, skip_lags: int = 0) -> Bin:
    """Bin ``index`` of ``data`` without its first ``skip_lags`` lags.

    Raises `DataError` for a matrix that cannot be used.
    """
    where = f"{data.provenance.get('file', 'data')} bin {index + 1} ({data.label(index)})"
    of_frames, of_pairs = given_weights(data, index)
    left_out = left_out_pairs(data, index, skip_lags, of_pairs)
    mask = data.mask[index] & (of_frames > 0)
    c2, used = checked(data.c2[index], mask, where, left_out if len(left_out) else None)
    frames = len(used)
    padding = -frames % PADDING
    d = _aligned_square(frames + padding)
    d[:frames, :frames] = c2
    diagonal = np.array(np.diagonal(c2), dtype=float)
    weight = np.pad(of_frames * used, (0, padding))
    if of_pairs is None:
        skipped, pair_weight = left_out[used[left_out].all(axis=1)], None
        weight, pairs = normalised(weight, skipped)
        moments = _centre(d, weight, skipped, pairs)
    else:
        skipped, pair_weight = left_out[:0], np.pad(_without(of_pairs, left_out, used), (0, padding))
        pairs = float(np.count_nonzero(pair_weight) // 2)
        pair_weight *= 2.0 * pairs / pair_weight.sum()
        moments = _centre_pairs(d, pair_weight, pairs)
    q, phi = float(data.q[index]), float(data.phi[index])
    return Bin(
        Dense(d),
        padded_times(data, padding),
        weight,
        q,
        phi,
        bin_nodes(q, phi),
        moments,
        skipped,
        pair_weight,
        dq=float(data.dq[index]),
        dphi=float(data.dphi[index]),
        diagonal=diagonal,
    )


def _aligned_square(size: int) -> np.ndarray:
    # JAX computes on memory that begins at a multiple of 64 bytes as it is, and copies any other at every call
    raw = np.zeros(8 * size**2 + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + 8 * size**2].view(float).reshape(size, size)


def _without(of_pairs: np.ndarray, left_out: np.ndarray, used: np.ndarray) -> np.ndarray:
    """The weights with 0 for pairs that are left out and frames that are not used."""
    kept = of_pairs * used * used[:, None]
    first, second = left_out.T
    kept[first, second] = kept[second, first] = 0.0
    return kept


def _centre(d: np.ndarray, weight: np.ndarray, skipped: np.ndarray, pairs: float) -> Moments[float]:
    """The moments of c2, which is turned into W (c2 - reference) in place."""
    first, second = skipped.T

    def leave_out() -> None:
        d[first, second] = d[second, first] = 0.0
        np.fill_diagonal(d, 0.0)  # counts of one frame with themselves; however large, they are no data

    unused = np.flatnonzero(weight == 0.0)
    d[unused], d[:, unused] = 0.0, 0.0
    leave_out()
    reference = 0.5 * (weight @ d @ weight) / pairs
    d -= reference
    leave_out()
    square = 0.5 * _weighted_square(d, weight)
    d *= weight
    d *= weight[:, None]
    return Moments(pairs, float(reference), 0.5 * float(d.sum()), square)


def _weighted_square(d: np.ndarray, weight: np.ndarray) -> float:
    # row by row: no second matrix
    return float(sum(w * (weight @ (row * row)) for w, row in zip(weight, d, strict=True) if w))


def _centre_pairs(d: np.ndarray, pair_weight: np.ndarray, pairs: float) -> Moments[float]:
    """The same with weights per pair."""
    np.fill_diagonal(d, 0.0)
    reference = 0.5 * float(np.vdot(pair_weight, d)) / pairs
    d -= reference
    square = 0.5 * float(sum(w @ (row * row) for w, row in zip(pair_weight, d, strict=True)))
    d *= pair_weight
    return Moments(pairs, reference, 0.5 * float(d.sum()), square)
