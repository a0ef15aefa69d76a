"""Checks of what is to be fitted: data that fit the model, enough pairs, nothing twice."""

from __future__ import annotations

from itertools import combinations
from numbers import Real

import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.errors import ConfigError, DataError, ParameterError
from heterodyne.model import Model
from heterodyne.problem.problem import Problem
from heterodyne.problem.scaling import scaling_design, settled


def data_sets(data: object) -> tuple[TwoTime, ...]:
    """The data sets in what a caller gives as data; raises `DataError` for anything else."""
    sets = (data,) if isinstance(data, TwoTime) else data
    if not isinstance(sets, list | tuple) or not all(isinstance(one, TwoTime) for one in sets):
        raise DataError(
            f"data must be what heterodyne.load returns, or a list of those, not {type(data).__name__}"
        )
    return tuple(sets)


def given_number(what: str, value: object) -> float:
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise ParameterError(f"{what} must be a number, not {value!r}")


def check_data(sets: tuple[TwoTime, ...], model: Model) -> None:
    if not sets or not sum(data.n_bins for data in sets):
        raise DataError("there is no data to fit")
    for one, other in combinations(sets, 2):
        if shared := _shared_bin(one, other):
            raise DataError(
                f"{one.provenance.get('file', 'data')}: the same frames of bin {shared} are given twice "
                "and would be counted twice"
            )
    for data in sets:
        if model.uses_azimuth and np.isnan(data.phi).any():
            bad = data.label(int(np.flatnonzero(np.isnan(data.phi))[0]))
            raise DataError(
                f"model {model.name!r} needs an azimuth for every bin, and {bad} has none; "
                "select bins with phi or use a model without flow (no-flow, static)"
            )


def _shared_bin(one: TwoTime, other: TwoTime) -> str | None:
    """The label of a bin of which both hold common frames of one file; None if there is none."""
    if one is not other:
        prints = [_fingerprint(data) for data in (one, other)]
        if (
            prints[0] is None
            or prints[0] != prints[1]
            or min(one.t[-1], other.t[-1]) < max(one.t[0], other.t[0])
        ):
            return None
    labels = {other.label(index) for index in range(other.n_bins)}
    return next((label for index in range(one.n_bins) if (label := one.label(index)) in labels), None)


def _fingerprint(data: TwoTime) -> object:
    """What tells whether two data sets come from one file, whatever its name; None for data from none."""
    origin = data.provenance
    if "sha256" in origin:
        return origin["sha256"]
    return (origin["size"], origin["mtime_ns"]) if "mtime_ns" in origin else None


def check_count(problem: Problem) -> None:
    """Raise `DataError` where the pairs of frames are too few for what is to be fitted."""
    q, phi = (np.concatenate([getattr(data, name) for data in problem.data]) for name in ("q", "phi"))
    fitted = len(problem.varying)
    for which, choice in zip(("contrast", "offset"), settled(problem.contrast, problem.offset), strict=True):
        if not isinstance(choice, str):
            given_number(which, choice)
        fitted += scaling_design(which, choice, q, phi).matrix.shape[1]
    pairs = sum(_pair_count(data, problem.skip_lags) for data in problem.data)
    if pairs <= fitted:
        raise DataError(
            f"{pairs} pairs of frames cannot determine {fitted} numbers (parameters, contrast and offset): "
            "select more frames or fix parameters"
        )


def _pair_count(data: TwoTime, skip_lags: int) -> int:
    """At least so many pairs of frames are left by masks, skipped lags and the list of bad pairs."""
    used = data.mask.sum(axis=1)
    near = sum(int((data.mask[:, :-lag] & data.mask[:, lag:]).sum()) for lag in range(1, skip_lags + 1))
    return int(np.sum(used * (used - 1) // 2)) - near - len(data.bad_pairs)


def check_lags(skip_lags: object, sets: tuple[TwoTime, ...]) -> None:
    if not isinstance(skip_lags, int | np.integer) or isinstance(skip_lags, bool) or skip_lags < 0:
        raise ConfigError(f"skip_lags must be a whole number of frames, 0 or more, not {skip_lags!r}")
    fewest = min(data.n_frames for data in sets)
    if skip_lags and skip_lags >= fewest - 3:
        raise ConfigError(f"skip_lags={skip_lags} leaves too little of {fewest} frames: at most {fewest - 4}")
