"""The coordinates that are sampled: whitened, unbounded, logarithmic where the parameter table says so.

    value  <-  x = ln value or value  <-  z, all real numbers  <-  u = root⁻¹ (z - centre)

x follows z inside the bounds and levels off towards them, x = c + s tanh((z - c)/s) with s the distance to
the bound on that side, so that the centre c stays where it is. ``root`` makes the posterior at the solution a
standard normal in u. The prefactor of a power law and its exponent, strongly correlated when time is far from
1 s, are decoupled by it as they would be by a reference time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jax import Array

from heterodyne.kernels._jax import jax, jnp
from heterodyne.parameters import Parameter
from heterodyne.problem import Problem
from heterodyne_cmc.arrays import AnyArray
from heterodyne_cmc.priors import PriorNumbers, log_prior, prior_numbers

_INSIDE = 0.02  # of the range: how far the centre stays from a bound


@dataclass(frozen=True)
class Form:
    """What of the coordinates decides which code is compiled: families of priors, and which move in logs."""

    families: tuple[str, ...]
    log: tuple[bool, ...]


class Space(NamedTuple):
    """The numbers of the coordinates of p varying parameters, out of P.

    ``base`` (P,) and ``selection`` (P, p) give all parameters from the varying ones; ``centre``, ``low`` and
    ``high`` (p,) are x; ``root`` is (p, p).
    """

    base: AnyArray
    selection: AnyArray
    centre: AnyArray
    low: AnyArray
    high: AnyArray
    root: AnyArray
    priors: PriorNumbers


def form_of(problem: Problem) -> Form:
    """The form of a problem's coordinates."""
    rows = [problem.parameters[name] for name in problem.varying]
    return Form(tuple(row.prior.family for row in rows), tuple(row.scale == "log" for row in rows))


def create_space(problem: Problem, values: np.ndarray) -> Space:
    """Coordinates centred at these values of the varying parameters, not whitened."""
    rows = [problem.parameters[name] for name in problem.varying]
    log = np.array(form_of(problem).log)
    ends = np.array([_lowest(row) for row in rows]), problem.column("high")
    x, low, high = (_logarithms(log, each) for each in (values, *ends))
    periods = np.array([row.period if row.period and row.is_periodic else 0.0 for row in rows])
    low, high = (np.where(periods > 0, x + side * periods, end) for side, end in ((-0.5, low), (0.5, high)))
    margin = _INSIDE * np.where(np.isfinite(high - low), high - low, 0.0)
    moved = set(problem.varying)
    still = [name not in moved and problem.ties.get(name) not in moved for name in problem.parameters]
    base = np.where(still, list(problem.expand(problem.column("start")).values()), 0.0)
    duration = max(data.duration for data in problem.data)
    return Space(
        jnp.asarray(base),
        jnp.asarray(problem.selection_matrix()),
        jnp.asarray(np.clip(x, low + margin, high - margin)),
        jnp.asarray(low),
        jnp.asarray(high),
        jnp.eye(len(x)),
        _nearest(prior_numbers(rows, duration), x, periods),
    )


def _lowest(row: Parameter) -> float:
    """The lower bound, or where a half-normal prior begins if that is above it."""
    return max(row.low, row.prior.location) if row.prior.family == "half-normal" else row.low


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
    return space._replace(root=jnp.asarray(np.linalg.inv(np.linalg.cholesky(total)).T))


def prior_precision(space: Space, form: Form) -> np.ndarray:
    """-∂² log prior / ∂z² at the centre, (p,), at least that of a normal over the range."""
    p = len(space.centre)
    flat = space._replace(root=np.eye(p))
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


def theta_of(space: Space, form: Form, u: Array) -> Array:
    """All parameters of the model at u, (P,)."""
    return jnp.asarray(space.base) + jnp.asarray(space.selection) @ values_of(space, form, u)


def log_prior_density(space: Space, form: Form, u: Array) -> Array:
    """log of the prior density in u, up to a constant: log p(θ(u)) + log|dθ/du|."""
    x, slope = _levelled(space, u)
    return log_prior(form.families, form.log, space.priors, x) + jnp.sum(slope)


def _levelled(space: Space, u: Array) -> tuple[Array, Array]:
    """x and log dx/dz at u."""
    centre, beyond = jnp.asarray(space.centre), jnp.asarray(space.root) @ u
    span = jnp.where(beyond > 0, space.high - centre, centre - space.low)
    open_end = jnp.isinf(span)
    span = jnp.where(open_end, 1.0, span)
    ratio = jnp.where(open_end, 0.0, beyond / span)
    x = centre + jnp.where(open_end, beyond, span * jnp.tanh(ratio))
    size = jnp.abs(ratio)
    return x, -2.0 * (size + jnp.log1p(jnp.exp(-2.0 * size)) - jnp.log(2.0))


def folded(rows: list[Parameter], values: np.ndarray) -> np.ndarray:
    """Draws (..., p) with periodic parameters moved by whole periods, so that their medians are in range.

    Draws on both sides of an end of the range stay together: their mean and spread have a meaning.
    """
    medians = np.median(values.reshape(-1, len(rows)), axis=0)
    return values + [row.folded(float(median)) - median for row, median in zip(rows, medians, strict=True)]
