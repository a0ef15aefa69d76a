"""From a solution of the trust region to a `Fit`: estimates, scaling, errors, statistics."""

from __future__ import annotations

import numpy as np

from heterodyne.problem.averaging import orders_of
from heterodyne.problem.kinds import AUTO
from heterodyne.problem.normal_equations import NormalEquations, SolvedScaling
from heterodyne.problem.objective import Objective
from heterodyne.result.fit import BinScaling, Estimate, Fit
from heterodyne.result.provenance import Provenance
from heterodyne.result.statistics import Statistics
from heterodyne.solution.bands import curve_bands
from heterodyne.solution.covariance import quantile
from heterodyne.solution.deviance import deviance
from heterodyne.solution.neighbourhood import Neighbourhood
from heterodyne.solution.residuals import Residuals, residuals_at, structure_at, structure_statistics
from heterodyne.solution.solution import AtSolution, Solution, at_solution
from heterodyne.solution.standard_errors import StandardErrors, scaling_errors, standard_errors
from heterodyne.solution.unknowns import Unknowns, identifiability, unknowns

_BOUND = {-1: "at low", 1: "at high"}


def create_fit(
    objective: Objective,
    solution: Solution,
    seconds: float,
    robust: bool = True,
    doubts: tuple[str, ...] = (),
) -> Fit:
    """The result at a solution; ``doubts`` join the message.

    Errors are robust, or take all elements of c2 for independent where ``robust`` is not wanted.
    """
    problem, here = objective.problem, at_solution(objective, solution)
    errors = standard_errors(objective, solution, here, robust)
    names = tuple(name for name, is_free in zip(problem.varying, here.free, strict=True) if is_free)
    slopes = objective.slopes(solution.x)[here.free]
    values = problem.expand(objective.to_values(solution.x))
    around = Neighbourhood(problem, values, names, slopes, errors.found, errors.covariance)
    unknown = unknowns(here.weighted, solution.x, around, here.scaling.contrast, robust)
    keep = np.flatnonzero(~unknown.undetermined)
    covariance = (errors.covariance * np.outer(slopes, slopes))[np.ix_(keep, keep)]
    determined = tuple(names[k] for k in keep)
    residuals = residuals_at(objective, solution.x, here.scaling)
    structure, misfit = _structure(here, solution.x, residuals)
    noise, orders = np.array([one.noise for one in residuals]), orders_of(objective.bins)
    bounds = _at_bounds(objective, solution, here.scaling)
    return Fit(
        model=problem.model.name,
        optimizer="nlsq",
        estimates=_estimates(objective, solution, names, errors, unknown.undetermined),
        scaling=_bins(objective, here, noise, unknown),
        covariance=covariance,
        covariance_names=determined,
        statistics=(
            _statistics(solution, here.equations, here.scaling, noise, seconds)
            | Statistics(deviance=deviance(objective, here.scaling.ssr))
            | errors.statistics
            | structure
            | Statistics(bin_average=str(orders), bin_nodes=(orders.q, orders.phi))
        ),
        identifiability=identifiability(around, unknown, covariance, determined, bounds),
        verdict=solution.verdict,
        message="; ".join(filter(None, (solution.message, *bounds, misfit, *errors.doubts, *doubts))),
        provenance=Provenance(scaling=_designs(objective)),
        problem=problem,
        curves=curve_bands(
            around, objective.width[here.free], quantile(errors.statistics.get("dof", np.inf))
        ),
    )


def _structure(here: AtSolution, u: np.ndarray, found: list[Residuals]) -> tuple[Statistics, str]:
    """What is said about structure of the residuals in the statistics, and in the message."""
    if here.equations.cost <= here.weighted.floor:
        return Statistics(structure="not asked: the residuals are rounding"), ""
    structure = structure_at(here.weighted, u, here.free, here.scaling, found)
    seen = structure.lag.found or structure.age.found
    doubt = f"{structure.verdict}: the residuals are not noise about this model"
    return structure_statistics(structure), doubt if seen else ""


def _designs(objective: Objective) -> dict[str, str]:
    """The scaling designs by name, and whether the fit chose them."""
    choices = objective.problem.choices
    chosen = {"contrast": choices.contrast, "offset": choices.offset}
    return {
        which: f"{getattr(objective, which).name}{' (auto)' if choice == AUTO else ''}"
        for which, choice in chosen.items()
    }


def _estimates(
    objective: Objective,
    solution: Solution,
    names: tuple[str, ...],
    errors: StandardErrors,
    undetermined: np.ndarray,
) -> tuple[Estimate, ...]:
    problem = objective.problem
    values = problem.expand(objective.to_values(solution.x))
    slopes = dict(zip(problem.varying, objective.slopes(solution.x), strict=True))
    both = np.sqrt([np.diag(errors.covariance), np.diag(errors.independent)])
    columns = np.where(undetermined, np.nan, both).T
    known = {name: slopes[name] * row for name, row in zip(names, columns, strict=True)}
    lost = {name for name, is_lost in zip(names, undetermined, strict=True) if is_lost}
    active = dict(zip(problem.varying, solution.active, strict=True))

    def status(name: str) -> str:
        if name in problem.ties:
            return f"= {problem.ties[name]}"
        if name not in active:
            return "fixed"
        return _BOUND.get(int(active[name]), "undetermined" if name in lost else "determined")

    def estimate(name: str) -> Estimate:
        row, (error, independent) = problem.parameters[name], known.get(name, (np.nan, np.nan))
        place = (row.unit, row.low, row.high, float(row.start), name in active, status(name))
        return Estimate(name, values[name], float(error), float(independent), *place)

    return tuple(estimate(name) for name in problem.parameters)


def _bins(
    objective: Objective, here: AtSolution, noise: np.ndarray, unknown: Unknowns
) -> tuple[BinScaling, ...]:
    errors = zip(scaling_errors(here), (unknown.contrast, unknown.offset), strict=True)
    contrast_error, offset_error = (np.where(lost, np.nan, error) for error, lost in errors)
    return tuple(
        BinScaling(
            bin.q,
            bin.phi,
            float(here.scaling.contrast[k]),
            float(here.scaling.offset[k]),
            float(contrast_error[k]),
            float(offset_error[k]),
            float(noise[k]),
            int(bin.moments.pairs),
        )
        for k, bin in enumerate(objective.bins)
    )


def _statistics(
    solution: Solution,
    equations: NormalEquations,
    scaling: SolvedScaling,
    noise: np.ndarray,
    seconds: float,
) -> Statistics:
    variables = int((solution.active == 0).sum()) + scaling.design.shape[1]
    return Statistics(
        n_pairs=equations.n_pairs,
        n_variables=variables,
        ssr=float(scaling.ssr.sum()),
        cost=equations.cost,
        reduced_chi2=float(np.sum(scaling.ssr / noise**2)) / max(equations.n_pairs - variables, 1),
        noise=tuple(map(float, noise)),
        iterations=solution.iterations,
        seconds=seconds,
    )


def _at_bounds(objective: Objective, solution: Solution, scaling: SolvedScaling) -> list[str]:
    """What stands at a bound, in words."""
    at_bounds = [
        f"{name} {_BOUND[int(side)]}"
        for name, side in zip(objective.problem.varying, solution.active, strict=True)
        if side
    ]
    for name, design, values in (
        ("contrast", objective.contrast, scaling.contrast),
        ("offset", objective.offset, scaling.offset),
    ):
        outside = int(np.sum((values <= design.low) | (values >= design.high)))
        if design.matrix.size and outside:
            at_bounds.append(f"{name} at its bound in {outside} of {len(values)} bins")
    return at_bounds
