"""Sampling by a reduced likelihood, which the exact one is held against at the draws.

Where the two differ by more than a tolerance at a draw, S at draws joins the snapshots, and the chains begin anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from heterodyne.evaluators.pair_sums import Sums
from heterodyne.kernels._jax import compiled, jax
from heterodyne_cmc.arrays import leaves, read_arrays, tree_of, write_arrays
from heterodyne_cmc.coordinates import Space, theta_of
from heterodyne_cmc.density import Code, Target, scaling_at
from heterodyne_cmc.likelihood import conditional, log_marginal
from heterodyne_cmc.nuts import Draws
from heterodyne_cmc.reduced import (
    can_be_reduced,
    exact_sums,
    most_snapshots,
    rank_of,
    reduced_shard,
    with_contents,
)
from heterodyne_cmc.shards import ReducedMatrix

REDUCED = "reduced.npz"

TOLERANCE = 0.01  # of the log likelihood

TOLERANCE_BEYOND = 0.1  # beyond the farthest draws

_ROUNDS = 3

_SNAPSHOTS, _PER_PARAMETER = 60, 12

_SPREAD = 1.5  # posterior standard deviations of the points of the first snapshots

_CHECKS = 200  # draws

_EXTREME = 0.2  # of them: those farthest out

_FURTHER = 1.25  # times as far: where it is looked for what chains have not seen


@dataclass(frozen=True)
class Check:
    """How a reduced likelihood of this ``rank`` did: its largest ``error`` over so many ``draws``."""

    rank: int
    error: float
    draws: int

    @property
    def words(self) -> str:
        """In words."""
        return f"of rank {self.rank}, largest error {self.error:.2g} over {self.draws} draws"


@dataclass(frozen=True, eq=False)
class Reduction:
    """Draws, the target that they are of, and the check that its likelihood passed, None for the exact one."""

    draws: Draws
    target: Target
    check: Check | None


Sample = Callable[[Target, Path | None], Draws]
"""Draws of a target, kept in a folder."""


def reduced_draws(
    code: Code, target: Target, folder: Path | None, seed: int, sample: Sample, tell: Callable[[str], None]
) -> Reduction:
    """Draws by the reduced likelihood of a target, or by the exact one where that cannot be, or does not do."""
    if not can_be_reduced(code.model, target.shard):
        return Reduction(sample(target, folder), target, None)
    points = first_points(len(target.adjustment), seed)
    for number in range(1, _ROUNDS + 1):
        place = folder if folder is None or number == 1 else folder / f"round-{number}"
        reduced = _kept(code, target, points, place)
        draws = sample(reduced, place)
        at = checked_draws(draws.u, seed)
        error, beyond = checked(code, target, reduced, at)
        check = Check(rank_of(reduced.shard), error, len(at))
        if error <= TOLERANCE and beyond <= TOLERANCE_BEYOND:
            tell(f"reduced likelihood {check.words}")
            return Reduction(draws, reduced, check)
        tell(f"the reduced likelihood is off by {max(error, beyond):.2g}: again with more snapshots")
        points = np.concatenate([points, at])
    tell("sampling by the exact likelihood")
    return Reduction(sample(target, None if folder is None else folder / "exact"), target, None)


def first_points(p: int, seed: int) -> np.ndarray:
    """Points (n, p) of the first snapshots, the centre first."""
    drawn = np.random.default_rng([seed, p]).normal(size=(_SNAPSHOTS + _PER_PARAMETER * p, p))
    return np.concatenate([np.zeros((1, p)), _SPREAD * drawn])


def reduced_target(code: Code, target: Target, points: np.ndarray) -> Target:
    """The target whose likelihood is reduced by snapshots at these points (n, p), where they are and adjusted."""
    adjusted = np.where(np.arange(len(points))[:, None] % 2, points, points @ np.asarray(target.adjustment).T)
    thetas = np.asarray(_thetas(code, target.space, adjusted))
    most = most_snapshots(code.model, target.shard, thetas[0])
    if len(thetas) > most:  # the centre, and of the others as many of the latest as may be
        thetas = np.concatenate([thetas[:1], thetas[1 - most :]])
    return target._replace(shard=reduced_shard(code.model, target.shard, thetas))


def checked_draws(u: np.ndarray, seed: int) -> np.ndarray:
    """The draws (n, p) of all chains at which a likelihood is checked: the farthest, and some at random."""
    flat = u.reshape(-1, u.shape[-1])
    count = min(_CHECKS, len(flat))
    farthest = np.argsort(np.sum(flat**2, axis=1))[::-1][: int(_EXTREME * count)]
    others = np.setdiff1d(np.arange(len(flat)), farthest)
    drawn = np.random.default_rng(seed).choice(others, count - len(farthest), replace=False)
    return flat[np.concatenate([farthest, drawn])]


def checked(code: Code, exact: Target, reduced: Target, at: np.ndarray) -> tuple[float, float]:
    """The largest error of the log likelihood at draws (n, p), the farthest first, and beyond the farthest.

    Chains that do not go where a likelihood is too low do not tell of it: the farthest draws are moved on outwards.
    There an error counts by how likely either says that it is, beside the least likely draw.
    """
    beyond = _FURTHER * at[: int(_EXTREME * len(at))]
    true, found = log_likelihoods_at(code, exact, reduced, np.concatenate([at, beyond]))
    error, n = np.abs(found - true), len(at)
    share = np.exp(np.minimum(np.maximum(true, found) - np.min(true[:n]), 0.0))[n:]
    return float(np.max(error[:n])), float(np.max(share * error[n:]))


def log_likelihoods_at(
    code: Code, exact: Target, reduced: Target, u: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The log likelihood of all bins at points (n, p), exact and reduced, (n,) each."""
    adjusted = u @ np.asarray(exact.adjustment).T
    sums = exact_sums(code.model, exact.shard, np.asarray(_thetas(code, exact.space, adjusted)))
    data = exact._replace(shard=exact.shard._replace(portions=()))
    return np.asarray(_of_sums(code, data, sums)), np.asarray(_of_reduced(code, reduced, adjusted))


@compiled("code")
def _of_sums(code: Code, target: Target, sums: Sums[jax.Array]) -> jax.Array:
    """The log likelihood of all bins from sums with leading axes (n, bins), (n,)."""

    def at(sums: Sums[jax.Array]) -> jax.Array:
        shard = target.shard
        each = conditional(sums, shard.moments, shard.pairs, target.scaling, code.free)
        return jax.numpy.sum(log_marginal(each))

    return jax.vmap(at)(sums)


@compiled("code")
def _of_reduced(code: Code, target: Target, u: jax.Array) -> jax.Array:
    """The log likelihood of all bins at points u (n, p), not adjusted."""
    return jax.lax.map(lambda at: jax.numpy.sum(log_marginal(scaling_at(code, target, at))), u)


def _kept(code: Code, target: Target, points: np.ndarray, folder: Path | None) -> Target:
    """The reduced target of these points, read back to the last bit where it was made before."""
    file = None if folder is None else folder / REDUCED
    arrays = None if file is None else read_arrays(file)
    if arrays is not None:
        like = [ReducedMatrix(*[0.0] * len(ReducedMatrix._fields))] * len(target.shard.portions)  # type: ignore[arg-type]
        return target._replace(shard=with_contents(target.shard, tree_of("content", arrays, like)))
    made = reduced_target(code, target, points)
    if file is not None:
        write_arrays(file, leaves("content", [portion.content for portion in made.shard.portions]))
    return made


@compiled("code")
def _thetas(code: Code, space: Space, u: jax.Array) -> jax.Array:
    """All parameters of the model at points u (n, p)."""
    return jax.vmap(partial(theta_of, space, code.form))(u)
