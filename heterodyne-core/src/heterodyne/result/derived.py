"""`Derived`: what the curves of a model come to at the beginning, the middle and the end of the run.

Beside each transport coefficient J stands half of it: with |g1|² = e^{-q² ∫J}, and |g1|² = e^{-2 q² D τ} of free
diffusion, D = J/2 is the Stokes-Einstein diffusion coefficient.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from heterodyne.kernels.curves import RATE
from heterodyne.result.band import Band
from heterodyne.words import between, table, to_error


@dataclass(frozen=True)
class Derived:
    """A quantity at the times ``t`` in s: value, standard error, and the ends of its 95 % interval.

    They are NaN where the data do not determine it, apart from the value. ``name`` is that of a curve, or ``J/2`` with
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


MIDDLE = 1
"""The place of the middle of the run among the times of a `Derived`."""

ABOUT = "value [95 % interval]; D = J/2 is the Stokes-Einstein diffusion coefficient"
"""What tables of such quantities show."""


def derived_of(bands: Iterable[Band]) -> tuple[Derived, ...]:
    """What these bands come to at the first frame, at that nearest to the middle of the run, and at the last."""
    return tuple(row for band in bands for row in (_derived(band, 1.0), *_diffusion(band)))


def _diffusion(band: Band) -> list[Derived]:
    if band.unit != RATE:
        return []
    name = f"{band.name}/2"
    return [_derived(band, 0.5, name, " = ".join(filter(None, ("D", name, band.half))))]


def _derived(band: Band, factor: float, name: str = "", words: str = "") -> Derived:
    middle = int(np.argmin(np.abs(band.t - 0.5 * (band.t[0] + band.t[-1]))))
    at = [0, middle, -1]
    columns = (factor * column[at] for column in (band.value, band.error, band.low, band.high))
    numbers = (tuple(column.tolist()) for column in (band.t[at], *columns))
    return Derived(name or band.name, band.unit, *numbers, words=words)


def derived_table(rows: Sequence[Derived]) -> str:
    """The quantities, which are at the same times, as a table."""
    header = ["", *(f"t = {t:.6g} s" for t in rows[0].t)]
    return table(header, [[row.title, *row.cells()] for row in rows])


def _cell(value: float, error: float, low: float, high: float) -> str:
    if not np.isfinite(error):
        return "undetermined"
    return f"{to_error(value, error)} {between(low, high, error)}" if error > 0.0 else f"{value:.6g} (held)"
