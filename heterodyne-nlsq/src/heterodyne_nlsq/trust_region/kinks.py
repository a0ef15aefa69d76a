"""Minima on kinks: where the cost has an edge, no gradient vanishes but a mean of those beside it does.

A fraction clipped at 0 or 1 and a rate at its floor bend S at one frame, and the cost with it. Beside an edge
the cost is the largest of quadratics, one per smooth piece,

    f(x + s) ≈ f(x) + max_i (e_i + g_iᵀs) + ½ sᵀHs,      minimal at s = -H⁻¹ Σ λ_i g_i,

with the λ on the simplex that maximise Σ λ_i e_i - ½ ‖Σ λ_i g_i‖² in the norm of H⁻¹. A point is stationary
when gradients taken no further from it than a tolerance have a mean that vanishes (Goldstein, Math. Program.
13 (1977) 14; Burke, Lewis & Overton, SIAM J. Optim. 15 (2005) 751). Lengths are ‖D s‖ over the norm of the
residual, D² the diagonal of H: they and the tangent cosine have one unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from heterodyne.problem.normal_equations import NormalEquations
from heterodyne_nlsq.trust_region.bounded_step import Region, bounded_step, scaled_spectrum
from heterodyne_nlsq.trust_region.stationarity import (
    Box,
    Evaluate,
    Point,
    column_size,
    residual_norm,
    whitening,
)

MOST = 3
"""Points kept beyond edges: enough where two edges cross."""

ROUNDING = 1e-12
"""Relative error of a cost that is a difference of sums ten to a hundred times larger."""

_JUMP = 3.0  # curvature along a step, in that of the Gauss-Newton matrix, from which an edge is suspected
_MISSED = 0.1  # of the change of the slope, by which the trapezoidal rule fails across an edge
_TRIES = 60


class EdgeStep(NamedTuple):
    """A step, the reduction of the cost that it promises, and the weight of every point beyond an edge."""

    step: np.ndarray
    promised: float
    weights: np.ndarray


def error_length(equations: NormalEquations) -> float:
    """One standard error, sqrt(parameters / pairs), in the unit of the tangent cosine.

    From there on edges matter, and points beyond them that are nearer than this.
    """
    return float(np.sqrt(len(equations.gradient) / equations.n_pairs))


def distance(here: Point, other: Point) -> float:
    """How far apart two points are, in the unit of the tangent cosine."""
    size = column_size(here.equations.gram)
    return float(np.linalg.norm(size * (other.x - here.x))) / residual_norm(here.equations)


def has_edge(here: Point, there: Point, known: bool) -> bool:
    """Whether the gradient jumps between two points: it changes far more than the Gauss-Newton matrix says.

    Unless edges are ``known`` to be near, the trapezoidal rule must fail too: it states the change of the
    cost whatever the curvature, but not across a jump.
    """
    step, before, after = there.x - here.x, here.equations, there.equations
    jump = float((after.gradient - before.gradient) @ step)
    if not jump > _JUMP * float(step @ before.gram @ step):
        return False
    missed = after.cost - before.cost - 0.5 * float((before.gradient + after.gradient) @ step)
    return known or abs(missed) > _MISSED * jump + ROUNDING * before.cost


def edge_step(here: Point, beyond: Sequence[Point], reach: float, region: Region) -> EdgeStep:
    """The step within the region that minimises the largest of the quadratics of all points.

    Edges nearer than ``reach`` count as passing through the point itself: costs so close differ by little
    more than rounding. Bounds are kept but do not enter the weights: what is promised may then be below 0.
    """
    gram = here.equations.gram
    values, gradients = linearised(here, beyond, reach)
    weights, shift = _damped(values, gradients, gram, region)
    damped = gram + shift * np.diag(region.scale**2)
    step = bounded_step(weights @ gradients, damped, region._replace(radius=np.inf))
    promised = -float(np.max(values + gradients @ step) + 0.5 * step @ gram @ step)
    return EdgeStep(step, promised, weights[1:])


def linearised(here: Point, beyond: Sequence[Point], reach: float) -> tuple[np.ndarray, np.ndarray]:
    """e (k,) and g (k, p) at x of the quadratics of ``here`` and of the points beyond, all with the H of here.

    None lies above the cost at x, where only curvature or rounding could put it; those of points within
    ``reach`` are taken to pass through it.
    """
    x, own = here
    values, gradients = [0.0], [own.gradient]
    for point in beyond:
        back, equations = x - point.x, point.equations
        bent = own.gram @ back
        value = float(equations.cost + (equations.gradient + 0.5 * bent) @ back - own.cost)
        values.append(0.0 if value >= -ROUNDING * own.cost or distance(here, point) <= reach else value)
        gradients.append(equations.gradient + bent)
    return np.array(values), np.array(gradients)


def _damped(
    values: np.ndarray, gradients: np.ndarray, gram: np.ndarray, region: Region
) -> tuple[np.ndarray, float]:
    """The weights λ and the μ ≥ 0 whose step -(H + μ D²)⁻¹ Σ λ g ends within the radius, close to it if μ > 0."""
    scale, radius, *_ = region
    eigenvalues, vectors = scaled_spectrum(gram, scale)
    slopes = gradients / scale @ vectors

    def at(shift: float) -> tuple[np.ndarray, float]:
        weights = simplex_weights(values, slopes / np.sqrt(eigenvalues + shift))
        return weights, float(np.linalg.norm(weights @ slopes / (eigenvalues + shift)))

    weights, length = at(0.0)
    if length <= radius:
        return weights, 0.0
    short, long = 1e-6 * eigenvalues[-1], 0.0
    while at(short)[1] > radius:
        short, long = 10.0 * short, short
    for _ in range(_TRIES):
        weights, length = at(short)
        if length > 0.8 * radius:
            break
        middle = np.sqrt(short * long) if long else 0.1 * short
        short, long = (middle, long) if at(middle)[1] <= radius else (short, middle)
    return weights, short


def simplex_weights(values: np.ndarray, whitened: np.ndarray) -> np.ndarray:
    """λ (k,) ≥ 0 of sum 1 that maximises λᵀe - ½ ‖λᵀG‖² for values e (k,) and rows G (k, p); few k."""
    gram = whitened @ whitened.T
    highest, best = -np.inf, np.eye(len(values))[0]
    for size in range(1, len(values) + 1):
        for chosen in map(list, combinations(range(len(values)), size)):
            system = np.ones((size + 1, size + 1))
            system[:size, :size], system[size, size] = gram[np.ix_(chosen, chosen)], 0.0
            weights = np.zeros(len(values))
            weights[chosen] = np.linalg.lstsq(system, np.append(values[chosen], 1.0), rcond=None)[0][:size]
            value = float(weights @ values - 0.5 * weights @ gram @ weights)
            if np.all(weights >= 0.0) and value > highest:
                highest, best = value, weights
    return best


def onto_edges(
    evaluate: Evaluate, here: Point, beyond: Sequence[Point], weights: np.ndarray, box: Box, reach: float
) -> tuple[Point, list[Point]]:
    """``here`` moved to the edges before the points that have a weight, and those points to the other side.

    They end no further apart than ``reach``. Where no edge is met, or the cost would rise, both stay.
    """
    moved = list(beyond)
    white = whitening(here.equations.gram, box.active(here))
    for index in np.flatnonzero(weights > 0).tolist():
        across = white.T @ white @ (beyond[index].equations.gradient - here.equations.gradient)
        sides = bracket(evaluate, here, beyond[index], across, box, reach)
        if sides is not None:
            near, moved[index] = sides
            here = near if near.equations.cost <= here.equations.cost * (1.0 + ROUNDING) else here
    return here, moved


def bracket(
    evaluate: Evaluate, here: Point, beyond: Point, across: np.ndarray, box: Box, reach: float
) -> tuple[Point, Point] | None:
    """Points within the ``box`` on both sides of the edge met first along ``across``, at most ``reach`` apart.

    The side is told by the slope: that of ``here`` or that of the point ``beyond``. None if no edge is met.
    """
    edge = 0.5 * float((here.equations.gradient + beyond.equations.gradient) @ across)
    length = distance(here, Point(here.x + across, here.equations))
    if not 0.0 < length < np.inf:
        return None

    def at(part: float) -> Point:
        x = np.clip(here.x + part * across, *box)
        return Point(x, evaluate(x))

    near, far, low, high = here, at(0.5 * reach / length), 0.0, 0.5 * reach / length
    while far.equations.gradient @ across < edge:
        if high * length > error_length(here.equations):
            return None
        near, low, high = far, high, 4.0 * high
        far = at(high)
    while (high - low) * length > reach:
        middle = 0.5 * (low + high)
        between = at(middle)
        if between.equations.gradient @ across < edge:
            near, low = between, middle
        else:
            far, high = between, middle
    return (near, far) if np.isfinite(far.equations.cost) else None


def on_edge(here: Point, beyond: Sequence[Point], box: Box, gtol: float) -> bool:
    """Whether a mean of the gradients found within ``gtol`` of a point vanishes as that of a minimum does."""
    near = [point.equations.gradient for point in beyond if distance(here, point) <= gtol]
    gradients = np.array([here.equations.gradient, *near])
    whitened = gradients @ whitening(here.equations.gram, box.active(here)).T
    weights = simplex_weights(np.zeros(len(gradients)), whitened)
    return box.cosine(here, weights @ gradients) <= gtol
