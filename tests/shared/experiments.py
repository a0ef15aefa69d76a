"""Simulated data that tests take for an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

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


def one_time(
    model: str,
    truth: Mapping[str, float],
    seed: int = 0,
    q: tuple[float, ...] = (0.01,),
    phi: tuple[float, ...] = (0.0, 45.0, 90.0),
    lags: int = 30,
    noise: float = 1e-3,
) -> het.OneTime:
    """g2 with contrast 0.3 at about so many log-spaced lags from 0.1 s to 100 s, its noise falling to a half."""
    tau = 0.1 * np.unique(np.round(np.geomspace(1, 1000, lags)))
    every_q, every_phi = np.repeat(q, len(phi)), np.tile(phi, len(q))
    t = np.concatenate([[0.1], 0.1 + tau])
    variant = het.create_model(model)
    rows = [variant.correlation(truth, t, *bin)[0, 1:] for bin in zip(every_q, every_phi, strict=True)]
    error = np.broadcast_to(noise * np.geomspace(1.0, 0.5, len(tau)), (len(rows), len(tau)))
    g2 = 1.0 + 0.3 * np.array(rows) + error * np.random.default_rng(seed).normal(size=error.shape)
    return het.OneTime(g2, every_q, every_phi, tau, error, 0.1, dq=np.array(0.0), dphi=np.array(0.0))
