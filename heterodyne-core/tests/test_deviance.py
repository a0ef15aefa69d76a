"""The deviance is -2 log L of Gaussian elements, and has a floor where data have no noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from heterodyne.bins.reading import read_bins
from heterodyne.catalogue import create_model
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from heterodyne.simulation.simulate import simulate
from heterodyne.solution.deviance import deviance
from tolerances import REORDERED


@pytest.fixture
def objective():
    problem = create_problem(simulate("static", phi=[0.0, 45.0], frames=20), create_model("static"))
    return create_objective(problem, read_bins(problem.data))


def test_it_is_that_of_residuals_with_the_best_noise_of_every_bin(objective):
    rng = np.random.default_rng(0)
    residuals = [
        rng.normal(0.0, sigma, int(data.moments.pairs))
        for sigma, data in zip((0.1, 0.3), objective.bins, strict=True)
    ]
    expected = -2.0 * sum(norm.logpdf(r, scale=np.sqrt(np.mean(r**2))).sum() for r in residuals)
    assert deviance(objective, np.array([r @ r for r in residuals])) == pytest.approx(expected, rel=REORDERED)


def test_data_without_noise_have_a_finite_one(objective):
    rounding = [1e-24 * data.moments.square for data in objective.bins]
    assert np.isfinite(deviance(objective, np.zeros(2)))
    assert deviance(objective, np.zeros(2)) == deviance(objective, np.array(rounding))
