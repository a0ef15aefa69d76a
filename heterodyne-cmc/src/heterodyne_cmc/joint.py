"""`JointDraws`: draws of parameters, contrast, offset and noise together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from heterodyne.kernels._jax import jax, jnp
from heterodyne_cmc.density import Code, Target, scaling_at
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


def joint_draws(
    code: Code, target: Target, u: np.ndarray, calibrated: np.ndarray | None, seed: int
) -> JointDraws:
    """Contrast, offset and noise drawn for every draw u (chains, draws, p).

    They come from their exact conditionals; with ``calibrated`` covariances (bins, 2, 2) of contrast and offset
    given the parameters, these take the place of the conditional's own.
    """
    chains, draws, p = u.shape
    keys = jax.random.split(jax.random.PRNGKey(seed), chains * draws)
    root = None if calibrated is None else jnp.asarray(_roots(calibrated))
    drawn = _from_conditionals(code, target, jnp.asarray(u.reshape(-1, p)), keys, root)
    w, log_noise = (np.asarray(x).reshape(chains, draws, *x.shape[1:]) for x in drawn)
    return JointDraws(u, w, log_noise)


def _roots(matrices: np.ndarray) -> np.ndarray:
    """R with R Rᵀ the matrices (bins, 2, 2), positive semidefinite."""
    values, vectors = np.linalg.eigh(matrices)
    return vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]


@partial(jax.jit, static_argnames="code")
def _from_conditionals(
    code: Code, target: Target, u: jax.Array, keys: jax.Array, root: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """w and log σ of every draw u (draws, p)."""

    def at_draw(draw: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        here, key = draw
        of_noise, of_scaling = jax.random.split(key)
        conditional = scaling_at(code, target, here)
        variance = draw_noise(of_noise, conditional)
        if root is None:
            w = draw_scaling(of_scaling, conditional, variance, code.free)
        else:
            standard = jax.random.normal(of_scaling, conditional.mean.shape)
            w = conditional.mean + jnp.einsum("bij,bj->bi", root, standard)
        return w, 0.5 * jnp.log(variance)

    return jax.lax.map(at_draw, (u, keys))
