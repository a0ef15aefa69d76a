"""Finite bins: how finely S is averaged over a bin's widths, and where unknown widths would matter.

Over the widths δq and δφ of a bin the fringe's phase q cos(φ - φ0) V varies, so that fringes at long lag
average out, which looks like decay. A fit averages S over Gauss-Legendre nodes; how many it needs follows
from its own solution, on a sample of frame pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jax import Array

from heterodyne.bins.bin import Bin
from heterodyne.bins.nodes import Nodes, bin_nodes
from heterodyne.data.geometry import SAME_AZIMUTH, between_directions, ring_of
from heterodyne.evaluators.bin_average import components_at
from heterodyne.evaluators.elementwise import (
    ShardGrid,
    averaged_pairs,
    pairs_at_points,
    precompute_shard_grid,
)
from heterodyne.kernels._jax import jax

if TYPE_CHECKING:
    from heterodyne.data.two_time import TwoTime
    from heterodyne.model import Model, Parameters

ORDERS = (1, 2, 3, 5, 7, 10, 14, 20, 28)
"""Numbers of nodes along one width that a fit chooses from."""

TOLERANCE = 1e-4
"""The error of an averaged S that is let pass; S itself lies in 0..1."""

_REFERENCE = 64  # nodes that stand for the exact average: twice as many as can be chosen
_AGES, _LAGS = 8, 48
_TYPICAL_AZIMUTH = 10.0  # degrees, a wide sector
_PHASE_SPREAD = 0.5  # rad, which takes 1 % of a fringe
_STEPS = 20  # of half the width


class BinOrders(NamedTuple):
    """Nodes along q and along the azimuth, the same for all bins, and the largest error of S they leave."""

    q: int = 1
    phi: int = 1
    error: float = 0.0

    def __str__(self) -> str:
        if self.q == self.phi == 1:
            return "none"
        return f"{self.phi} azimuth{'s' * (self.phi > 1)} × {self.q} q"


def sufficient_orders(model: Model, params: Parameters, bins: Sequence[Bin]) -> BinOrders:
    """The fewest nodes of `ORDERS` that average S over every bin of known widths to within `TOLERANCE`."""
    along_q, along_phi = (
        np.max([_errors(model, params, bin, over_phi) for bin in bins], axis=0) for over_phi in (False, True)
    )
    k_q, k_phi = (_first_within(errors) for errors in (along_q, along_phi))
    return BinOrders(ORDERS[k_q], ORDERS[k_phi], float(max(along_q[k_q], along_phi[k_phi])))


def with_orders(bin: Bin, orders: BinOrders) -> Bin:
    """The bin with so many nodes along its known widths."""
    return replace(bin, nodes=bin_nodes(bin.q, bin.phi, bin.dq, bin.dphi, orders.q, orders.phi))


def nodes_of(orders: tuple[int, int], data: TwoTime, index: int) -> Nodes:
    """The nodes of this bin of the data, ``orders`` along q and along the azimuth, as in a fit's ``bin_nodes``."""
    order_q, order_phi = orders
    q, phi, dq, dphi = (float(getattr(data, name)[index]) for name in ("q", "phi", "dq", "dphi"))
    return bin_nodes(q, phi, dq, dphi, order_q, order_phi)


def orders_of(bins: Sequence[Bin]) -> BinOrders:
    """The nodes that the bins have; a bin without a width has one whatever the others have."""
    return BinOrders(*(max(count) for count in zip(*(bin.nodes.weight.shape for bin in bins), strict=True)))


def critical_width(
    model: Model, params: Parameters, bins: Sequence[Bin], index: int
) -> tuple[float, float] | None:
    """The azimuthal width of a bin from which averaging matters, and the bin's width; None if narrower.

    Averaging matters where it changes S and q V cos(φ - φ0) varies by more than 0.5 rad over the bin, for
    some pair of frames with S ≥ 1/e. An unknown width is taken as 10°, or as the distance to the next
    azimuth at the bin's q where that is smaller.
    """
    bin = bins[index]
    width = _typical_width(bins, index) if np.isnan(bin.dphi) else bin.dphi
    if model.components is None or width == 0.0:
        return None
    across = bin.phi + width * np.linspace(-0.5, 0.5, 2 * _STEPS + 1)
    phases = np.asarray(_phases(model, params, bin.t, bin.q, across))
    if not phases.size:
        return None
    grid = _sample(bin)
    s = averaged_pairs(model, params, grid, bin_nodes(bin.q, bin.phi))
    changed = np.abs(averaged_pairs(model, params, grid, bin_nodes(bin.q, bin.phi, 0.0, width, 1, 5)) - s)
    relevant = (s >= math.exp(-1.0)) & (changed > TOLERANCE)
    turned = (phases[..., grid.second] - phases[..., grid.first])[..., relevant]
    # the phase may be largest inside the bin, where the flow runs
    inside = (turned[_STEPS - k : _STEPS + k + 1] for k in range(_STEPS + 1))
    spread = np.array([np.ptp(part, axis=0).max(initial=0.0) for part in inside])
    wide = np.flatnonzero(spread > _PHASE_SPREAD)
    return (float(width * wide[0] / _STEPS), float(width)) if len(wide) else None


@partial(jax.jit, static_argnames="model")
def _phases(model: Model, params: Parameters, t: Array, q: float, phi: Array) -> Array:
    """The phases of the fringes at these azimuths, (azimuths, F, N)."""
    return jax.vmap(lambda at: components_at(model, params, t, q, at).phase)(phi)


def _typical_width(bins: Sequence[Bin], index: int) -> float:
    q, phi = np.array([bin.q for bin in bins]), np.array([bin.phi for bin in bins])
    ring = ring_of(q, phi)
    apart = between_directions(phi[ring == ring[index]], phi[index])
    return float(np.min(apart[apart > SAME_AZIMUTH], initial=_TYPICAL_AZIMUTH))


def _first_within(errors: np.ndarray) -> int:
    enough = np.flatnonzero(errors <= TOLERANCE)
    return int(enough[0]) if len(enough) else len(ORDERS) - 1


def _errors(model: Model, params: Parameters, bin: Bin, over_phi: bool) -> np.ndarray:
    """The error of S averaged along one width by each of `ORDERS`, with the other at its centre and edges."""
    width, other = (bin.dphi, bin.dq) if over_phi else (bin.dq, bin.dphi)
    if not width > 0.0 or (over_phi and not model.uses_azimuth):
        return np.zeros(len(ORDERS))
    aside = 0.5 * other * np.array([-1.0, 0.0, 1.0]) if other > 0.0 else np.zeros(1)
    errors = [
        _errors_along(model, params, bin, (0.0, width), (bin.q + shift, bin.phi))
        if over_phi
        else _errors_along(model, params, bin, (width, 0.0), (bin.q, bin.phi + shift))
        for shift in aside
    ]
    return np.max(errors, axis=0)


def _errors_along(
    model: Model,
    params: Parameters,
    bin: Bin,
    widths: tuple[float, float],
    centre: tuple[float, float],
) -> np.ndarray:
    rules = [bin_nodes(*centre, *widths, order, order).listed() for order in (*ORDERS, _REFERENCE)]
    weights, q, phi = zip(*rules, strict=True)
    values = pairs_at_points(model, params, _sample(bin), np.concatenate(q), np.concatenate(phi))
    parts = np.split(values, np.cumsum([len(weight) for weight in weights])[:-1])
    averages = np.array([weight @ part for weight, part in zip(weights, parts, strict=True)])
    return np.abs(averages[:-1] - averages[-1]).max(axis=1)


def _sample(bin: Bin) -> ShardGrid:
    """Pairs of frames at a few ages and lags of every magnitude."""
    frames = bin.frames
    ages = np.linspace(0, frames - 1, _AGES, endpoint=False).astype(int)
    lags = np.geomspace(1, frames - 1, _LAGS).round().astype(int)
    first, second = (x.ravel() for x in np.broadcast_arrays(ages[:, None], ages[:, None] + lags))
    return precompute_shard_grid(bin.t, first[second < frames], second[second < frames])
