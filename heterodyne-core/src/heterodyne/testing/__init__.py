"""What a plugin has to keep, as classes of tests: a test file inherits from one and states what is tested.

    from heterodyne.testing import ModelConformance

    class TestLaminar(ModelConformance):
        model = "laminar"

pytest runs them; they import without it. Results by hand for tests are made in `heterodyne.testing.results`.
"""

from heterodyne.testing.loaders import LoaderConformance
from heterodyne.testing.models import ModelConformance
from heterodyne.testing.optimizers import OptimizerConformance
from heterodyne.testing.writers import WriterConformance

__all__ = ["LoaderConformance", "ModelConformance", "OptimizerConformance", "WriterConformance"]
