"""The coordinates that are sampled: whitened, unbounded, logarithmic where the parameter table says so.

    value  <-  x = ln value or value  <-  z, all real numbers  <-  y = root u

x follows z - c inside the bounds and levels off towards them, x = c + s tanh((z - c)/s) with s the distance to
the bound on that side, so that the centre c stays where it is. ``root`` makes the posterior at the solution a
standard normal in u.

A rate A t^b + o is better known in the middle of the run than its three parameters. Where o changes, the rate and its
slope there stay while (ln A, b) follow the curve

    A τ^b + o = const,    b A τ^b = const,    ln τ = mean of ln t over the frames.

z is y moved along the curve of the centre by what it asks of ln A and b at this o; likewise A and b of a growth
A e^{b (t - c)} + o at its o, τ being the mean time. A shift by a function of other coordinates has Jacobian 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jax import Array

from heterodyne.kernels._jax import AnyArray, jax, jnp
from heterodyne.kernels.curves import Growth, PowerLaw
from heterodyne.parameters import Parameter
from heterodyne.problem.problem import Problem
from heterodyne_cmc.priors import PriorNumbers, log_prior, longest, prior_numbers

_MARGIN = 0.02  # of the range: how far the centre stays from a bound

_STEEPEST = 2.0  # of the exponent by which A of a growth follows its b

_BENT_OFF = 0.2  # of A τ^b: where its share of the rate begins to be bent off


@dataclass(frozen=True)
class Form:
    """What of the coordinates decides which code is compiled: families of priors, and which move in logs."""

    families: tuple[str, ...]
    log: tuple[bool, ...]


class Space(NamedTuple):
    """The numbers of the coordinates of p varying parameters, out of P.

    ``base`` (P,) and ``selection`` (P, p) give all parameters from the varying ones; ``centre``, ``low`` and
    ``high`` (p,) are x; ``root`` is (p, p). ``laws`` (L, 3) are the places of ln A, b and o of the rates of which
    all three vary, ``log_time`` is ln τ; ``growth`` (G, 3) those of prefactor, rate and offset of growths, ``lead``
    (G,) is τ less their origin.
    """

    base: AnyArray
    selection: AnyArray
    centre: AnyArray
    low: AnyArray
    high: AnyArray
    root: AnyArray
    laws: AnyArray
    log_time: AnyArray
    growth: AnyArray
    lead: AnyArray
    priors: PriorNumbers


def form_of(problem: Problem) -> Form:
    """The form of a problem's coordinates."""
    parameters = [problem.parameters[name] for name in problem.varying]
    families = tuple(parameter.prior.family for parameter in parameters)
    return Form(families, tuple(parameter.scale == "log" for parameter in parameters))


def create_space(problem: Problem, values: np.ndarray) -> Space:
    """Coordinates centred at these values of the varying parameters, not whitened."""
    parameters = [problem.parameters[name] for name in problem.varying]
    log = np.array(form_of(problem).log)
    lowest = np.array([_lowest(parameter) for parameter in parameters])
    x, low, high = (_logarithms(log, numbers) for numbers in (values, lowest, problem.column("high")))
    periods = np.array([parameter.is_periodic * (parameter.period or 0.0) for parameter in parameters])
    low, high = (np.where(periods > 0, x + side * periods, end) for side, end in ((-0.5, low), (0.5, high)))
    margin = _MARGIN * np.where(np.isfinite(high - low), high - low, 0.0)
    moved = set(problem.varying)
    still = [name not in moved and problem.ties.get(name) not in moved for name in problem.parameters]
    base = np.where(still, list(problem.expand(problem.column("start")).values()), 0.0)
    return Space(
        jnp.asarray(base),
        jnp.asarray(problem.selection_matrix),
        jnp.asarray(np.clip(x, low + margin, high - margin)),
        jnp.asarray(low),
        jnp.asarray(high),
        jnp.eye(len(x)),
        *_bends(problem, values),
        _nearest(prior_numbers(parameters, longest(problem)), x, periods),
    )


def _bends(problem: Problem, values: np.ndarray) -> tuple[Array, Array, Array, Array]:
    """``laws``, ``log_time``, ``growth`` and ``lead`` of the space at these values."""
    names, log = problem.varying, form_of(problem).log

    def places(triples: Iterable[tuple[str, ...]], in_log: bool) -> list[list[int]]:
        places = [[names.index(part) for part in parts] for parts in triples if set(parts) <= set(names)]
        return [place for place in places if log[place[0]] == in_log]

    curves = problem.model.curves
    laws = places((curve.parts for curve in curves if isinstance(curve, PowerLaw)), True)
    growths = [curve for curve in curves if isinstance(curve, Growth)]
    growth = places(((curve.prefactor, curve.rate, curve.offset) for curve in growths), False)
    origin = {names.index(curve.rate): curve.origin for curve in growths if curve.rate in names}
    t, at = np.concatenate([data.t for data in problem.data]), problem.expand(values)
    lead = [t.mean() - at[origin[rate]] for _, rate, _ in growth]
    return (
        _places(laws),
        jnp.asarray(np.log(t).mean()),
        _places(growth),
        jnp.asarray(np.array(lead, dtype=float)),
    )


def _places(triples: list[list[int]]) -> Array:
    return jnp.asarray(np.array(triples, dtype=int).reshape(-1, 3))


def _lowest(parameter: Parameter) -> float:
    """The lower bound, or where a half-normal prior begins if that is above it."""
    low, prior = parameter.low, parameter.prior
    return max(low, prior.location) if prior.family == "half-normal" else low


def _nearest(numbers: PriorNumbers, x: np.ndarray, periods: np.ndarray) -> PriorNumbers:
    """The priors with the locations of periodic parameters moved by whole periods, to within half a one of x."""
    turns = np.round(np.divide(x - np.asarray(numbers.location), periods, out=0.0 * x, where=periods > 0))
    return numbers._replace(location=numbers.location + turns * periods)


def _logarithms(log: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(log, np.log(np.where(log, values, 1.0)), values)


def whitened(space: Space, form: Form, precision: np.ndarray) -> Space:
    """The space with coordinates in which a posterior of this likelihood precision in x is a unit sphere.

    ``precision`` (p, p) is that of the data alone at the centre; the prior's is added.
    """
    total = precision + np.diag(prior_precision(space, form))
    slope = slope_of(space._replace(root=jnp.eye(len(total))))
    return space._replace(root=jnp.asarray(np.linalg.inv(np.linalg.cholesky(slope.T @ total @ slope)).T))


def slope_of(space: Space) -> np.ndarray:
    """∂x/∂u at the centre, (p, p)."""
    return np.asarray(_slope(space))


@jax.jit
def _slope(space: Space) -> Array:
    return jax.jacfwd(partial(x_of, space))(jnp.zeros(len(space.centre)))


def prior_precision(space: Space, form: Form) -> np.ndarray:
    """-∂² log prior / ∂z² at the centre, (p,), at least that of a normal over the range."""
    p = len(space.centre)
    none = np.zeros((0, 3), dtype=int)
    flat = space._replace(root=np.eye(p), laws=none, growth=none)
    hessian = jax.jit(jax.hessian(lambda u: log_prior_density(flat, form, u)))
    curvature = -np.diag(np.asarray(hessian(np.zeros(p))))
    return np.maximum(curvature, (2.0 / np.asarray(space.high - space.low)) ** 2)


def x_of(space: Space, u: Array) -> Array:
    """x at u."""
    return _levelled(space, u)[0]


def values_of(space: Space, form: Form, u: Array) -> Array:
    """The varying parameters' values at u, (p,)."""
    x = x_of(space, u)
    log = np.array(form.log)
    return jnp.where(log, jnp.exp(jnp.where(log, x, 0.0)), x)


def physical_values(space: Space, form: Form, u: np.ndarray) -> np.ndarray:
    """The varying parameters' values at many u, (..., p)."""
    flat = u.reshape(-1, u.shape[-1])
    return np.asarray(jax.jit(jax.vmap(partial(values_of, space, form)))(flat)).reshape(u.shape)


def theta_of(space: Space, form: Form, u: Array) -> Array:
    """All parameters of the model at u, (P,)."""
    return jnp.asarray(space.base) + jnp.asarray(space.selection) @ values_of(space, form, u)


def log_prior_density(space: Space, form: Form, u: Array) -> Array:
    """log of the prior density in u, up to a constant: log p(θ(u)) + log|dθ/du|."""
    x, slope = _levelled(space, u)
    return log_prior(form.families, form.log, space.priors, x) + jnp.sum(slope)


def _levelled(space: Space, u: Array) -> tuple[Array, Array]:
    """x and log dx/dz at u."""
    y = jnp.asarray(space.root) @ u
    return _inside(space, _bent(space, y, _inside(space, y)[0]))


def _inside(space: Space, beyond: Array) -> tuple[Array, Array]:
    """x and log dx/dz at z - c."""
    centre = jnp.asarray(space.centre)
    span = jnp.where(beyond > 0, space.high - centre, centre - space.low)
    open_end = jnp.isinf(span)
    span = jnp.where(open_end, 1.0, span)
    ratio = jnp.where(open_end, 0.0, beyond / span)
    x = centre + jnp.where(open_end, beyond, span * jnp.tanh(ratio))
    size = jnp.abs(ratio)
    return x, -2.0 * (size + jnp.log1p(jnp.exp(-2.0 * size)) - jnp.log(2.0))


def _bent(space: Space, y: Array, x: Array) -> Array:
    """z - c of y, whose offsets o stand at ``x``: the other two follow them along the curve of every rate."""
    centre = jnp.asarray(space.centre)
    of_a, of_b, of_o = jnp.asarray(space.laws).T
    power = jnp.exp(centre[of_a] + centre[of_b] * space.log_time)  # A τ^b
    left = _positive(1.0 - (x[of_o] - centre[of_o]) / power)
    steeper = centre[of_b] * (1.0 / left - 1.0)
    y = y.at[of_a].add(jnp.log(left) - steeper * space.log_time).at[of_b].add(steeper)
    of_a, of_b, of_o = jnp.asarray(space.growth).T
    power = centre[of_a] * jnp.exp(centre[of_b] * space.lead)  # A e^{b (τ - c)}
    left = _positive(1.0 - (x[of_o] - centre[of_o]) / power)
    steeper = centre[of_b] * (1.0 / left - 1.0)
    ratio = left * jnp.exp(jnp.clip(-steeper * space.lead, -_STEEPEST, _STEEPEST))
    return y.at[of_a].add(centre[of_a] * (ratio - 1.0)).at[of_b].add(steeper)


def _positive(share: Array) -> Array:
    """The share itself, 1 at 1, bent off above 0."""
    return (share + jnp.sqrt(share**2 + _BENT_OFF**2)) / (1.0 + np.hypot(1.0, _BENT_OFF))


def folded(parameters: list[Parameter], values: np.ndarray) -> np.ndarray:
    """Draws (..., p) with periodic parameters moved by whole periods, so that their medians are in range.

    Draws on both sides of an end of the range stay together: their mean and spread have a meaning.
    """
    medians = np.median(values.reshape(-1, len(parameters)), axis=0)
    return values + [
        parameter.folded(float(median)) - median
        for parameter, median in zip(parameters, medians, strict=True)
    ]
