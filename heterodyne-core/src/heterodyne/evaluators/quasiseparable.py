"""The algebra of C = S + κ 1 over the frames of a bin: products, solves, a Cholesky factor, a log-determinant.

Between the blocks of `heterodyne.evaluators.structured` S is of low rank,

    S(I, J) = l(I)ᵀ F(J-1) ... F(I+1) r(J),      I < J,

l carried to the start of the next block, F over a block. Matrices of this kind are quasi-separable: the Cholesky
factor L of C is one with the same r and F,

    L(J, J) L(J, J)ᵀ = C(J, J) - r(J)ᵀ P r(J),      g(J) = (l(J) - F P r(J)) L(J, J)⁻ᵀ,      P ← F P Fᵀ + g gᵀ,
    L(J, I) = r(J)ᵀ F(J-1) ... F(I+1) g(I),         I < J,

so that L x, Lᵀ x, L⁻¹ x and L⁻ᵀ x cost O(N (B + K)) operations per column, for blocks of B frames and K terms.
Eidelman & Gohberg, Integr. Equ. Oper. Theory 34 (1999) 293; Foreman-Mackey et al., AJ 154 (2017) 220.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Float
from scipy.linalg import solve_triangular

from heterodyne.bins.nodes import Nodes
from heterodyne.evaluators.blocks import carried, cut, cut_slopes, steps_along
from heterodyne.evaluators.pair_sums import Numbers
from heterodyne.evaluators.structured import MODEL_BLOCK, averaged, components, near_tiles, no_slopes
from heterodyne.evaluators.tangent import tangent_between
from heterodyne.kernels._jax import compiled, jax, jnp
from heterodyne.model import Components, Model

_COLUMNS = 256
"""Columns of a matrix that are formed at once."""


class Generators(NamedTuple, Generic[Numbers]):
    """X = (S, ∂S) between frames in blocks: l and r, F over every block, and the tiles on the diagonal.

    Derivatives follow the value in the axis x. The tiles are 0 for i ≥ j.
    """

    left: Float[Numbers, "blocks x terms size"]
    right: Float[Numbers, "blocks x terms size"]
    over: Float[Numbers, "blocks x terms terms"]
    near: Float[Numbers, "blocks x size size"]


class Factor(NamedTuple, Generic[Numbers]):
    """The Cholesky factor of C: its tiles on the diagonal with their inverses, and r, g and F of what is below."""

    lower: Float[Numbers, "blocks size size"]
    inverse: Float[Numbers, "blocks size size"]
    right: Float[Numbers, "blocks terms size"]
    gain: Float[Numbers, "blocks terms size"]
    over: Float[Numbers, "blocks terms terms"]


def generators(
    model: Model,
    theta: Float[np.ndarray, " P"],
    t: Float[np.ndarray, " frames"],
    nodes: Nodes,
    root: Float[np.ndarray, " frames"],
    jacobian: bool = False,
) -> Generators[np.ndarray]:
    """Those of S and its derivatives between frames, every frame times its ``root``, 0 for those left out.

    Of a model that is not separable the frames are one block.
    """
    if model.components is None:
        return _of_one_block(model, theta, t, nodes, root, jacobian)
    return Generators(*map(np.asarray, _generators(model, jacobian, theta, t, nodes, root)))


def _of_one_block(
    model: Model,
    theta: Float[np.ndarray, " P"],
    t: Float[np.ndarray, " frames"],
    nodes: Nodes,
    root: Float[np.ndarray, " frames"],
    jacobian: bool,
) -> Generators[np.ndarray]:
    kinds, frames = 1 + jacobian * len(theta), np.arange(len(t))
    near = np.zeros((kinds, len(t), len(t)))
    for weight, q, phi in zip(*nodes.listed(), strict=True):
        near += weight * np.asarray(tangent_between(model, theta, t, q, phi, frames))[:kinds]
    none = np.zeros((1, kinds, 0, len(t)))
    return Generators(none, none, np.zeros((1, kinds, 0, 0)), np.triu(near * np.outer(root, root), 1)[None])


@compiled("model", "jacobian")
def _generators(
    model: Model,
    jacobian: bool,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    root: Float[Array, " frames"],
) -> Generators[Array]:
    if jacobian:
        return expanded(*components(model, theta, t, nodes), root)
    rows = averaged(model, theta, t, nodes)
    return expanded(rows, no_slopes(rows), root)


def expanded(rows: Components, slopes: Components, root: Float[Array, " frames"]) -> Generators[Array]:
    """The generators of these components and derivatives."""
    rows, slopes = (x._replace(a=x.a * root) for x in (rows, slopes))
    b, slope = cut(rows, MODEL_BLOCK), cut_slopes(rows, slopes, MODEL_BLOCK)
    steps = steps_along(b, slope)
    unit = jnp.broadcast_to(jnp.eye(b.a.shape[1]), (*steps.over.direct.shape, b.a.shape[1]))
    near = jax.vmap(near_tiles)(b.a, b.rise, slope.a.swapaxes(0, 1), slope.rise.swapaxes(0, 1))
    return Generators(steps.left, steps.right, carried(steps.over, unit), near)


def combined(of: Generators[np.ndarray], slopes: Float[np.ndarray, "p x"]) -> Generators[np.ndarray]:
    """Those of S, and after it of the combinations ``slopes`` · X."""
    moved = np.concatenate([np.eye(1, slopes.shape[1]), slopes])
    left, right, over, near = (np.einsum("px,nx...->np...", moved, part) for part in of)
    # S is one term l r where ∂S is two: as a part of a combination it moves l alone
    share = slopes[:, 0][:, None, None]
    right[:, 1:] -= share * of.right[:, :1]
    over[:, 1:] -= share * of.over[:, :1]
    return Generators(left, right, over, near)


def factorised(of: Generators[np.ndarray], diagonal: Float[np.ndarray, " frames"]) -> Factor[np.ndarray]:
    """The factor of S with this diagonal in place of its own; raises `LinAlgError` if that is not positive."""
    blocks, _, terms, size = of.left.shape
    lower, inverse = np.empty((2, blocks, size, size))
    gain, before = np.empty((blocks, terms, size)), np.zeros((terms, terms))
    for n, tile in enumerate(of.near[:, 0]):
        left, right, over = of.left[n, 0], of.right[n, 0], of.over[n, 0]
        own = tile + tile.T + np.diag(diagonal[n * size : (n + 1) * size])
        lower[n] = np.linalg.cholesky(own - right.T @ before @ right)
        inverse[n] = solve_triangular(lower[n], np.eye(size), lower=True)
        gain[n] = (left - over @ before @ right) @ inverse[n].T
        before = over @ before @ over.T + gain[n] @ gain[n].T
    return Factor(lower, inverse, of.right[:, 0], gain, of.over[:, 0])


def log_determinant(factor: Factor[np.ndarray]) -> float:
    """log |C|."""
    return 2.0 * float(np.sum(np.log(np.diagonal(factor.lower, axis1=1, axis2=2))))


def coloured(factor: Factor[np.ndarray], x: Float[np.ndarray, "frames m"]) -> Float[np.ndarray, "frames m"]:
    """L x."""
    y, before = np.empty_like(x), np.zeros((factor.right.shape[1], x.shape[1]))
    for n, here in _forward(factor, x):
        y[here] = factor.lower[n] @ x[here] + factor.right[n].T @ before
        before = factor.over[n] @ before + factor.gain[n] @ x[here]
    return y


def squared(factor: Factor[np.ndarray], x: Float[np.ndarray, "frames m"]) -> Float[np.ndarray, "frames m"]:
    """(C∘C) x of the squared elements of C, which is formed some columns at a time."""
    frames, y = len(x), np.empty_like(x)
    for start in range(0, frames, _COLUMNS):
        columns = slice(start, min(start + _COLUMNS, frames))
        unit = np.eye(frames, columns.stop - start, -start)
        y[columns] = (coloured(factor, coloured_back(factor, unit)) ** 2).T @ x
    return y


def coloured_back(
    factor: Factor[np.ndarray], x: Float[np.ndarray, "frames m"]
) -> Float[np.ndarray, "frames m"]:
    """Lᵀ x."""
    return coloured_rows(factor, x, np.zeros((factor.right.shape[1], x.shape[1])))[0]


def coloured_rows(
    factor: Factor[np.ndarray], x: Float[np.ndarray, "rows m"], after: Float[np.ndarray, "terms m"]
) -> tuple[Float[np.ndarray, "rows m"], Float[np.ndarray, "terms m"]]:
    """The rows of Lᵀ x of the blocks of this factor, and what blocks before them need of these and those ``after``."""
    y = np.empty_like(x)
    for n, here in _backward(factor, x):
        y[here] = factor.lower[n].T @ x[here] + factor.gain[n].T @ after
        after = factor.over[n].T @ after + factor.right[n] @ x[here]
    return y, after


def blocks_of(factor: Factor[np.ndarray], frames: slice) -> Factor[np.ndarray]:
    """The blocks of these frames, whole ones."""
    size = factor.lower.shape[1]
    return Factor(*(part[frames.start // size : -(-frames.stop // size)] for part in factor))


def whitened(factor: Factor[np.ndarray], x: Float[np.ndarray, "frames m"]) -> Float[np.ndarray, "frames m"]:
    """L⁻¹ x."""
    y, before = np.empty_like(x), np.zeros((factor.right.shape[1], x.shape[1]))
    for n, here in _forward(factor, x):
        y[here] = factor.inverse[n] @ (x[here] - factor.right[n].T @ before)
        before = factor.over[n] @ before + factor.gain[n] @ y[here]
    return y


def whitened_back(
    factor: Factor[np.ndarray], x: Float[np.ndarray, "frames m"]
) -> Float[np.ndarray, "frames m"]:
    """L⁻ᵀ x."""
    y, after = np.empty_like(x), np.zeros((factor.right.shape[1], x.shape[1]))
    for n, here in _backward(factor, x):
        y[here] = factor.inverse[n].T @ (x[here] - factor.gain[n].T @ after)
        after = factor.over[n].T @ after + factor.right[n] @ y[here]
    return y


def solved(factor: Factor[np.ndarray], x: Float[np.ndarray, "frames m"]) -> Float[np.ndarray, "frames m"]:
    """C⁻¹ x."""
    return whitened_back(factor, whitened(factor, x))


def products(of: Generators[np.ndarray], x: Float[np.ndarray, "frames m"]) -> Float[np.ndarray, "x frames m"]:
    """S x and ∂S x, S with a diagonal of 0."""
    _, kinds, terms, size = of.left.shape
    y = np.empty((kinds, *x.shape))
    before, after = np.zeros((2, kinds, terms, x.shape[1]))
    blocks = [(n, slice(n * size, (n + 1) * size)) for n in range(len(of.left))]
    for n, here in blocks:
        left, right, over, near = (part[n] for part in of)
        y[:, here] = (near + near.swapaxes(1, 2)) @ x[here]
        y[:, here] += of_both(right.swapaxes(1, 2), before)
        before = of_both(over, before) + left @ x[here]
    for n, here in reversed(blocks):
        left, right, over = of.left[n], of.right[n], of.over[n]
        y[:, here] += of_both(left.swapaxes(1, 2), after)
        after = of_both(over.swapaxes(1, 2), after) + right @ x[here]
    return y


def of_both(
    matrices: Float[np.ndarray, "x a b"], states: Float[np.ndarray, "x b m"]
) -> Float[np.ndarray, "x a m"]:
    """The product of the values, and its derivatives."""
    changed = matrices[:1] @ states
    changed[1:] += matrices[1:] @ states[0]
    return changed


def _forward(factor: Factor[np.ndarray], x: np.ndarray) -> Iterator[tuple[int, slice]]:
    size = factor.lower.shape[1]
    return ((n, slice(n * size, (n + 1) * size)) for n in range(len(x) // size))


def _backward(factor: Factor[np.ndarray], x: np.ndarray) -> Iterator[tuple[int, slice]]:
    return reversed(list(_forward(factor, x)))
