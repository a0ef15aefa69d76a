"""The marginal likelihood of c2: Gaussian elements, contrast, offset and noise of every bin integrated out.

w = (contrast, offset) | σ² ~ N(m0, σ² Λ0⁻¹),   σ² ~ InvGamma(a0, b0),
log p(D_b | θ) = -½ log|A| - (a0 + n/2) log(b0 + ½ [DᵀD + m0ᵀ Λ0 m0 - ŵᵀ A ŵ]) + const,
A = XᵀX + Λ0,   ŵ = A⁻¹ (XᵀD + Λ0 m0),   X = [S, 1].

Of n pairs; where they are weighted by the covariance of their frames, D and X are whitened, and n is what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jax import Array

from heterodyne.bins.bin import Moments
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.frozen import FrozenMapping
from heterodyne.kernels._jax import AnyArray, jax, jnp
from heterodyne.parameters import Prior

_CONTRAST_WIDTH = 0.25  # prior standard deviation of contrast and offset

_MEAN = (0.5, 1.0)


class ScalingPrior(NamedTuple):
    """The normal-inverse-gamma prior per bin: ``mean`` (bins, 2), ``precision`` Λ0 (bins, 2), ``shape`` a0
    and ``rate`` b0 (bins,)."""

    mean: AnyArray
    precision: AnyArray
    shape: AnyArray
    rate: AnyArray

    def of(self, bins: np.ndarray) -> ScalingPrior:
        """The prior of these bins, by number."""
        return ScalingPrior(*(column[bins] for column in self))

    def tempered(self, share: np.ndarray, free: int) -> ScalingPrior:
        """The prior density of (w, log σ) to the powers ``share`` (bins,), in the same form.

        ``free`` is how many of contrast and offset w are. The shape may be negative: without data such a
        density has no integral.
        """
        shape = (self.shape + 0.5 * free) * share - 0.5 * free
        return ScalingPrior(self.mean, self.precision * share[:, None], shape, self.rate * share)


class Conditional(NamedTuple):
    """(w, σ²) given θ: ``mean`` (bins, 2) of contrast and offset, ``precision`` A (bins, k, k) of the k free
    ones, ``shape`` and ``rate`` of σ² (bins,)."""

    mean: Array
    precision: Array
    shape: AnyArray
    rate: AnyArray


def scaling_prior(
    noise: np.ndarray,
    held: tuple[float | None, float | None] = (None, None),
    priors: Mapping[str, Prior] = FrozenMapping(),
) -> ScalingPrior:
    """The prior for bins of these least-squares noises per element, (bins,).

    ``held`` are contrast and offset where they are numbers; ``priors`` are a user's normal priors of them, of this
    width where σ is the noise.
    """
    s2 = noise**2
    usual = (Prior("normal", mean, _CONTRAST_WIDTH) for mean in _MEAN)
    chosen = [priors.get(name, prior) for name, prior in zip(("contrast", "offset"), usual, strict=True)]
    mean = [prior.location if at is None else at for at, prior in zip(held, chosen, strict=True)]
    precision = np.column_stack([s2 / prior.width**2 for prior in chosen])
    return ScalingPrior(np.tile(mean, (len(s2), 1)), precision, np.ones(len(s2)), s2)


def conditional(
    sums: Sums[Array],
    moments: Moments[AnyArray],
    pairs: AnyArray,
    prior: ScalingPrior,
    free: tuple[bool, bool] = (True, True),
) -> Conditional:
    """The conditional of contrast, offset and noise of every bin of so many pairs, from its sums for X = S alone.

    Of contrast and offset, those that are not ``free`` stand at the mean of the prior.
    """
    # the offset counts from the reference, so that no digits are lost
    centred = jnp.asarray(prior.mean).at[:, 1].add(-moments.reference)
    moved = np.flatnonzero(free)
    s, square_s = sums.total[:, 0], sums.gram[:, 0, 0]
    gram = jnp.stack([square_s, s, s, moments.pairs], axis=-1).reshape(-1, 2, 2)
    right = jnp.stack([sums.cross[:, 0], moments.total], axis=-1)
    known = centred * ~np.array(free)
    of_known = jnp.einsum("bij,bj->bi", gram, known)
    square = moments.square - jnp.sum(known * (2.0 * right - of_known), axis=-1)
    pulled = (prior.precision * centred)[:, moved]
    right = (right - of_known)[:, moved] + pulled
    precision = gram[:, moved][:, :, moved] + prior.precision[:, moved, None] * jnp.eye(len(moved))
    mean = _solved(precision, right)
    square += jnp.sum(pulled * centred[:, moved], axis=-1) - jnp.sum(mean * right, axis=-1)
    located = centred.at[:, moved].set(mean).at[:, 1].add(moments.reference)
    rate = prior.rate + 0.5 * jnp.maximum(square, 0.0)
    return Conditional(located, precision, prior.shape + 0.5 * pairs, rate)


def log_marginal(conditional: Conditional) -> Array:
    """log p(D_b | θ) up to a constant, (bins,)."""
    return -0.5 * jnp.log(_determinant(conditional.precision)) - conditional.shape * jnp.log(conditional.rate)


def draw_noise(key: Array, conditional: Conditional) -> Array:
    """One draw of σ² of every bin, (bins,)."""
    return jnp.asarray(conditional.rate) / jax.random.gamma(key, conditional.shape)


def draw_scaling(key: Array, conditional: Conditional, variance: Array, free: tuple[bool, bool]) -> Array:
    """One draw of contrast and offset of every bin, (bins, 2), for these σ²."""
    moved = np.flatnonzero(free)
    root = jnp.linalg.cholesky(conditional.precision)
    standard = jax.random.normal(key, (len(variance), len(moved), 1))
    turned = jax.scipy.linalg.solve_triangular(jnp.swapaxes(root, -1, -2), standard, lower=False)[..., 0]
    return conditional.mean.at[:, moved].add(jnp.sqrt(variance)[:, None] * turned)


def _determinant(matrix: Array) -> Array:
    """The determinants of (..., k, k), k ≤ 2."""
    if matrix.shape[-1] < 2:
        return jnp.prod(matrix, axis=(-2, -1))
    return matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]


def _solved(matrix: Array, right: Array) -> Array:
    """The solutions (..., k) of k × k systems, k ≤ 2."""
    if matrix.shape[-1] < 2:
        return right / matrix.reshape(right.shape)
    first = matrix[..., 1, 1] * right[..., 0] - matrix[..., 0, 1] * right[..., 1]
    second = matrix[..., 0, 0] * right[..., 1] - matrix[..., 1, 0] * right[..., 0]
    return jnp.stack([first, second], axis=-1) / _determinant(matrix)[..., None]
