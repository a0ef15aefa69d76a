"""`Posterior`: draws of parameters, contrast, offset and noise, and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from heterodyne.problem.problem import Problem
from heterodyne_cmc.blocks import BlockLikelihood
from heterodyne_cmc.coordinates import Space, folded, physical_values
from heterodyne_cmc.density import Code
from heterodyne_cmc.joint import JointDraws
from heterodyne_cmc.priors import draw_prior, longest

_PRIOR_DRAWS = 20_000

_ONLY_PRIOR = 0.1  # a posterior whose variance is this much smaller than the prior's has learnt nothing


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws (chains, draws, ...): ``values`` (p) of the parameters ``names``, ``contrast``, ``offset`` and
    ``noise`` σ (bins), ``log_likelihood`` by blocks of pairs, and ``statistics`` of the sampler by name.

    Draws combined from shards form one chain and have no statistics.
    """

    names: tuple[str, ...]
    values: np.ndarray
    contrast: np.ndarray
    offset: np.ndarray
    noise: np.ndarray
    log_likelihood: BlockLikelihood
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


def create_posterior(
    problem: Problem,
    code: Code,
    space: Space,
    draws: JointDraws,
    log_likelihood: BlockLikelihood,
    statistics: dict[str, np.ndarray],
) -> Posterior:
    """The posterior in physical values of these draws, periodic parameters folded into their range."""
    parameters = [problem.parameters[name] for name in problem.varying]
    return Posterior(
        problem.varying,
        folded(parameters, physical_values(space, code.form, draws.u)),
        draws.w[..., 0],
        draws.w[..., 1],
        np.exp(draws.log_noise),
        log_likelihood,
        statistics,
    )


def learnt(problem: Problem, posterior: Posterior, seed: int) -> dict[str, float]:
    """1 - (posterior variance)/(prior variance) of every parameter, in its logarithm where it moves there."""
    columns = zip(posterior.names, _beside_prior(problem, posterior, seed), strict=True)
    return {name: 1.0 - float(np.var(column) / np.var(prior)) for name, (column, prior) in columns}


def prior_directions(problem: Problem, posterior: Posterior, seed: int) -> list[str]:
    """In words, the directions of which the prior alone determines the posterior.

    Directions are those of the posterior covariance relative to the prior's: λ near 1 is nothing learnt.
    """
    columns = [column / np.std(prior) for column, prior in _beside_prior(problem, posterior, seed)]
    values, vectors = np.linalg.eigh(np.cov(columns).reshape(len(columns), -1))
    return [
        _words(posterior.names, direction)
        for value, direction in zip(values, vectors.T, strict=True)
        if value > 1.0 - _ONLY_PRIOR
    ]


def _beside_prior(
    problem: Problem, posterior: Posterior, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draws of the posterior and of the prior of every parameter, as logarithms where it moves in them."""
    rng, duration = np.random.default_rng(seed), longest(problem)
    for name, column in zip(posterior.names, posterior.flat.T, strict=True):
        parameter = problem.parameters[name]
        prior = draw_prior(parameter, duration, rng, _PRIOR_DRAWS)
        yield (np.log(column), np.log(prior)) if parameter.scale == "log" else (column, prior)


def _words(names: tuple[str, ...], direction: np.ndarray) -> str:
    """A direction by the parameters that it moves, the largest first."""
    order = np.argsort(-np.abs(direction))
    share = direction[order] ** 2
    main = order[: int(np.searchsorted(np.cumsum(share), 0.9)) + 1]
    sign = np.sign(direction[main[0]])
    terms = (f"{'+' if sign * direction[k] > 0 else '-'} {names[k]}" for k in main)
    return " ".join(terms).removeprefix("+ ")
