"""`cmc` keeps what every optimizer has to keep; it begins at the solution of `nlsq`."""

from typing import ClassVar

import pytest

from heterodyne.testing import OptimizerConformance


@pytest.mark.slow
class TestCmc(OptimizerConformance):
    optimizer = "cmc"
    options: ClassVar = {"chains": 2, "warmup": 100, "draws": 250, "rhat": 1.05, "ess": 100.0}
    too_short: ClassVar = {"warmup": 20, "draws": 20}
