"""The optimizer of docs/plugins.md: what is known at its solution is what is known at that of `nlsq`."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

import heterodyne as het
from heterodyne.plugins.manager import manager
from heterodyne.testing import OptimizerConformance
from tolerances import SAME_MINIMUM, SAME_PLACE

PAGE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## heterodyne_optimizers")[1].split("\n## ")[0]
PLUGIN, OPTIMIZER, _ = re.findall(r"```python\n(.*?)```", SECTION, flags=re.DOTALL)
HEAD = "from heterodyne.plugins import hookimpl\nfrom heterodyne.plugins.records import *\n"

NEAR = 1e-4  # what is computed at estimates that are one to a thousandth of an error

HELD = {"D_offset_ref": 0.0, "D_offset_sample": 0.0, "v_offset": 0.0, "f3": 0.0}


@pytest.fixture(scope="module")
def scipy_installed():
    """The plugin page's optimizer beside what is installed."""
    modules = {"my_package": "", "my_package.plugin": HEAD + PLUGIN, "my_package.scipy": OPTIMIZER}
    points = [*entry_points(group="heterodyne"), EntryPoint("mine", "my_package.plugin", "heterodyne")]
    with pytest.MonkeyPatch.context() as patch:
        for name, source in modules.items():
            module = ModuleType(name)
            exec(source, vars(module))
            patch.setitem(sys.modules, name, module)
        patch.setattr("heterodyne.plugins.manager.entry_points", lambda group: points)
        manager.cache_clear()
        yield
    manager.cache_clear()


@pytest.mark.usefixtures("scipy_installed")
class TestTheOptimizerOfThePage(OptimizerConformance):
    optimizer = "scipy"
    too_short: ClassVar = {"evaluations": 1}


def both(data, **choices):
    """The fit of `scipy` that begins beside that of `nlsq`, and this one; bins weigh the same, no profile judges."""
    nlsq = het.fit(data, optimizer="nlsq", options={"weights": "equal", "profiles": "asked"}, **choices)
    beside = {row.name: row.value + np.nan_to_num(row.error) for row in nlsq.estimates if row.vary}
    return het.fit(data, optimizer="scipy", **choices, start=beside), nlsq


@pytest.fixture(scope="module")
def fits(scipy_installed):
    return both(het.simulate(frames=64, noise=0.01, seed=0), fix=HELD)


@pytest.mark.slow
def test_it_is_listed_and_named(fits):
    assert het.optimizers()["scipy"] == "least squares of SciPy"
    assert [fit.optimizer for fit in fits] == ["scipy", "nlsq"]
    assert [fit.verdict for fit in fits] == ["converged", "converged"]


@pytest.mark.slow
def test_estimates_and_errors_are_those_of_nlsq(fits):
    scipy, nlsq = fits
    for row, other in zip(scipy.estimates, nlsq.estimates, strict=True):
        assert row.status == other.status
        if row.status == "determined":
            assert abs(row.value - other.value) < SAME_PLACE * other.error
            np.testing.assert_allclose(row.error, other.error, rtol=NEAR)
            np.testing.assert_allclose(row.error_independent, other.error_independent, rtol=NEAR)
    assert scipy.covariance_names == nlsq.covariance_names
    np.testing.assert_allclose(np.diag(scipy.covariance), np.diag(nlsq.covariance), rtol=NEAR)
    for name in ("contrast", "offset", "contrast_error", "offset_error", "noise"):
        values = [[getattr(row, name) for row in fit.scaling] for fit in fits]
        np.testing.assert_allclose(*values, rtol=NEAR, err_msg=name)


def test_findings_are_those_of_nlsq(fits):
    scipy, nlsq = (fit.identifiability for fit in fits)
    assert scipy.keys() == nlsq.keys()
    assert scipy["findings"]
    # other minima are those that a search has met
    told = [
        [(row.kind, row.kind != "other solution" and row.parameters) for row in known.findings]
        for known in (scipy, nlsq)
    ]
    assert told[0] == told[1]
    assert scipy["rank"] == nlsq["rank"]
    np.testing.assert_allclose(scipy["eigenvalues"], nlsq["eigenvalues"], rtol=NEAR)


def test_bands_structure_and_statistics_are_those_of_nlsq(fits):
    scipy, nlsq = fits
    assert [band.name for band in scipy.curves] == [band.name for band in nlsq.curves]
    for band, other in zip(scipy.curves, nlsq.curves, strict=True):
        np.testing.assert_allclose(band.error, other.error, rtol=NEAR)
        np.testing.assert_allclose(band.low, other.low, rtol=NEAR, atol=1e-6)
    assert set(nlsq.statistics) - set(scipy.statistics) == {"strategy", "strategy_reason", "weights"}
    for name in ("deviance", "effective_parameters", "dof", "lag_chi2", "age_chi2", "reduced_chi2"):
        assert scipy.statistics[name] == pytest.approx(nlsq.statistics[name], rel=NEAR), name
    assert scipy.statistics["ssr"] == pytest.approx(nlsq.statistics["ssr"], rel=SAME_MINIMUM)
    assert scipy.statistics["structure"] == nlsq.statistics["structure"]


def test_a_bound_that_it_only_comes_near_to_is_told(scipy_installed):
    truth = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}
    data = het.simulate("static", params=truth, phi=[0.0, 90.0], frames=48, noise=0.02, seed=1)
    scipy, nlsq = both(data, model="static", fix={"D_offset": 0.0}, bounds={"alpha": (0.3, 2.0)})
    assert scipy.values["alpha"] == nlsq.values["alpha"] == 0.3
    assert scipy.identifiability["at_bounds"] == nlsq.identifiability["at_bounds"] == ("alpha at low",)
    assert scipy.errors["D0"] == pytest.approx(nlsq.errors["D0"], rel=NEAR)
