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
    from heterodyne.comparison import compare
    from heterodyne.data.simulation import simulate
    from heterodyne.data.speckle import simulate_speckle
    from heterodyne.data.two_time import TwoTime
    from heterodyne.errors import HeterodyneError
    from heterodyne.fitting import fit
    from heterodyne.io.loading import load
    from heterodyne.io.results import read_fit
    from heterodyne.listing import loaders, models, optimizers, writers
    from heterodyne.model import Model, create_model
    from heterodyne.result import Fit
    from heterodyne.series import fit_by

__version__ = "0.1.0"

_HOME = {
    "Fit": "result",
    "HeterodyneError": "errors",
    "Model": "model",
    "TwoTime": "data.two_time",
    "compare": "comparison",
    "create_model": "model",
    "fit": "fitting",
    "fit_by": "series",
    "load": "io.loading",
    "loaders": "listing",
    "models": "listing",
    "optimizers": "listing",
    "read_fit": "io.results",
    "simulate": "data.simulation",
    "simulate_speckle": "data.speckle",
    "writers": "listing",
}

__all__ = [
    "Fit",
    "HeterodyneError",
    "Model",
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
