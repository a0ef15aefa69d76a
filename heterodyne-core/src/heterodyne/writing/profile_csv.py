"""`profile_NAME.csv`: the profile of a parameter as a table, ready for a figure."""

from __future__ import annotations

from pathlib import Path

from heterodyne.atomic import file_name
from heterodyne.result.fit import Fit
from heterodyne.writing.csv import write_csv


def write(fit: Fit, folder: Path) -> list[Path]:
    """Write one table per profile into ``folder``: value, Δχ², the same over the scale, the rest, cost."""
    return [
        write_csv(
            folder / f"profile_{file_name(name)}.csv",
            list(columns),
            list(zip(*columns.values(), strict=True)),
        )
        for name, columns in ((name, profile.columns()) for name, profile in fit.profiles.items())
    ]
