"""`heterodyne convert`: any readable file, or a selection from it, as the project's own file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from heterodyne.errors import DataError
from heterodyne_cli.output import extent, refuse_existing, show
from heterodyne_cli.selection import load_selected, selecting


@selecting
def convert(
    data: Annotated[str, typer.Argument(metavar="DATA", help="File to read.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="HDF5 file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    *,
    selected: Mapping[str, Any],
) -> None:
    """Write the selected bins and frames of a file as the project's own two-time file.

    Arrays (.npy, .npz) that carry no q, phi or dt take those given here as theirs.
    """
    refuse_existing(output, force)
    from heterodyne.data.two_time import TwoTime

    two_time = load_selected(data, selected)
    if not isinstance(two_time, TwoTime):
        raise DataError(f"{data} gives one-time data (g2 over the lag), which a two-time file does not hold")
    show(f"wrote {two_time.save(output)}: {extent(two_time.n_bins, two_time.n_frames)}")
