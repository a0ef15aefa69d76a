"""`Derived`: what the curves of a model come to at the beginning, the middle and the end of the run.

Beside each transport coefficient J stands half of it: with |g1|² = e^{-q² ∫J}, and |g1|² = e^{-2 q² D τ} of free
diffusion, D = J/2 is the Stokes-Einstein diffusion coefficient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from heterodyne.kernels.curves import RATE
from heterodyne.result.band import Band
from heterodyne.words import between, table, to_error


@dataclass(frozen=True)
class Derived:
    """A quantity at the times ``t`` in s: value, standard error, and the ends of its 95 % interval.

    They are NaN where the data do not determine it, apart from the value. Of one-time data there is one time, NaN,
    which stands for all of them. ``name`` is that of a curve, or ``J/2`` with
    ``words``, such as ``D = J/2``, that say what it is.
    """

    name: str
    unit: str
    t: tuple[float, ...]
    value: tuple[float, ...]
    error: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    words: str = ""

    @property
    def title(self) -> str:
        """What it is, and its unit."""
        unit = "" if self.unit == "1" else f" ({self.unit})"
        return f"{self.words or self.name}{unit}"

    def at(self, place: int) -> tuple[float, float, float, float]:
        """Value, standard error and the ends of the interval at one of the times."""
        return self.value[place], self.error[place], self.low[place], self.high[place]

    def cells(self) -> list[str]:
        """The value and its interval at every time, in words."""
        return [_cell(*self.at(place)) for place in range(len(self.t))]

    @property
    def middle(self) -> int:
        """The place of the middle of the run among the times."""
        return len(self.t) // 2


ABOUT = "value [95 % interval]; D = J/2 is the Stokes-Einstein diffusion coefficient"
"""What tables of such quantities show."""


def derived_of(bands: Sequence[Band], constant: bool = False) -> tuple[Derived, ...]:
    """What these bands come to at the first frame, at that nearest to the middle of the run, and at the last.

    Where they are ``constant``, as for one-time data, they have one value for all times.
    """
    return tuple(row for band in bands for row in (_derived(band, constant), *_diffusion(band, constant)))


def _diffusion(band: Band, constant: bool) -> list[Derived]:
    """D = J/2 of a rate."""
    if band.unit != RATE:
        return []
    name = f"{band.name}/2"
    words = f"D = {name} = {band.half}" if band.half else f"D = {name}"
    return [replace(_derived(band, constant, 0.5), name=name, words=words)]


def _derived(band: Band, constant: bool, factor: float = 1.0) -> Derived:
    middle = int(np.argmin(np.abs(band.t - 0.5 * (band.t[0] + band.t[-1]))))
    at = [0] if constant else [0, middle, -1]
    t = np.full(1, np.nan) if constant else band.t[at]
    columns = (factor * column[at] for column in (band.value, band.error, band.low, band.high))
    value, error, low, high = (tuple(column.tolist()) for column in columns)
    return Derived(band.name, band.unit, tuple(t.tolist()), value, error, low, high)


def derived_table(rows: Sequence[Derived]) -> str:
    """The quantities, which are at the same times, as a table."""
    header = ["", *("at all times" if np.isnan(t) else f"t = {t:.6g} s" for t in rows[0].t)]
    return table(header, [[row.title, *row.cells()] for row in rows])


def _cell(value: float, error: float, low: float, high: float) -> str:
    if not np.isfinite(error):
        return "undetermined"
    return f"{to_error(value, error)} {between(low, high, error)}" if error > 0.0 else f"{value:.6g} (held)"
