"""The figures keep what every output has to keep."""

import numpy as np

from heterodyne.fitting.constancy import constancy
from heterodyne.fitting.series import Group, Series
from heterodyne.testing import WriterConformance


class TestFigures(WriterConformance):
    writer = "figures"


class TestSeriesFigures(WriterConformance):
    writer = "figures"
    of = "series"

    def result(self) -> Series:
        names, fit = ("q_0.01", "q_0.02"), super().result()
        groups = tuple(Group(float(name[2:]), name, 2, fit) for name in names)
        values, errors, freedom = np.full(2, 2.0), np.full(2, 0.02), np.full(2, np.inf)
        return Series("q", groups, {"along": constancy("along", "1/s", values, errors, freedom, names)})
