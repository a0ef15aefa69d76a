"""What weights bought: errors of the same data with pairs that weigh alike, over those of the fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from heterodyne.result.statistics import Statistics
from heterodyne.solution.robust import modelled_meat
from heterodyne.solution.solution import AtSolution, Solution, at_solution
from heterodyne.solution.standard_errors import StandardErrors, Whole


def gain_of_weights(solution: Solution, here: AtSolution, errors: StandardErrors) -> Statistics:
    """The geometric mean, over the determined parameters, of the ratio of errors that speckle and frames let expect.

    Nothing where no frames are weighted by their covariance, or no errors are known.
    """
    is_whitened = any(bin.is_whitened for bin in here.weighted.bins)
    if errors.statistics.errors != "robust" or not is_whitened:
        return Statistics()
    plain = at_solution(replace(solution, objective=solution.objective.plain()))
    determined = ~errors.spectrum.undetermined
    if not np.array_equal(plain.free, here.free):
        return Statistics()
    meat = modelled_meat(plain.weighted, plain.x, plain.free, errors.frames, estimated=True)
    whole = Whole.of(plain)
    before = np.diag(whole.of_coordinates(whole.half.T @ meat @ whole.half))
    now = np.diag(errors.covariance) / max(errors.statistics.noise_ratio or 1.0, 1.0)
    determined &= (before > 0.0) & (now > 0.0)
    ratio = 0.5 * np.log(before[determined] / now[determined])
    return Statistics(weights_gain=float(np.exp(np.mean(ratio)))) if ratio.size else Statistics()
