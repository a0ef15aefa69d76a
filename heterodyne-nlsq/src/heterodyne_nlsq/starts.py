"""Where fits start: the user's values, or a Latin hypercube around crude estimates from the data.

The lag at which c2, averaged over age, has fallen to 1/e gives a rate Γ per bin; J ≈ Γ/q², and a velocity
that turns the phase by one radian in that time is v ≈ Γ/q.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from heterodyne.data.bin import Bin
from heterodyne.parameters import Parameter
from heterodyne_nlsq.objective import Objective

_DECADES = 1.0  # rates and velocities are tried over a factor 10 to either side
_RATES, _SPEEDS = ("D0", "D_ref", "D_sample"), ("v0", "v")


def start_points(objective: Objective, count: int, seed: int) -> np.ndarray:
    """Points in the objective's coordinates, (points, p): one if every start was given, else ``count``."""
    given = objective.to_coordinates(objective.problem.column("start"))
    if not objective.problem.needs_start:
        return given[None]
    low, high = _box(objective)
    unit = qmc.LatinHypercube(len(given), rng=np.random.default_rng(seed)).random(max(count, 1))
    points = _at_mean_time(objective, low + unit * (high - low))
    started = [name in objective.problem.started for name in objective.problem.varying]
    return np.clip(np.where(started, given, points), objective.low, objective.high)


def decay_rate(one: Bin) -> float:
    """1/τ in 1/s, τ the lag at which c2 averaged over age has fallen to 1/e of its range."""
    frames = int(np.flatnonzero(one.weight)[-1]) + 1
    lags = np.unique(np.geomspace(1, frames - 1, 40).astype(int))
    curve = np.array([np.diagonal(one.c2[:frames, :frames], lag).mean() for lag in lags])
    fallen = curve <= curve.min() + (curve[0] - curve.min()) / np.e
    step = (one.t[frames - 1] - one.t[0]) / (frames - 1)
    return float(1.0 / (lags[np.argmax(fallen)] * step))


def _box(objective: Objective) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of the points to try, in coordinates; transport terms as they are at the mean time."""
    rates = np.array([decay_rate(one) for one in objective.bins])
    q = np.array([one.q for one in objective.bins])
    centre = {"rate": np.median(rates / q**2), "speed": np.median(rates / q)}
    duration = max(data.duration for data in objective.problem.data)
    rows = [
        _range(name, objective.problem.parameters[name], centre, duration)
        for name in objective.problem.varying
    ]
    low, high = np.array(rows).T
    return low, high


def _range(name: str, row: Parameter, centre: dict[str, float], duration: float) -> tuple[float, float]:
    ten = _DECADES * np.log(10.0)
    if name.startswith(_RATES) or name in _SPEEDS:
        middle = np.log(centre["speed" if name in _SPEEDS else "rate"])
        return middle - ten, middle + ten
    if row.scale == "log":
        return np.log(row.start) - ten, np.log(row.start) + ten
    if row.prior.family == "uniform":
        return row.low, row.high
    width = row.prior.width / (duration if row.prior.per_duration else 1.0)
    low, high = row.prior.location - 0.5 * width, row.prior.location + 0.5 * width
    return max(low, row.low), min(high, row.high)


def _at_mean_time(objective: Objective, points: np.ndarray) -> np.ndarray:
    """Points with prefactors that give the tried rate at the geometric mean time, whatever the exponent."""
    names = list(objective.problem.varying)
    first, last = (np.log(objective.problem.data[0].t[k]) for k in (0, -1))
    for prefactor, exponent in (("D0_ref", "alpha_ref"), ("D0_sample", "alpha_sample"), ("D0", "alpha"), ("v0", "beta")):
        if prefactor in names and exponent in names:
            points[:, names.index(prefactor)] -= points[:, names.index(exponent)] * 0.5 * (first + last)
    return points
