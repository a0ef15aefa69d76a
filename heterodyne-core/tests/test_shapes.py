"""Shapes in annotations are checked while tests run."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from heterodyne import create_model
from heterodyne.bins.nodes import bin_nodes
from heterodyne.evaluators.meshgrid import averaged_tile
from heterodyne.kernels.integrals import trapezoid_cumsum
from heterodyne.model import correlation_matrix

TIMES = np.linspace(0.1, 1.0, 8)
MODEL = create_model("two-component")
START = MODEL.parameters.starts()


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: trapezoid_cumsum(TIMES, TIMES[1:]), id="kernels"),
        pytest.param(lambda: correlation_matrix(MODEL, START, TIMES[None], 0.01, 0.0), id="model"),
        pytest.param(
            lambda: averaged_tile(MODEL, START, np.eye(3), bin_nodes(0.01, 0.0), 0, 0, 8, 8),
            id="evaluators",
        ),
    ],
)
def test_a_wrong_shape_is_refused(call):
    with pytest.raises(TypeCheckError):
        call()
