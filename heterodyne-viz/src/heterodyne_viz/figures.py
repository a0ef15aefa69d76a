"""The writer `figures`: every figure of a fit, and that of a series of fits."""

from __future__ import annotations

from pathlib import Path

from heterodyne.fitting.series import Series
from heterodyne.result.fit import Fit
from heterodyne_viz import curves, fit_comparison, one_time, profile, series


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write data beside fit, derived curves and profile likelihoods into figures/ in ``folder``.

    Of one-time data, g2 with the model in place of the first two.

    Returns the paths. Raises `HeterodyneError` for a fit without its data.
    """
    if fit.problem is not None and fit.problem.one_time:
        return [*one_time.write(fit, folder), *profile.write(fit, folder)]
    return [*fit_comparison.write(fit, folder), *curves.write(fit, folder), *profile.write(fit, folder)]


def write_series(of: Series, folder: Path) -> list[Path]:
    """Write the parameters against q or azimuth into figures/ in ``folder``; returns the paths."""
    return [series.write(of, folder)]
