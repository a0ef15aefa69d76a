"""What a solution leaves open: degeneracies in words, undetermined parameters and scaling, correlations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from heterodyne.problem.normal_equations import undetermined_scaling
from heterodyne.problem.problem import Problem
from heterodyne.result.fit import strong_correlations
from heterodyne.result.identifiability import Finding, Identifiability
from heterodyne.solution.claims import KIND, unsupported
from heterodyne.solution.degeneracies import conventions, merged_parameters, merged_scaling, same_speckle
from heterodyne.solution.neighbourhood import Neighbourhood
from heterodyne.solution.other_solutions import aliased_fringes, other_solutions
from heterodyne.solution.robust import speckle_clusters
from heterodyne.solution.solution import AtSolution, Rival


@dataclass(frozen=True, eq=False)
class Unknowns:
    """The findings at a solution.

    ``undetermined`` (p,) marks the free coordinates ``names`` that the data do not determine, ``contrast`` and
    ``offset`` (bins,) those of the scaling.
    """

    findings: tuple[Finding, ...]
    names: tuple[str, ...]
    undetermined: np.ndarray
    contrast: np.ndarray
    offset: np.ndarray

    def joined(self, findings: Iterable[Finding]) -> Unknowns:
        """The same with further findings, and with what they leave undetermined."""
        findings = tuple(findings)
        lost = [name for finding in findings if finding.undetermined for name in finding.parameters]
        undetermined = self.undetermined | np.isin(self.names, lost)
        return replace(self, findings=(*self.findings, *findings), undetermined=undetermined)


def unknowns(here: AtSolution, around: Neighbourhood, robust: bool, rivals: Sequence[Rival] = ()) -> Unknowns:
    """What the data leave open at a solution, ``around`` which they say so much, and beside its ``rivals``."""
    objective, problem, values = here.weighted, around.problem, around.values
    sums = objective.sums(here.x)
    contrast, offset = undetermined_scaling(sums, objective.contrast, objective.offset, objective.sigma)
    absent = objective.contrast.matrix.any(axis=1) & (here.scaling.contrast <= objective.contrast.low)
    merged = [*unsupported(objective, here.scaling), *merged_parameters(around)]
    labels = bin_labels(problem)

    def cost(other: Mapping[str, float]) -> float:
        # by the code that the fit has compiled: `Objective.cost` is faster, but takes another second to compile
        return objective(objective.point(other)).cost

    minima = [(objective.parameters(objective.folded(rival.x)), rival.more) for rival in rivals]
    findings = (
        *merged,
        *other_solutions(problem, values, cost, minima),
        *merged_scaling(labels, sums.model.total[:, 0] / sums.data.pairs, contrast, offset, absent),
        *aliased_fringes(problem, values),
        *same_speckle(labels, speckle_clusters(objective, here.scaling, here.x), robust),
        *conventions(around),
    )
    lost = around.undetermined.union(*(finding.parameters for finding in merged if finding.undetermined))
    return Unknowns(findings, around.names, np.isin(around.names, list(lost)), contrast, offset)


def bin_labels(problem: Problem) -> list[str]:
    """Every bin in words, with the number of its file where there are several."""
    several = len(problem.data) > 1
    return [
        f"{data.label(index)}{f' of file {number}' if several else ''}"
        for number, data in enumerate(problem.data, 1)
        for index in range(data.n_bins)
    ]


def identifiability(
    around: Neighbourhood,
    unknown: Unknowns,
    covariance: np.ndarray,
    determined: tuple[str, ...],
    bounds: Sequence[str],
    conditional: tuple[str, ...],
) -> Identifiability:
    """What a result says of it; ``covariance`` is that of the ``determined`` parameters."""
    spectrum, names = around.spectrum, zip(around.names, unknown.undetermined, strict=True)
    return Identifiability(
        names=around.names,
        rank=0 if any(finding.kind == KIND for finding in unknown.findings) else spectrum.rank,
        eigenvalues=tuple(map(float, spectrum.eigenvalues)),
        undetermined=tuple(name for name, is_lost in names if is_lost),
        conditional=conditional,
        at_bounds=tuple(bounds),
        correlated=tuple(strong_correlations(covariance, determined)),
        findings=unknown.findings,
    )
