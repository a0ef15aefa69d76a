"""Several models judged alike: χ² of one weighted residual, in units of what noise does to it.

The weights are those of the model with the least deviance, W = (S + κ 1)⁻¹ of every bin. Every model's parameters,
contrasts and offsets are settled on them,

    χ² = Σ_b ½ tr(W R W R) / (σ_b² λ),      λ = Σ λ_i² / Σ λ_i,

where λ_i are the eigenvalues of H⁻¹ M over the parameters of that model, M from speckle and the noise of the frames
(`heterodyne.solution.standard_errors`) times the noise beyond it. A parameter that is not in the data then lowers χ²
by about 1, as it does for independent elements of known noise, though elements share frames; and weights that are those
of no single model do not make a misfit cheap, as the variance of its own residual does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.problem.averaging import BinOrders, with_orders
from heterodyne.problem.normal_equations import NormalEquations
from heterodyne.problem.objective import Objective, create_objective
from heterodyne.problem.spectrum import spectrum_of
from heterodyne.result.fit import Fit
from heterodyne.solution.frame_noise import FrameNoise
from heterodyne.solution.residuals import noise_of_frames, noise_of_weights, residuals_at
from heterodyne.solution.solution import AtSolution, Solution, at_solution, create_solution, residual_noise
from heterodyne.solution.standard_errors import score_noise

_STEPS, _SMALL = 60, 1e-3  # of a descent, and the fall of half of χ² that ends it


class Judged(NamedTuple):
    """One model on the common weights: χ², and tr(H⁻¹ M) of its parameters, contrasts and offsets."""

    chi2: float
    effective: float


def judged_alike(fits: Mapping[str, Fit]) -> dict[str, Judged]:
    """χ² and tr(H⁻¹ M) of every model by name; nothing where the fits do not allow for common weights.

    They do where their data are in memory, are no one-time data, and where the errors of the model with the least
    deviance are robust.
    """
    known = {name: fit for name, fit in fits.items() if _is_known(fit)}
    if len(known) < len(fits):
        return {}
    best = min(fits, key=lambda name: (not fits[name].success, fits[name].statistics["deviance"]))
    if fits[best].statistics.errors != "robust":
        return {}
    reference = _whitened(_objective(fits[best], None), fits[best])
    common = _Weights(reference.objective.bins, reference.objective.sigma)
    at = {name: reference if name == best else _settled(common, fit) for name, fit in fits.items()}
    noise = tuple(noise_of_frames(here := at_solution(reference), residuals_at(here)))
    parts = {name: _meat(_here(of), noise) for name, of in at.items()}
    own = parts[best]
    unit = max(own.excess, 1.0) * float(np.sum(own.values**2) / np.sum(own.values))
    return {
        name: Judged(2.0 * of.equations.cost / unit, max(own.excess, 1.0) * parts[name].trace / unit)
        for name, of in at.items()
    }


class _Weights(NamedTuple):
    """The bins with their weights, and the noise of each."""

    bins: tuple[Bin, ...]
    sigma: np.ndarray


class _Meat(NamedTuple):
    """Eigenvalues of H⁻¹ M over the parameters, its trace with contrasts and offsets, and the noise beyond speckle."""

    values: np.ndarray
    trace: float
    excess: float


def _is_known(fit: Fit) -> bool:
    """Whether a fit can be judged on other weights than its own."""
    problem = fit.problem
    if problem is None or fit.statistics.deviance is None or fit.statistics.strategy == "streamed":
        return False
    return not problem.one_time and problem.model.components is not None


def _objective(fit: Fit, bins: tuple[Bin, ...] | None) -> Objective:
    """The objective of a fit with its designs and averages over bins."""
    assert fit.problem is not None
    objective = create_objective(fit.problem, bins)
    choices, designs = fit.problem.choices, fit.provenance.scaling or {}
    contrast = "shared" if "shared" in str(designs.get("contrast")) else choices.contrast
    if contrast != choices.contrast:
        objective = objective.scaled(contrast, "individual" if choices.offset == "auto" else choices.offset)
    orders = BinOrders(*(fit.statistics.bin_nodes or (1, 1)))
    return replace(objective, bins=tuple(with_orders(bin, orders) for bin in objective.bins))


def _whitened(objective: Objective, fit: Fit) -> Solution:
    """The solution of a fit on weights made of its own S and noise."""
    u = objective.point(fit.values)
    here = at_solution(create_solution(objective, u))
    ratio = noise_of_weights(here, residuals_at(here))
    whitened = objective.whitened(here.x, ratio)
    whitened = whitened.weighted(residual_noise(create_solution(whitened, here.x)))
    return descended(whitened, here.x)


def _settled(common: _Weights, fit: Fit) -> Solution:
    """The solution of a fit on the common weights."""
    objective = _objective(fit, common.bins).weighted(common.sigma)
    return descended(objective, objective.point(fit.values))


def descended(objective: Objective, u: np.ndarray) -> Solution:
    """The minimum next to ``u`` (p,) within the bounds, by damped Gauss-Newton steps."""
    low, high = objective.low, objective.high
    x = np.clip(u, low, high)
    here, damping = objective(x), 1e-3
    for _ in range(_STEPS):
        trial = np.clip(x + _step(here, here.active(x, low, high) == 0, damping), low, high)
        there = objective(trial)
        fall = here.cost - there.cost
        if fall > 0.0:
            x, here, damping = trial, there, 0.25 * damping
        else:
            damping *= 8.0
        if 0.0 <= fall < _SMALL or damping > 1e8:
            break
    return create_solution(objective, x)


def _step(equations: NormalEquations, free: np.ndarray, damping: float) -> np.ndarray:
    step = np.zeros(len(free))
    gram = equations.gram[np.ix_(free, free)]
    size = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    scaled = gram / np.outer(size, size) + damping * np.eye(len(gram))
    step[free] = -np.linalg.lstsq(scaled, equations.gradient[free] / size, rcond=1e-14)[0] / size
    return step


def _here(solution: Solution) -> AtSolution:
    """What is known at a solution whose weights stay as they are."""
    objective, free = solution.objective, solution.active == 0
    equations, scaling = objective.solve(solution.x)
    spectrum = spectrum_of(equations.gram[np.ix_(free, free)], objective.width[free])
    return AtSolution(solution.x, objective, equations, scaling, free, spectrum)


def _meat(here: AtSolution, noise: tuple[FrameNoise, ...]) -> _Meat:
    of = score_noise(here, noise)
    model = of.whole.half.T @ of.meat.model @ of.whole.half
    p = int((~here.spectrum.flat).sum())
    return _Meat(np.linalg.eigvalsh(model[:p, :p]), float(np.trace(model)), of.excess.ratio)
