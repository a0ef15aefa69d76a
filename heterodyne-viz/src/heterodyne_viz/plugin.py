"""What heterodyne-viz offers to the plugin manager; importing it loads neither matplotlib nor JAX."""

from __future__ import annotations

from collections.abc import Iterator

from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import WriterRecord


@hookimpl
def heterodyne_writers() -> Iterator[WriterRecord]:
    """The figures of a fit, and of a series of fits."""
    home = "heterodyne_viz.figures"
    yield WriterRecord(
        "figures",
        "figures/*.png: data beside fit, curves of time, profiles",
        f"{home}:write",
    )
    yield WriterRecord(
        "figures", "figures/by_*.png: parameters against q or phi", f"{home}:write_series", of="series"
    )
