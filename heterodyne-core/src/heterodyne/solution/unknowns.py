"""What a solution leaves open: degeneracies in words, undetermined parameters and scaling, correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from heterodyne.problem.normal_equations import undetermined_scaling
from heterodyne.problem.objective import Objective
from heterodyne.problem.problem import Problem
from heterodyne.result.fit import strong_correlations
from heterodyne.result.identifiability import Finding, Identifiability
from heterodyne.solution.degeneracies import conventions, merged_parameters, merged_scaling, same_speckle
from heterodyne.solution.neighbourhood import Neighbourhood
from heterodyne.solution.other_solutions import aliased_fringes, other_solutions
from heterodyne.solution.robust import speckle_clusters


@dataclass(frozen=True, eq=False)
class Unknowns:
    """The findings at a solution.

    ``undetermined`` (p,) marks the free coordinates without an error bar, ``contrast`` and ``offset`` (bins,) those
    that the data do not determine.
    """

    findings: tuple[Finding, ...]
    undetermined: np.ndarray
    contrast: np.ndarray
    offset: np.ndarray


def unknowns(
    objective: Objective, u: np.ndarray, here: Neighbourhood, fitted: np.ndarray, robust: bool
) -> Unknowns:
    """What the data leave open at ``u``, where the contrasts are ``fitted`` (bins,).

    ``objective`` is weighted by the residual noise, its cost half of χ².
    """
    problem, values = objective.problem, here.values
    sums = objective.sums(u)
    contrast, offset = undetermined_scaling(sums, objective.contrast, objective.offset, objective.sigma)
    absent = objective.contrast.matrix.any(axis=1) & (fitted <= objective.contrast.low)
    merged = merged_parameters(here)
    labels = bin_labels(problem)

    def cost(other: Mapping[str, float]) -> float:
        # by the code that the fit has compiled: `Objective.cost` is faster, but takes another second to compile
        return objective(objective.to_coordinates(np.array([other[name] for name in problem.varying]))).cost

    findings = (
        *merged,
        *other_solutions(problem, values, cost),
        *merged_scaling(labels, sums.model.total[:, 0] / sums.data.pairs, contrast, offset, absent),
        *aliased_fringes(problem, values),
        *same_speckle(labels, speckle_clusters(objective), robust),
        *conventions(here),
    )
    lost = here.undetermined.union(*(one.parameters for one in merged if one.undetermined))
    return Unknowns(findings, np.isin(here.names, list(lost)), contrast, offset)


def bin_labels(problem: Problem) -> list[str]:
    """Every bin in words, with the number of its file where there are several."""
    several = len(problem.data) > 1
    return [
        f"{data.label(index)}{f' of file {number}' if several else ''}"
        for number, data in enumerate(problem.data, 1)
        for index in range(data.n_bins)
    ]


def identifiability(
    here: Neighbourhood,
    unknown: Unknowns,
    covariance: np.ndarray,
    determined: tuple[str, ...],
    bounds: Sequence[str],
) -> Identifiability:
    """What a result says of it; ``covariance`` is that of the ``determined`` parameters."""
    names = zip(here.names, unknown.undetermined, strict=True)
    return Identifiability(
        names=here.names,
        rank=here.spectrum.rank,
        eigenvalues=tuple(map(float, here.spectrum.eigenvalues)),
        undetermined=tuple(name for name, is_lost in names if is_lost),
        at_bounds=tuple(bounds),
        correlated=tuple(strong_correlations(covariance, determined)),
        findings=unknown.findings,
    )
