"""From a solution of the trust region to a `Fit`: estimates, scaling, errors, statistics."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from heterodyne.bands import curve_bands
from heterodyne.covariance import effective_parameters, quantile, robust_covariance
from heterodyne.finite_bins import orders_of
from heterodyne.goodness import Residuals
from heterodyne.identifiability import (
    FLAT,
    Spectrum,
    independent_covariance,
    spectrum,
    with_covariance,
)
from heterodyne.neighbourhood import Neighbourhood
from heterodyne.normal_equations import NormalEquations, SolvedScaling
from heterodyne.objective import Objective
from heterodyne.result import BinScaling, Estimate, Fit
from heterodyne.robust import robust_meat
from heterodyne.scaling import AUTO
from heterodyne_nlsq.residuals import residuals_at, structure_at, structure_statistics
from heterodyne_nlsq.trust_region import Solution
from heterodyne_nlsq.unknowns import Unknowns, identifiability, unknowns

_BOUND = {-1: "at low", 1: "at high"}
_NO_NOISE = 1e-24  # of Σ data², the least Σ residual² that is not rounding
_PULL = 0.01  # half of a χ² over the whole range: a slope below that draws a coordinate to no bound
_COMMON = 2.0  # ratio of errors from which bins are said to share noise


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
    errors = _errors(objective, solution, here, robust)
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
        statistics={
            **_statistics(solution, here.equations, here.scaling, noise, seconds),
            "deviance": _deviance(objective, here.scaling),
            **errors.statistics,
            **structure,
            "bin_average": str(orders),
            "bin_nodes": [orders.q, orders.phi],
        },
        identifiability=identifiability(around, unknown, covariance, determined, bounds),
        verdict=solution.verdict,
        message="; ".join(filter(None, (solution.message, *bounds, misfit, *errors.doubts, *doubts))),
        provenance={"scaling": _designs(objective)},
        problem=problem,
        curves=curve_bands(
            around, objective.width[here.free], quantile(errors.statistics.get("dof", np.inf))
        ),
    )


def _structure(here: AtSolution, u: np.ndarray, found: list[Residuals]) -> tuple[dict[str, Any], str]:
    """What is said about structure of the residuals in the statistics, and in the message."""
    if here.equations.cost <= here.weighted.floor:
        return {"structure": "not asked: the residuals are rounding"}, ""
    structure = structure_at(here.weighted, u, here.free, here.scaling, found)
    seen = structure.lag.found or structure.age.found
    doubt = f"{structure.verdict}: the residuals are not noise about this model"
    return structure_statistics(structure), doubt if seen else ""


def judged(objective: Objective, solution: Solution, robust: bool) -> AtSolution:
    """`at_solution` with the spectrum judged by the errors in use."""
    here = at_solution(objective, solution)
    return here._replace(found=_errors(objective, solution, here, robust).found)


class _Errors(NamedTuple):
    """Covariances over the free coordinates (p, p), the spectrum judged by the first, and what to say."""

    covariance: np.ndarray
    independent: np.ndarray
    found: Spectrum
    statistics: dict[str, Any]
    doubts: tuple[str, ...]


def _errors(objective: Objective, solution: Solution, here: AtSolution, robust: bool) -> _Errors:
    independent, width = independent_covariance(here.found), objective.width[here.free]
    if not robust or not here.free.any():
        found, independent = with_covariance(here.found, independent, width)
        return _Errors(independent, independent, found, {"errors": "independent"}, ())
    meat = robust_meat(here.weighted, solution.x, here.free)
    _, independent = with_covariance(here.found, independent, width)
    found, covariance = with_covariance(here.found, robust_covariance(here.found, meat.matrix), width)
    of_weights = spectrum(here.scaling.hessian, np.full(len(here.scaling.hessian), np.inf))
    count = effective_parameters(here.found, meat.matrix) + effective_parameters(of_weights, meat.scaling)
    statistics = {"errors": "robust", "bandwidth": meat.bandwidth, "dof": meat.dof}
    statistics["effective_parameters"] = count
    if meat.shared is None:
        return _Errors(covariance, independent, found, statistics, ())
    _, shared = with_covariance(here.found, robust_covariance(here.found, meat.shared), width)
    together, apart = (np.diag(matrix)[~found.undetermined] for matrix in (shared, covariance))
    ratio = float(np.sqrt(np.max(together / apart, initial=0.0)))
    doubt = (
        f"errors would be up to {ratio:.1f} times larger with the bins taken for correlated: "
        "look for noise that they share (beam, drift)"
    )
    return _Errors(
        covariance,
        independent,
        found,
        {**statistics, "common_noise_ratio": ratio},
        (doubt,) if ratio > _COMMON else (),
    )


class AtSolution(NamedTuple):
    """Normal equations and scaling at a solution, weighted by the residual noise of every bin.

    ``weighted`` is the objective so weighted, its cost half of χ²; ``free`` (p,) marks the coordinates that
    are off their bounds or lie on them by chance, ``found`` is the spectrum over those.
    """

    weighted: Objective
    equations: NormalEquations
    scaling: SolvedScaling
    free: np.ndarray
    found: Spectrum


def at_solution(objective: Objective, solution: Solution) -> AtSolution:
    """What errors at a solution are made from."""
    weighted = objective.weighted(residual_noise(objective, solution))
    equations, scaling = weighted.solve(solution.x)
    free = _free(equations, solution.active, objective.width)
    found = spectrum(equations.gram[np.ix_(free, free)], objective.width[free])
    return AtSolution(weighted, equations, scaling, free, found)


def _free(equations: NormalEquations, active: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Which coordinates (p,) count as off their bounds.

    One that lies on a bound without being drawn there does too if it takes part in a lost direction: the
    parameters that merge with it are not determined by the place where the fit happened to end.
    """
    free = active == 0
    idle = ~free & (np.abs(equations.gradient) * width < _PULL)
    if not idle.any():
        return free
    together = free | idle
    found = spectrum(equations.gram[np.ix_(together, together)], width[together])
    together[together] = found.undetermined
    return free | (idle & together)


def scaling_errors(here: AtSolution) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors of the contrasts and of the offsets, (bins,) each, parameters varying along.

    NaN where there is none: the value is fixed, lies on a bound, or is undetermined, because S does not
    vary over the bin or a direction in which the data say nothing moves it.
    """
    design, found = here.scaling.design, here.found
    inner = spectrum(here.scaling.hessian, np.full(design.shape[1], np.inf))
    inverse = independent_covariance(inner)
    moved = design @ inverse @ here.scaling.coupling[:, here.free] @ (found.vectors / found.size[:, None])
    along = moved**2 / np.maximum(found.eigenvalues, FLAT * len(found.size))
    variance = np.einsum("bm,mn,bn->b", design, inverse, design) + along[:, ~found.flat].sum(axis=1)
    lost = along[:, found.flat].sum(axis=1) > variance
    lost |= design[:, inner.undetermined].any(axis=1) | ~design.any(axis=1)
    contrast, offset = np.split(np.sqrt(np.where(lost, np.nan, variance)), 2)
    return contrast, offset


def _designs(objective: Objective) -> dict[str, str]:
    """The scaling designs by name, and whether the fit chose them."""
    problem = objective.problem
    chosen = {"contrast": problem.contrast, "offset": problem.offset}
    return {
        which: f"{getattr(objective, which).name}{' (auto)' if choice == AUTO else ''}"
        for which, choice in chosen.items()
    }


def residual_noise(objective: Objective, solution: Solution) -> np.ndarray:
    """σ per bin from the residual: sqrt(SSR / (pairs - the bin's share of the fitted numbers))."""
    _, scaling = objective.solve(solution.x)
    count = np.array([one.pairs for one in objective.bins])
    fitted = (len(solution.x) + scaling.design.shape[1]) / len(count)
    noise = np.sqrt(scaling.ssr / np.maximum(count - fitted, 1.0))
    spread = np.sqrt([one.data2 / one.pairs for one in objective.bins])
    return np.maximum(noise, 1e-12 * spread + 1e-300)  # data without noise would weigh infinitely much


def _estimates(
    objective: Objective,
    solution: Solution,
    names: tuple[str, ...],
    errors: _Errors,
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
            one.q,
            one.phi,
            float(here.scaling.contrast[k]),
            float(here.scaling.offset[k]),
            float(contrast_error[k]),
            float(offset_error[k]),
            float(noise[k]),
            int(one.pairs),
        )
        for k, one in enumerate(objective.bins)
    )


def _statistics(
    solution: Solution,
    equations: NormalEquations,
    scaling: SolvedScaling,
    noise: np.ndarray,
    seconds: float,
) -> dict[str, Any]:
    variables = int((solution.active == 0).sum()) + scaling.design.shape[1]
    return {
        "n_pairs": equations.n_pairs,
        "n_variables": variables,
        "ssr": float(scaling.ssr.sum()),
        "cost": equations.cost,
        "reduced_chi2": float(np.sum(scaling.ssr / noise**2)) / max(equations.n_pairs - variables, 1),
        "noise": [float(value) for value in noise],
        "iterations": solution.iterations,
        "seconds": seconds,
    }


def _deviance(objective: Objective, scaling: SolvedScaling) -> float:
    """-2 log L of Gaussian elements with one σ per bin at its best value, Σ n_b (1 + ln(2π ssr_b / n_b)).

    Comparable between models of the same data, as the cost is not, in which each model sets the weights.
    """
    count = np.array([one.pairs for one in objective.bins])
    square = np.maximum(scaling.ssr, [_NO_NOISE * one.data2 for one in objective.bins])
    return float(count @ (1.0 + np.log(2.0 * np.pi * square / count)))


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
