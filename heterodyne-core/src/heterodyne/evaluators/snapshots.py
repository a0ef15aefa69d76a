"""Sums over the pairs of a bin of many S at once, each of other parameters: their products with one another.

With l, r and F of every snapshot S_a between blocks of frames (`heterodyne.evaluators.quasiseparable`), the products

    ⟨S_a, S_b⟩ = Σ_{i<j} W_ij S_a S_b

of all pairs of snapshots need one recursion over the blocks, in which Σ l_a l_bᵀ is carried along; where frames are
weighted by their covariance, that of `heterodyne.evaluators.whitened`, whose terms are (c, z) of each snapshot. So n
snapshots of K terms cost O(N n² K²) operations, and with the data O(N² n K).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from heterodyne.bins.nodes import Nodes
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.evaluators.quasiseparable import Factor, generators
from heterodyne.model import Model


class Snapshots(NamedTuple):
    """l, r, F and the tiles on the diagonal of n matrices, every frame times the root of its weight."""

    left: Float[np.ndarray, "blocks n terms size"]
    right: Float[np.ndarray, "blocks n terms size"]
    over: Float[np.ndarray, "blocks n terms terms"]
    near: Float[np.ndarray, "blocks n size size"]


def snapshots(
    model: Model,
    thetas: Float[np.ndarray, "n P"],
    t: Float[np.ndarray, " frames"],
    nodes: Nodes,
    root: Float[np.ndarray, " frames"],
) -> Snapshots:
    """Those of S at n parameters."""
    each = [generators(model, theta, t, nodes, root) for theta in thetas]
    return Snapshots(*(np.concatenate(parts, axis=1) for parts in zip(*each, strict=True)))


def snapshot_sums(
    of: Snapshots,
    root: Float[np.ndarray, " frames"],
    d: Float[np.ndarray, "frames frames"],
    factor: Factor[np.ndarray] | None = None,
) -> Sums[np.ndarray]:
    """⟨D, S_a⟩ and ⟨O, S_a⟩ (n,), ⟨S_a, S_b⟩ (n, n), O being 1 off the diagonal.

    ``d`` is W D of frames weighted by the squares of ``root``, or with the ``factor`` of a covariance of frames E.
    """
    if factor is None:
        return Sums(*(part[0, 0] for part in block_sums(of, root, d, len(root))))
    gram = _whitened_products(_with_ones(of, root), factor)
    return Sums(_with_data(of, root, d, slice(None))[0], gram[-1, :-1], gram[:-1, :-1])


def block_sums(
    of: Snapshots,
    root: Float[np.ndarray, " frames"],
    d: Float[np.ndarray, "frames frames"],
    stripe: int,
) -> Sums[np.ndarray]:
    """The same by blocks of pairs (m, m, ...), whose rows and columns are stripes of so many frames, W per frame."""
    blocks, n, _, size = of.left.shape
    if stripe % size:
        raise ValueError(f"stripes of {stripe} frames are not whole blocks of {size}")
    per_stripe = min(stripe // size, blocks)
    starts = range(0, blocks, per_stripe)
    m, whole = len(starts), _with_ones(of, root)
    cross, gram = np.zeros((m, m, n)), np.zeros((m, m, n + 1, n + 1))
    for row, first in enumerate(starts):
        rows = slice(first, min(first + per_stripe, blocks))
        by_block = _with_data(of, root, d, rows)
        np.add.at(cross[row], np.arange(first, blocks) // per_stripe, by_block)
        _add_products(whole, rows, per_stripe, gram[row])
    return Sums(cross, gram[..., -1, :-1], gram[..., :-1, :-1])


def _with_ones(of: Snapshots, root: Float[np.ndarray, " frames"]) -> Snapshots:
    """The snapshots, and after them O."""
    blocks, _, terms, size = of.left.shape
    rows = root.reshape(blocks, size)
    side, over = np.zeros((blocks, 1, terms, size)), np.zeros((blocks, 1, terms, terms))
    side[:, 0, 0], over[:, 0, 0, 0] = rows, 1.0
    near = np.triu(rows[:, :, None] * rows[:, None, :], 1)[:, None]
    ones = Snapshots(side, side, over, near)
    return Snapshots(*(np.concatenate(parts, axis=1) for parts in zip(of, ones, strict=True)))


def _with_data(
    of: Snapshots, root: Float[np.ndarray, " frames"], d: Float[np.ndarray, "frames frames"], rows: slice
) -> Float[np.ndarray, "blocks n"]:
    """⟨D, S_a⟩ of these rows of blocks, by the columns from there on; l D is carried on from block to block."""
    blocks, n, terms, size = of.left.shape
    first, last, _ = rows.indices(blocks)
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    sums, carried = np.zeros((blocks - first, n)), np.zeros((n, terms, len(root)))
    for k in range(first, blocks):
        here, after = slice(k * size, (k + 1) * size), slice((k + 1) * size, None)
        sums[k - first] += np.einsum("nkj,nkj->n", carried[:, :, here], of.right[k])
        carried[:, :, after] = of.over[k] @ carried[:, :, after]
        if k < last:
            even = d[here, k * size :] * inverse[here, None] * inverse[k * size :]
            sums[k - first] += of.near[k].reshape(n, -1) @ even[:, :size].ravel()
            of_rows = of.left[k].reshape(-1, size) @ even[:, size:]
            carried[:, :, after] += of_rows.reshape(n, terms, -1)
    return sums if rows != slice(None) else sums.sum(axis=0, keepdims=True)


def _add_products(of: Snapshots, rows: slice, per_stripe: int, gram: Float[np.ndarray, "m n n"]) -> None:
    """Add ⟨S_a, S_b⟩ of these rows of blocks to the stripes of columns."""
    blocks, n, terms, size = of.left.shape
    before = np.zeros((n * terms, n * terms))
    for k in range(rows.start, blocks):
        gram[k // per_stripe] += _far(before, of.right[k])
        before = _carried(of.over[k], before)
        if k < rows.stop:
            gram[k // per_stripe] += _square(of.near[k].reshape(n, -1))
            before += _square(of.left[k].reshape(-1, size))


def _whitened_products(of: Snapshots, factor: Factor[np.ndarray]) -> Float[np.ndarray, "n n"]:
    """½ tr(W S_a W S_b); N and B of every snapshot are ``across`` and ``both``."""
    _, n, terms, size = of.left.shape
    own = factor.right.shape[1]
    before, gram = np.zeros((n * (own + terms),) * 2), np.zeros((n, n))
    across, both = np.zeros((n, own, terms)), np.zeros((n, own, own))
    for k, (left, right, over, near) in enumerate(zip(*of, strict=True)):
        inverse, of_factor, gain, on = (part[k] for part in factor[1:])
        brought = across @ right
        tiles = near + near.swapaxes(1, 2) - of_factor.T @ brought - brought.swapaxes(1, 2) @ of_factor
        tiles = inverse @ (tiles + of_factor.T @ both @ of_factor) @ inverse.T
        beside = (brought - both @ of_factor) @ inverse.T
        same = np.broadcast_to(-of_factor @ inverse.T, (n, own, size))
        rights = np.concatenate([same, right @ inverse.T], axis=1)
        gram += _far(before, rights) + 0.5 * _square(tiles.reshape(n, -1))
        moved = across @ over.swapaxes(1, 2)
        z = inverse @ (left.swapaxes(1, 2) - of_factor.T @ moved)
        sources = np.concatenate([on @ beside + gain @ tiles, z.swapaxes(1, 2)], axis=1)
        step = on @ beside @ gain.T
        across = on @ moved + gain @ z
        both = on @ both @ on.T + step + step.swapaxes(1, 2) + gain @ tiles @ gain.T
        whole = np.zeros((n, own + terms, own + terms))
        whole[:, :own] = gain @ rights.swapaxes(1, 2)
        whole[:, :own, :own] += on
        whole[:, own:, own:] = over
        before = _carried(whole, before) + _square(sources.reshape(-1, size))
    return gram


def _square(rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n n"]:
    return rows @ rows.T


def _far(
    before: Float[np.ndarray, "rows rows"], right: Float[np.ndarray, "n terms size"]
) -> Float[np.ndarray, "n n"]:
    """Σ S_a S_b over the tiles above one block, from the products of what came before and r."""
    n, terms, size = right.shape
    both = before * _square(right.reshape(-1, size))
    return both.reshape(n, terms, n, terms).sum(axis=(1, 3))


def _carried(
    over: Float[np.ndarray, "n terms terms"], products: Float[np.ndarray, "rows rows"]
) -> Float[np.ndarray, "rows rows"]:
    """The products of rows (n, terms) carried over a block on both sides."""
    n, terms, _ = over.shape
    rows = (over @ products.reshape(n, terms, -1)).reshape(products.shape)
    return (over @ rows.T.reshape(n, terms, -1)).reshape(products.shape)
