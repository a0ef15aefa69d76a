"""Where fits start: the user's values, or points around what the data suggest.

Points form a Latin hypercube over rates, exponents and fractions around the crude estimates of
`heterodyne_nlsq.starts.fringes`; its flow candidates are dealt out to them in turn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from heterodyne.kernels.curves import RATE, SPEED, Constant, Curve, Growth, PowerLaw
from heterodyne.model import Model
from heterodyne.parameters import Parameter
from heterodyne.problem.objective import Objective
from heterodyne.solution.other_solutions import twins
from heterodyne_nlsq.starts.fringes import Crude, FlowCandidate, crude_estimates
from heterodyne_nlsq.starts.lags import crude_of_lags

Trial = Callable[[float], float]
"""From -1 ≤ u ≤ 1 to one coordinate."""

_SPREAD = np.log(10.0)  # rates are tried over a factor 10 to either side

_JITTER = 0.04  # of a flow candidate's speed, the spacing of the grid that found it
_SMALL = 0.2  # offsets are tried up to this share of the rate or speed
_GROWN = 0.1  # offsets of fractions are tried up to twice this


def start_points(objective: Objective, count: int, seed: int) -> np.ndarray:
    """Points in the objective's coordinates, (points, p): one if every start was given, else ``count``."""
    problem = objective.problem
    if not problem.needs_start:
        return objective.start[None]
    started = [name in problem.started for name in problem.varying]
    return np.where(started, objective.start, data_points(objective, count, seed))


def data_points(objective: Objective, count: int, seed: int) -> np.ndarray:
    """Points around what the data suggest, whatever start values were given, (points, p)."""
    crude = (crude_of_lags if objective.problem.one_time else crude_estimates)(objective.bins)
    unit = latin_hypercube(max(count, 1), len(objective.low), seed)
    duration = max(data.duration for data in objective.problem.data)
    flows = crude.flows or (FlowCandidate(np.sqrt(crude.rate), 0.0, 0.0),)
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


def _point(
    objective: Objective, crude: Crude, flow: FlowCandidate, unit: np.ndarray, duration: float
) -> np.ndarray:
    """One point from a row of the unit cube and a flow candidate, in coordinates."""
    model, parameters = objective.problem.model, objective.problem.parameters
    roles = _roles(model, crude, flow)
    point = {
        name: roles[name](u) if name in roles else _around_prior(parameters[name], u, duration)
        for name, u in zip(objective.problem.varying, 2.0 * unit - 1.0, strict=True)
    }
    for curve in model.curves:
        if isinstance(curve, PowerLaw) and curve.prefactor in point and curve.prefactor in roles:
            power = point.get(curve.exponent, parameters[curve.exponent].start)
            point[curve.prefactor] -= power * np.log(crude.time)
    return np.array(list(point.values()))


def _roles(model: Model, crude: Crude, flow: FlowCandidate) -> dict[str, Trial]:
    """How the parameters are tried of which the data suggest something.

    Prefactors of power laws stand for the rate or speed at the reference time.
    """
    roles: dict[str, Trial] = {}
    for curve in model.curves:
        if isinstance(curve, Growth):
            roles[curve.offset] = lambda u: _GROWN * (1.0 + u)
        elif curve is model.velocity and curve.unit == SPEED:
            roles |= _of_curve(curve, flow.speed, _JITTER, lambda u: flow.beta + 0.1 * u)
        elif curve.unit == RATE:
            roles |= _of_curve(curve, crude.rate, _SPREAD, lambda u: crude.alpha + 0.4 * u)
    if model.flow is not None:
        roles[model.flow.azimuth] = lambda u: flow.phi0 + 1.5 * u
    return roles


def _of_curve(curve: Curve, height: float, spread: float, exponent: Trial) -> dict[str, Trial]:
    """How the parameters of a curve of about this height are tried, the logarithm of its prefactor by ``spread``."""
    if isinstance(curve, Constant):
        return {curve.value: lambda u: float(np.log(height / curve.factor) + u * spread)}
    if isinstance(curve, PowerLaw):
        return {
            curve.prefactor: lambda u: float(np.log(height) + u * spread),
            curve.exponent: exponent,
            curve.offset: lambda u: _SMALL * u * height,
        }
    return {}


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


def twin_points(objective: Objective, u: np.ndarray) -> np.ndarray:
    """The points of the twins that the model states, within bounds, (twins, p)."""
    problem = objective.problem
    low, high = problem.column("low"), problem.column("high")
    values = objective.parameters(u)
    found = [
        objective.to_coordinates(np.clip([twin[name] for name in problem.varying], low, high))
        for _, twin in twins(problem, values)
    ]
    return np.array(found).reshape(-1, len(u))
