"""Heterodyne: transport coefficients, velocity and fractions from two-time X-ray photon correlations.

    import heterodyne as het

    data = het.load("run.h5", q=0.0054, phi=[(-10, 10), (40, 50)])
    fit = het.fit(data, model="two-component")
    print(fit.report())

Names are imported when first used: importing this package loads neither JAX nor HDF5.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heterodyne.catalogue import create_model, loaders, models, optimizers, writers
    from heterodyne.data.one_time import OneTime
    from heterodyne.data.two_time import TwoTime
    from heterodyne.errors import HeterodyneError
    from heterodyne.fitting.comparison import compare
    from heterodyne.fitting.fit import fit
    from heterodyne.fitting.series import fit_by
    from heterodyne.loading.load import load
    from heterodyne.model import Model
    from heterodyne.result.document import read_fit
    from heterodyne.result.fit import Fit
    from heterodyne.simulation.simulate import simulate
    from heterodyne.simulation.speckle import simulate_speckle

__version__ = "0.1.0"

_HOME = {
    "Fit": "result.fit",
    "HeterodyneError": "errors",
    "Model": "model",
    "OneTime": "data.one_time",
    "TwoTime": "data.two_time",
    "compare": "fitting.comparison",
    "create_model": "catalogue",
    "fit": "fitting.fit",
    "fit_by": "fitting.series",
    "load": "loading.load",
    "loaders": "catalogue",
    "models": "catalogue",
    "optimizers": "catalogue",
    "read_fit": "result.document",
    "simulate": "simulation.simulate",
    "simulate_speckle": "simulation.speckle",
    "writers": "catalogue",
}

__all__ = [
    "Fit",
    "HeterodyneError",
    "Model",
    "OneTime",
    "TwoTime",
    "compare",
    "create_model",
    "fit",
    "fit_by",
    "load",
    "loaders",
    "models",
    "optimizers",
    "read_fit",
    "simulate",
    "simulate_speckle",
    "writers",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'heterodyne' has no attribute {name!r}")
    value = getattr(import_module(f"heterodyne.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
