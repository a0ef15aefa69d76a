"""Results made by hand, for tests of what reads them: writers, figures, tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from heterodyne.data.two_time import TwoTime
from heterodyne.frozen import FrozenMapping
from heterodyne.problem.problem import Problem
from heterodyne.result.fit import CONVERGED, BinScaling, Estimate, Fit
from heterodyne.result.statistics import Statistics


def estimate(name: str, value: float, error: float = math.nan, **fields: Any) -> Estimate:
    """A varying parameter, determined where it has an error; ``fields`` are any of `Estimate`."""
    plain = {"error_independent": error, "unit": "1", "low": -math.inf, "high": math.inf, "start": value}
    plain |= {"vary": True, "status": "determined" if error > 0 else "undetermined"}
    return Estimate(name, value, error, **{**plain, **fields})


def estimates_of(
    problem: Problem, values: Mapping[str, float] = FrozenMapping(), error: float = math.nan
) -> tuple[Estimate, ...]:
    """All parameters of a problem at these values, at their starts where there is none."""
    return tuple(
        estimate(
            name,
            values.get(name, row.start),
            error,
            unit=row.unit,
            low=row.low,
            high=row.high,
            start=row.start,
            vary=name in problem.varying,
        )
        for name, row in problem.parameters.items()
    )


def scaling_of(
    data: Iterable[TwoTime], contrast: float, offset: float, noise: float
) -> tuple[BinScaling, ...]:
    """Every bin of the data with this contrast, offset and noise, without error bars, every pair used."""
    return tuple(
        BinScaling(
            q, phi, contrast, offset, math.nan, math.nan, noise, part.n_frames * (part.n_frames - 1) // 2
        )
        for part in data
        for q, phi in zip(part.q.tolist(), part.phi.tolist(), strict=True)
    )


def fit_by_hand(estimates: Iterable[Estimate] = (), **fields: Any) -> Fit:
    """A fit that converged and states nothing but these estimates; ``fields`` are any of `Fit`."""
    none = {"scaling": (), "covariance": np.zeros((0, 0)), "covariance_names": (), "statistics": Statistics()}
    about = {"model": "m", "optimizer": "by hand", "verdict": CONVERGED}
    return Fit(estimates=tuple(estimates), **{**about, **none, **fields})
