"""Prior densities of the parameters, by family, in the coordinate x: the value or its logarithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax import Array
from scipy.special import ndtr, ndtri

from heterodyne.kernels._jax import AnyArray, jnp
from heterodyne.parameters import Parameter, Prior
from heterodyne.problem.problem import Problem


class PriorNumbers(NamedTuple):
    """Locations and widths of the varying parameters' priors, (p,) each."""

    location: AnyArray
    width: AnyArray


def longest(problem: Problem) -> float:
    """The longest duration of a problem's data, in s."""
    return max(data.duration for data in problem.data)


def prior_numbers(parameters: Sequence[Parameter], duration: float) -> PriorNumbers:
    """The numbers of these parameters' priors for data of this duration in s."""
    priors = [parameter.prior for parameter in parameters]
    width = jnp.asarray([_width(prior, duration) for prior in priors])
    return PriorNumbers(jnp.asarray([prior.location for prior in priors]), width)


def _width(prior: Prior, duration: float) -> float:
    return prior.width / (duration if prior.per_duration else 1.0)


def log_prior(families: tuple[str, ...], log: tuple[bool, ...], numbers: PriorNumbers, x: Array) -> Array:
    """log p(x) of all parameters, up to a constant; truncation to the bounds, and to what lies above the
    location of a half-normal prior, is that of the coordinates.

    A density over values p(θ) is p(θ) θ over x = ln θ.
    """
    total = jnp.zeros(())
    for k, (family, is_log) in enumerate(zip(families, log, strict=True)):
        value = jnp.exp(x[k]) if is_log else x[k]
        moved = x[k] if is_log else jnp.log(jnp.abs(x[k]) + 1e-300)
        deviation = (moved if family == "log-normal" else value) - numbers.location[k]
        if family in ("normal", "truncated-normal", "half-normal", "log-normal"):
            total -= 0.5 * (deviation / numbers.width[k]) ** 2
        if family == "log-normal" and not is_log:
            total -= moved  # the density of the logarithm over that of the value
        if family != "log-normal" and is_log:
            total += x[k]
    return total


def draw_prior(parameter: Parameter, duration: float, rng: np.random.Generator, count: int) -> np.ndarray:
    """Values drawn from a parameter's prior inside its bounds, (count,); of a periodic one around its location."""
    prior = parameter.prior
    if prior.family == "uniform":
        return rng.uniform(parameter.low, parameter.high, count)
    low, high = parameter.low, parameter.high
    if parameter.period is not None and parameter.is_periodic:
        low, high = prior.location - 0.5 * parameter.period, prior.location + 0.5 * parameter.period
    if prior.family == "half-normal":
        low = max(low, prior.location)
    is_log, width = prior.family == "log-normal", _width(prior, duration)
    with np.errstate(divide="ignore"):  # ln 0 is an open end
        ends = np.log([max(low, 0.0), high]) if is_log else np.array([low, high])
    least, most = ndtr((ends - prior.location) / width)
    drawn = prior.location + width * ndtri(rng.uniform(least, most, count))
    return np.exp(drawn) if is_log else drawn
