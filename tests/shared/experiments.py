"""Simulated data that tests take for an experiment."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import heterodyne as het


def experiment(
    frames: int = 40,
    model: str = "two-component",
    phi: tuple[float, ...] = (0.0, 45.0, 90.0),
    seed: int = 0,
    **changes: Any,
) -> het.TwoTime:
    """Simulated data at q = 0.01 Å⁻¹, simulated once; ``changes`` are fields of the `TwoTime` that differ."""
    return replace(_simulated(frames, model, phi, seed), **changes)


@cache
def _simulated(frames: int, model: str, phi: tuple[float, ...], seed: int) -> het.TwoTime:
    return het.simulate(model, frames=frames, phi=phi, seed=seed)
