"""Undetermined directions held at the prior: of all solutions that fit as well, the one next to the prior means.

Where directions are lost, solutions form a curve or surface of one cost. From the solution found, steps along
the lost directions lead towards the prior means; after each, all other directions are fitted again, with the
lost ones tied to the point reached by rows of unit weight in scaled coordinates. It ends where the prior means
lie straight across the lost directions. Distances count in prior standard deviations, of the logarithm for
parameters on a log scale, as do the means.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from heterodyne.errors import ConfigError
from heterodyne.parameters import Parameter
from heterodyne.problem.normal_equations import NormalEquations
from heterodyne.problem.objective import Objective
from heterodyne.problem.problem import Problem
from heterodyne.problem.spectrum import Spectrum, spectrum_of
from heterodyne.result.identifiability import Held, Identifiability
from heterodyne.solution.solution import Solution
from heterodyne.solution.standard_errors import judged
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.minimise import Tolerances, minimise
from heterodyne_nlsq.trust_region.refine import moved
from heterodyne_nlsq.trust_region.stationarity import Box

_ROUNDS = 100

_CLOSE = 1e-6  # prior standard deviations: a smaller step is the last

_RISE = 0.01  # of Σ data²: the most that the cost may rise by a step, before the fit that follows

_INSIDE = 0.9  # of the way to a bound: on it a parameter would seem determined

_MEMBER = 0.05  # squared loading from which a parameter is one that is held


class LostSpace(NamedTuple):
    """The lost directions over all coordinates (p, k): unit vectors in scaled coordinates, steps, and rows
    whose products with a displacement are its scaled components."""

    scaled: np.ndarray
    steps: np.ndarray
    rows: np.ndarray


def check_priors(problem: Problem, held: bool) -> None:
    """Raise `ConfigError` where the user gave priors that nothing would use."""
    of_scaling = problem.choices.scaling_priors
    unused = of_scaling if held else problem.choices.prior
    if unused:
        names = ", ".join(sorted(unused))
        other = "" if of_scaling else ", or hold what the data leave open at them with --hold-at-prior"
        raise ConfigError(
            f"least squares has no use for priors (given for {names}): sample with --optimizer cmc{other}"
        )


def hold_undetermined(solution: Solution, search: Search) -> Solution:
    """The solution next to the prior means among those that fit as well; it tells what was held.

    Where no direction is lost, it is this one.
    """
    solution = solution.folded()
    here = judged(solution)
    count = int(here.spectrum.lost.sum())
    if not count:
        held = Held(parameters={}, words="nothing was held: no direction is lost")
        return replace(solution, identifiability=Identifiability(held=held))
    search.progress(f"holding {count} undetermined directions at the prior")
    objective, free = solution.objective, here.free
    centre, width = prior_coordinates(objective)
    # a cost in other units than half of χ² must meet ties of its own size
    unit = np.sqrt(objective.data_square / here.weighted.data_square)
    space, at = _lost_space(here.spectrum, here.spectrum.lost, free), solution
    members = (space.scaled**2).sum(axis=1) > _MEMBER
    for _ in range(_ROUNDS):
        step = _towards(objective, at.x, space.steps, centre, width)
        if np.max(np.abs(step) / width) < _CLOSE:
            break
        at = _refitted(at, at.x + step, space.rows * unit, search.tolerances)
        now = spectrum_of(here.weighted(at.x).gram[np.ix_(free, free)], objective.width[free])
        space = _lost_space(now, np.arange(len(now.lost)) < count, free)  # eigenvalues are in rising order
    return replace(at, identifiability=Identifiability(held=_record(solution, at, members)))


def prior_coordinates(objective: Objective) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of the priors in the objective's coordinates, (p,) each."""
    problem = objective.problem
    duration = max(data.duration for data in problem.data)
    rows = [_prior_coordinate(problem.parameters[name], duration) for name in problem.varying]
    centre, width = np.array(rows).T
    return centre, width


def _prior_coordinate(row: Parameter, duration: float) -> tuple[float, float]:
    prior, is_log = row.prior, row.scale == "log"
    if prior.family == "uniform":
        low, high = np.log([row.low, row.high]) if is_log else (row.low, row.high)
        return 0.5 * (low + high), (high - low) / np.sqrt(12.0)
    mean = float(np.exp(prior.location)) if prior.family == "log-normal" else prior.location
    width = prior.width * (mean if prior.family == "log-normal" else 1.0)
    width /= duration if prior.per_duration else 1.0
    if prior.family == "half-normal":
        mean, width = mean + np.sqrt(2.0 / np.pi) * width, np.sqrt(1.0 - 2.0 / np.pi) * width
    value = float(np.clip(mean, row.low, row.high))
    return (float(np.log(value)), width / value) if is_log else (value, width)


def _lost_space(spectrum: Spectrum, lost: np.ndarray, free: np.ndarray) -> LostSpace:
    spaces = np.zeros((3, len(free), int(lost.sum())))
    vectors = spectrum.vectors[:, lost]
    spaces[:, free] = vectors, vectors / spectrum.size[:, None], vectors * spectrum.size[:, None]
    return LostSpace(*spaces)


def _towards(
    objective: Objective, x: np.ndarray, steps: np.ndarray, centre: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """The step along lost directions that ends nearest to the prior means, inside bounds, not far uphill."""
    along = np.linalg.lstsq(steps / width[:, None], (centre - x) / width, rcond=None)[0]
    step = steps @ along
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(step > 0.0, (objective.high - x) / step, (objective.low - x) / step)
    nearest = np.min(room[step != 0.0], initial=np.inf)
    if nearest <= 1.0:
        step = step * _INSIDE * nearest
    allowed = objective.cost(x) + _RISE * objective.data_square
    while not objective.cost(x + step) <= allowed and np.max(np.abs(step) / width) >= _CLOSE:
        step = 0.5 * step
    return step


def _refitted(at: Solution, anchor: np.ndarray, rows: np.ndarray, tolerances: Tolerances) -> Solution:
    """The minimum with the lost directions tied to ``anchor``, with the normal equations of the data alone."""
    objective = at.objective

    def tied(u: np.ndarray) -> NormalEquations:
        data, off = objective(u), rows.T @ (u - anchor)
        return replace(
            data,
            cost=data.cost + 0.5 * float(off @ off),
            gradient=data.gradient + rows @ off,
            gram=data.gram + rows @ rows.T,
        )

    box = Box(objective.low, objective.high)
    minimum = minimise(tied, anchor, box, tolerances, floor=objective.floor)
    if minimum.verdict == "converged":
        minimum = minimum._replace(verdict=at.verdict, message=at.message)
    return moved(at, minimum, equations=objective(minimum.x))


def _record(before: Solution, after: Solution, members: np.ndarray) -> Held:
    """What was held and where, by how much the cost changed, and both in words."""
    objective = after.objective
    old, new = objective.to_values(before.x), objective.to_values(after.x)
    names = objective.problem.varying
    moved = {names[k]: {"from": float(old[k]), "to": float(new[k])} for k in np.flatnonzero(members)}
    cost = max(before.equations.cost, objective.floor)
    change = (after.equations.cost - before.equations.cost) / cost if cost else 0.0
    shown = ", ".join(f"{name} {ends['from']:.5g} -> {ends['to']:.5g}" for name, ends in moved.items())
    words = f"held at the prior along undetermined directions: {shown} (cost {change:+.1g} of itself)"
    return Held(parameters=moved, cost_change=change, words=words)
