"""Checks of what is to be fitted: data that fit the model, enough pairs, nothing twice."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from heterodyne.data.one_time import FirstRow
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import ConfigError, DataError
from heterodyne.model import Model
from heterodyne.problem.choices import Choices
from heterodyne.problem.one_time import Data
from heterodyne.problem.scaling import scaling_design, without_auto


def data_sets(data: object) -> tuple[Data, ...]:
    """The data sets in what a caller gives as data; raises `DataError` for anything else."""
    sets = (data,) if isinstance(data, Data) else data
    if not isinstance(sets, list | tuple) or not all(isinstance(each, Data) for each in sets):
        raise DataError(
            f"data must be what heterodyne.load returns, or a list of those, not {type(data).__name__}"
        )
    return tuple(sets)


def check_data(sets: tuple[TwoTime, ...], model: Model) -> None:
    """Raise `DataError` where there is nothing to fit, frames are given twice, or bins lack the azimuth needed."""
    if not sets or not sum(data.n_bins for data in sets):
        raise DataError("there is no data to fit")
    for first, second in combinations(sets, 2):
        if shared := _shared_bin(first, second):
            raise DataError(
                f"{first.provenance.get('file', 'data')}: the same frames of bin {shared} are given twice "
                "and would be counted twice"
            )
    for data in sets:
        if model.uses_azimuth and np.isnan(data.phi).any():
            ring = data.label(int(np.flatnonzero(np.isnan(data.phi))[0]))
            raise DataError(
                f"model {model.name!r} needs an azimuth for every bin, and {ring} has none; "
                "select bins with phi or use a model without flow (no-flow, static)"
            )


def _shared_bin(first: TwoTime, second: TwoTime) -> str | None:
    """The label of a bin of which both hold common frames of one file; None if there is none."""
    if first is not second:
        if not _fingerprints(first) & _fingerprints(second):
            return None
        if first.provenance.get("trains") != second.provenance.get("trains"):
            return (
                None  # repeats; those that are in both have equal values, which are found when they are read
            )
        if min(first.t[-1], second.t[-1]) < max(first.t[0], second.t[0]):
            return None
    labels = {second.label(index) for index in range(second.n_bins)}
    return next((label for index in range(first.n_bins) if (label := first.label(index)) in labels), None)


def _fingerprints(data: TwoTime) -> set[object]:
    """What tells files apart, whatever their names, of that of the data and those which it was made of."""
    found: set[object] = set()
    origin: Mapping[str, Any] | None = data.provenance
    while isinstance(origin, Mapping):
        if "sha256" in origin:
            found.add(origin["sha256"])
        elif "mtime_ns" in origin:
            found.add((origin.get("size"), origin["mtime_ns"]))
        origin = origin.get("origin")
    return found


def check_count(sets: tuple[TwoTime, ...], choices: Choices, varying: int) -> None:
    """Raise `DataError` where the pairs of frames are too few for so many parameters and the scaling chosen.

    Raises `ConfigError` for a design that these bins cannot tell.
    """
    q, phi = (np.concatenate([getattr(data, name) for data in sets]) for name in ("q", "phi"))
    designs = zip(("contrast", "offset"), without_auto(choices.contrast, choices.offset), strict=True)
    fitted = varying + sum(scaling_design(which, design, q, phi).matrix.shape[1] for which, design in designs)
    pairs = sum(_pair_count(data, choices.skip_lags) for data in sets)
    if pairs <= fitted:
        masked = sum(int((~data.mask).sum()) for data in sets)
        of = sum(data.mask.size for data in sets)
        left_out = f"; mask and exclude_frames leave out {masked} of {of} frames of bins" if masked else ""
        raise DataError(
            f"{pairs} {_what(sets)} cannot determine {fitted} numbers (parameters, contrast and offset): "
            f"select more of them or fix parameters{left_out}"
        )


def _what(sets: tuple[TwoTime, ...]) -> str:
    return "values of g2" if any(isinstance(data, FirstRow) for data in sets) else "pairs of frames"


def _pair_count(data: TwoTime, skip_lags: int) -> int:
    """At least so many pairs of frames are left by masks, skipped lags and the list of bad pairs."""
    if isinstance(data, FirstRow):
        return int(np.count_nonzero(data.row_weights[:, skip_lags:]))
    used = data.mask.sum(axis=1)
    near = sum(int((data.mask[:, :-lag] & data.mask[:, lag:]).sum()) for lag in range(1, skip_lags + 1))
    bin, first, second = data.bad_pairs.T
    bad = data.mask[bin, first] & data.mask[bin, second] & (second - first > skip_lags)
    return int(np.sum(used * (used - 1) // 2)) - near - int(bad.sum())


def check_lags(skip_lags: int, sets: tuple[TwoTime, ...]) -> None:
    """Raise `ConfigError` where fewer than 4 lags would be left."""
    fewest = min(data.n_frames for data in sets)
    if skip_lags and skip_lags >= fewest - 3:
        raise ConfigError(f"skip_lags={skip_lags} leaves too little of {fewest} frames: at most {fewest - 4}")
