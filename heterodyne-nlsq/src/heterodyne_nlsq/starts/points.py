"""Where fits start: the user's values, or points around what the data suggest.

Points form a Latin hypercube over rates, exponents and fractions around the crude estimates of
`heterodyne_nlsq.starts.fringes`; its flow candidates are dealt out to them in turn.
"""

from __future__ import annotations

import numpy as np

from heterodyne.parameters import Parameter
from heterodyne.problem.objective import Objective
from heterodyne.solution.other_solutions import exchanged
from heterodyne_nlsq.starts.fringes import Crude, Flow, crude_estimates

_EXPONENT_OF = {"D0_ref": "alpha_ref", "D0_sample": "alpha_sample", "D0": "alpha", "v0": "beta"}

_RATES = {"D0_ref": 1.0, "D0_sample": 1.0, "D0": 1.0, "D_ref": 1.0 / 6.0, "D_sample": 1.0 / 6.0}
"""Parameters that are a transport rate J at the reference time over this many: J = 6 D in `equilibrium`."""

_SPEEDS = ("v0", "v")

_SPREAD = np.log(10.0)  # rates are tried over a factor 10 to either side

_JITTER = 0.04  # of a flow candidate's speed, the spacing of the grid that found it
_SMALL = 0.2  # offsets are tried up to this share of the rate or speed


def start_points(objective: Objective, count: int, seed: int) -> np.ndarray:
    """Points in the objective's coordinates, (points, p): one if every start was given, else ``count``."""
    problem = objective.problem
    given = objective.to_coordinates(problem.column("start"))
    if not problem.needs_start:
        return given[None]
    started = [name in problem.started for name in problem.varying]
    return np.where(started, given, data_points(objective, count, seed))


def data_points(objective: Objective, count: int, seed: int) -> np.ndarray:
    """Points around what the data suggest, whatever start values were given, (points, p)."""
    crude = crude_estimates(objective.bins)
    unit = latin_hypercube(max(count, 1), len(objective.low), seed)
    duration = max(data.duration for data in objective.problem.data)
    flows = crude.flows or (Flow(np.sqrt(crude.rate), 0.0, 0.0),)
    points = np.array(
        [_point(objective, crude, flows[k % len(flows)], row, duration) for k, row in enumerate(unit)]
    )
    return np.clip(points, objective.low, objective.high)


def latin_hypercube(points: int, dimensions: int, seed: int) -> np.ndarray:
    """Points in the unit cube, (points, dimensions), one in each of ``points`` slices of every dimension."""
    # scipy.stats.qmc has this too, and takes most of a second to import
    rng = np.random.default_rng(seed)
    slices = np.stack([rng.permutation(points) for _ in range(dimensions)], axis=1)
    return (slices + rng.random(slices.shape)) / points


def _point(objective: Objective, crude: Crude, flow: Flow, unit: np.ndarray, duration: float) -> np.ndarray:
    """One point from a row of the unit cube and a flow candidate, in coordinates."""
    parameters = objective.problem.parameters
    names = objective.problem.varying
    point = {
        name: _coordinate(name, parameters[name], crude, flow, 2.0 * u - 1.0, duration)
        for name, u in zip(names, unit, strict=True)
    }
    for prefactor, exponent in _EXPONENT_OF.items():
        if prefactor in point:
            power = point.get(exponent, parameters[exponent].start)
            point[prefactor] -= power * np.log(crude.time)
    return np.array([point[name] for name in names])


def _coordinate(name: str, row: Parameter, crude: Crude, flow: Flow, u: float, duration: float) -> float:
    """One coordinate at -1 ≤ u ≤ 1; prefactors as the rate or speed at the reference time."""
    if name in _RATES:
        return float(np.log(crude.rate * _RATES[name]) + u * _SPREAD)
    if name in _SPEEDS:
        return float(np.log(flow.speed) + u * _JITTER)
    if name == "beta":
        return flow.beta + 0.1 * u
    if name == "phi0":
        return flow.phi0 + 1.5 * u
    if name.startswith("alpha"):
        return crude.alpha + 0.4 * u
    if name.startswith("D_offset"):
        return _SMALL * u * crude.rate
    if name == "v_offset":
        return _SMALL * u * flow.speed
    if name == "f3":
        return 0.1 * (1.0 + u)
    return _around_prior(row, u, duration)


def _around_prior(row: Parameter, u: float, duration: float) -> float:
    """A point within half a prior width of the prior's centre, or anywhere inside uniform bounds."""
    if row.scale == "log":
        return float(np.log(row.start) + u * _SPREAD)
    if row.prior.family == "uniform":
        return 0.5 * (row.low + row.high) + 0.45 * u * (row.high - row.low)
    width = row.prior.width / (duration if row.prior.per_duration else 1.0)
    if row.prior.family == "half-normal":
        return row.prior.location + 0.25 * (1.0 + u) * width
    point = row.prior.location + 0.5 * u * width
    return float(np.exp(point)) if row.prior.family == "log-normal" else point


def exchanged_point(objective: Objective, u: np.ndarray) -> np.ndarray | None:
    """The point with reference and sample exchanged, within bounds; None where the model has no two of them."""
    problem = objective.problem
    swapped = exchanged(problem, problem.expand(objective.to_values(u)))
    if swapped is None:
        return None
    point = np.array([swapped[name] for name in problem.varying])
    point = np.clip(point, problem.column("low"), problem.column("high"))
    return objective.to_coordinates(point)
