"""What a fit takes out of the cells of its residuals, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

import heterodyne as het
from heterodyne.problem import Choices, create_objective, create_problem
from heterodyne.solution import create_solution
from heterodyne.solution.misfit import _coupling, structure_at
from heterodyne.solution.residuals import residuals_at
from heterodyne.solution.robust import score_clusters
from heterodyne.solution.solution import at_solution
from heterodyne.solution.structure import cell_panel, cells_of

FRAMES = 150  # two frames in a block
TRUTH = {"D0": 3e4, "alpha": 0.2, "D_offset": 0.0}  # a decay within a few frames


@pytest.fixture(scope="module")
def here():
    data = het.simulate("static", params=TRUTH, phi=[0.0], frames=FRAMES, noise=0.02, seed=1)
    problem = create_problem(data, het.create_model("static"), Choices(fix={"D_offset": 0.0}))
    objective = create_objective(problem)
    u = objective.point(TRUTH)
    for _ in range(8):
        equations = objective(u)
        u = u - np.linalg.solve(equations.gram, equations.gradient)
    return at_solution(create_solution(objective, u))


def test_the_coupling_is_that_of_finite_differences(here):
    objective, (residual,) = here.weighted, residuals_at(here)
    (cluster,) = score_clusters(objective, here.scaling, here.x, here.free)
    cells = cells_of(residual.sums, residual.noise)
    found = _coupling(here, 0, cluster, cells, residual)
    upper = np.triu_indices(FRAMES, 1)
    z = cell_panel(cells.z, FRAMES, residual.sums.grain, slice(0, FRAMES))[:, *upper]
    data = objective.problem.data[0]

    def s(u):
        return objective.problem.model.correlation(objective.parameters(u), data.t, data.q[0])[upper]

    basis = np.stack([s(here.x), np.ones(len(upper[0]))], axis=1)
    for k, step in enumerate(1e-5 * np.eye(len(here.x))):
        slope = here.scaling.contrast[0] * (s(here.x + step) - s(here.x - step)) / 2e-5
        slope -= basis @ np.linalg.lstsq(basis, slope, rcond=None)[0]
        expected = z @ slope / residual.noise**2
        np.testing.assert_allclose(found[:, k], expected, atol=1e-4 * np.abs(expected).max())
    for k, of in enumerate(basis.T, len(here.x)):
        np.testing.assert_allclose(found[:, k], z @ of / residual.noise**2, rtol=1e-6, atol=1e-3)


def test_a_right_model_of_a_fast_decay_leaves_nothing(here):
    assert structure_at(here, residuals_at(here)).verdict == "no structure found"
