"""From draws to a `Fit`: medians, intervals, diagnostics, and what only the prior determines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from heterodyne.parameters import SCALING
from heterodyne.problem.objective import Objective
from heterodyne.problem.problem import Problem
from heterodyne.result.fit import CONVERGED, BinScaling, Estimate, Fit
from heterodyne.result.identifiability import Finding, Identifiability
from heterodyne.result.provenance import Provenance
from heterodyne.result.statistics import Statistics
from heterodyne.solution.deviance import deviance
from heterodyne.solution.other_solutions import aliased_fringes, other_solutions
from heterodyne_cmc.bands import LEVELS, posterior_bands
from heterodyne_cmc.posterior import Posterior, learnt, prior_directions

_FAILED = "diagnostics failed"

_UNLEARNT = 0.1  # of the prior variance: a parameter of which less is gone is called undetermined


def create_fit(
    objective: Objective,
    posterior: Posterior,
    failed: list[str],
    sampling: Statistics,
    seed: int,
) -> Fit:
    """The result of sampling; ``failed`` are the gates that it did not pass, ``sampling`` is how it was done."""
    problem, known = objective.problem, learnt(objective.problem, posterior, seed)
    unknown = prior_directions(problem, posterior, seed)
    scaling = _bins(objective, posterior)
    said = [f"only the prior determines {'; '.join(unknown)}"] if unknown else []
    return Fit(
        model=problem.model.name,
        optimizer="cmc",
        estimates=_estimates(problem, posterior, known),
        scaling=scaling,
        covariance=np.cov(posterior.flat.T).reshape(len(posterior.names), -1),
        covariance_names=posterior.names,
        statistics=(
            _at_median(objective, posterior)
            | Statistics(noise=tuple(row.noise for row in scaling))
            | _outside(posterior)
            | sampling
            | Statistics(levels=LEVELS, quantiles=posterior.quantiles(LEVELS))
        ),
        verdict=_FAILED if failed else CONVERGED,
        message="; ".join([*failed, *said]),
        identifiability=Identifiability(
            learnt=known, prior_only=tuple(unknown), findings=_findings(objective, posterior)
        ),
        provenance=Provenance(
            scaling={"contrast": str(problem.choices.contrast), "offset": str(problem.choices.offset)}
        ),
        problem=problem,
        curves=posterior_bands(problem, posterior),
        posterior=posterior,
    )


def _findings(objective: Objective, posterior: Posterior) -> tuple[Finding, ...]:
    """Other solutions that fit as well as the medians, which chains that start at one of them never reach."""
    problem = objective.problem
    values = problem.expand(np.median(posterior.flat, axis=0))

    def cost(other: Mapping[str, float]) -> float:
        return objective(np.clip(objective.point(other), objective.low, objective.high)).cost

    return (*other_solutions(problem, values, cost), *aliased_fringes(problem, values))


def _estimates(problem: Problem, posterior: Posterior, known: Mapping[str, float]) -> tuple[Estimate, ...]:
    median = np.median(posterior.flat, axis=0)
    sd = dict(zip(posterior.names, posterior.flat.std(axis=0, ddof=1), strict=True))
    values = problem.expand(median)

    def status(name: str) -> str:
        if name in problem.ties:
            return f"= {problem.ties[name]}"
        if name not in sd:
            return "fixed"
        return "determined" if known[name] > _UNLEARNT else "undetermined"

    def estimate(name: str) -> Estimate:
        row, error = problem.parameters[name], float(sd.get(problem.ties.get(name, name), np.nan))
        place = (row.unit, row.low, row.high, float(row.start), name in sd, status(name))
        return Estimate(name, values[name], error, np.nan, *place)

    return tuple(estimate(name) for name in problem.parameters)


def _bins(objective: Objective, posterior: Posterior) -> tuple[BinScaling, ...]:
    def of(draws: np.ndarray, k: int) -> tuple[float, float]:
        return float(np.median(draws[..., k])), float(draws[..., k].std(ddof=1))

    rows = []
    for k, bin in enumerate(objective.bins):
        contrast, contrast_error = of(posterior.contrast, k)
        offset, offset_error = of(posterior.offset, k)
        noise = float(np.median(posterior.noise[..., k]))
        place = (contrast, offset, contrast_error, offset_error, noise, int(bin.moments.pairs))
        rows.append(BinScaling(bin.q, bin.phi, *place))
    return tuple(rows)


def _outside(posterior: Posterior) -> Statistics:
    """The shares of draws of contrast and offset outside their bounds, which do not act on them."""

    def share(name: str) -> float:
        draws, row = getattr(posterior, name), SCALING[name]
        return float(np.mean((draws < row.low) | (draws > row.high)))

    return Statistics(contrast_outside=share("contrast"), offset_outside=share("offset"))


def _at_median(objective: Objective, posterior: Posterior) -> Statistics:
    """Least-squares figures at the medians."""
    x = objective.to_coordinates(np.median(posterior.flat, axis=0))
    equations, scaling = objective.solve(np.clip(x, objective.low, objective.high))
    variables = len(x) + scaling.design.shape[1]
    square = float(np.sum(scaling.ssr / objective.sigma**2))
    return Statistics(
        n_pairs=equations.n_pairs,
        n_variables=variables,
        ssr=float(scaling.ssr.sum()),
        ssr_per_bin=tuple(map(float, scaling.ssr)),
        cost=equations.cost,
        deviance=deviance(objective, scaling.ssr),
        reduced_chi2=square / max(equations.n_pairs - variables, 1),
    )
