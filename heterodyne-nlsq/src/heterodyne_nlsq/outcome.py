"""From a solution of the trust region to a `Fit`: estimates, scaling, errors, statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from heterodyne.goodness import neighbour_noise
from heterodyne.identifiability import Spectrum, independent_covariance, spectrum
from heterodyne.normal_equations import NormalEquations, SolvedScaling
from heterodyne.problem import Problem
from heterodyne.result import BinScaling, Estimate, Fit
from heterodyne_nlsq.objective import Objective
from heterodyne_nlsq.trust_region import Solution

_BOUND = {-1: "at low", 1: "at high"}


def create_fit(objective: Objective, solution: Solution, iterations: int, seconds: float) -> Fit:
    """The result at a solution; errors take all elements of c2 for independent."""
    problem, sigma = objective.problem, residual_noise(objective, solution)
    equations, scaling = objective.weighted(sigma).solve(solution.x)
    free = solution.active == 0
    names = [name for name, is_free in zip(problem.varying, free, strict=True) if is_free]
    slopes = objective.slopes(solution.x)[free]
    found = spectrum(equations.gram[np.ix_(free, free)], (objective.high - objective.low)[free])
    in_coordinates = independent_covariance(found)
    covariance = in_coordinates * np.outer(slopes, slopes)
    keep = np.flatnonzero(~found.undetermined)
    noise = _neighbour_noise(objective, solution, scaling)
    return Fit(
        model=problem.model.name,
        optimizer="nlsq",
        estimates=_estimates(objective, solution, names, covariance, found.undetermined),
        scaling=_bins(objective, scaling, noise, in_coordinates, free),
        covariance=covariance[np.ix_(keep, keep)],
        covariance_names=tuple(names[k] for k in keep),
        statistics=_statistics(solution, equations, scaling, noise, iterations, seconds),
        identifiability=_identifiability(found, names),
        verdict=solution.verdict,
        message=_message(problem, solution),
        problem=problem,
    )


def residual_noise(objective: Objective, solution: Solution) -> np.ndarray:
    """σ per bin from the residual: sqrt(SSR / (pairs - the bin's share of the fitted numbers))."""
    _, scaling = objective.solve(solution.x)
    count = np.array([one.pairs for one in objective.bins])
    fitted = (len(solution.x) + scaling.design.shape[1]) / len(count)
    noise = np.sqrt(scaling.ssr / np.maximum(count - fitted, 1.0))
    spread = np.sqrt([one.data2 / one.pairs for one in objective.bins])
    return np.maximum(noise, 1e-12 * spread + 1e-300)  # data without noise would weigh infinitely much


def _neighbour_noise(objective: Objective, solution: Solution, scaling: SolvedScaling) -> np.ndarray:
    params = objective.problem.expand(objective.to_values(solution.x))
    rows = zip(objective.bins, scaling.contrast, scaling.offset, strict=True)
    return np.array([neighbour_noise(objective.problem.model, params, *row) for row in rows])


def _estimates(
    objective: Objective,
    solution: Solution,
    names: list[str],
    covariance: np.ndarray,
    undetermined: np.ndarray,
) -> tuple[Estimate, ...]:
    problem = objective.problem
    values = problem.expand(objective.to_values(solution.x))
    errors = dict(zip(names, np.where(undetermined, np.nan, np.sqrt(np.diag(covariance))), strict=True))
    lost = {name for name, is_lost in zip(names, undetermined, strict=True) if is_lost}
    active = dict(zip(problem.varying, solution.active, strict=True))

    def status(name: str) -> str:
        if name in problem.ties:
            return f"= {problem.ties[name]}"
        if name not in active:
            return "fixed"
        return _BOUND.get(int(active[name]), "undetermined" if name in lost else "determined")

    def estimate(name: str) -> Estimate:
        row, error = problem.parameters[name], float(errors.get(name, np.nan))
        start, vary = float(row.start), name in active
        return Estimate(
            name, values[name], error, error, row.unit, row.low, row.high, start, vary, status(name)
        )

    return tuple(estimate(name) for name in problem.parameters)


def _bins(
    objective: Objective,
    scaling: SolvedScaling,
    noise: np.ndarray,
    covariance: np.ndarray,
    free: np.ndarray,
) -> tuple[BinScaling, ...]:
    inner = np.linalg.pinv(scaling.hessian, hermitian=True)
    through = inner @ scaling.coupling[:, free]
    joint = inner + through @ covariance @ through.T
    error = np.sqrt(np.einsum("bm,mn,bn->b", scaling.design, joint, scaling.design))
    contrast_error, offset_error = np.split(np.where(scaling.design.any(axis=1), error, np.nan), 2)
    return tuple(
        BinScaling(
            one.q,
            one.phi,
            float(scaling.contrast[k]),
            float(scaling.offset[k]),
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
    iterations: int,
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
        "iterations": iterations,
        "seconds": seconds,
    }


def _identifiability(found: Spectrum, names: list[str]) -> dict[str, Any]:
    return {
        "names": names,
        "rank": found.rank,
        "eigenvalues": [float(value) for value in found.eigenvalues],
        "undetermined": [name for name, lost in zip(names, found.undetermined, strict=True) if lost],
    }


def _message(problem: Problem, solution: Solution) -> str:
    at_bounds = [
        f"{name} {_BOUND[int(side)]}"
        for name, side in zip(problem.varying, solution.active, strict=True)
        if side
    ]
    return "; ".join(filter(None, [solution.message, *at_bounds]))
