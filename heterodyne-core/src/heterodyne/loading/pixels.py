"""q and azimuth of bins from the pixels that belong to them, for a flat detector across the beam.

A pixel at distance r from the beam centre scatters by 2θ = atan(r / d), so that q = (4π/λ) sin θ. The full width
of a bin is that of the uniform distribution which spreads as its pixels do, each pixel being an area: for a sector
of a ring it is the distance between the edges, and with pixels masked in it the mean of S is right to second order.
For azimuths, spread is told by the mean of exp(iφ), which is sin(w/2) / (w/2) over an arc w.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

FEWEST_PIXELS = 3
"""Fewer pixels of a bin are no sample of it."""

RING = 170.0
"""A bin that spreads over so many degrees has no azimuth: half a circle holds every axis of flow once."""

_HC = 12.39841984  # keV Å
_FAR = 0.75  # of the width from the mean; a full bin reaches to 0.5, strays lie beyond
_BLOCK = 2**18  # pixels at a time: what stays in the cache of a core

_ARCS = np.linspace(0.0, 2.0 * math.pi, 4097)
_SPREADS = np.sqrt(
    1.0 - np.sinc(_ARCS / (2.0 * math.pi))
)  # nearly proportional to the arc, so it interpolates well


@dataclass(frozen=True)
class Geometry:
    """Where the beam hits the detector (row, column, from 0), its distance and pixel size in m, energy in keV."""

    row: float
    column: float
    distance: float
    pixel: float
    energy: float


class PixelBins(NamedTuple):
    """Per bin: number of pixels, mean q and its full width in Å⁻¹, mean azimuth and its full width in degrees.

    The azimuth turns from higher columns to higher rows. All are NaN where there is no pixel.
    """

    number: np.ndarray
    q: np.ndarray
    phi: np.ndarray
    dq: np.ndarray
    dphi: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """Whether a bin has enough pixels to be known by them, (bins,)."""
        return self.number >= FEWEST_PIXELS

    @property
    def ring(self) -> np.ndarray:
        """Whether a bin spreads over all axes, (bins,)."""
        return self.known & (self.dphi >= RING)


class _Means(NamedTuple):
    """A number of pixels and their mean r, r², cos φ and sin φ, lengths in pixels; of every label or run."""

    number: np.ndarray
    r: np.ndarray
    square: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray

    @property
    def width(self) -> np.ndarray:
        """The full width of the pixels' centres in r."""
        return np.sqrt(12.0 * np.maximum(self.square - self.r**2, 0.0))

    @property
    def arc(self) -> np.ndarray:
        """The full width of the pixels' centres in φ, radians."""
        spread = np.sqrt(np.clip(1.0 - np.hypot(self.cosine, self.sine), 0.0, 1.0))
        return np.interp(spread, _SPREADS, _ARCS)


def bins_of_pixels(labels_of_pixels: np.ndarray, labels: np.ndarray, geometry: Geometry) -> PixelBins:
    """Mean q and azimuth, and full widths, of the bins with these ``labels`` (bins,), which count from 1.

    ``labels_of_pixels`` (rows, columns) is whole numbers, 0 where a pixel belongs to no bin. Pixels that lie far
    from the others of their bin are left out.
    """
    size = int(labels_of_pixels.max(initial=0)) + 2  # the last one has no pixels
    label, sums = _runs(labels_of_pixels, geometry)
    near = _near(_means(sums), label, _means(_by_label(label, sums, size)))
    by_label = _by_label(label[near], sums[:, near], size)
    return _bins(_means(by_label[:, np.minimum(labels, size - 1)]), geometry)


def _runs(labels: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """The label of every run of pixels along a row, (runs,), and sums over its pixels as in `_Means`, (5, runs)."""
    rows = max(1, _BLOCK // max(1, labels.shape[1]))
    found = [_runs_of(labels[start : start + rows], start, geometry) for start in range(0, len(labels), rows)]
    return np.concatenate([label for label, _ in found]), np.concatenate([sums for _, sums in found], axis=1)


def _runs_of(labels: np.ndarray, first_row: int, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Sums over runs, which cost a tenth of sums over scattered pixels, for these rows."""
    flat = labels.reshape(-1)
    begins = np.ones(flat.size, dtype=bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[:: labels.shape[1]] = True
    at = np.flatnonzero(begins)
    x = np.arange(labels.shape[1]) - geometry.column
    y = np.arange(first_row, first_row + len(labels))[:, None] - geometry.row
    square = np.maximum(x * x + y * y, 0.25)  # the pixel at the centre has no azimuth
    r = np.sqrt(square)
    terms = (np.add.reduceat(term.reshape(-1), at) for term in (r, square, x / r, y / r))
    sums = np.stack([np.diff(at, append=flat.size), *terms])
    inside = flat[at] > 0
    return flat[at][inside].astype(np.intp), sums[:, inside]


def _by_label(label: np.ndarray, sums: np.ndarray, size: int) -> np.ndarray:
    """The sums of every label from 0 on, (5, size)."""
    return np.stack([np.bincount(label, weights=row, minlength=size) for row in sums])


def _means(sums: np.ndarray) -> _Means:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _Means(sums[0], *(sums[1:] / sums[0]))


def _near(runs: _Means, label: np.ndarray, bins: _Means) -> np.ndarray:
    """Whether a run lies within what its bin may span, with a pixel to spare."""
    with np.errstate(invalid="ignore"):
        reach, turn = _FAR * bins.width + 1.0, np.minimum(_FAR * bins.arc + 1.0 / bins.r, math.pi)
        towards = runs.cosine * bins.cosine[label] + runs.sine * bins.sine[label]
        lengths = np.hypot(runs.cosine, runs.sine) * np.hypot(bins.cosine, bins.sine)[label]
    beside = towards >= np.cos(turn)[label] * lengths - 1e-9
    return beside & (np.abs(runs.r - bins.r[label]) <= reach[label])


def _bins(means: _Means, geometry: Geometry) -> PixelBins:
    """q and azimuth by the means of r and φ; q(r) to second order, as within a bin it is nearly straight."""
    wavenumber, scale = 2.0 * math.pi * geometry.energy / _HC, geometry.pixel / geometry.distance
    theta = 0.5 * np.arctan(means.r * scale)
    along = np.cos(2.0 * theta) ** 2  # d(2θ) = cos² 2θ d(r/d)
    slope = wavenumber * scale * np.cos(theta) * along
    bend = (
        -wavenumber * (scale * along) ** 2 * (0.5 * np.sin(theta) + 2.0 * np.cos(theta) * np.tan(2.0 * theta))
    )
    return PixelBins(
        means.number.astype(int),
        2.0 * wavenumber * np.sin(theta) + bend * means.width**2 / 24.0,
        np.degrees(np.arctan2(means.sine, means.cosine)),
        slope * np.hypot(means.width, 1.0),
        np.minimum(np.degrees(np.hypot(means.arc, 1.0 / means.r)), 360.0),
    )
