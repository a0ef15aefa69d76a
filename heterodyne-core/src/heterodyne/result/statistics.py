"""`Statistics`: how well a fit describes the data, and how it was found. No field is required.

Pairs are pairs of frames t1 < t2, bins stand in the order of the problem, and ssr is Σ W (c2 - model)² over pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from heterodyne.frozen import FrozenMapping
from heterodyne.result.stated import Stated


@dataclass(frozen=True)
class Diagnosis:
    """Diagnostics of one sampler's chains: R-hat and effective sample sizes by parameter, the rest over all of them.

    ``divergences`` and ``saturated`` are counts of draws, ``steps`` the mean number of leapfrog steps.
    """

    rhat: Mapping[str, float]
    ess_bulk: Mapping[str, float]
    ess_tail: Mapping[str, float]
    bfmi: float
    divergences: int
    saturated: int
    steps: float
    draws: int


class Statistics(Stated):
    """The figures of a fit."""

    n_pairs: int | None = None
    """Pairs that were used, over all bins."""
    n_variables: int | None = None
    """Fitted numbers off their bounds: parameters, contrasts and offsets."""
    ssr: float | None = None
    """Σ residual², over all bins."""
    ssr_per_bin: tuple[float, ...] | None = None
    """Σ residual² of every bin."""
    cost: float | None = None
    """½ Σ ssr_b/σ_b², with the σ of every bin from its own residual; not comparable between models."""
    deviance: float | None = None
    """-2 log L of Gaussian elements with the σ of every bin at its best (`heterodyne.solution.deviance`)."""
    reduced_chi2: float | None = None
    """Σ residual² over the variance of the noise, per degree of freedom."""
    reduced_chi2_errors: float | None = None
    """Of one-time data, Σ (residual / error)² per degree of freedom, with the errors that come with g2."""
    noise: tuple[float, ...] | None = None
    """σ of one element of c2, per bin."""
    iterations: int | None = None
    """Iterations of the optimizer; of a sampler, its transitions."""
    seconds: float | None = None
    """Wall time of the fit, in s."""
    bin_average: str | None = None
    """In words, the nodes over which S was averaged over every bin."""
    bin_nodes: tuple[int, int] | None = None
    """Those nodes, (along q, along azimuth)."""

    errors: str | None = None
    """``robust`` standard errors, or ``independent``."""
    bandwidth: int | None = None
    """Frames over which scores count as correlated."""
    dof: float | None = None
    """Degrees of freedom of Student's t, by which robust errors become intervals."""
    effective_parameters: float | None = None
    """tr(H⁻¹ M) of parameters, contrasts and offsets: what fitting them does to the deviance."""
    noise_ratio: float | None = None
    """Robust over modelled variance, the mean over directions: above 1 there is noise that speckle does not make."""
    weights_gain: float | None = None
    """Errors of pairs that weigh alike over those of pairs weighted by the covariance of frames, the mean over
    parameters, as speckle and frames let expect."""
    common_noise_ratio: float | None = None
    """How many times larger errors would be if all bins shared their noise."""

    structure: str | None = None
    """In words, whether the residuals look like noise."""
    lag_chi2: float | None = None
    """χ² per cell of the mean residuals over lag."""
    lag_probability: float | None = None
    """How often noise alone gives as much."""
    age_chi2: float | None = None
    """χ² per cell of the mean residuals over age, less what depends on lag alone."""
    age_probability: float | None = None
    """How often noise alone gives as much."""
    lag_residuals: tuple[tuple[float, ...], ...] | None = None
    """Per bin and lag bin, the mean residual in standard errors; NaN where nothing is left of it."""
    age_residuals: tuple[tuple[tuple[float, ...], ...], ...] | None = None
    """Per bin, lag bin and third of ages, the same."""

    strategy: str | None = None
    """How the data were read: ``direct``, ``streamed`` or ``sequential``."""
    strategy_reason: str | None = None
    """Why, in words."""
    weights: str | None = None
    """What pairs were weighted by: ``speckle``, the covariance of their frames, ``noise``, that of their bin, or
    ``equal``."""
    sequential: tuple[Mapping[str, Any], ...] | None = None
    """Of a sequential fit, the fit of every bin alone: q, phi, verdict, iterations, values."""
    ssr_without_global: float | None = None
    """ssr of the solution from the usual starts."""
    ssr_global: float | None = None
    """ssr of what the global search found."""
    global_evaluations: int | None = None
    """Points that the global search tried."""

    contrast_outside: float | None = None
    """Share of the draws of contrast beyond its bounds."""
    offset_outside: float | None = None
    """Share of the draws of offset beyond its bounds."""
    likelihood: str | None = None
    """``calibrated`` to shared frames, or ``independent``."""
    shards: int | None = None
    """Parts of the data that were sampled apart."""
    threads: int | None = None
    """Threads per shard."""
    chains: int | None = None
    """Chains per shard."""
    warmup: int | None = None
    """Transitions of every chain before its draws."""
    draws: int | None = None
    """Draws of every chain."""
    target_accept: float | None = None
    """Acceptance probability that step sizes aim at."""
    max_rhat: float | None = None
    """The largest R-hat over parameters and shards."""
    min_ess_bulk: float | None = None
    """The least effective sample size of the bulk."""
    min_ess_tail: float | None = None
    """The least effective sample size of the tails."""
    min_bfmi: float | None = None
    """The least fraction of missing information of the energy."""
    divergences: int | None = None
    """Draws that diverged."""
    leapfrog_steps: float | None = None
    """Mean leapfrog steps per transition."""
    reduced_rank: int | None = None
    """Directions of S in which the likelihood that was sampled is interpolated; none where it is the exact one."""
    reduced_error: float | None = None
    """The largest difference of its logarithm to that of the exact one, over the draws where it was looked at."""
    reduced_checks: int | None = None
    """How many draws these are."""
    diagnostics: tuple[Diagnosis, ...] | None = None
    """The diagnosis of every shard."""
    acceptance: float | None = None
    """Of combined shards, the share of proposals that the posterior of all data accepted."""
    levels: tuple[float, ...] | None = None
    """The levels of the quantiles."""
    quantiles: Mapping[str, tuple[float, ...]] | None = None
    """By parameter, the quantiles of the draws, in the parameter's unit."""

    extra: Mapping[str, Any] = FrozenMapping()
    """Figures that only this optimizer knows."""
