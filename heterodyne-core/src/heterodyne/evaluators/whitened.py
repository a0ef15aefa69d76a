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

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Float

from heterodyne.bins.bin import Bin, Dense, Kept, Moments, Whitened
from heterodyne.bins.compressed import Compressed
from heterodyne.bins.nodes import Nodes, bin_nodes
from heterodyne.bins.parts import Part
from heterodyne.bins.scratch import has_room_for, scratch_matrix
from heterodyne.bins.tiles import Tiles
from heterodyne.data.matrices import windows
from heterodyne.evaluators.blocks import cut
from heterodyne.evaluators.compressed import cross_sums
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.evaluators.quasiseparable import Factor, Generators, expanded, factorised, generators, solved
from heterodyne.evaluators.streamed import data_products, rows_and_sums
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
from heterodyne.kernels._jax import compiled, jax, jnp
from heterodyne.model import Components, Model

_NONE = Moments(0.0, 0.0, 0.0, 0.0)  # E stands for itself, with no reference

_PANEL = 512
"""Rows or columns of a matrix on disk that are worked on at once."""


def whitened_bin(model: Model, theta: Float[np.ndarray, " P"], bin: Bin, noise: float) -> Bin:
    """The bin weighted by W of S at ``theta`` in its centre and κ = ``noise``.

    Raises `ValueError` for a bin that `can_be_whitened` says no of.
    """
    bin, values = bin.plain, bin.plain.values
    assert not isinstance(values, Whitened | Kept)
    if not can_be_whitened(bin):
        raise ValueError("pairs that are left out one by one, or weighted so, have no covariance of frames")
    root = np.sqrt(bin.weight)
    factor = frame_factor(model, theta, bin, noise)
    e = _evened(bin, root)
    ones = solved(factor, root[:, None])[:, 0]
    # O = root rootᵀ - diag(root²)
    of_ones = 0.5 * float((root @ ones) ** 2 - 2.0 * ones @ (root**2 * ones))
    total = 0.0
    for columns in _panels(e):
        own = solved(factor, np.eye(len(e), columns.stop - columns.start, -columns.start))
        of_ones += 0.5 * float(root**2 @ own**2 @ root[columns] ** 2)
        e[:, columns] = solved(factor, e[:, columns])
    for rows in _panels(e):
        e[rows] = solved(factor, e[rows].T).T * np.outer(root[rows], root)
        total += 0.5 * (float(e[rows].sum()) - float(np.trace(e[rows], rows.start)))
    square = sum(_times_data(part, bin.moments.reference, e) for part in bin.parts())
    moments = Moments(of_ones, bin.moments.reference, total, square)
    return replace(bin, values=Whitened(values, _like(bin, e), moments, factor, noise))


def _evened(bin: Bin, root: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames frames"]:
    """√W (c2 - reference), on disk where the data are not in memory."""
    if isinstance(bin.values, Dense):
        inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
        return bin.d * np.outer(inverse, inverse)
    d = scratch_matrix(len(root))
    for first, second, c2, weights in bin.parts():
        rows, columns = slice(first, first + len(c2)), slice(second, second + c2.shape[1])
        part = np.sqrt(weights) * np.where(weights > 0, c2 - bin.moments.reference, 0.0)
        d[rows, columns] += part
        d[columns, rows] += part.T
    return d


def _panels(matrix: np.ndarray) -> Iterator[slice]:
    """Rows or columns of a matrix to work on at once: all that are in memory."""
    step = _PANEL if isinstance(matrix, np.memmap) else len(matrix)
    yield from (slice(first, min(first + step, len(matrix))) for first in range(0, len(matrix), step))


def _times_data(part: Part, reference: float, e: np.ndarray) -> float:
    """Σ E (c2 - reference) over the pairs of a part."""
    first, second, c2, weights = part
    of = e[first : first + len(c2), second : second + c2.shape[1]]
    return float(np.vdot(of, np.where(weights > 0, c2 - reference, 0.0)))


def _like(bin: Bin, e: np.ndarray) -> np.ndarray | Tiles:
    """E as the data of a bin are: whole, or in tiles."""
    if isinstance(bin.values, Dense):
        return 0.5 * (e + e.T)
    return Tiles(windows(e[None], 0), "full", bin.tiles.size, {})


def can_be_whitened(bin: Bin) -> bool:
    """Whether no pair of a bin is left out or weighted by itself, and there is room for E if it is read by tiles."""
    if not bin.is_separable:
        return False
    return bin.plain.values.in_memory or has_room_for(len(bin.t))


def frame_factor(model: Model, theta: Float[np.ndarray, " P"], bin: Bin, noise: float) -> Factor[np.ndarray]:
    """The Cholesky factor of S + ``noise`` 1 in the centre of a bin, frames weighted as it weights them."""
    weight = bin.frame_weight
    # with derivatives, whose code the scores compile anyway
    of = generators(model, theta, bin.t, bin_nodes(bin.q, bin.phi), np.sqrt(weight), jacobian=True)
    return factorised(of, weight + noise)


def bin_sums(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, jacobian: bool = True
) -> Sums[np.ndarray]:
    """The sums of a whitened bin of a separable S."""
    values = bin.values
    assert isinstance(values, Whitened)
    root = np.sqrt(bin.weight)
    if not isinstance(values.d, np.ndarray):
        rows, slopes, total, gram = rows_and_sums(
            model, theta, bin.t, bin.nodes, model_sums, (root, values.factor), jacobian
        )
        e, total, gram = product_bin(bin), np.asarray(total), np.asarray(gram)
        if isinstance(e.values, Compressed):
            cross = cross_sums(model, theta, e, values.moments, bin.moments.pairs, rows, slopes, total, gram)
        else:
            cross = data_products(e, rows, slopes)
        return Sums(cross, total, gram)
    evaluate = _sums if jacobian else _value_sums
    sums = evaluate(model, theta, bin.t, bin.nodes, root, values.d, values.factor)
    return Sums(*map(np.asarray, sums))


def product_bin(bin: Bin) -> Bin:
    """A whitened bin as one whose data are E, all frames with weight 1."""
    values = bin.values
    assert isinstance(values, Whitened)
    assert not isinstance(values.d, np.ndarray)
    return replace(bin, values=values.d, weight=np.ones_like(bin.weight), moments=_NONE)


@compiled("model")
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


_value_sums = compiled("model")(value_sums)


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
    assert isinstance(values.d, np.ndarray)
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
