"""Influence between a few probe vectors: xᵀ D_a x, without the matrices D_a of `heterodyne.evaluators.influence`.

Where W_ij = w_i w_j, D_a is a product of quasi-separable matrices, which are applied to the columns x alone: with
X_a = √w ∂_a √w and K the inverse covariance of frames

    D_a / √W = K X_a K less its diagonal

of a weighted bin and X_a of another, all over σ². Where pairs are left out or weighted one by one, D_a is formed panel
by panel. The columns x (W, M, s) stand in W patches, and xᵀ D x is asked within each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float

from heterodyne.bins.bin import Bin, Whitened
from heterodyne.evaluators.influence import evened, influence_panels, projected
from heterodyne.evaluators.inverse import inside_diagonals, inverse
from heterodyne.evaluators.quasiseparable import Factor, Generators, combined, generators, solved
from heterodyne.evaluators.scores import Linear, ScorePart
from heterodyne.model import Model

_COLUMNS = 64
"""Columns that are worked on at once."""


def influence_between(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, linear: Linear, x: list[np.ndarray]
) -> list[np.ndarray]:
    """xᵀ (D_a/√W) x, (p, W, s, s), for every x (W, M, s)."""
    if not bin.is_separable:
        return _of_panels(evened(bin, influence_panels(model, theta, bin, linear)), len(linear.slopes), x)
    root = np.sqrt(bin.weight)
    of = _generators(model, theta, bin, linear)

    def plain(columns: np.ndarray) -> np.ndarray:
        return projected(of, linear, root, columns)

    if not isinstance(bin.values, Whitened):
        return [within(one, one, plain) / linear.sigma**2 for one in x]
    factor = bin.values.factor
    own = _own(factor, of, linear, root)

    def apart(columns: np.ndarray) -> np.ndarray:
        return own[:, :, None] * columns

    found = []
    for one in x:
        inside = _solved(factor, one)
        found.append((within(inside, inside, plain) - within(one, one, apart)) / linear.sigma**2)
    return found


def whitened_diagonals(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, linear: Linear
) -> Float[np.ndarray, "p M"]:
    """The diagonals of K X_a K of a weighted bin, over σ², which D_a/√W lacks."""
    assert isinstance(bin.values, Whitened)
    of = _generators(model, theta, bin, linear)
    return _own(bin.values.factor, of, linear, np.sqrt(bin.weight)) / linear.sigma**2


def _own(
    factor: Factor[np.ndarray], of: Generators[np.ndarray], linear: Linear, root: np.ndarray
) -> Float[np.ndarray, "p M"]:
    ones = solved(factor, root[:, None])[:, 0]
    own = inside_diagonals(inverse(factor), of, -linear.shift[:, None] * root**2)
    return own + linear.shift[:, None] * ones**2


def tangents_between(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, linear: Linear, x: list[np.ndarray]
) -> list[np.ndarray]:
    """xᵀ (W ∂_a) x/σ², (p, W, s, s), W the weights of pairs, for every x (W, M, s)."""
    if not bin.is_separable:
        return _of_panels(influence_panels(model, theta, bin.plain, linear), len(linear.slopes), x)
    root, of = np.sqrt(bin.weight), _generators(model, theta, bin, linear)
    weighted = [root[:, None] * one for one in x]
    return [_of_tangents(of, linear, root, one) / linear.sigma**2 for one in weighted]


def _of_tangents(
    of: Generators[np.ndarray], linear: Linear, root: np.ndarray, x: np.ndarray
) -> Float[np.ndarray, "p W s s"]:
    """The products of x with √w ∂_a √w, of which tiles on the diagonal are at hand."""
    size = of.near.shape[-1]
    cut = x.reshape(len(x), -1, size, x.shape[2])
    touched = cut.any(axis=(2, 3))
    if (touched.sum(axis=1) > 1).any():
        return within(x, x, lambda columns: projected(of, linear, root, columns))
    number = touched.argmax(axis=1)
    ones = root.reshape(-1, size)[number]
    near = of.near[number, 1:] + linear.shift[:, None, None] * np.triu(
        ones[:, None, :, None] * ones[:, None, None, :], 1
    )
    rows = cut[np.arange(len(x)), number][:, None]
    return (rows.swapaxes(2, 3) @ (near + near.swapaxes(2, 3)) @ rows).swapaxes(0, 1)


def _generators(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, linear: Linear
) -> Generators[np.ndarray]:
    root = np.sqrt(bin.weight)
    return combined(generators(model, theta, bin.t, bin.nodes, root, jacobian=True), linear.slopes)


def _solved(factor: Factor[np.ndarray], x: np.ndarray) -> np.ndarray:
    """K x of the columns of all patches."""
    patches, frames, size = x.shape
    flat = solved(factor, x.transpose(1, 0, 2).reshape(frames, -1))
    return flat.reshape(frames, patches, size).transpose(1, 0, 2)


def within(
    rows: Float[np.ndarray, "W M s"], x: Float[np.ndarray, "W M s"], apply: Callable[[np.ndarray], np.ndarray]
) -> Float[np.ndarray, "p W s s"]:
    """The products of ``rows`` with what matrices that ``apply`` to columns (M, m), giving (p, M, m), make of x."""
    patches, frames, size = x.shape
    together, found = max(_COLUMNS // size, 1), []
    for first in range(0, patches, together):
        these, pieces = slice(first, first + together), []
        for start in range(0, size, _COLUMNS):
            columns = x[these, :, start : start + _COLUMNS]
            count, _, width = columns.shape
            moved = apply(np.ascontiguousarray(columns.transpose(1, 0, 2)).reshape(frames, -1))
            moved = moved.reshape(len(moved), frames, count, width).transpose(0, 2, 1, 3)
            pieces.append(rows[these].transpose(0, 2, 1) @ moved)
        found.append(np.concatenate(pieces, axis=3))
    return np.concatenate(found, axis=1)


def _of_panels(panels: Iterator[ScorePart], kinds: int, x: list[np.ndarray]) -> list[np.ndarray]:
    found = [np.zeros((kinds, len(one), one.shape[2], one.shape[2])) for one in x]
    for part in panels:
        here = slice(part.second, part.second + part.scores.shape[2])
        for total, one in zip(found, x, strict=True):
            total += one.transpose(0, 2, 1) @ (part.scores[:, None] @ one[:, here])
    return found
