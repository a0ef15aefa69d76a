"""What sampling starts from: the least-squares solution, the noise there, and the calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.errors import ConfigError, PluginError
from heterodyne.fitting.fit import Optimizer
from heterodyne.plugins.manager import optimizer_record
from heterodyne.problem.averaging import BinOrders, sufficient_orders, with_orders
from heterodyne.problem.kinds import AUTO
from heterodyne.problem.objective import Objective, create_objective
from heterodyne.problem.problem import Problem
from heterodyne.problem.scaling import without_auto
from heterodyne.problem.spectrum import spectrum_of
from heterodyne.solution.residuals import examine_residuals, noise_of_weights, residuals_at
from heterodyne_cmc.calibration import Calibration, at_point, ratios_of, uncalibrated
from heterodyne_cmc.centre import posterior_mode
from heterodyne_cmc.coordinates import form_of
from heterodyne_cmc.density import Code
from heterodyne_cmc.likelihood import ScalingPrior, scaling_prior
from heterodyne_cmc.watch import Progress

SPECKLE, NOISE = "speckle", "noise"
"""What pairs are weighted by: the covariance of their frames where that can be, or the noise of their bin."""

_NEAR = 0.03  # of a standard error: start values that are nearer to the minimum are a solution


class Prepared(NamedTuple):
    """Values (p,) of the varying parameters at the posterior's mode, noise per bin at the least-squares solution,
    nodes per width of a bin, and the calibration.

    Where frames are weighted by their covariance, that is S at ``x`` (p,) with the noise ``ratio`` κ (bins,), NaN for
    bins that are not, and ``weighted_noise`` (bins,) is what the residual then has per pair; else the noise itself.
    """

    values: np.ndarray
    noise: np.ndarray
    orders: np.ndarray
    calibration: Calibration
    x: np.ndarray
    ratio: np.ndarray
    weighted_noise: np.ndarray

    @property
    def is_whitened(self) -> bool:
        """Whether some bin's frames are weighted by their covariance."""
        return bool(np.isfinite(self.ratio).any())

    @property
    def weights(self) -> str:
        """What pairs are weighted by."""
        return SPECKLE if self.is_whitened else NOISE

    def arrays(self) -> dict[str, np.ndarray]:
        """All numbers by name."""
        by_name = self._asdict() | self.calibration._asdict()
        return {name: array for name, array in by_name.items() if name != "calibration"}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Prepared:
        """What `arrays` gave."""
        calibration = Calibration(*(arrays[name] for name in Calibration._fields))
        own = {name: arrays[name] for name in cls._fields if name != "calibration"}
        return cls(calibration=calibration, **own)


def prepare(
    problem: Problem,
    bins: tuple[Bin, ...],
    warm_start: bool,
    calibrated: bool,
    weights: str,
    progress: Progress,
) -> Prepared:
    """The mode of the posterior next to the solution, and the calibration there, with these `resolved_weights`.

    The solution is that of the optimizer `nlsq`, or the start values where all are given.

    Start values are taken for the solution of a calibrated likelihood only where they are one, because
    the adjustment turns about it. Without ``warm_start`` only the start values and the noise of neighbouring
    elements.
    """
    p = len(problem.varying)
    if not warm_start:
        params = problem.expand(problem.column("start"))
        noise = np.array([examine_residuals(problem.model, params, bin, 0.0, 0.0).noise for bin in bins])
        orders, start, unweighted = np.ones(2, dtype=int), problem.column("start"), np.full(len(bins), np.nan)
        return Prepared(start, noise, orders, uncalibrated(p, len(bins)), start, unweighted, noise)
    complete = not problem.needs_start
    values = problem.column("start") if complete else _least_squares(problem, weights, progress)
    orders, objective, x = _weighted_at(problem, bins, values, weights)
    if calibrated and complete and not _is_solution(objective, x):
        values = _least_squares(problem, weights, progress)
        orders, objective, x = _weighted_at(problem, bins, values, weights)
    progress("calibrating the likelihood" if calibrated else "looking for the mode of the posterior")
    scaling = prior_of_scaling(problem, objective.sigma)
    values, calibration = posterior_mode(objective, values, code_of(problem), scaling, calibrated)
    noise = _with_own_noise(objective.plain(), x).sigma
    return Prepared(values, noise, orders, calibration, x, ratios_of(objective), objective.sigma)


def resolved_weights(weights: str, problem: Problem, likelihood: str, shards: int) -> str:
    """What pairs are weighted by where ``weights`` are asked for: speckle or noise.

    Raises `ConfigError` where speckle is asked for and cannot be.
    """
    against = {
        "--likelihood independent takes elements for independent": likelihood == "independent",
        "sums weighted by it are none over shards, so that there must be one": shards > 1,
        f"{problem.model.name} is not separable": problem.model.components is None,
    }
    reasons = [reason for reason, holds in against.items() if holds]
    if weights == SPECKLE and reasons:
        raise ConfigError(f"pairs cannot be weighted by the covariance of their frames: {reasons[0]}")
    return NOISE if reasons or weights == NOISE else SPECKLE


def weighted_objective(problem: Problem, bins: tuple[Bin, ...], prepared: Prepared) -> Objective:
    """The objective over these bins, weighted as the calibration was made."""
    objective = create_objective(problem, averaged_bins(bins, prepared.orders))
    if prepared.is_whitened:
        objective = objective.whitened(prepared.x, prepared.ratio)
    return objective.weighted(prepared.weighted_noise)


def code_of(problem: Problem) -> Code:
    """The code that samples a problem."""
    contrast, offset = held_scaling(problem)
    return Code(problem.model, form_of(problem), (contrast is None, offset is None))


def _weighted_at(
    problem: Problem, bins: tuple[Bin, ...], values: np.ndarray, weights: str
) -> tuple[np.ndarray, Objective, np.ndarray]:
    """Nodes per width of a bin, the objective weighted by its noise, and its coordinates x, at these values."""
    sufficient = sufficient_orders(problem.model, problem.expand(values), bins)
    orders = np.array([sufficient.q, sufficient.phi])
    objective = create_objective(problem, averaged_bins(bins, orders))
    x = np.clip(objective.to_coordinates(values), objective.low, objective.high)
    objective = _with_own_noise(objective, x)
    if weights == SPECKLE:
        here = at_point(objective, x)
        objective = _with_own_noise(objective.whitened(x, noise_of_weights(here, residuals_at(here))), x)
    return orders, objective, x


def _with_own_noise(objective: Objective, x: np.ndarray) -> Objective:
    """The objective weighted by what the residual of every bin has per pair at x."""
    pairs = np.array([bin.moments.pairs for bin in objective.bins])
    return objective.weighted(np.sqrt(objective.solve(x)[1].ssr / pairs))


def _is_solution(objective: Objective, x: np.ndarray) -> bool:
    """Whether the minimum is a small part of a standard error away, by a step of Gauss and Newton."""
    equations = objective.solve(x)[0]
    at_bound = equations.active(x, objective.low, objective.high) != 0
    spectrum = spectrum_of(equations.gram, objective.width)
    along = spectrum.basis.T @ np.where(at_bound, 0.0, equations.gradient)
    keep = ~spectrum.lost
    return float(np.sum(along[keep] ** 2 / spectrum.eigenvalues[keep])) < _NEAR**2


def averaged_bins(bins: tuple[Bin, ...], orders: np.ndarray) -> tuple[Bin, ...]:
    """The bins with so many nodes along their widths in q and in the azimuth."""
    return tuple(with_orders(bin, BinOrders(*map(int, orders))) for bin in bins)


def with_own_scaling(problem: Problem) -> Problem:
    """The problem with a contrast and an offset per bin, or given numbers.

    Raises `ConfigError` for other designs: what is integrated out is a pair per bin.
    """
    choices = problem.choices
    for which in ("contrast", "offset"):
        design = getattr(choices, which)
        if isinstance(design, str) and design not in (AUTO, "individual"):
            raise ConfigError(f"cmc samples with a {which} per bin or a given number, not with {design!r}")
    contrast, offset = without_auto(choices.contrast, choices.offset)
    return replace(problem, choices=replace(choices, contrast=contrast, offset=offset))


def held_scaling(problem: Problem) -> tuple[float | None, float | None]:
    """Contrast and offset where they are given numbers."""
    return _held(problem.choices.contrast), _held(problem.choices.offset)


def _held(design: str | float) -> float | None:
    return None if isinstance(design, str) else design


def prior_of_scaling(problem: Problem, noise: np.ndarray) -> ScalingPrior:
    """The prior of contrast, offset and noise of bins with these least-squares noises, (bins,)."""
    return scaling_prior(noise, held_scaling(problem), problem.choices.scaling_priors)


def _least_squares(problem: Problem, weights: str, progress: Progress) -> np.ndarray:
    try:
        record = optimizer_record("nlsq")
    except PluginError as error:
        raise PluginError(
            f"sampling begins at the solution of least squares: {error}; or give all start values with "
            "no_warm_start and likelihood independent"
        ) from None
    # least squares refuses priors
    data_alone = replace(problem, choices=replace(problem.choices, prior={}))
    options = record.complete({"weights": weights, "profiles": "asked"})
    solution = record.resolve(Optimizer)(data_alone, options, progress)
    return np.array([solution.values[name] for name in problem.varying])
