"""The optimizer `nlsq`: trust-region least squares over all bins jointly."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from heterodyne.bins.kept import Home
from heterodyne.problem.ahead import compiled_ahead
from heterodyne.problem.compression import compressed, compression_words, left_out_at, uncompressed
from heterodyne.problem.objective import Objective, create_objective
from heterodyne.problem.problem import Problem
from heterodyne.result.fit import Fit
from heterodyne.result.identifiability import Finding
from heterodyne.result.profile import Profile
from heterodyne.result.statistics import Statistics
from heterodyne.solution.outcome import Known, fit_of, known_at
from heterodyne.solution.residuals import noise_of_weights, residuals_at
from heterodyne.solution.solution import Solution, at_solution, residual_noise
from heterodyne_nlsq.averaged import bin_warnings, fit_averaged
from heterodyne_nlsq.carried import carried, on_objective, with_rivals
from heterodyne_nlsq.clipped import where_it_clips
from heterodyne_nlsq.conditional import fit_with_profiles
from heterodyne_nlsq.held import check_priors, hold_undetermined
from heterodyne_nlsq.homes import home_of
from heterodyne_nlsq.profile import check_profiled
from heterodyne_nlsq.reading import choose, read
from heterodyne_nlsq.scaling_choice import shared_where_unknown
from heterodyne_nlsq.starts.elsewhere import is_doubtful, lower_elsewhere
from heterodyne_nlsq.starts.global_search import with_global_search
from heterodyne_nlsq.starts.minima import Minima
from heterodyne_nlsq.starts.race import screened_cost
from heterodyne_nlsq.starts.search import Search, create_search, minima_of, search_points
from heterodyne_nlsq.starts.sequential import bin_by_bin
from heterodyne_nlsq.trust_region.refine import continued

_WEIGHT_ROUNDS = 2

_LEFT_OUT = 0.05  # of a standard error, of the minimum of compressed tiles


def fit(problem: Problem, options: Mapping[str, Any], progress: Callable[[str], None]) -> Fit:
    """The result at the least-squares solution of a problem, whose bins the processes of an executor may keep."""
    check_profiled(problem, options["profile"])
    check_priors(problem, options["hold_at_prior"])
    with home_of(problem, options, progress) as home:
        return _fitted(problem, options, progress, home)


def _fitted(
    problem: Problem, options: Mapping[str, Any], progress: Callable[[str], None], home: Home | None
) -> Fit:
    """The result, of bins that are kept at ``home`` where there is one.

    Where its residuals are no noise, another search is made: the result is at what that finds far lower, or says so
    where the fit was to begin at given values. Raises `ParameterError` and `ConfigError` for options that do not go
    with the problem.
    """
    began = perf_counter()
    search = create_search(options, progress)
    solution = _solved(problem, options, search, home)
    doubts = bin_warnings(solution, options["bin_average"])
    for line in doubts:
        warnings.warn(line, stacklevel=6)  # the caller of `heterodyne.fit`
    robust = options["errors"] == "robust"
    solution = replace(solution, robust=robust, doubts=(*solution.doubts, *doubts))
    result = _concluded(solution, options, search, began)
    first = _early(solution.objective, options, search)
    if result.success and is_doubtful(result) and (lower := lower_elsewhere(solution, first)):
        found = _decided(lower, options, first, search)
        statistics = Statistics() | {**solution.statistics, **found.statistics}
        found = replace(found, robust=robust, doubts=solution.doubts, statistics=statistics)
        at = found if problem.needs_start else _beside(solution, found)
        result = _concluded(at, options, search, began)
    return result


def _concluded(solution: Solution, options: Mapping[str, Any], search: Search, began: float) -> Fit:
    """The result at a solution, with profiles."""

    def conclude(at: Solution) -> Known:
        at = where_it_clips(at)
        return known_at(hold_undetermined(at, search) if options["hold_at_prior"] else at)

    def finish(known: Known, profiles: Mapping[str, Profile], findings: Sequence[Finding]) -> Fit:
        return fit_of(known, "nlsq", perf_counter() - began, profiles, findings)

    asked, unasked = options["profile"], options["profiles"] == "auto"
    if not (unasked or asked):
        return finish(conclude(solution), {}, ())
    return fit_with_profiles(solution, conclude, finish, asked, unasked, search)


def _early(objective: Objective, options: Mapping[str, Any], search: Search) -> Search:
    """The search for minima of which, with weights, others will be made."""
    weights = options["weights"]
    is_weighted = weights == "speckle" or (weights == "noise" and len(objective.bins) > 1)
    return search.early() if is_weighted else search


def _solved(problem: Problem, options: Mapping[str, Any], search: Search, home: Home | None) -> Solution:
    """The lowest minimum with averaging, scaling designs and weights as it needs them itself."""
    strategy = choose(problem, options["strategy"], options["memory"], home)
    search.progress(f"{strategy.name}: {strategy.reason}")
    objective = create_objective(problem, read(problem, strategy, home))
    compiled_ahead(objective, options["weights"] == "speckle")
    first = _early(objective, options, search)
    minima = _searched(objective, first, strategy.name == "sequential")
    if options["global"]:
        minima = with_global_search(minima, first)
    solution = _decided(minima, options, first, search)
    words = solution.statistics.get("strategy_reason") or compression_words(solution.objective)
    figures = Statistics(
        strategy=strategy.name,
        strategy_reason="; ".join(filter(None, (strategy.reason, words))),
        weights=_weights(solution.objective, options["weights"]),
    )
    return replace(solution, statistics=Statistics() | solution.statistics | figures)


def _decided(minima: Minima, options: Mapping[str, Any], first: Search, search: Search) -> Solution:
    """The lowest of these minima once averaging, scaling designs and weights are as it needs them itself.

    They are found as ``first`` has it as long as others will be made of them.
    """
    weights = options["weights"]
    if options["bin_average"]:
        minima = carried(minima, partial(fit_averaged, search=first), first)
    minima = carried(minima, partial(shared_where_unknown, search=first), first)
    if weights != "equal" and len(minima[0].objective.bins) > 1:
        minima = _reweighted(minima, first if weights == "speckle" else search)
    if weights == "speckle":
        minima = _whitened(minima, search)
    return _checked(with_rivals(minima), search)


def _checked(solution: Solution, search: Search) -> Solution:
    """The solution where compressed tiles tell what all tiles do there, else the one that these lead to."""
    objective = solution.objective
    whole = uncompressed(objective)
    if whole is objective or (off := left_out_at(objective, solution.x)) <= _LEFT_OUT:
        return solution
    search.progress(f"compressed tiles leave out {off:.2g} of a standard error: going on with all tiles")
    words = f"{compression_words(objective)}, and all of them read in the end"
    found = continued(whole, solution, search.tolerances)
    return replace(found, statistics=Statistics() | found.statistics | Statistics(strategy_reason=words))


def _beside(solution: Solution, lower: Solution) -> Solution:
    """A solution that lies where its start values led, though another one is far lower."""
    there = ", ".join(f"{name} = {lower.values[name]:.4g}" for name in lower.objective.problem.varying)
    words = f"a search from other starts ends far lower, at {there}: leave start values out, or begin there"
    return replace(solution, verdict="lower elsewhere", message=words)


def _weights(objective: Objective, asked: str) -> str:
    """What pairs were weighted by: what was ``asked`` for, or the noise of bins where no covariance can be used."""
    can = any(bin.is_whitened for bin in objective.bins)
    return "noise" if asked == "speckle" and not can else asked


def _searched(objective: Objective, search: Search, sequential: bool) -> Minima:
    """The lowest minima from all starts; if ``sequential`` from where fits of bin after bin lead."""
    points = search_points(objective, search)
    objective = compressed(objective, points, search.progress)
    if not sequential:
        return minima_of(objective, points, search)
    first = min(points, key=partial(screened_cost, objective))
    start, table = bin_by_bin(objective, first, search)
    minima = minima_of(objective, start[None], search)
    return tuple(replace(at, statistics=Statistics(sequential=table)) for at in minima)


def _reweighted(minima: Minima, search: Search) -> Minima:
    """The minima with every bin weighted by its noise, which is estimated anew from the best one's residual twice."""
    for number in range(_WEIGHT_ROUNDS):
        objective = minima[0].objective.weighted(residual_noise(minima[0]))
        search.progress(f"weights, round {number + 1}: noise {_listed(objective.sigma)}")
        is_last = number == _WEIGHT_ROUNDS - 1
        minima = on_objective(objective, minima, search if is_last else search.early())
    return minima


def _whitened(minima: Minima, search: Search) -> Minima:
    """The minima with pairs weighted by the covariance of their frames, made anew at the best one twice."""
    here = at_solution(minima[0])
    ratio = noise_of_weights(here, residuals_at(here))
    for number in range(_WEIGHT_ROUNDS):
        objective = minima[0].objective.whitened(minima[0].x, ratio)
        objective = objective.weighted(residual_noise(replace(minima[0], objective=objective)))
        search.progress(f"weights of frames, round {number + 1}: noise over contrast {_listed(ratio)}")
        objective = compressed(objective, np.array([of.x for of in minima]), search.progress)
        is_last = number == _WEIGHT_ROUNDS - 1
        minima = on_objective(objective, minima, search if is_last else search.early())
    return minima


def _listed(values: np.ndarray) -> str:
    shown = ", ".join(f"{value:.3g}" for value in values[:6])
    return shown + (", ..." if len(values) > 6 else "")
