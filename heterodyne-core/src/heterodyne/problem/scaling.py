"""Scaling designs: contrast and offset per bin as linear maps of a few weights.

    contrast_b = Σ_m A_bm w_m + fixed_b

`individual` has one weight per bin, `shared` one per q, `fourier:M` the harmonics
1, cos mφ, sin mφ (m ≤ M) per q, and a number fixes every bin. `auto` is decided by a fit: `individual` where
every bin's contrast is known to 20 %, else `shared`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heterodyne.data.geometry import ring_of
from heterodyne.errors import ConfigError
from heterodyne.parameters import SCALING
from heterodyne.problem.kinds import AUTO


@dataclass(frozen=True, eq=False)
class ScalingDesign:
    """``matrix`` (bins, weights), ``fixed`` (bins,), and the bounds ``low`` and ``high`` of the values."""

    name: str
    matrix: np.ndarray
    fixed: np.ndarray
    low: float
    high: float

    def values(self, weights: np.ndarray) -> np.ndarray:
        """The value per bin for these weights."""
        return self.matrix @ weights + self.fixed


def without_auto(
    contrast: str | float, offset: str | float, decision: str = "individual"
) -> tuple[str | float, str | float]:
    """The choices for contrast and offset with ``auto`` replaced: the contrast's by ``decision``.

    The offset's follows the contrast where that is shared, and is individual beside any other.
    """
    if contrast == AUTO:
        contrast = decision
    if offset == AUTO:
        offset = "shared" if contrast == "shared" else "individual"
    return contrast, offset


def scaling_design(which: str, design: str | float, q: np.ndarray, phi: np.ndarray) -> ScalingDesign:
    """The design of ``which`` (contrast or offset) for these bins, as `heterodyne.problem.choices` reads it.

    Raises `ConfigError` for harmonics that the azimuths of the bins cannot tell.
    """
    low, high = SCALING[which].low, SCALING[which].high
    if isinstance(design, str):
        return ScalingDesign(design, _matrix(which, design, q, phi), np.zeros(len(q)), low, high)
    return ScalingDesign(f"{design:g}", np.zeros((len(q), 0)), np.full(len(q), design), low, high)


def _matrix(which: str, design: str, q: np.ndarray, phi: np.ndarray) -> np.ndarray:
    if design == "individual":
        return np.eye(len(q))
    ring = ring_of(q, phi)
    rings = (ring[:, None] == np.arange(ring.max() + 1)).astype(float)
    return rings if design == "shared" else _fourier(which, int(design.partition(":")[2]), rings, phi)


def _fourier(which: str, order: int, rings: np.ndarray, phi: np.ndarray) -> np.ndarray:
    if np.isnan(phi).any():
        raise ConfigError(f"{which} fourier:{order} needs an azimuth for every bin")
    angle = np.deg2rad(phi)[:, None] * np.arange(1, order + 1)
    harmonics = np.hstack([np.ones((len(phi), 1)), np.cos(angle), np.sin(angle)])
    matrix = np.hstack([ring[:, None] * harmonics for ring in rings.T])
    needed = harmonics.shape[1]
    for k, ring in enumerate(rings.T):
        if np.linalg.matrix_rank(harmonics[ring > 0]) < needed:
            raise ConfigError(
                f"{which} fourier:{order} needs {needed} azimuths per q, ring {k + 1} has fewer"
            )
    return matrix
