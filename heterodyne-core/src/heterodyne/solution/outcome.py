"""From a solution to a `Fit`: estimates, scaling, errors, findings, bands, structure, statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from heterodyne.frozen import FrozenMapping
from heterodyne.problem.averaging import orders_of
from heterodyne.problem.kinds import AUTO
from heterodyne.problem.objective import Objective
from heterodyne.result.derived import derived_of
from heterodyne.result.fit import CONVERGED, BinScaling, Estimate, Fit
from heterodyne.result.identifiability import Finding
from heterodyne.result.profile import Profile
from heterodyne.result.provenance import Provenance
from heterodyne.result.statistics import Statistics
from heterodyne.solution.bands import curve_bands
from heterodyne.solution.claims import KIND, NOT_SEEN, excess
from heterodyne.solution.conditions import (
    BOUNDS,
    Condition,
    condition_findings,
    conditions,
    errors_at,
    minima_beside,
    settled,
)
from heterodyne.solution.covariance import quantile
from heterodyne.solution.deviance import deviance
from heterodyne.solution.followers import on_profiles
from heterodyne.solution.frame_noise import FrameNoise
from heterodyne.solution.gain import gain_of_weights
from heterodyne.solution.intervals import parameter_interval
from heterodyne.solution.lags import INDEPENDENT, doubtful_errors, of_lags, structure_over_lags
from heterodyne.solution.misfit import structure_at, structure_statistics
from heterodyne.solution.neighbourhood import Neighbourhood
from heterodyne.solution.residuals import Residuals, residuals_at
from heterodyne.solution.solution import AtSolution, Solution, at_solution
from heterodyne.solution.standard_errors import StandardErrors, standard_errors
from heterodyne.solution.unknowns import Unknowns, identifiability, unknowns

_UNFINISHED = "no error bars: they would be those of a minimum, and the fit has not ended in the lowest"


@dataclass(frozen=True, eq=False)
class Known:
    """What is known at a solution; ``around`` it, over the parameters off their bounds."""

    solution: Solution
    here: AtSolution
    errors: StandardErrors
    around: Neighbourhood
    unknown: Unknowns
    conditional: Mapping[str, Condition]
    residuals: list[Residuals]

    @property
    def known(self) -> np.ndarray:
        """The free coordinates (p,) whose error bar holds: none where the fit has not converged."""
        sound = ~self.unknown.undetermined & ~np.isin(self.around.names, list(self.conditional))
        return sound & (self.solution.verdict == CONVERGED)

    def joined(self, findings: Iterable[Finding]) -> Known:
        """The same with further findings before the others, which say nothing of what these leave undetermined."""
        findings = tuple(findings)
        lost = {name for finding in findings if finding.undetermined for name in finding.parameters}
        others = [f for f in self.unknown.findings if not (f.undetermined and lost.issuperset(f.parameters))]
        unknown = replace(self.unknown, findings=()).joined([*findings, *others])
        kept = {name: condition for name, condition in self.conditional.items() if name not in lost}
        return replace(self, unknown=unknown, conditional=kept)

    @property
    def lost(self) -> frozenset[str]:
        """The names of those that are undetermined."""
        names = zip(self.around.names, self.unknown.undetermined, strict=True)
        return frozenset(name for name, is_lost in names if is_lost)

    @property
    def unseen(self) -> frozenset[str]:
        """The names of those of which the data show nothing."""
        findings = (finding for finding in self.unknown.findings if finding.kind in (KIND, NOT_SEEN))
        return frozenset(name for finding in findings for name in finding.parameters)

    @property
    def quantile(self) -> float:
        """The half width of a 95 % interval in errors."""
        return quantile(self.errors.statistics.get("dof", np.inf))

    @property
    def noise(self) -> np.ndarray:
        """The noise per element of every bin, (bins,)."""
        return np.array([residual.noise for residual in self.residuals])


def create_fit(solution: Solution, optimizer: str, seconds: float) -> Fit:
    """The result at a solution that the ``optimizer`` of this name found within ``seconds``."""
    return fit_of(known_at(solution), optimizer, seconds)


def known_at(solution: Solution) -> Known:
    """What is known at a solution, axes folded into their bounds."""
    solution = solution.folded()
    here = at_solution(solution)
    residuals = residuals_at(here)
    errors = standard_errors(here, residuals, solution.robust)
    problem, slopes = here.weighted.problem, here.weighted.slopes(here.x)
    at = errors_at(here, errors)
    around = Neighbourhood(
        problem, solution.values, at.names, slopes[here.free], errors.spectrum, errors.covariance
    )
    unknown = unknowns(here, around, errors.statistics.errors == "robust", solution.rivals)
    conditional = conditions(at, ~unknown.undetermined, solution.active, solution.rivals)
    return Known(solution, here, errors, around, unknown, conditional, residuals)


def _judged(known: Known, profiles: Mapping[str, Profile], remedies: Iterable[Finding]) -> Known:
    """What is known after ``profiles``, with ``remedies`` for what stands at bounds."""
    at = errors_at(known.here, known.errors)
    sound = {name: profiles[name] for name in profiles if name not in known.lost}
    conditional, opened = settled(at, known.conditional, sound, known.quantile)
    conditional = on_profiles(at, known.known, profiles, known.quantile) | conditional
    unfinished = [] if known.solution.verdict == CONVERGED else [Finding("conditional", _UNFINISHED)]
    unknown = known.unknown.joined([*opened, *condition_findings(conditional), *remedies, *unfinished])
    return replace(known, conditional=conditional, unknown=unknown)


def fit_of(
    known: Known,
    optimizer: str,
    seconds: float,
    profiles: Mapping[str, Profile] = FrozenMapping(),
    remedies: Iterable[Finding] = (),
) -> Fit:
    """The result of what is known at a solution, with the ``profiles`` that judge its errors.

    ``remedies`` are findings about what stands at bounds.
    """
    known = _judged(known, profiles, remedies)
    solution, around, errors, unknown = known.solution, known.around, known.errors, known.unknown
    determined = tuple(name for name, is_known in zip(around.names, known.known, strict=True) if is_known)
    covariance = _covariance(around, known.known)
    structure, misfit = structure_of(known.here, known.residuals, known.errors.modelled)
    bounds = _at_bounds(known)
    problem, width = around.problem, solution.objective.width[known.here.free]
    beside = minima_beside(errors_at(known.here, errors), solution.rivals)
    curves = curve_bands(around, width, known.quantile, known.unseen, beside)
    statistics = _statistics(known, seconds)
    unlike = excess(problem, known.residuals, statistics.get("reduced_chi2", np.nan))
    note = INDEPENDENT if problem.one_time else ""
    lags, gain = of_lags(known.here), gain_of_weights(solution, known.here, errors)
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
        estimates=_estimates(known, profiles),
        scaling=_bins(known),
        covariance=covariance,
        covariance_names=determined,
        statistics=statistics | errors.statistics | gain | lags | structure | solution.statistics,
        identifiability=(
            identifiability(around, unknown, covariance, determined, bounds, tuple(known.conditional))
            | solution.identifiability
        ),
        verdict=solution.verdict,
        message="; ".join(filter(None, (*doubts, note))),
        provenance=Provenance(scaling=_designs(solution.objective)),
        problem=problem,
        curves=() if problem.one_time else curves,
        derived=derived_of(curves, constant=problem.one_time),
        profiles=dict(profiles),
    )


def _covariance(around: Neighbourhood, determined: np.ndarray) -> np.ndarray:
    """The covariance of the parameters themselves, over those that are ``determined`` (p,)."""
    covariance = around.covariance * np.outer(around.slopes, around.slopes)
    return covariance[np.ix_(determined, determined)]


def structure_of(
    here: AtSolution, residuals: Sequence[Residuals], modelled: np.ndarray | None = None
) -> tuple[Statistics, str]:
    """What is said about structure of the residuals in the statistics, and in the message.

    ``modelled`` is the covariance of scores that speckle gives, if it is known.
    """
    if here.equations.cost <= here.weighted.floor:
        return Statistics(structure="not asked: the residuals are rounding"), ""
    if here.weighted.problem.one_time:
        return structure_over_lags(here)
    structure = structure_at(here, residuals, modelled)
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


def _estimates(known: Known, profiles: Mapping[str, Profile]) -> tuple[Estimate, ...]:
    problem, around = known.around.problem, known.around
    both = np.sqrt([np.diag(known.errors.covariance), np.diag(known.errors.independent)])
    errors = dict(zip(around.names, (np.where(known.known, both, np.nan) * around.slopes).T, strict=True))
    active = dict(zip(problem.varying, known.solution.active, strict=True))
    t = known.quantile

    def status(name: str) -> str:
        if name in problem.ties:
            return f"= {problem.ties[name]}"
        if name not in active:
            return "fixed"
        if active[name]:
            return BOUNDS[int(active[name])]
        if name in known.lost:
            return "undetermined"
        is_sound = name not in known.conditional and known.solution.verdict == CONVERGED
        return "determined" if is_sound else "conditional"

    def estimate(name: str) -> Estimate:
        row, (error, independent) = problem.parameters[name], errors.get(name, (np.nan, np.nan))
        place = (row.unit, row.low, row.high, problem.given_start(name), name in active, status(name))
        value, error = around.values[name], float(error)
        interval = _profiled(profiles, name) or parameter_interval(row, value, error, t)
        return Estimate(name, value, error, float(independent), *place, interval)

    return tuple(estimate(name) for name in problem.parameters)


def _profiled(profiles: Mapping[str, Profile], name: str) -> tuple[float, float] | None:
    """The 95 % interval of a profile, an open end at the bound."""
    if name not in profiles:
        return None
    profile = profiles[name]
    ends = profile.interval()
    return max(ends.low, profile.low), min(ends.high, profile.high)


def _bins(known: Known) -> tuple[BinScaling, ...]:
    bins, scaling, unknown = known.here.weighted.bins, known.here.scaling, known.unknown
    columns = {
        "contrast": scaling.contrast,
        "offset": scaling.offset,
        "contrast_error": np.where(unknown.contrast, np.nan, known.errors.contrast),
        "offset_error": np.where(unknown.offset, np.nan, known.errors.offset),
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
    ssr = np.array([residual.ssr for residual in known.residuals])
    square = chi2_of(objective, known.residuals, known.errors.frames)
    orders = orders_of(objective.bins)
    return Statistics(
        n_pairs=equations.n_pairs,
        n_variables=variables,
        ssr=float(ssr.sum()),
        cost=equations.cost,
        deviance=deviance(objective, ssr),
        reduced_chi2=square / max(equations.n_pairs - variables, 1),
        noise=tuple(known.noise.tolist()),
        iterations=known.solution.iterations,
        seconds=seconds,
        bin_average=str(orders),
        bin_nodes=(orders.q, orders.phi),
    )


def chi2_of(objective: Objective, residuals: Sequence[Residuals], frames: Sequence[FrameNoise]) -> float:
    """χ² of the residuals of all bins, against the noise that differences of neighbours show."""
    square = np.nan
    if frames:
        square = float(np.dot([bin.moments.pairs for bin in objective.bins], [of.excess for of in frames]))
    if not np.isfinite(square):  # of data of which no two neighbours are in use
        square = float(sum(residual.ssr / residual.noise**2 for residual in residuals))
    return square


def _at_bounds(known: Known) -> list[str]:
    """What stands at a bound, in words."""
    objective, scaling = known.here.weighted, known.here.scaling
    active = zip(objective.problem.varying, known.solution.active, strict=True)
    at_bounds = [f"{name} {BOUNDS[int(side)]}" for name, side in active if side]
    for name, design, values in (
        ("contrast", objective.contrast, scaling.contrast),
        ("offset", objective.offset, scaling.offset),
    ):
        outside = int(np.sum((values <= design.low) | (values >= design.high)))
        if design.matrix.size and outside:
            at_bounds.append(f"{name} at its bound in {outside} of {len(values)} bins")
    return at_bounds
