"""What this distribution offers: the optimizer `nlsq`."""

from __future__ import annotations

from collections.abc import Iterator

from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import OptimizerRecord, Option

OPTIONS = (
    Option("max_iterations", int, 200, "most trust-region iterations per start", low=1, high=100_000),
    Option(
        "ftol", float, 1e-16, "relative change of the cost below which a fit stands still", low=0.0, high=1.0
    ),
    Option("xtol", float, 1e-12, "relative step below which a fit stands still", low=0.0, high=1.0),
    Option(
        "gtol",
        float,
        1e-7,
        "cosine of residual and tangent space that counts as converged",
        low=0.0,
        high=1.0,
    ),
    Option(
        "weights",
        str,
        "speckle",
        "weights: equal, of bins by their noise (noise), or of pairs by the covariance of frames too (speckle)",
        ("speckle", "noise", "equal"),
    ),
    Option(
        "strategy",
        str,
        "auto",
        "matrices in memory (direct), tiles from the file (streamed), by size (auto), or first bin after bin",
        ("auto", "direct", "streamed", "sequential"),
    ),
    Option(
        "memory", float, 0.0, "GiB that data may take in memory, 0: half of what is free", low=0.0, high=1e6
    ),
    Option(
        "executor",
        str,
        "serial",
        "who keeps the bins of a fit and sums over them: this process (serial), processes, or dask workers (dask)",
    ),
    Option("scheduler", str, "", "address of a dask scheduler, tcp://..."),
    Option(
        "workers",
        int,
        0,
        "processes that keep bins, 0: as many as there are cores, or dask workers that have joined",
        low=0,
        high=10_000,
    ),
    Option("bin_average", bool, True, "average S over the widths of bins that have them"),
    Option(
        "errors",
        str,
        "robust",
        "standard errors: robust against shared frames, or as if all elements were independent",
        ("robust", "independent"),
    ),
    Option(
        "hold_at_prior",
        bool,
        False,
        "hold undetermined directions at the prior means, without changing the cost or what is determined",
    ),
    Option("profile", str, (), "parameters whose profile likelihood is computed", many=True),
    Option(
        "profiles",
        str,
        "auto",
        "profiles also where errors are conditional or above 30 %, and what to do at bounds, or only what is asked",
        ("auto", "asked"),
    ),
    Option("global", bool, False, "search all that the bounds allow too, and say what that adds"),
    Option("starts", int, 128, "points to try where start values are missing", low=1, high=100_000),
    Option("polish", int, 3, "how many of the best points are fitted to the end", low=1, high=10_000),
    Option("seed", int, 0, "seed of the points to try", low=0, high=2**32 - 1),
)


@hookimpl
def heterodyne_optimizers() -> Iterator[OptimizerRecord]:
    """Trust-region least squares."""
    yield OptimizerRecord(
        "nlsq",
        "trust-region least squares, joint over all bins",
        "heterodyne_nlsq.least_squares:fit",
        OPTIONS,
    )
