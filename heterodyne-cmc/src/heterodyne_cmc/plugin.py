"""What this distribution offers: the optimizer `cmc`, and its output `posterior.nc`."""

from __future__ import annotations

from collections.abc import Iterator

from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import OptimizerRecord, Option, WriterRecord

OPTIONS = (
    Option("chains", int, 4, "Markov chains", low=2, high=1000),
    Option(
        "warmup",
        int,
        500,
        "steps of a chain that adapt the sampler, thrown away",
        low=20,
        high=1_000_000,
    ),
    Option("draws", int, 1000, "draws of every chain", low=20, high=1_000_000),
    Option(
        "target_accept",
        float,
        0.8,
        "acceptance aimed at; raised on divergences, twice at most",
        low=0.5,
        high=0.999,
    ),
    Option("max_tree_depth", int, 10, "most doublings of a trajectory", low=1, high=20),
    Option(
        "likelihood",
        str,
        "calibrated",
        "adjusted to the robust errors, or as if all elements were independent",
        ("calibrated", "independent"),
    ),
    Option(
        "weights",
        str,
        "auto",
        "weight of pairs: the covariance of their frames (speckle), the noise of their bin, or auto, which is speckle "
        "for a calibrated likelihood of one shard",
        ("auto", "speckle", "noise"),
    ),
    Option(
        "exact",
        bool,
        False,
        "evaluate the likelihood from all data at every step, in place of interpolating S and checking that",
    ),
    Option("no_warm_start", bool, False, "sample around the start values, without least squares first"),
    Option(
        "shards",
        int,
        1,
        "parts of the data that are sampled apart and combined; 1 is exact",
        low=1,
        high=10_000,
    ),
    Option("partition", str, "tiles", "what a shard is made of", ("tiles", "pairs", "bins")),
    Option("refine", bool, True, "correct combined shards by the posterior of all data"),
    Option("executor", str, "processes", "where shards run: serial, processes, dask"),
    Option("scheduler", str, "", "address of a dask scheduler, tcp://..."),
    Option("workers", int, 0, "shards at a time, 0: as many as there are cores for", low=0, high=10_000),
    Option(
        "threads", int, 0, "threads of a sampler, 0: as many as cores, or 1 per shard", low=0, high=10_000
    ),
    Option(
        "checkpoint",
        str,
        "",
        "folder that keeps draws as they come; by default in the output folder, until that is written",
    ),
    Option("resume", bool, False, "go on with the run in the checkpoint folder"),
    Option("block", int, 50, "steps between two checkpoints of a chain", low=1, high=1_000_000),
    Option("rhat", float, 1.01, "R-hat that is let pass", low=1.0, high=10.0),
    Option("ess", float, 400.0, "bulk and tail effective sample size that is asked for", low=0.0, high=1e9),
    Option("bfmi", float, 0.3, "BFMI that is asked for", low=0.0, high=10.0),
    Option("divergences", float, 1e-3, "share of divergent draws that is let pass", low=0.0, high=1.0),
    Option(
        "saturated", float, 0.0, "share of trees at their greatest depth that is let pass", low=0.0, high=1.0
    ),
    Option(
        "block_scale",
        float,
        0.0,
        "scale of the log likelihood in posterior.nc, the same for models to be compared; 0: by the calibration",
        low=0.0,
        high=1.0,
    ),
    Option("seed", int, 0, "seed of the chains and the shards", low=0, high=2**32 - 1),
)


@hookimpl
def heterodyne_optimizers() -> Iterator[OptimizerRecord]:
    """Bayesian sampling."""
    yield OptimizerRecord(
        "cmc",
        "posterior by NUTS, of shards by consensus Monte Carlo",
        "heterodyne_cmc.sampling:fit",
        OPTIONS,
        outputs=("posterior",),
    )


@hookimpl
def heterodyne_writers() -> Iterator[WriterRecord]:
    """The posterior as a file."""
    yield WriterRecord("posterior", "posterior.nc: draws in ArviZ's groups", "heterodyne_cmc.netcdf:write")
