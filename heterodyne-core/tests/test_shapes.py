"""Shapes in annotations are checked while tests run."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from heterodyne import create_model
from heterodyne.bins.nodes import bin_nodes
from heterodyne.evaluators.tangent import block_tangent
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
            lambda: block_tangent(MODEL, np.eye(len(START)), TIMES, bin_nodes(0.01, 0.0), 8, 1),
            id="evaluators",
        ),
    ],
)
def test_a_wrong_shape_is_refused(call):
    with pytest.raises(TypeCheckError):
        call()
