"""From a solution to a `Fit`: estimates, scaling, errors, findings, bands, structure, statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heterodyne.problem.averaging import orders_of
from heterodyne.problem.kinds import AUTO
from heterodyne.problem.objective import Objective
from heterodyne.result.fit import BinScaling, Estimate, Fit
from heterodyne.result.provenance import Provenance
from heterodyne.result.statistics import Statistics
from heterodyne.solution.bands import curve_bands
from heterodyne.solution.claims import excess
from heterodyne.solution.covariance import quantile
from heterodyne.solution.deviance import deviance
from heterodyne.solution.lags import INDEPENDENT, doubtful_errors, of_lags, structure_over_lags
from heterodyne.solution.neighbourhood import Neighbourhood
from heterodyne.solution.residuals import Residuals, residuals_at, structure_at, structure_statistics
from heterodyne.solution.solution import AtSolution, Solution, at_solution
from heterodyne.solution.standard_errors import StandardErrors, scaling_errors, standard_errors
from heterodyne.solution.unknowns import Unknowns, identifiability, unknowns

_BOUND = {-1: "at low", 1: "at high"}


@dataclass(frozen=True, eq=False)
class Known:
    """What is known at a solution; ``around`` it, over the parameters off their bounds."""

    solution: Solution
    here: AtSolution
    errors: StandardErrors
    around: Neighbourhood
    unknown: Unknowns
    residuals: list[Residuals]

    @property
    def noise(self) -> np.ndarray:
        """The noise per element of every bin, (bins,)."""
        return np.array([residual.noise for residual in self.residuals])


def create_fit(solution: Solution, optimizer: str, seconds: float) -> Fit:
    """The result at a solution that the ``optimizer`` of this name found within ``seconds``."""
    known = _known(solution.folded())
    around, errors, unknown = known.around, known.errors, known.unknown
    names = zip(around.names, unknown.undetermined, strict=True)
    determined = tuple(name for name, is_lost in names if not is_lost)
    covariance = _covariance(around, ~unknown.undetermined)
    structure, misfit = _structure(known)
    bounds = _at_bounds(known)
    problem, width = around.problem, solution.objective.width[known.here.free]
    statistics = _statistics(known, seconds)
    unlike = excess(problem, known.residuals, statistics.get("reduced_chi2", np.nan))
    note = INDEPENDENT if problem.one_time else ""
    lags = of_lags(known.here)
    doubts = (
        solution.message,
        *bounds,
        misfit,
        unlike,
        doubtful_errors(lags),
        *errors.doubts,
        *solution.doubts,
    )
    return Fit(
        model=problem.model.name,
        optimizer=optimizer,
        estimates=_estimates(known),
        scaling=_bins(known),
        covariance=covariance,
        covariance_names=determined,
        statistics=statistics | errors.statistics | lags | structure | solution.statistics,
        identifiability=(
            identifiability(around, unknown, covariance, determined, bounds) | solution.identifiability
        ),
        verdict=solution.verdict,
        message="; ".join(filter(None, (*doubts, note))),
        provenance=Provenance(scaling=_designs(solution.objective)),
        problem=problem,
        curves=()
        if problem.one_time
        else curve_bands(around, width, quantile(errors.statistics.get("dof", np.inf))),
    )


def _known(solution: Solution) -> Known:
    here = at_solution(solution)
    errors = standard_errors(here, solution.robust)
    problem, slopes = here.weighted.problem, here.weighted.slopes(here.x)
    names = tuple(name for name, is_free in zip(problem.varying, here.free, strict=True) if is_free)
    around = Neighbourhood(
        problem, solution.values, names, slopes[here.free], errors.spectrum, errors.covariance
    )
    robust = errors.statistics.errors == "robust"
    return Known(
        solution, here, errors, around, unknowns(here, around, robust, solution.rivals), residuals_at(here)
    )


def _covariance(around: Neighbourhood, determined: np.ndarray) -> np.ndarray:
    """The covariance of the parameters themselves, over those that are ``determined`` (p,)."""
    covariance = around.covariance * np.outer(around.slopes, around.slopes)
    return covariance[np.ix_(determined, determined)]


def _structure(known: Known) -> tuple[Statistics, str]:
    """What is said about structure of the residuals in the statistics, and in the message."""
    if known.here.equations.cost <= known.here.weighted.floor:
        return Statistics(structure="not asked: the residuals are rounding"), ""
    if known.around.problem.one_time:
        return structure_over_lags(known.here)
    structure = structure_at(known.here, known.residuals)
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


def _estimates(known: Known) -> tuple[Estimate, ...]:
    problem, around, lost = known.around.problem, known.around, known.unknown.undetermined
    both = np.sqrt([np.diag(known.errors.covariance), np.diag(known.errors.independent)])
    errors = dict(zip(around.names, (np.where(lost, np.nan, both) * around.slopes).T, strict=True))
    undetermined = {name for name, is_lost in zip(around.names, lost, strict=True) if is_lost}
    active = dict(zip(problem.varying, known.solution.active, strict=True))

    def status(name: str) -> str:
        if name in problem.ties:
            return f"= {problem.ties[name]}"
        if name not in active:
            return "fixed"
        return _BOUND.get(int(active[name]), "undetermined" if name in undetermined else "determined")

    def estimate(name: str) -> Estimate:
        row, (error, independent) = problem.parameters[name], errors.get(name, (np.nan, np.nan))
        place = (row.unit, row.low, row.high, float(row.start), name in active, status(name))
        return Estimate(name, around.values[name], float(error), float(independent), *place)

    return tuple(estimate(name) for name in problem.parameters)


def _bins(known: Known) -> tuple[BinScaling, ...]:
    bins, scaling, unknown = known.here.weighted.bins, known.here.scaling, known.unknown
    contrast_error, offset_error = scaling_errors(known.here)
    columns = {
        "contrast": scaling.contrast,
        "offset": scaling.offset,
        "contrast_error": np.where(unknown.contrast, np.nan, contrast_error),
        "offset_error": np.where(unknown.offset, np.nan, offset_error),
        "noise": known.noise,
    }
    return tuple(
        BinScaling(
            bin.q,
            bin.phi,
            **{name: float(of[k]) for name, of in columns.items()},
            n_pairs=int(bin.moments.pairs),
        )
        for k, bin in enumerate(bins)
    )


def _statistics(known: Known, seconds: float) -> Statistics:
    """Figures of the fit as a whole."""
    objective, equations, scaling = known.here.weighted, known.here.equations, known.here.scaling
    variables = int((known.solution.active == 0).sum()) + scaling.design.shape[1]
    square = float(np.sum(scaling.ssr / known.noise**2))
    orders = orders_of(objective.bins)
    return Statistics(
        n_pairs=equations.n_pairs,
        n_variables=variables,
        ssr=float(scaling.ssr.sum()),
        cost=equations.cost,
        deviance=deviance(objective, scaling.ssr),
        reduced_chi2=square / max(equations.n_pairs - variables, 1),
        noise=tuple(known.noise.tolist()),
        iterations=known.solution.iterations,
        seconds=seconds,
        bin_average=str(orders),
        bin_nodes=(orders.q, orders.phi),
    )


def _at_bounds(known: Known) -> list[str]:
    """What stands at a bound, in words."""
    objective, scaling = known.here.weighted, known.here.scaling
    active = zip(objective.problem.varying, known.solution.active, strict=True)
    at_bounds = [f"{name} {_BOUND[int(side)]}" for name, side in active if side]
    for name, design, values in (
        ("contrast", objective.contrast, scaling.contrast),
        ("offset", objective.offset, scaling.offset),
    ):
        outside = int(np.sum((values <= design.low) | (values >= design.high)))
        if design.matrix.size and outside:
            at_bounds.append(f"{name} at its bound in {outside} of {len(values)} bins")
    return at_bounds
