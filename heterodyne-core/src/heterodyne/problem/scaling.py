"""Scaling designs: contrast and offset per bin as linear maps of a few weights.

    contrast_b = Σ_m A_bm w_m + fixed_b

`individual` has one weight per bin, `shared` one per q, `fourier:M` the harmonics
1, cos mφ, sin mφ (m ≤ M) per q, and a number fixes every bin. `auto` is settled by a fit: `individual` where
every bin's contrast is known to 20 %, else `shared`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from heterodyne.data.geometry import ring_of
from heterodyne.errors import ConfigError
from heterodyne.parameters import SCALING

AUTO = "auto"


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


def settled(
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


def scaling_design(which: str, choice: str | float, q: np.ndarray, phi: np.ndarray) -> ScalingDesign:
    """The design of ``which`` (contrast or offset) for these bins.

    Raises `ConfigError` for a choice that is no design and no number inside the registry's bounds.
    """
    row = SCALING[which]
    value = held_at(choice)
    if value is not None:
        if not row.low <= value <= row.high:
            raise ConfigError(f"{which} {value:g} lies outside {row.low:g}:{row.high:g}")
        return ScalingDesign(f"{value:g}", np.zeros((len(q), 0)), np.full(len(q), value), row.low, row.high)
    matrix = _matrix(which, str(choice), q, phi)
    return ScalingDesign(str(choice), matrix, np.zeros(len(q)), row.low, row.high)


def held_at(choice: str | float) -> float | None:
    """The number at which a choice holds contrast or offset, None for the name of a design."""
    try:
        return float(choice)
    except ValueError:
        return None


def _matrix(which: str, choice: str, q: np.ndarray, phi: np.ndarray) -> np.ndarray:
    if choice == "individual":
        return np.eye(len(q))
    rings = (ring_of(q)[:, None] == np.arange(ring_of(q).max() + 1)).astype(float)
    if choice == "shared":
        return rings
    kind, _, order = choice.partition(":")
    if kind == "fourier" and order.isdigit():
        return _fourier(which, int(order), rings, phi)
    raise ConfigError(f"{which} must be auto, individual, shared, fourier:M or a number, not {choice!r}")


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
