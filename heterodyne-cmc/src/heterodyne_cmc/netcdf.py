"""`posterior.nc`: the posterior in ArviZ's groups, as plain netCDF that both generations of ArviZ read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from heterodyne.atomic import replacing
from heterodyne.data.output_stream import OutputStream, written
from heterodyne.errors import PluginError
from heterodyne.result.document import plain
from heterodyne.result.fit import Fit
from heterodyne_cmc.blocks import BlockLikelihood
from heterodyne_cmc.posterior import Posterior

if TYPE_CHECKING:
    from xarray import Dataset

FILE = "posterior.nc"

_Variable = tuple[tuple[str, ...], np.ndarray, dict[str, str]]  # dimensions, draws, attributes

_PER_DRAW, _PER_BIN = ("chain", "draw"), ("chain", "draw", "bin")

_ARVIZ = {"accept_prob": "acceptance_rate", "num_steps": "n_steps"}


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write `posterior.nc` into ``folder``; raises `PluginError` for a fit that was not sampled."""
    if not isinstance(fit.posterior, Posterior):
        raise PluginError(f"there is no posterior to write: the fit is by {fit.optimizer}, not by cmc")
    path = folder / FILE
    with replacing(path) as temporary:
        written(temporary, partial(_write, groups(fit, fit.posterior)))
    return [path]


def _write(groups: Mapping[str, Dataset], stream: OutputStream) -> None:
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    with h5netcdf.File(stream, "w") as file:
        for name, group in groups.items():
            group.dump_to_store(H5NetCDFStore(file.create_group(name)))


def groups(fit: Fit, posterior: Posterior) -> dict[str, Dataset]:
    """The groups by name, as xarray datasets.

    ``posterior``: the parameters, and contrast, offset and noise per bin; ``sample_stats``;
    ``log_likelihood``: of blocks of pairs, with their bins and frames, as `heterodyne_cmc.blocks` has them;
    ``observed_data``: residual sum of squares at the medians and number of pairs per bin, number of pairs and mean
    of c2 per block, which stand for the matrices; ``constant_data``: q and φ of the bins
    and the parameters that did not vary. Attributes hold model, verdict and provenance.
    """
    from xarray import Dataset

    chains, draws = posterior.values.shape[:2]
    coords = {"chain": np.arange(chains), "draw": np.arange(draws)}
    bins = {"bin": np.arange(len(fit.scaling))}
    columns = {
        name: np.array([getattr(bin, name) for bin in fit.scaling]) for name in ("q", "phi", "n_pairs")
    }
    constants = {
        estimate.name: ((), estimate.value, {"units": estimate.unit})
        for estimate in fit.estimates
        if not estimate.vary
    }
    blocks = posterior.log_likelihood.columns
    observed = {
        "c2": ("block", blocks.mean, {"long_name": "mean c2 of the pairs of a block"}),
        "block_pairs": ("block", blocks.pairs),
        "ssr": ("bin", np.array(fit.statistics["ssr_per_bin"])),
        "n_pairs": ("bin", columns["n_pairs"]),
    }
    place = {
        "q": ("bin", columns["q"], {"units": "1/Å"}),
        "phi": ("bin", columns["phi"], {"units": "degree"}),
    }
    datasets = {
        "posterior": Dataset(_variables(fit, posterior), coords | bins, _attributes(fit)),
        "log_likelihood": _log_likelihood(posterior.log_likelihood, coords),
        "observed_data": Dataset(observed, bins | _block_coords(posterior.log_likelihood)),
        "constant_data": Dataset({**place, **constants}, bins),
    }
    if posterior.statistics:
        statistics = {_ARVIZ.get(name, name): values for name, values in posterior.statistics.items()}
        statistics["lp"] = -statistics.pop("potential_energy")
        datasets["sample_stats"] = Dataset({n: (_PER_DRAW, v) for n, v in statistics.items()}, coords)
    return datasets


def _block_coords(blocks: BlockLikelihood) -> dict[str, tuple[str, np.ndarray]]:
    """Number of every block, the bin, and first and last frames, counted from 0, of its rows and columns."""
    columns = {
        name: value for name, value in blocks.columns._asdict().items() if name not in ("pairs", "mean")
    }
    numbers = {"block": np.arange(len(blocks.bin)), "block_bin": blocks.bin, **columns}
    return {name: ("block", value) for name, value in numbers.items()}


def _log_likelihood(blocks: BlockLikelihood, coords: dict[str, np.ndarray]) -> Dataset:
    """The log likelihood of blocks at the draws; attribute ``scale`` is what it is multiplied by."""
    from xarray import Dataset

    values = (("chain", "draw", "block"), blocks.values, {"scale": blocks.scale})
    return Dataset({"c2": values}, coords | _block_coords(blocks), {"scale": blocks.scale})


def _variables(fit: Fit, posterior: Posterior) -> dict[str, _Variable]:
    """Every drawn variable: dimensions, draws, attributes."""
    units = {estimate.name: estimate.unit for estimate in fit.estimates}
    values = zip(posterior.names, np.moveaxis(posterior.values, -1, 0), strict=True)
    per_bin = {
        name: (_PER_BIN, getattr(posterior, name), {"units": "1"}) for name in ("contrast", "offset", "noise")
    }
    return {name: (_PER_DRAW, draws, {"units": units[name]}) for name, draws in values} | per_bin


def _attributes(fit: Fit) -> dict[str, str]:
    return {
        "model": fit.model,
        "optimizer": fit.optimizer,
        "verdict": fit.verdict,
        "message": fit.message,
        "statistics": json.dumps(plain(fit.statistics)),
        "identifiability": json.dumps(plain(fit.identifiability)),
        "provenance": json.dumps(plain(fit.provenance)),
        "created_at": str(fit.provenance.get("date", "")),
        "inference_library": "numpyro",
        "inference_library_version": version("numpyro"),
    }
