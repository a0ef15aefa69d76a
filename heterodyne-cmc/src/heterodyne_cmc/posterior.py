"""`Posterior`: draws of parameters, contrast, offset and noise, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from heterodyne.kernels._jax import jax, jnp
from heterodyne.problem.problem import Problem
from heterodyne_cmc.coordinates import Space, folded, values_of
from heterodyne_cmc.density import Code, Target, log_likelihoods, scaling_at
from heterodyne_cmc.likelihood import draw_noise, draw_scaling
from heterodyne_cmc.priors import draw_prior

_PRIOR_DRAWS = 20_000

_ONLY_PRIOR = 0.1  # a posterior whose variance is this much smaller than the prior's has learnt nothing


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws (chains, draws, ...): ``values`` (p) of the parameters ``names``, ``contrast``, ``offset`` and
    ``noise`` σ (bins), ``log_likelihood`` (bins), and ``statistics`` of the sampler by name.

    Draws combined from shards form one chain and have no statistics.
    """

    names: tuple[str, ...]
    values: np.ndarray
    contrast: np.ndarray
    offset: np.ndarray
    noise: np.ndarray
    log_likelihood: np.ndarray
    statistics: dict[str, np.ndarray]

    @property
    def flat(self) -> np.ndarray:
        """The parameters' values, (chains · draws, p)."""
        return self.values.reshape(-1, len(self.names))

    def quantiles(self, levels: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
        """Quantiles of every parameter."""
        return {
            name: tuple(map(float, np.quantile(column, levels)))
            for name, column in zip(self.names, self.flat.T, strict=True)
        }


@dataclass(frozen=True, eq=False)
class JointDraws:
    """Joint draws ψ of one sampler, (chains, draws, ...): u, w = (contrast, offset) per bin, log σ per bin, and
    the log likelihood per bin."""

    u: np.ndarray
    w: np.ndarray
    log_noise: np.ndarray
    log_likelihood: np.ndarray

    def joined(self) -> np.ndarray:
        """ψ = (u, w, log σ), (chains · draws, p + 3 bins)."""
        rows = self.u.shape[0] * self.u.shape[1]
        return np.concatenate([x.reshape(rows, -1) for x in (self.u, self.w, self.log_noise)], axis=1)


def joint_columns(p: int, bins: int, own: np.ndarray) -> np.ndarray:
    """Where in ψ = (u, w, log σ) of all ``bins`` that of the bins ``own`` stands."""
    first = p + 2 * own
    return np.concatenate([np.arange(p), np.stack([first, first + 1], axis=1).ravel(), p + 2 * bins + own])


def from_joined(code: Code, target: Target, psi: np.ndarray) -> JointDraws:
    """Joint draws ψ (draws, p + 3 bins) as one chain, with the log likelihood of the data of ``target``."""
    p, bins = len(target.space.centre), len(target.shard.portions)
    u, w, log_noise = np.split(psi, [p, p + 2 * bins], axis=1)
    likelihoods = jax.jit(lambda target, u: jax.lax.map(partial(log_likelihoods, code, target), u))(target, u)
    each = (u, w.reshape(len(u), bins, 2), log_noise, np.asarray(likelihoods))
    return JointDraws(*(x[None] for x in each))


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
    w, log_noise, log_likelihood = _drawn(code, target, jnp.asarray(u.reshape(-1, p)), keys, root)
    shape = (chains, draws)
    return JointDraws(
        u, *(np.asarray(x).reshape(*shape, *x.shape[1:]) for x in (w, log_noise, log_likelihood))
    )


def _roots(matrices: np.ndarray) -> np.ndarray:
    """R with R Rᵀ the matrices (bins, 2, 2), positive semidefinite."""
    values, vectors = np.linalg.eigh(matrices)
    return vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]


@partial(jax.jit, static_argnames="code")
def _drawn(code: Code, target: Target, u: jax.Array, keys: jax.Array, root: jax.Array | None) -> tuple:
    def one(at: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        here, key = at
        of_noise, of_scaling = jax.random.split(key)
        found = scaling_at(code, target, here)
        variance = draw_noise(of_noise, found)
        if root is None:
            w = draw_scaling(of_scaling, found, variance, code.free)
        else:
            standard = jax.random.normal(of_scaling, found.mean.shape)
            w = found.mean + jnp.einsum("bij,bj->bi", root, standard)
        return w, 0.5 * jnp.log(variance), log_likelihoods(code, target, here)

    return jax.lax.map(one, (u, keys))


def physical_values(code: Code, space: Space, u: np.ndarray) -> np.ndarray:
    """The varying parameters' values at u (..., p)."""
    flat = u.reshape(-1, u.shape[-1])
    return np.asarray(jax.jit(jax.vmap(partial(values_of, space, code.form)))(flat)).reshape(u.shape)


def create_posterior(
    problem: Problem, code: Code, space: Space, draws: JointDraws, statistics: dict[str, np.ndarray]
) -> Posterior:
    """The posterior in physical values of these draws, periodic parameters folded into their range."""
    rows = [problem.parameters[name] for name in problem.varying]
    return Posterior(
        problem.varying,
        folded(rows, physical_values(code, space, draws.u)),
        draws.w[..., 0],
        draws.w[..., 1],
        np.exp(draws.log_noise),
        draws.log_likelihood,
        statistics,
    )


def learnt(problem: Problem, posterior: Posterior, seed: int) -> dict[str, float]:
    """1 - (posterior variance)/(prior variance) of every parameter, in its logarithm where it moves there."""
    rng, duration = np.random.default_rng(seed), max(data.duration for data in problem.data)
    found = {}
    for name, column in zip(posterior.names, posterior.flat.T, strict=True):
        row = problem.parameters[name]
        prior = draw_prior(row, duration, rng, _PRIOR_DRAWS)
        both = (np.log(column), np.log(prior)) if row.scale == "log" else (column, prior)
        found[name] = 1.0 - float(np.var(both[0]) / np.var(both[1]))
    return found


def prior_directions(problem: Problem, posterior: Posterior, seed: int) -> list[str]:
    """In words, the directions of which the prior alone determines the posterior.

    Directions are those of the posterior covariance relative to the prior's: λ near 1 is nothing learnt.
    """
    rng, duration = np.random.default_rng(seed), max(data.duration for data in problem.data)
    rows = [problem.parameters[name] for name in posterior.names]
    log = [row.scale == "log" for row in rows]
    width = [
        np.std(np.log(x) if is_log else x)
        for is_log, x in zip(log, (draw_prior(row, duration, rng, _PRIOR_DRAWS) for row in rows), strict=True)
    ]
    x = np.where(log, np.log(np.where(log, posterior.flat, 1.0)), posterior.flat) / width
    values, vectors = np.linalg.eigh(np.cov(x.T).reshape(len(rows), -1))
    return [
        _words(posterior.names, direction)
        for value, direction in zip(values, vectors.T, strict=True)
        if value > 1.0 - _ONLY_PRIOR
    ]


def _words(names: tuple[str, ...], direction: np.ndarray) -> str:
    """A direction by the parameters that it moves, the largest first."""
    order = np.argsort(-np.abs(direction))
    share = direction[order] ** 2
    main = order[: int(np.searchsorted(np.cumsum(share), 0.9)) + 1]
    sign = np.sign(direction[main[0]])
    terms = (f"{'+' if sign * direction[k] > 0 else '-'} {names[k]}" for k in main)
    return " ".join(terms).removeprefix("+ ")
