"""The same problem on excerpts of the data that fit into memory, for starts and for searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.bins.excerpts import excerpts
from heterodyne.bins.kept import in_place
from heterodyne.errors import DataError
from heterodyne.problem.objective import Objective


def on_excerpts(objective: Objective, *sizes: int) -> tuple[Objective, ...]:
    """The objective on windows of its bins, on the thinned bins, and on both together.

    Windows tell fast fringes, which the thinned bins alias; these tell what is slow. All parts of one bin
    share its contrast and offset. ``sizes`` are those that `excerpts` takes. Raises `DataError` if no part
    holds anything to fit.
    """
    per_bin = in_place(excerpts, objective.bins, [(bin, *sizes) for bin in objective.bins])
    windows, thinned = zip(*per_bin, strict=True)
    both = [parts.windows + parts.thinned for parts in per_bin]
    objectives = tuple(_on(objective, parts) for parts in (windows, thinned, both) if any(parts))
    if not objectives:
        raise DataError(
            "c2 is constant in every part of the data in which a start is sought: give start values"
        )
    return objectives


def _on(objective: Objective, parts: Sequence[tuple[Bin, ...]]) -> Objective:
    """The objective on these parts of each of its bins."""
    index = np.repeat(np.arange(len(parts)), [len(of_bin) for of_bin in parts])
    designs = {
        name: replace(design, matrix=design.matrix[index], fixed=design.fixed[index])
        for name, design in (("contrast", objective.contrast), ("offset", objective.offset))
    }
    bins = tuple(part for of_bin in parts for part in of_bin)
    return replace(objective, bins=bins, sigma=np.ones(len(bins)), **designs)
