"""`JointDraws`: draws of parameters, contrast, offset and noise together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from heterodyne.kernels._jax import AnyArray, compiled, jax, jnp
from heterodyne_cmc.coordinates import x_of
from heterodyne_cmc.density import Code, Target, draw_scale, scaling_at
from heterodyne_cmc.likelihood import draw_noise, draw_scaling


@dataclass(frozen=True, eq=False)
class JointDraws:
    """Joint draws ψ, (chains, draws, ...): u, w = (contrast, offset) per bin, log σ per bin.

    ``acceptance`` is the share of the proposals around combined shards that was accepted, None where none were
    made.
    """

    u: np.ndarray
    w: np.ndarray
    log_noise: np.ndarray
    acceptance: float | None = None

    def joined(self) -> np.ndarray:
        """ψ = (u, w, log σ), (chains · draws, p + 3 bins)."""
        draws = self.u.shape[0] * self.u.shape[1]
        return np.concatenate([x.reshape(draws, -1) for x in (self.u, self.w, self.log_noise)], axis=1)


def joint_columns(p: int, bins: int, own: np.ndarray) -> np.ndarray:
    """Where in ψ = (u, w, log σ) of all ``bins`` that of the bins ``own`` stands."""
    first = p + 2 * own
    return np.concatenate([np.arange(p), np.stack([first, first + 1], axis=1).ravel(), p + 2 * bins + own])


def from_joined(p: int, bins: int, psi: np.ndarray) -> JointDraws:
    """Joint draws ψ (draws, p + 3 bins) of so many ``bins`` as one chain."""
    u, w, log_noise = np.split(psi, [p, p + 2 * bins], axis=1)
    return JointDraws(u[None], w.reshape(1, len(u), bins, 2), log_noise[None])


class ScalingSpread(NamedTuple):
    """Contrast and offset given the parameters: their covariance (bins, 2, 2), and what their mean is off where they
    are solved for, ``slope`` (bins, 2, p) times x less the centre, and ``shift`` (bins, 2)."""

    covariance: AnyArray
    slope: AnyArray
    shift: AnyArray


def joint_draws(
    code: Code,
    target: Target,
    u: np.ndarray,
    calibrated: ScalingSpread | None,
    seed: int,
    alike: Target | None = None,
) -> JointDraws:
    """Contrast, offset and noise drawn for every draw u (chains, draws, p).

    They come from their exact conditionals; where contrast and offset are ``calibrated``, that takes the place of
    the conditional's own spread. The noise is that of single elements: of the target ``alike`` where the other's
    are weighted by the covariance of frames.
    """
    chains, draws, p = u.shape
    keys = jax.random.split(jax.random.PRNGKey(seed), chains * draws)
    spread = (
        None
        if calibrated is None
        else calibrated._replace(covariance=_roots(np.asarray(calibrated.covariance)))
    )
    drawn = _from_conditionals(code, target, alike, jnp.asarray(u.reshape(-1, p)), keys, spread)
    w, log_noise = (np.asarray(x).reshape(chains, draws, *x.shape[1:]) for x in drawn)
    return JointDraws(u, w, log_noise)


def _roots(matrices: np.ndarray) -> np.ndarray:
    """R with R Rᵀ the matrices (bins, 2, 2), positive semidefinite."""
    values, vectors = np.linalg.eigh(matrices)
    return vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]


@compiled("code")
def _from_conditionals(
    code: Code,
    target: Target,
    alike: Target | None,
    u: jax.Array,
    keys: jax.Array,
    spread: ScalingSpread | None,
) -> tuple[jax.Array, jax.Array]:
    """w and log σ of every draw u (draws, p); of the ``spread`` the covariance is given by its roots."""

    def at_draw(draw: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        here, key = draw
        of_noise, of_scaling = jax.random.split(key)
        conditional = scaling_at(code, target, here)
        elements = conditional if alike is None else scaling_at(code, alike, here)
        variance = draw_noise(of_noise, elements)
        if spread is None:
            return draw_scaling(of_scaling, conditional, variance, code.free), 0.5 * jnp.log(variance)
        of_scale, of_scaling = jax.random.split(of_scaling)
        standard = jax.random.normal(of_scaling, conditional.mean.shape)
        standard *= jnp.sqrt(draw_scale(of_scale, code, target, here))
        away = x_of(target.space, here) - target.space.centre
        w = conditional.mean + spread.slope @ away + spread.shift
        return w + jnp.einsum("bij,bj->bi", spread.covariance, standard), 0.5 * jnp.log(variance)

    return jax.lax.map(at_draw, (u, keys))
