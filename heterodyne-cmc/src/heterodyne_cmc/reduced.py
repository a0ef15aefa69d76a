"""Reduced likelihoods: S of a bin within the posterior, by empirical interpolation.

Where the posterior leads, S(θ) lies to far below the noise in an affine space of few dimensions,

    S(θ) ≈ S₀ + Σ_m c_m(θ) Q_m,      ⟨Q_m, Q_n⟩ = δ_mn,      c(θ) = P (S(θ) - S₀) at L pairs of frames,

so that all sums over pairs follow from S at these L:

    ⟨D, S⟩ = ⟨D, S₀⟩ + ⟨D, Q⟩ᵀ c,      ⟨S, S⟩ = ⟨S₀, S₀⟩ + 2 ⟨S₀, Q⟩ᵀ c + cᵀ c.

Q are the leading directions of snapshots of S at points of the posterior, by the inner product of the weights; the
pairs are those that pivoting finds in Q, and P solves for c by least squares. The data enter as they are: only S is
approximated, and where it was, the likelihood itself tells at the draws (`heterodyne_cmc.checks`).
Barrault et al., C. R. Math. 339 (2004) 667; Drmač & Gugercin, SIAM J. Sci. Comput. 38 (2016) A631.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jax import Array
from scipy.linalg import qr

from heterodyne.evaluators.elementwise import listed_values
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.evaluators.snapshots import snapshot_sums, snapshots
from heterodyne.kernels._jax import AnyArray, compiled, jax
from heterodyne.model import Model
from heterodyne_cmc.shards import PairList, Portion, ReducedMatrix, Shard, TileList, WhitenedMatrix

_CANDIDATES = 4000  # pairs of a bin among which those of the interpolation are found

OVERSAMPLED = 2  # pairs per direction

_LEFT_OUT = 1e-4  # of a standard error: snapshots beside the space, rms

_RESOLVED = 1e-7  # of S₀: what of a difference rounding leaves

_MOST = 192  # directions

_MOST_ROWS = 3000  # n times the terms of S: the products of rows are that squared

_AT_ONCE = 16  # snapshots of which only the squares are asked for


class Space(NamedTuple):
    """S₀, and Q as combinations (n, M) of the differences of n snapshots to it, with the sums of all."""

    combine: np.ndarray
    sums: Sums[np.ndarray]


def can_be_reduced(model: Model, shard: Shard) -> bool:
    """Whether S is separable and the shard holds whole bins."""
    others = PairList | TileList
    return model.components is not None and not any(
        isinstance(each.content, others) for each in shard.portions
    )


def reduced_shard(model: Model, shard: Shard, thetas: np.ndarray) -> Shard:
    """The shard with S interpolated between snapshots at ``thetas`` (n, P), of which the first is S₀."""
    spaces = [_space(model, shard, number, thetas) for number in range(len(shard.portions))]
    rank = max(space.combine.shape[1] for space in spaces)
    contents = [
        _reduced(model, portion, thetas, space, rank)
        for portion, space in zip(shard.portions, spaces, strict=True)
    ]
    return with_contents(shard, contents)


def with_contents(shard: Shard, contents: list[ReducedMatrix]) -> Shard:
    """The shard with these in place of its data."""
    pairs = zip(shard.portions, contents, strict=True)
    return shard._replace(
        portions=tuple(_no_pairs(portion)._replace(content=content) for portion, content in pairs)
    )


def _no_pairs(portion: Portion) -> Portion:
    """The portion without what it leaves out."""
    return portion._replace(skipped=PairList(*(column[:0] for column in portion.skipped)))


def most_snapshots(model: Model, shard: Shard, theta: np.ndarray) -> int:
    """How many snapshots the products of all terms leave memory and time for."""

    def terms(portion: Portion) -> int:
        own = portion.content.factor.right.shape[1] if isinstance(portion.content, WhitenedMatrix) else 0
        return own + snapshots(model, theta[None], portion.t, portion.nodes, portion.weight).left.shape[2]

    return _MOST_ROWS // max(terms(portion) for portion in shard.portions)


def exact_sums(model: Model, shard: Shard, thetas: np.ndarray) -> Sums[np.ndarray]:
    """The sums of S at ``thetas`` (n, P) over all pairs as they are, with leading axes (n, bins)."""
    parts = [thetas[first : first + _AT_ONCE] for first in range(0, len(thetas), _AT_ONCE)]

    def of_bin(portion: Portion) -> tuple[np.ndarray, ...]:
        each = [_snapshot_sums(model, portion, part) for part in parts]
        return tuple(np.concatenate(x) for x in zip(*((a, b, np.diag(c)) for a, b, c in each), strict=True))

    cross, total, square = (np.stack(x, axis=1) for x in zip(*map(of_bin, shard.portions), strict=True))
    return Sums(cross[..., None], total[..., None], square[..., None, None])


def rank_of(shard: Shard) -> int:
    """The directions M of a reduced shard."""
    content = shard.portions[0].content
    assert isinstance(content, ReducedMatrix)
    return len(content.solve)


def _space(model: Model, shard: Shard, number: int, thetas: np.ndarray) -> Space:
    """Q of one portion: all directions that matter, and that rounding leaves."""
    sums = _snapshot_sums(model, shard.portions[number], thetas)
    return leading(sums, _squared_scale(shard, number, sums))


def leading(sums: Sums[np.ndarray], squared_scale: float) -> Space:
    """Q from the sums of snapshots, where (contrast / noise per pair)² is this."""
    values, vectors = np.linalg.eigh(_about_first(_about_first(sums.gram).T))
    matters = len(sums.gram) * _LEFT_OUT**2 / max(squared_scale, 1e-300)
    keep = np.flatnonzero(values > max(matters, _RESOLVED**2 * sums.gram[0, 0]))[::-1][:_MOST]
    return Space(vectors[:, keep] / np.sqrt(values[keep]), sums)


def _snapshot_sums(model: Model, portion: Portion, thetas: np.ndarray) -> Sums[np.ndarray]:
    """The sums of S at ``thetas`` over the pairs of a portion."""
    root, content = np.sqrt(portion.weight), portion.content
    d, factor = content if isinstance(content, WhitenedMatrix) else (content, None)
    sums = snapshot_sums(
        snapshots(model, thetas, portion.t, portion.nodes, root), root, np.asarray(d), factor
    )
    if not len(portion.skipped.first):
        return sums
    s = _values(model, thetas, portion, portion.skipped.first, portion.skipped.second)
    weighted = s * portion.skipped.weight
    return sums._replace(total=sums.total - weighted.sum(axis=1), gram=sums.gram - weighted @ s.T)


def _squared_scale(shard: Shard, number: int, sums: Sums[np.ndarray]) -> float:
    """(contrast / noise per pair)² of a bin, by least squares at S₀."""
    pairs, _, total, square = (np.asarray(column)[number] for column in shard.moments)
    cross = sums.cross[0] - sums.total[0] * total / pairs
    spread = sums.gram[0, 0] - sums.total[0] ** 2 / pairs
    left = square - total**2 / pairs - cross**2 / spread
    return float(np.asarray(shard.pairs)[number] * (cross / spread) ** 2 / left)


def _about_first(rows: np.ndarray) -> np.ndarray:
    """The differences of rows (n, ...) to the first, without that."""
    return rows[1:] - rows[0]


def _reduced(model: Model, portion: Portion, thetas: np.ndarray, space: Space, rank: int) -> ReducedMatrix:
    """The interpolation of one portion, filled up to this rank."""
    at = interpolation(model, portion, thetas, space.combine, OVERSAMPLED * rank)
    more = rank - len(at.solve)
    sums = (
        np.pad(np.append(x[:1], space.combine.T @ _about_first(x)), (0, more))
        for x in (space.sums.cross, space.sums.total, space.sums.gram[0])
    )
    return ReducedMatrix(*at._replace(solve=np.pad(at.solve, ((0, more), (0, 0)))), *sums)


class Interpolation(NamedTuple):
    """L pairs of frames, S₀ there, and P (M, L)."""

    first: np.ndarray
    second: np.ndarray
    origin: np.ndarray
    solve: np.ndarray

    def coefficients(self, model: Model, portion: Portion, thetas: np.ndarray) -> np.ndarray:
        """c (n, M) at n parameters."""
        return (_values(model, thetas, portion, self.first, self.second) - self.origin) @ self.solve.T


def interpolation(
    model: Model, portion: Portion, thetas: np.ndarray, combine: np.ndarray, count: int
) -> Interpolation:
    """The interpolation of Q (n, M) at so many pairs, or all that are candidates."""
    first, second = _candidates(portion)
    s = _values(model, thetas, portion, first, second)
    q = combine.T @ _about_first(s)
    chosen = _pivots(q, min(count, len(first)))
    return Interpolation(first[chosen], second[chosen], s[0, chosen], np.linalg.pinv(q[:, chosen].T))


def _candidates(portion: Portion) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of frames in use, half of them drawn evenly over the logarithm of the lag, half over all pairs."""
    rng, used = np.random.default_rng(0), np.flatnonzero(portion.weight)
    count, most = len(used), _CANDIDATES // 2
    lag = np.exp(rng.uniform(0.0, np.log(count), most)).astype(int).clip(1, count - 1)
    early = (rng.uniform(size=most) * (count - lag)).astype(int)
    near = np.column_stack([early, early + lag])
    anywhere = np.sort(rng.integers(0, count, (most, 2)), axis=1)
    pairs = np.unique(np.concatenate([near, anywhere]), axis=0)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    return used[pairs[:, 0]], used[pairs[:, 1]]


def _pivots(q: np.ndarray, count: int) -> np.ndarray:
    """So many columns of q (M, m) from which its rows are told apart best: pivots, and those of the rest after them."""
    chosen, left = np.zeros(0, dtype=int), np.arange(q.shape[1])
    while len(chosen) < count:
        pivots = np.asarray(qr(q[:, left], mode="r", pivoting=True)[-1])
        order = pivots[: min(len(q), count - len(chosen))]
        chosen, left = np.append(chosen, left[order]), np.delete(left, order)
    return np.sort(chosen)


@compiled("model")
def _listed_values(model: Model, thetas: Array, portion: Portion, first: AnyArray, second: AnyArray) -> Array:
    def at(theta: Array) -> Array:
        return listed_values(model, theta, portion.t, portion.nodes, first, second)

    return jax.lax.map(at, thetas)


def _values(
    model: Model, thetas: np.ndarray, portion: Portion, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """S at these pairs of a portion, (n, pairs)."""
    times = _no_pairs(portion)._replace(content=np.zeros(0))
    return np.asarray(_listed_values(model, thetas, times, first, second))
