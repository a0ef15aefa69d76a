"""Sums over frame pairs weighted by the inverse of a covariance between frames, W = (S₀ + κ 1)⁻¹.

For symmetric matrices A and B with zero diagonal the sum Σ_{i<j} A_ij B_ij becomes

    ⟨A, B⟩ = ½ tr(W A W B) = Σ_{i<j} Y_A Y_B + ½ Σ_i Y_A Y_B,      Y_A = L⁻¹ A L⁻ᵀ,      L Lᵀ = W⁻¹.

With the data, E = W D W is made once and takes the place of the data. Without data, X = (S, ∂S, O) with O = 1 1ᵀ - 1
are whitened block by block. With l, r and F of X and r₀, g and F₀ of L (`heterodyne.evaluators.quasiseparable`), a row
i of L⁻¹ X goes on to the columns after it as z, and what the whitening of those columns knows of it as c:

    e = L(J,J)⁻¹ (r z - r₀ c),      c ← F₀ c + g e,      z ← F z,

so that the upper part of Y is a matrix of the kind that `heterodyne.evaluators.structured` sums, of terms (c, z), in
which c has no slopes of its own. The whitening of the rows carries N = Σ g (L⁻¹ X) and B = Σ g Y gᵀ along.
O(N p² K²) operations for p derivatives and K terms.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Float

from heterodyne.bins.bin import Bin, Dense, Moments, Whitened
from heterodyne.bins.nodes import Nodes, bin_nodes
from heterodyne.evaluators.blocks import cut
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.evaluators.quasiseparable import Factor, Generators, expanded, factorised, generators, solved
from heterodyne.evaluators.structured import (
    DATA_BLOCK,
    averaged,
    components,
    data_sums,
    far_gram,
    no_slopes,
    with_data,
)
from heterodyne.evaluators.tangent import tangent_between
from heterodyne.kernels._jax import jax, jnp
from heterodyne.model import Components, Model


def whitened_bin(model: Model, theta: Float[np.ndarray, " P"], bin: Bin, noise: float) -> Bin:
    """The bin weighted by W of S at ``theta`` in its centre and κ = ``noise``.

    Raises `ValueError` for a bin that `can_be_whitened` says no of.
    """
    bin = bin.plain
    if not (isinstance(bin.values, Dense) and can_be_whitened(bin)):
        raise ValueError(
            "pairs that are left out one by one, or are not in memory, have no covariance of frames"
        )
    root = np.sqrt(bin.weight)
    factor = frame_factor(model, theta, bin, noise)
    d = bin.d * np.outer(inverse := np.divide(1.0, root, out=np.zeros_like(root), where=root > 0), inverse)
    e = solved(factor, solved(factor, d).T)
    e = 0.5 * (e + e.T)
    ones = solved(factor, root[:, None])[:, 0]
    # O = root rootᵀ - diag(root²)
    own = solved(factor, np.diag(root**2))
    of_ones = 0.5 * float((root @ ones) ** 2 - 2.0 * ones @ (root**2 * ones) + np.vdot(own, own.T))
    square = 0.5 * float(np.vdot(e, d))
    e *= np.outer(root, root)
    total = 0.5 * float(e.sum() - np.trace(e))
    moments = Moments(of_ones, bin.moments.reference, total, square)
    return replace(bin, values=Whitened(bin.values, e, moments, factor, noise))


def can_be_whitened(bin: Bin) -> bool:
    """Whether c2 of a bin is in memory and no pair of frames is left out or weighted by itself."""
    return isinstance(bin.plain.values, Dense) and not len(bin.skipped) and bin.pair_weight is None


def frame_factor(model: Model, theta: Float[np.ndarray, " P"], bin: Bin, noise: float) -> Factor[np.ndarray]:
    """The Cholesky factor of S + ``noise`` 1 in the centre of a bin, frames weighted as it weights them."""
    weight = bin.frame_weight
    of = generators(model, theta, bin.t, bin_nodes(bin.q, bin.phi), np.sqrt(weight))
    return factorised(of, weight + noise)


def bin_sums(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, jacobian: bool = True
) -> Sums[np.ndarray]:
    """The sums of a whitened bin of a separable S."""
    values = bin.values
    assert isinstance(values, Whitened)
    evaluate = _sums if jacobian else value_sums
    sums = evaluate(model, theta, bin.t, bin.nodes, np.sqrt(bin.weight), values.d, values.factor)
    return Sums(*map(np.asarray, sums))


@partial(jax.jit, static_argnames="model")
def _sums(
    model: Model,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    root: Float[Array, " frames"],
    e: Float[Array, "frames frames"],
    factor: Factor[Array],
) -> Sums[Array]:
    rows, slopes = components(model, theta, t, nodes)
    return Sums(data_sums(rows, slopes, e), *model_sums(rows, slopes, root, factor))


@partial(jax.jit, static_argnames="model")
def value_sums(
    model: Model,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    root: Float[Array, " frames"],
    e: Float[Array, "frames frames"],
    factor: Factor[Array],
) -> Sums[Array]:
    """The sums for X = S alone, differentiable in ``theta`` without a second read of the data."""
    rows = averaged(model, theta, t, nodes)
    cross = with_data(cut(rows, DATA_BLOCK), e)[None]
    return Sums(cross, *model_sums(rows, no_slopes(rows), root, factor))


def model_sums(
    rows: Components, slopes: Components, root: Float[Array, " frames"], factor: Factor[Array]
) -> tuple[Float[Array, " x"], Float[Array, "x x"]]:
    """⟨O, X⟩ and ⟨X, X⟩ of X = (S, ∂S)."""
    size = factor.lower.shape[1]
    of = _with_ones(expanded(rows, slopes, root), root.reshape(-1, size))
    kinds, terms, own = of.left.shape[1], of.left.shape[2], factor.right.shape[1]
    start = Passed(
        jnp.zeros((kinds * (own + terms),) * 2),
        jnp.zeros((kinds, own, terms)),
        jnp.zeros((kinds, own, own)),
        jnp.zeros((kinds, kinds)),
    )

    def add(passed: Passed, at: tuple[Generators[Array], Factor[Array]]) -> tuple[Passed, None]:
        return _passed_on(passed, *at), None

    gram = jax.lax.scan(add, start, (of, factor))[0].gram
    return gram[-1, :-1], gram[:-1, :-1]


def _with_ones(of: Generators[Array], root: Float[Array, "blocks size"]) -> Generators[Array]:
    """X with O as a last derivative: of a term whose l is 0 and whose l' is 1."""
    kinds = of.left.shape[1]
    left, right = (jnp.pad(x, ((0, 0), (0, 1), (1, 0), (0, 0))) for x in (of.left, of.right))
    over = jnp.pad(of.over, ((0, 0), (0, 1), (1, 0), (1, 0))).at[:, 0, 0, 0].set(1.0)
    ones = jnp.triu(root[:, :, None] * root[:, None, :], 1)
    near = jnp.concatenate([of.near, ones[:, None]], axis=1)
    return Generators(left.at[:, kinds, 0].set(root), right.at[:, 0, 0].set(root), over, near)


class Passed(NamedTuple):
    """What comes before a block: Σ of the products of (c, z), N per term of z, B, and ⟨X, X⟩ so far."""

    before: Float[Array, "rows rows"]
    across: Float[Array, "x own terms"]
    both: Float[Array, "x own own"]
    gram: Float[Array, "x x"]


def _passed_on(passed: Passed, of: Generators[Array], factor: Factor[Array]) -> Passed:
    """The same before the next block."""
    before, across, both, gram = passed
    inverse, gain, own = factor.inverse, factor.gain, factor.right
    kinds, _, size = of.right.shape
    # columns of this block: what the rows before it bring along, unwhitened and whitened
    brought = _with_derivatives(across, of.right)
    tiles = of.near + of.near.swapaxes(1, 2) - own.T @ brought - brought.swapaxes(1, 2) @ own
    tiles = inverse @ (tiles + own.T @ both @ own) @ inverse.T
    beside = (brought - both @ own) @ inverse.T
    rights = jnp.concatenate(
        [jnp.zeros((kinds, len(own), size)).at[0].set(-own @ inverse.T), of.right @ inverse.T], axis=1
    )
    flat = tiles.reshape(kinds, -1)
    gram = gram + far_gram(before, rights) + 0.5 * flat @ flat.T
    # rows of this block, for the columns after it
    moved = _with_derivatives(across, of.over.swapaxes(1, 2))
    z = inverse @ (of.left.swapaxes(1, 2) - own.T @ moved)
    c = factor.over @ beside + gain @ tiles
    sources = jnp.concatenate([c, z.swapaxes(1, 2)], axis=1).reshape(-1, size)
    across = factor.over @ moved + gain @ z
    step = factor.over @ beside @ gain.T
    both = factor.over @ both @ factor.over.T + step + step.swapaxes(1, 2) + gain @ tiles @ gain.T
    over = _transition(of, factor, rights)
    rows = _on_rows(over, before)
    before = _on_rows(over, rows.T).T + sources @ sources.T
    return Passed(before, across, both, gram)


def _with_derivatives(
    states: Float[Array, "x own terms"], matrices: Float[Array, "x terms n"]
) -> Float[Array, "x own n"]:
    """The products of values, and their derivatives."""
    product = states @ matrices[0]
    return product.at[1:].add(states[0] @ matrices[1:])


def _transition(
    of: Generators[Array], factor: Factor[Array], rights: Float[Array, "x both size"]
) -> Float[Array, "x both both"]:
    """What carries (c, z) over a block, and its derivatives."""
    own, terms = len(factor.right), of.over.shape[-1]
    whole = jnp.zeros((len(rights), own + terms, own + terms))
    whole = whole.at[:, :own].set(factor.gain @ rights.swapaxes(1, 2))
    return whole.at[0, :own, :own].add(factor.over).at[:, own:, own:].set(of.over)


def _on_rows(over: Float[Array, "x both both"], matrix: Float[Array, "rows n"]) -> Float[Array, "rows n"]:
    """The rows (x, both) of a matrix carried over a block."""
    kinds, both, _ = over.shape
    rows = matrix.reshape(kinds, both, -1)
    value = jnp.einsum("ab,xbn->xan", over[0], rows)
    return value.at[1:].add(jnp.einsum("xab,bn->xan", over[1:], rows[0])).reshape(matrix.shape)


def dense_sums(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, jacobian: bool = True
) -> Sums[np.ndarray]:
    """The sums of a whitened bin of any model, from whole matrices: O(N³) operations per derivative."""
    values = bin.values
    assert isinstance(values, Whitened)
    root = np.sqrt(bin.weight)
    frames, kinds = np.arange(len(root)), 1 + jacobian * len(theta)
    x = np.zeros((kinds + 1, len(root), len(root)))
    for weight, q, phi in zip(*bin.nodes.listed(), strict=True):
        x[:-1] += weight * np.asarray(tangent_between(model, theta, bin.t, q, phi, frames))[:kinds]
    x[-1] = 1.0
    x[:, frames, frames] = 0.0
    cross = 0.5 * np.einsum("xij,ij->x", x[:-1], values.d)
    x *= np.outer(root, root)
    y = solved(values.factor, x.transpose(1, 0, 2).reshape(len(root), -1)).reshape(len(root), kinds + 1, -1)
    gram = 0.5 * np.einsum("ixj,jyi->xy", y, y, optimize=True)
    return Sums(cross, gram[-1, :-1], gram[:-1, :-1])
