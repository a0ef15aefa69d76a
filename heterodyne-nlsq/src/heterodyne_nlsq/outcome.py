"""From a solution of the trust region to a `Fit`: estimates, scaling, errors, statistics."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from heterodyne.covariance import robust_covariance
from heterodyne.finite_bins import orders_of
from heterodyne.goodness import neighbour_noise
from heterodyne.identifiability import FLAT, Spectrum, independent_covariance, spectrum
from heterodyne.normal_equations import NormalEquations, SolvedScaling
from heterodyne.problem import Problem
from heterodyne.result import BinScaling, Estimate, Fit
from heterodyne.scaling import AUTO
from heterodyne_nlsq.objective import Objective
from heterodyne_nlsq.robust import robust_meat
from heterodyne_nlsq.trust_region import Solution

_BOUND = {-1: "at low", 1: "at high"}
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
    names = [name for name, is_free in zip(problem.varying, here.free, strict=True) if is_free]
    slopes = objective.slopes(solution.x)[here.free]
    covariance = errors.covariance * np.outer(slopes, slopes)
    keep = np.flatnonzero(~errors.undetermined)
    noise, orders = _neighbour_noise(objective, solution, here.scaling), orders_of(objective.bins)
    doubts = (*errors.doubts, *doubts)
    return Fit(
        model=problem.model.name,
        optimizer="nlsq",
        estimates=_estimates(objective, solution, names, errors),
        scaling=_bins(objective, here, noise),
        covariance=covariance[np.ix_(keep, keep)],
        covariance_names=tuple(names[k] for k in keep),
        statistics={
            **_statistics(solution, here.equations, here.scaling, noise, seconds),
            **errors.statistics,
            "bin_average": str(orders),
            "bin_nodes": [orders.q, orders.phi],
        },
        identifiability=_identifiability(here.found, names, errors.undetermined),
        verdict=solution.verdict,
        message="; ".join(filter(None, (_message(problem, solution, here.scaling, objective), *doubts))),
        provenance={"scaling": _designs(objective)},
        problem=problem,
    )


class _Errors(NamedTuple):
    """Covariances over the free coordinates (p, p), which of those are undetermined, and what to say."""

    covariance: np.ndarray
    independent: np.ndarray
    undetermined: np.ndarray
    statistics: dict[str, Any]
    doubts: tuple[str, ...]


def _errors(objective: Objective, solution: Solution, here: AtSolution, robust: bool) -> _Errors:
    independent = independent_covariance(here.found)
    if not robust or not here.free.any():
        return _Errors(independent, independent, here.found.undetermined, {"errors": "independent"}, ())
    weighted = objective.weighted(residual_noise(objective, solution))
    meat = robust_meat(weighted, solution.x, here.free)
    covariance = robust_covariance(here.found, meat.matrix)
    width = (objective.high - objective.low)[here.free]
    undetermined = here.found.undetermined | (2.0 * np.sqrt(np.diag(covariance)) > width)
    statistics = {"errors": "robust", "bandwidth": meat.bandwidth, "dof": meat.dof}
    if meat.shared is None:
        return _Errors(covariance, independent, undetermined, statistics, ())
    shared = robust_covariance(here.found, meat.shared)
    together, apart = (np.diag(matrix)[~undetermined] for matrix in (shared, covariance))
    ratio = float(np.sqrt(np.max(together / apart, initial=0.0)))
    doubt = (
        f"errors would be up to {ratio:.1f} times larger with the bins taken for correlated: "
        "look for noise that they share (beam, drift)"
    )
    return _Errors(
        covariance,
        independent,
        undetermined,
        {**statistics, "common_noise_ratio": ratio},
        (doubt,) if ratio > _COMMON else (),
    )


class AtSolution(NamedTuple):
    """Normal equations and scaling at a solution, weighted by the residual noise of every bin.

    ``free`` (p,) marks the coordinates that are off their bounds, ``found`` is the spectrum over those.
    """

    equations: NormalEquations
    scaling: SolvedScaling
    free: np.ndarray
    found: Spectrum


def at_solution(objective: Objective, solution: Solution) -> AtSolution:
    """What errors at a solution are made from."""
    equations, scaling = objective.weighted(residual_noise(objective, solution)).solve(solution.x)
    free = solution.active == 0
    found = spectrum(equations.gram[np.ix_(free, free)], (objective.high - objective.low)[free])
    return AtSolution(equations, scaling, free, found)


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


def _neighbour_noise(objective: Objective, solution: Solution, scaling: SolvedScaling) -> np.ndarray:
    params = objective.problem.expand(objective.to_values(solution.x))
    rows = zip(objective.bins, scaling.contrast, scaling.offset, strict=True)
    return np.array([neighbour_noise(objective.problem.model, params, *row) for row in rows])


def _estimates(
    objective: Objective, solution: Solution, names: list[str], errors: _Errors
) -> tuple[Estimate, ...]:
    problem = objective.problem
    values = problem.expand(objective.to_values(solution.x))
    slopes = dict(zip(problem.varying, objective.slopes(solution.x), strict=True))
    both = np.sqrt([np.diag(errors.covariance), np.diag(errors.independent)])
    columns = np.where(errors.undetermined, np.nan, both).T
    known = {name: slopes[name] * row for name, row in zip(names, columns, strict=True)}
    lost = {name for name, is_lost in zip(names, errors.undetermined, strict=True) if is_lost}
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


def _bins(objective: Objective, here: AtSolution, noise: np.ndarray) -> tuple[BinScaling, ...]:
    contrast_error, offset_error = scaling_errors(here)
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


def _identifiability(found: Spectrum, names: list[str], undetermined: np.ndarray) -> dict[str, Any]:
    return {
        "names": names,
        "rank": found.rank,
        "eigenvalues": [float(value) for value in found.eigenvalues],
        "undetermined": [name for name, lost in zip(names, undetermined, strict=True) if lost],
    }


def _message(problem: Problem, solution: Solution, scaling: SolvedScaling, objective: Objective) -> str:
    """The solver's words, and what stands at a bound."""
    at_bounds = [
        f"{name} {_BOUND[int(side)]}"
        for name, side in zip(problem.varying, solution.active, strict=True)
        if side
    ]
    for name, design, values in (
        ("contrast", objective.contrast, scaling.contrast),
        ("offset", objective.offset, scaling.offset),
    ):
        outside = int(np.sum((values <= design.low) | (values >= design.high)))
        if design.matrix.size and outside:
            at_bounds.append(f"{name} at its bound in {outside} of {len(values)} bins")
    return "; ".join(filter(None, [solution.message, *at_bounds]))
