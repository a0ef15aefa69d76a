"""From draws to a `Fit`: medians, intervals, diagnostics, and what only the prior determines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter

import numpy as np

from heterodyne.parameters import SCALING
from heterodyne.problem.objective import Objective, create_objective
from heterodyne.problem.problem import Problem
from heterodyne.result.fit import CONVERGED, BinScaling, Estimate, Fit
from heterodyne.result.identifiability import Finding, Identifiability
from heterodyne.result.provenance import Provenance
from heterodyne.result.statistics import Statistics
from heterodyne.solution.claims import excess, unsupported
from heterodyne.solution.deviance import deviance
from heterodyne.solution.other_solutions import aliased_fringes, other_solutions
from heterodyne.solution.outcome import chi2_of, structure_of
from heterodyne.solution.residuals import Residuals, noise_of_frames, residuals_at
from heterodyne.solution.solution import AtSolution
from heterodyne_cmc.bands import LEVELS, posterior_bands
from heterodyne_cmc.blocks import block_likelihood, block_scale
from heterodyne_cmc.calibration import at_point, excess_of
from heterodyne_cmc.diagnostics import Gates, refinement_failures, shard_failures
from heterodyne_cmc.drawing import Sampled
from heterodyne_cmc.joint import JointDraws
from heterodyne_cmc.posterior import Posterior, create_posterior, learnt, prior_directions
from heterodyne_cmc.run import Run

_FAILED = "diagnostics failed"

_UNLEARNT = 0.1  # of the prior variance: a parameter of which less is gone is called undetermined


def sampled_fit(run: Run, sampled: Sampled, draws: JointDraws, began: float) -> Fit:
    """The result of a run that began at this `perf_counter`, of the joint draws of all data."""
    statistics = sampled.draws[0].statistics if len(sampled.draws) == 1 else {}
    space, scale = run.targets[0].space, _scale_of_blocks(run)
    of_blocks = block_likelihood(run.code, space, run.bins, draws, scale)
    posterior = create_posterior(run.problem, run.code, space, draws, of_blocks, statistics)
    gates, summary = Gates.of(run.options), _summary(run, sampled)
    failed = shard_failures(sampled.diagnoses, gates)
    if draws.acceptance is not None:
        failed = refinement_failures(posterior.names, posterior.values, draws.acceptance, gates) + failed
        summary |= Statistics(acceptance=draws.acceptance)
    objective = create_objective(run.problem, run.bins).weighted(run.prepared.weighted_noise)
    summary |= Statistics(seconds=perf_counter() - began)
    doubts = excess_of(run.prepared.calibration).words()
    return create_fit(objective, posterior, failed, summary, sampled.settings.seed, doubts)


def _scale_of_blocks(run: Run) -> float:
    """The scale of the log likelihood of blocks, that of the calibration unless one is given."""
    return run.options["block_scale"] or block_scale(float(run.prepared.calibration.inflation))


def _summary(run: Run, sampled: Sampled) -> Statistics:
    """How it was sampled, and the worst of every diagnostic over the shards."""
    settings, shards = sampled.settings, sampled.diagnoses
    order_q, order_phi = map(int, run.prepared.orders)
    calibration = run.prepared.calibration
    of_noise, of_check = Statistics(), Statistics()
    if check := sampled.check:
        of_check = Statistics(reduced_rank=check.rank, reduced_error=check.error, reduced_checks=check.draws)
    if run.options["likelihood"] == "calibrated":
        of_noise = Statistics(dof=float(calibration.dof), noise_ratio=float(calibration.noise_ratio))
    return (
        of_noise
        | of_check
        | Statistics(
            likelihood=run.options["likelihood"],
            weights=run.prepared.weights,
            bandwidth=int(calibration.bandwidth),
            shards=len(shards),
            threads=settings.threads,
            chains=settings.chains,
            warmup=settings.warmup,
            draws=settings.draws,
            target_accept=settings.target_accept,
            max_rhat=max(max(shard.rhat.values()) for shard in shards),
            min_ess_bulk=min(min(shard.ess_bulk.values()) for shard in shards),
            min_ess_tail=min(min(shard.ess_tail.values()) for shard in shards),
            min_bfmi=min(shard.bfmi for shard in shards),
            divergences=sum(shard.divergences for shard in shards),
            leapfrog_steps=float(np.mean([shard.steps for shard in shards])),
            iterations=settings.chains * (settings.warmup + settings.draws) * len(shards),
            bin_nodes=(order_q, order_phi),
            diagnostics=shards,
        )
    )


def create_fit(
    objective: Objective,
    posterior: Posterior,
    failed: list[str],
    sampling: Statistics,
    seed: int,
    doubts: Sequence[str] = (),
) -> Fit:
    """The result of sampling; ``failed`` are the gates that it did not pass, ``sampling`` is how it was done, and
    ``doubts`` what is to be said of the noise."""
    problem, known = objective.problem, learnt(objective.problem, posterior, seed)
    unknown = prior_directions(problem, posterior, seed)
    scaling, here = _bins(objective, posterior), _at_median(objective, posterior)
    residuals, nothing_seen = residuals_at(here), unsupported(objective, here.scaling)
    figures, (structure, misfit) = _figures(here, residuals), structure_of(here, residuals)
    unlike = excess(problem, residuals, figures.get("reduced_chi2", np.nan))
    said = [f"only the prior determines {'; '.join(unknown)}"] if unknown else []
    return Fit(
        model=problem.model.name,
        optimizer="cmc",
        estimates=_estimates(problem, posterior, {} if nothing_seen else known),
        scaling=scaling,
        covariance=np.cov(posterior.flat.T).reshape(len(posterior.names), -1),
        covariance_names=posterior.names,
        statistics=(
            figures
            | structure
            | Statistics(noise=tuple(bin.noise for bin in scaling))
            | _outside(posterior)
            | sampling
            | Statistics(levels=LEVELS, quantiles=posterior.quantiles(LEVELS))
        ),
        verdict=_FAILED if failed else CONVERGED,
        message="; ".join(filter(None, [*failed, *said, misfit, unlike, *doubts])),
        identifiability=Identifiability(
            learnt=known,
            prior_only=tuple(unknown),
            findings=(*nothing_seen, *_other_findings(objective, posterior)),
        ),
        provenance=Provenance(
            scaling={"contrast": str(problem.choices.contrast), "offset": str(problem.choices.offset)}
        ),
        problem=problem,
        curves=posterior_bands(problem, posterior),
        posterior=posterior,
    )


def _other_findings(objective: Objective, posterior: Posterior) -> tuple[Finding, ...]:
    """Other solutions that fit as well as the medians, which chains that start at one of them never reach."""
    problem = objective.problem
    values = problem.expand(np.median(posterior.flat, axis=0))

    def cost(other: Mapping[str, float]) -> float:
        return objective(np.clip(objective.point(other), objective.low, objective.high)).cost

    return (*other_solutions(problem, values, cost), *aliased_fringes(problem, values))


def _estimates(problem: Problem, posterior: Posterior, known: Mapping[str, float]) -> tuple[Estimate, ...]:
    """Medians and standard deviations; ``known`` is what was learnt of every parameter of which something was."""
    median = np.median(posterior.flat, axis=0)
    sd = dict(zip(posterior.names, posterior.flat.std(axis=0, ddof=1), strict=True))
    values, ends = problem.expand(median), posterior.quantiles((LEVELS[0], LEVELS[-1]))

    def status(name: str) -> str:
        if name in problem.ties:
            return f"= {problem.ties[name]}"
        if name not in sd:
            return "fixed"
        return "determined" if known.get(name, 0.0) > _UNLEARNT else "undetermined"

    def estimate(name: str) -> Estimate:
        parameter, source = problem.parameters[name], problem.ties.get(name, name)
        error, (low, high) = float(sd.get(source, np.nan)), ends.get(source, (np.nan, np.nan))
        bounds, start = (parameter.low, parameter.high), problem.given_start(name)
        stands = (parameter.unit, *bounds, start, name in sd, status(name))
        return Estimate(name, values[name], error, np.nan, *stands, (low, high))

    return tuple(estimate(name) for name in problem.parameters)


def _bins(objective: Objective, posterior: Posterior) -> tuple[BinScaling, ...]:
    draws = np.stack([posterior.contrast, posterior.offset, posterior.noise])
    medians, spreads = np.median(draws, axis=(1, 2)), draws.std(axis=(1, 2), ddof=1)
    return tuple(
        BinScaling(
            bin.q, bin.phi, contrast, offset, contrast_error, offset_error, noise, int(bin.moments.pairs)
        )
        for bin, (contrast, offset, noise), (contrast_error, offset_error, _) in zip(
            objective.bins, medians.T.tolist(), spreads.T.tolist(), strict=True
        )
    )


def _outside(posterior: Posterior) -> Statistics:
    """The shares of draws of contrast and offset outside their bounds, which do not act on them."""

    def share(name: str) -> float:
        draws, parameter = getattr(posterior, name), SCALING[name]
        return float(np.mean((draws < parameter.low) | (draws > parameter.high)))

    return Statistics(contrast_outside=share("contrast"), offset_outside=share("offset"))


def _at_median(objective: Objective, posterior: Posterior) -> AtSolution:
    """What is asked of the residuals at the medians, contrast and offset being those of least squares."""
    x = objective.to_coordinates(np.median(posterior.flat, axis=0))
    return at_point(objective, np.clip(x, objective.low, objective.high))


def _figures(here: AtSolution, residuals: Sequence[Residuals]) -> Statistics:
    """Least-squares figures at the medians."""
    variables, ssr = len(here.x) + here.scaling.design.shape[1], np.array([of.ssr for of in residuals])
    chi2 = chi2_of(here.weighted, residuals, noise_of_frames(here, residuals))
    return Statistics(
        n_pairs=here.equations.n_pairs,
        n_variables=variables,
        ssr=float(ssr.sum()),
        ssr_per_bin=tuple(ssr.tolist()),
        cost=here.equations.cost,
        deviance=deviance(here.weighted, ssr),
        reduced_chi2=chi2 / max(here.equations.n_pairs - variables, 1),
    )
