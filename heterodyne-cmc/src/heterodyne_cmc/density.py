"""The log density that is sampled: marginal likelihood of a shard, calibrated, and its share of the prior.

    log p(u) = [log p(θ(u)) + log|dθ/du|] / S + log L_s(û + C (u - û)),   û = 0,

with S shards, and C the curvature adjustment of a likelihood that takes correlated elements for independent
(Ribatet, Cooley & Davison, Stat. Sin. 22 (2012) 813). C is the identity for one that is not adjusted.

Where the scale of the covariance that C is made from is known to ν degrees of freedom, one shard has, with
χ² = 2 (max log L - log L) over p directions,

    -½ (ν + p) log(1 + χ²/ν)

in place of log L: -½ λ χ² integrated over λ ~ Γ(ν/2, ν/2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jax import Array

from heterodyne.kernels._jax import AnyArray, compiled, jax, jnp
from heterodyne.model import Model
from heterodyne_cmc.calibration import Calibration
from heterodyne_cmc.coordinates import Form, Space, log_prior_density, theta_of
from heterodyne_cmc.likelihood import Conditional, ScalingPrior, conditional, log_marginal
from heterodyne_cmc.shards import Shard, shard_sums


@dataclass(frozen=True, eq=True)
class Code:
    """What decides which code is compiled: the model, the form of the coordinates, and which of contrast and
    offset are free."""

    model: Model
    form: Form
    free: tuple[bool, bool] = (True, True)


class Target(NamedTuple):
    """The numbers of a density: coordinates, data, the shard's part of the prior of the scaling, C (p, p), and
    1/S.

    ``likelihood`` is 1, or 0 for the prior alone; ``tilt`` (p,) is the slope that is added to the likelihood of
    all data; ``tail`` says how well its scale is known, None where that is given.
    """

    space: Space
    shard: Shard
    scaling: ScalingPrior
    adjustment: AnyArray
    share: float
    likelihood: float = 1.0
    tilt: AnyArray | float = 0.0
    tail: Tail | None = None


class Tail(NamedTuple):
    """The ``top`` of a log likelihood, the directions that it determines, and the degrees of freedom of its scale."""

    top: AnyArray
    directions: AnyArray
    dof: AnyArray


def create_targets(
    code: Code,
    space: Space,
    shards: Sequence[Shard],
    scaling: ScalingPrior,
    adjustment: np.ndarray,
    tilt: AnyArray | float = 0.0,
) -> tuple[Target, ...]:
    """The targets of all shards, of which each has its part of the priors.

    The scaling prior of a bin is shared by the shards that hold pairs of it.
    """
    holders = np.bincount(np.concatenate([shard.bins for shard in shards]))

    def target(shard: Shard) -> Target:
        own = scaling.of(shard.bins).tempered(1.0 / holders[shard.bins], sum(code.free))
        return Target(space, shard, own, adjustment, 1.0 / len(shards), tilt=tilt)

    return tuple(target(shard) for shard in shards)


def with_tail(code: Code, target: Target, calibration: Calibration) -> Target:
    """The target of all data whose covariance has the degrees of freedom of this calibration."""
    if np.isinf(calibration.dof):
        return target
    at_centre = _LOG_LIKELIHOOD(code, target, np.zeros(len(calibration.tilt)))
    return target._replace(tail=Tail(at_centre + calibration.rise, calibration.rank, calibration.dof))


def log_density(code: Code, target: Target, u: Array) -> Array:
    """The log density in u, up to a constant."""
    of_data = log_likelihood(code, target, u)
    if target.tail is not None:
        of_data = _with_open_scale(of_data, target.tail)
    return target.share * log_prior_density(target.space, code.form, u) + target.likelihood * of_data


def log_likelihood(code: Code, target: Target, u: Array) -> Array:
    """The log marginal likelihood of all bins, adjusted and tilted, of a known scale."""
    return jnp.sum(log_likelihoods(code, target, u)) + target.share * jnp.sum(target.tilt * u)


_LOG_LIKELIHOOD = compiled("code")(log_likelihood)


def _with_open_scale(of_data: Array, tail: Tail) -> Array:
    """The same with the scale integrated out, going on straight where it is above what was taken for its top."""
    chi2 = 2.0 * (tail.top - of_data)
    log = jnp.log1p(jnp.maximum(chi2, 0.0) / tail.dof) + jnp.minimum(chi2, 0.0) / tail.dof
    return jnp.asarray(-0.5 * (tail.dof + tail.directions) * log)


def draw_scale(key: Array, code: Code, target: Target, u: Array) -> Array:
    """One draw, at u, of 1/λ: what the covariance is to be multiplied by; 1 where it is known."""
    tail = target.tail
    if tail is None:
        return jnp.ones(())
    chi2 = jnp.maximum(2.0 * (tail.top - log_likelihood(code, target, u)), 0.0)
    drawn = jax.random.gamma(key, 0.5 * (tail.dof + tail.directions))
    return jnp.asarray(0.5 * (tail.dof + chi2) / drawn)


def log_likelihoods(code: Code, target: Target, u: Array) -> Array:
    """The log marginal likelihood of every bin, (bins,), adjusted."""
    return log_marginal(scaling_at(code, target, jnp.asarray(target.adjustment) @ u))


def scaling_at(code: Code, target: Target, u: Array) -> Conditional:
    """The conditional of contrast, offset and noise given the parameters at u."""
    sums = shard_sums(code.model, theta_of(target.space, code.form, u), target.shard)
    return conditional(sums, target.shard.moments, target.shard.pairs, target.scaling, code.free)


def potential(code: Code, target: Target, u: Array) -> Array:
    """-log density, infinite where it is no number."""
    value = -log_density(code, target, u)
    return jnp.where(jnp.isnan(value), jnp.inf, value)
