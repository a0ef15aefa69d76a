"""The objective in coordinates against finite differences."""

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.problem.choices import Choices
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from tolerances import SOLVED


def objective(model="two-component", **choices):
    data = het.simulate(model=model, frames=80, seed=5)
    truth = data.provenance["truth"]["params"]
    problem = create_problem(data, het.create_model(model), Choices(**choices))
    values = np.array([truth[name] * 1.03 for name in problem.varying])
    made = create_objective(problem, read_bins(problem.data))
    return made, made.to_coordinates(values)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["two-component", "static-reference", "no-flow", "equilibrium", "static"])
@pytest.mark.parametrize("contrast", ["individual", "shared", 0.15])
def test_gradient_equals_finite_differences(model, contrast):
    made, u = objective(model, contrast=contrast)
    gradient = made(u).gradient
    size = np.sqrt(np.diag(made(u).gram))
    for k in range(len(u)):
        step = np.zeros(len(u))
        step[k] = 2e-3 / size[k]
        near, far = (made.cost(u + h * step) - made.cost(u - h * step) for h in (0.5, 1.0))
        difference = (8.0 * near - far) / (6.0 * step[k])
        assert difference == pytest.approx(gradient[k], rel=1e-5, abs=1e-7 * size[k])


def test_a_tie_adds_the_gradients_of_both():
    free, u = objective()
    tied, w = objective(tie={"D_offset_ref": "D_offset_sample"})
    names = list(free.problem.varying)
    ref, sample = names.index("D_offset_ref"), names.index("D_offset_sample")
    u[ref] = u[sample]
    w = np.delete(u, ref)
    gradient = free(u).gradient
    gradient[sample] += gradient[ref]
    np.testing.assert_allclose(tied(w).gradient, np.delete(gradient, ref), rtol=SOLVED)


def test_log_parameters_move_in_their_logarithm():
    made, u = objective()
    values = made.to_values(u)
    np.testing.assert_allclose(made.to_coordinates(values), u)
    k = list(made.problem.varying).index("D0_ref")
    assert u[k] == pytest.approx(np.log(values[k]))
