"""Profile likelihood of one parameter: the least cost at each of its values, all others re-optimised.

    Δχ²(θ) = 2 [ min over the rest of cost(θ, rest) - least cost ],      cost weighted by the residual's variance

The interval of one coverage holds the values with Δχ² ≤ scale · t², where t is the quantile of Student's t
and ``scale`` is the robust variance over the one that takes all elements for independent. For a quadratic cost its
half width is then t robust errors. With scale 1 and the normal quantile it is the usual interval for independent
elements. A curvature adjustment of composite likelihoods: Chandler & Bate, Biometrika 94 (2007) 167.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from heterodyne.result.stated import check_types

_FLAT = 0.01  # of the threshold of the widest interval: a profile that stays below says nothing


@dataclass(frozen=True)
class Interval:
    """The values of a parameter with Δχ² ≤ ``threshold``; an end is infinite where a bound comes first.

    ``errors`` is ``robust`` or ``independent``, ``level`` the coverage.
    """

    errors: str
    level: float
    threshold: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Profile:
    """The profile of one parameter, over ascending ``values`` (n,), and its intervals.

    ``delta_chi2`` and ``cost`` are (n,), ``others`` maps every other varying parameter to its values (n,).
    ``scale`` is the robust variance over the independent one, of this parameter or, where ``own_scale`` is
    False because it has no error, the largest of the others. ``low`` and ``high`` are its bounds. Values of
    an axis (phi0) run on over its end: 95 degrees is -85.
    """

    name: str
    unit: str
    best: float
    low: float
    high: float
    scale: float
    own_scale: bool
    intervals: tuple[Interval, ...]
    values: np.ndarray
    delta_chi2: np.ndarray
    cost: np.ndarray
    others: Mapping[str, np.ndarray]

    def interval(self, level: float = 0.95, errors: str | None = None) -> Interval:
        """The interval of this coverage, by default of the first kind, robust where there is one.

        Raises `KeyError` if there is none.
        """
        for one in self.intervals:
            if one.level == level and one.errors == (errors or self.intervals[0].errors):
                return one
        raise KeyError((level, errors))

    @property
    def flat(self) -> bool:
        """Whether Δχ² is next to nothing wherever the parameter may be."""
        highest = max(one.threshold for one in self.intervals)
        return float(self.delta_chi2.max()) < _FLAT * highest

    def columns(self) -> dict[str, np.ndarray]:
        """The table of the profile by column: value, Δχ², Δχ² over the scale, other parameters, cost."""
        differences = {"delta_chi2": self.delta_chi2, "delta_chi2_scaled": self.delta_chi2 / self.scale}
        return {self.name: self.values, **differences, **self.others, "cost": self.cost}

    def lines(self) -> Iterator[str]:
        """The intervals in words, one line per kind of errors."""
        if self.flat:
            yield f"flat from {self.low:g} to {self.high:g}: the data do not determine {self.name}"
            return
        for kind in dict.fromkeys(one.errors for one in self.intervals):
            ends = [f"{one.level:.0%} {_span(one)}" for one in self.intervals if one.errors == kind]
            yield f"{', '.join(ends)} ({kind}{self._ratio() if kind == 'robust' else ''})"
        yield from self._open_ends()

    def _ratio(self) -> str:
        of = "" if self.own_scale else ", the largest of the other parameters"
        return f": chi2 over the variance ratio {self.scale:.4g}{of}"

    def _open_ends(self) -> Iterator[str]:
        widest = self.intervals[0]
        for side, end, place in (("lower", widest.low, 0), ("upper", widest.high, -1)):
            if math.isinf(end):
                yield (
                    f"no {side} limit: at {self.values[place]:.6g} delta chi2 is "
                    f"{self.delta_chi2[place]:.3g}, below {widest.threshold:.3g}"
                )


def profile_document(profile: Profile) -> dict[str, Any]:
    """The profile as a mapping, without its name."""
    names = [field.name for field in fields(Profile) if field.name not in ("name", "intervals")]
    intervals = [{**vars(one)} for one in profile.intervals]
    return {**{name: getattr(profile, name) for name in names}, "intervals": intervals}


def read_profile(name: str, document: Mapping[str, Any]) -> Profile:
    """The profile of such a mapping; null is an open end."""
    columns = ("values", "delta_chi2", "cost")
    arrays: dict[str, Any] = {key: np.array(document[key], dtype=float) for key in columns}
    others = {other: np.array(column, dtype=float) for other, column in document["others"].items()}
    intervals = tuple(_interval(row) for row in document["intervals"])
    rest = {key: document[key] for key in ("unit", "best", "scale", "own_scale")} | _ends(document)
    check_types(Profile, rest)
    if not intervals or {column.shape for column in (*arrays.values(), *others.values())} != {
        (len(arrays["cost"]),)
    }:
        raise ValueError("the profile has no intervals, or columns that differ in length")
    return Profile(name=name, **rest, **arrays, others=others, intervals=intervals)


def _interval(row: Mapping[str, Any]) -> Interval:
    known = {key: row[key] for key in ("errors", "level", "threshold")} | _ends(row)
    if None in known.values():
        raise TypeError("an interval lacks a number")
    check_types(Interval, known)
    return Interval(**known)


def _ends(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "low": -math.inf if row["low"] is None else row["low"],
        "high": math.inf if row["high"] is None else row["high"],
    }


def _span(one: Interval) -> str:
    if math.isinf(one.low) and math.isinf(one.high):
        return "no limits"
    low = "no lower limit" if math.isinf(one.low) else f"{one.low:.6g}"
    high = "no upper limit" if math.isinf(one.high) else f"{one.high:.6g}"
    return f"{low} to {high}"
