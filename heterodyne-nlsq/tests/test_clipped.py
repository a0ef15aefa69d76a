"""That a minimum lies on an edge of the model is said only where a curve reaches its limits."""

import pytest

import heterodyne as het
from heterodyne.problem import Choices, create_objective, create_problem
from heterodyne.solution import create_solution
from heterodyne_nlsq.clipped import where_it_clips
from heterodyne_nlsq.trust_region.minimise import ON_EDGE


@pytest.mark.parametrize(("offset", "on_edge"), [(0.0, False), (-2e3, True)])
def test_an_edge_is_one_where_a_rate_is_at_its_floor(offset, on_edge):
    data = het.simulate("static", phi=[0.0], frames=20, noise=0.01)
    objective = create_objective(create_problem(data, het.create_model("static"), Choices()))
    point = objective.point({"D0": 1e3, "alpha": 0.2, "D_offset": offset})
    solution = create_solution(objective, point, message=f"the cost has settled; {ON_EDGE}")
    found = where_it_clips(solution)
    assert (ON_EDGE in found.message) is on_edge
    assert "the cost has settled" in found.message
    assert found.x is solution.x
