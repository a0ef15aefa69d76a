"""What this distribution offers: the optimizer `nlsq`."""

from __future__ import annotations

from collections.abc import Iterator

from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import OptimizerRecord, Option

OPTIONS = (
    Option("max_iterations", int, 200, "most trust-region iterations per start"),
    Option("ftol", float, 1e-12, "relative change of the cost below which a fit stands still"),
    Option("xtol", float, 1e-10, "relative step below which a fit stands still"),
    Option("gtol", float, 1e-8, "cosine between residual and Jacobian columns that counts as converged"),
    Option(
        "weights",
        str,
        "noise",
        "weight of a bin: its noise, re-estimated twice, or equal",
        ("noise", "equal"),
    ),
    Option("starts", int, 64, "points to try where start values are missing"),
    Option("polish", int, 3, "how many of the best points are fitted to the end"),
    Option("seed", int, 0, "seed of the points to try"),
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
