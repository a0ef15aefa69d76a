"""Steps along which curves move straight, where their parameters would not.

Data know a curve

    h(s) = A e^{b s} + o,      s = ln t of a power law, t - c of a growth,

by its heights, while A, b and o trade for one another: a valley of the cost is bent in them, and nearly straight in

    h(s₁), h(s₂), ln |m|,      m = A e^{b (s₁ + s₂)/2},

of rates in ln h. These three are a chart of all (A, b, o) with A ≠ 0: with k = sign A,

    o = (h₁ + h₂)/2 - k sqrt((h₁ - h₂)²/4 + m²),      b = ln((h₂ - o)/(h₁ - o)) / (s₂ - s₁).

Where b stands still, A and o move so that the middle height and A go straight; likewise b and o where A does. A
step has the same tangent in either chart, so that what a quadratic model promises of it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from heterodyne.kernels.curves import Curve, Growth, PowerLaw
from heterodyne.problem.problem import Problem

_AT = 0.1, 0.9  # of the frames: where heights are taken

_LONGEST = 30.0  # of a logarithm in one step

_FURTHER = 4.0  # times the tangent: how far a curved way is followed to a value

_STEEPEST = (
    4.0  # |b| (s₂ - s₁) of a curve with A on a linear scale: one that is steeper is a spike, and A next to 0
)

_CLOSE = 1e-6  # of a step: how exactly a value is met before it is set

Move = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From a point and a step to where that leads: a way that the step is tangent to."""


class Trade(NamedTuple):
    """The places of A, b and o of a curve among the coordinates, s₁ and s₂, and whether A and h move in logarithms."""

    places: tuple[int, int, int]
    ends: np.ndarray
    log_factor: bool
    log_height: bool


class _Triple(NamedTuple):
    """A, b and o; of a step, their changes."""

    a: float
    b: float
    o: float


def trades(problem: Problem) -> tuple[Trade, ...]:
    """The curves of a problem of which all three parameters vary."""
    t = np.concatenate([data.t for data in problem.data])
    return tuple(_trades(problem, t[t > 0]))


def _trades(problem: Problem, t: np.ndarray) -> Iterator[Trade]:
    names = problem.varying
    for curve in problem.model.curves:
        parts = _exponential_parts(curve)
        if not parts or not set(parts) <= set(names) or _origin(curve) in names:
            continue
        ends = np.quantile(t, _AT)
        s = np.log(ends) if isinstance(curve, PowerLaw) else ends - problem.parameters[_origin(curve)].start
        places = (names.index(parts[0]), names.index(parts[1]), names.index(parts[2]))
        is_rate = isinstance(curve, PowerLaw) and not curve.signed
        yield Trade(places, s, problem.parameters[parts[0]].scale == "log", is_rate)


def _exponential_parts(curve: Curve) -> Sequence[str]:
    if isinstance(curve, PowerLaw):
        return curve.prefactor, curve.exponent, curve.offset
    return (curve.prefactor, curve.rate, curve.offset) if isinstance(curve, Growth) else ()


def _origin(curve: Curve) -> str:
    return curve.origin if isinstance(curve, Growth) else ""


def moved(
    of: Sequence[Trade], u: np.ndarray, step: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Where a step from u (p,) leads: as the line u + step at first, with curves going straight.

    Where a parameter of a curve would leave its bounds, it stops there, and the others keep the heights of the curve.
    """
    x = u + step
    for trade in of:
        places = list(trade.places)
        change = _Triple(*step[places])
        if np.count_nonzero(change) < 2 or not change.o:
            continue
        at, bounds = u[places], np.array([low[places], high[places]])
        factor, limits = at[0], bounds.copy()
        if trade.log_factor:
            factor, limits[:, 0] = np.exp(at[0]), np.exp(bounds[:, 0])
            change = change._replace(a=factor * change.a)
        elif abs(change.a) >= abs(factor):
            continue  # A may reach 0, where it says nothing of b
        with np.errstate(all="ignore"):
            a, b, o = _moved(trade, _Triple(factor, *at[1:]), change, limits)
            new = np.array([np.log(a) if trade.log_factor else a, b, o])
        if np.all(np.isfinite(new)) and (trade.log_factor or _is_gentle(trade, at[1], b)):
            x[places] = new
    return x


def _is_gentle(trade: Trade, *slopes: float) -> bool:
    return max(map(abs, slopes)) * float(np.ptp(trade.ends)) <= _STEEPEST


def at_value(move: Move, u: np.ndarray, tangent: np.ndarray, index: int, value: float) -> np.ndarray:
    """Where the way from u (p,) with this tangent, of 1 in the coordinate ``index``, has this value of it."""
    change = value - u[index]

    def beyond(part: float) -> float:
        return float(move(u, part * change * tangent)[index] - value) / change

    part = 1.0
    if beyond(part) < 0.0:
        part = _FURTHER
    if beyond(part) > 0.0:
        part = brentq(beyond, 0.0, part, xtol=_CLOSE)
    x = move(u, part * change * tangent)
    x[index] = value
    return x


def _moved(trade: Trade, at: _Triple, change: _Triple, limits: np.ndarray) -> _Triple:
    """The curve after a step."""
    if change.a and change.b:
        return _along_heights(trade, at, change, limits)
    return _along_middle(trade, at, change, limits)


def _along_heights(trade: Trade, at: _Triple, change: _Triple, limits: np.ndarray) -> _Triple:
    """The curve whose two heights and m have gone straight."""
    s, middle = trade.ends, trade.ends.mean()
    heights = _heights(trade, at, change, s)
    m = at.a * np.exp(at.b * middle) * _grown(change.a / at.a + middle * change.b)
    o = 0.5 * heights.sum() - np.sign(at.a) * np.hypot(0.5 * (heights[1] - heights[0]), m)
    new = _through(heights, s, np.clip(o, *limits[:, 2]))
    if limits[0, 1] <= new.b <= limits[1, 1]:
        return new
    b = float(np.clip(new.b, *limits[:, 1]))
    first, second = np.exp(b * s)
    a = (heights[1] - heights[0]) / (second - first)
    return _Triple(a, b, heights[0] - a * first)


def _through(heights: np.ndarray, s: np.ndarray, o: float) -> _Triple:
    """The curve through two heights with this o."""
    first, second = heights - o
    b = float(np.log(second / first) / (s[1] - s[0]))
    return _Triple(first * np.exp(-b * s[0]), b, o)


def _along_middle(trade: Trade, at: _Triple, change: _Triple, limits: np.ndarray) -> _Triple:
    """The curve whose middle height, and A or b, have gone straight."""
    middle = trade.ends.mean()
    height = _heights(trade, at, change, middle)
    if change.a:
        a = at.a * _grown(change.a / at.a) if trade.log_factor else at.a + change.a
        o = float(np.clip(height - a * np.exp(at.b * middle), *limits[:, 2]))
        return _Triple((height - o) * np.exp(-at.b * middle), at.b, o)
    b = at.b + change.b
    return _Triple(at.a, b, height - at.a * np.exp(b * middle))


def _heights(trade: Trade, at: _Triple, change: _Triple, s: np.ndarray) -> np.ndarray:
    """The heights after a step, which goes straight in their logarithms where they are rates."""
    power = np.exp(at.b * s)
    heights = at.a * power + at.o
    rise = power * (change.a + at.a * s * change.b) + change.o
    if trade.log_height and np.all(heights > 0.0):
        return heights * _grown(rise / heights)
    return heights + rise


def _grown(logarithm: Any) -> Any:
    return np.exp(np.clip(logarithm, -_LONGEST, _LONGEST))
