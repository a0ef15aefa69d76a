"""The model keeps what every model has to keep."""

from heterodyne.model import KnownValues
from heterodyne.testing import ModelConformance


class TestStretched(ModelConformance):
    model = "stretched"
    oracle = (
        KnownValues(
            {"D": 400.0, "gamma": 0.7},
            t=[0.5 * k for k in range(1, 31)],
            q=0.01,
            phi=0.0,
            pairs=((0, 1), (3, 9), (1, 29)),
            c2=(0.9223995268001197, 0.7357108692256689, 0.3046431594081446),  # e^-(Λ_j - Λ_i), by hand
        ),
    )
