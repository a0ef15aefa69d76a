"""`posterior.nc`: the posterior in ArviZ's groups, as plain netCDF that both generations of ArviZ read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.errors import PluginError
from heterodyne.io.atomic import replacing
from heterodyne.io.results import plain
from heterodyne.result import Fit
from heterodyne_cmc.posterior import Posterior

FILE = "posterior.nc"

_ARVIZ = {"accept_prob": "acceptance_rate", "num_steps": "n_steps"}


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write `posterior.nc` into ``folder``; raises `PluginError` for a fit that was not sampled."""
    if not isinstance(fit.posterior, Posterior):
        raise PluginError(f"there is no posterior to write: the fit is by {fit.optimizer}, not by cmc")
    from xarray import DataTree

    path = folder / FILE
    tree = DataTree.from_dict({f"/{name}": group for name, group in groups(fit, fit.posterior).items()})
    with replacing(path) as temporary:
        tree.to_netcdf(temporary, engine="h5netcdf")
    return [path]


def groups(fit: Fit, posterior: Posterior) -> dict[str, Any]:
    """The groups by name, as xarray datasets.

    ``posterior``: the parameters, and contrast, offset and noise per bin; ``sample_stats``;
    ``log_likelihood``: the marginal log likelihood per bin; ``observed_data``: residual sum of squares
    and number of pairs per bin, which stand for the matrices; ``constant_data``: q and φ of the bins and
    the parameters that did not vary. Attributes hold model, verdict and provenance.
    """
    from xarray import Dataset

    chain_draw = ("chain", "draw")
    coords = {"chain": np.arange(posterior.values.shape[0]), "draw": np.arange(posterior.values.shape[1])}
    per_bin = (*chain_draw, "bin")
    bins = {"bin": np.arange(len(fit.scaling))}
    drawn = {n: (chain_draw, posterior.values[..., k]) for k, n in enumerate(posterior.names)}
    scaling = {name: (per_bin, getattr(posterior, name)) for name in ("contrast", "offset", "noise")}
    attributes = {
        "model": fit.model,
        "optimizer": fit.optimizer,
        "verdict": fit.verdict,
        "statistics": json.dumps(plain(fit.statistics)),
        "provenance": json.dumps(plain(fit.provenance)),
        "inference_library": "numpyro",
    }
    found = {
        "posterior": Dataset(drawn | scaling, coords | bins, attributes),
        "log_likelihood": Dataset({"c2": (per_bin, posterior.log_likelihood)}, coords | bins),
        "observed_data": Dataset(
            {
                "ssr_at_median": ("bin", np.array([row.noise**2 * row.n_pairs for row in fit.scaling])),
                "n_pairs": ("bin", np.array([row.n_pairs for row in fit.scaling])),
            },
            bins,
        ),
        "constant_data": Dataset(
            {
                **{
                    name: ("bin", np.array([getattr(row, name) for row in fit.scaling]))
                    for name in ("q", "phi")
                },
                **{row.name: row.value for row in fit.estimates if not row.vary},
            },
            bins,
        ),
    }
    if posterior.statistics:
        statistics = {_ARVIZ.get(name, name): values for name, values in posterior.statistics.items()}
        statistics["lp"] = -statistics.pop("potential_energy")
        found["sample_stats"] = Dataset({n: (chain_draw, v) for n, v in statistics.items()}, coords)
    return found
