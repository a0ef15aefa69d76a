"""The structured evaluator for tiles that are compressed: products with the data without reading them.

With the vectors l and r of `heterodyne.evaluators.structured`, times w^½, and the bases P of
`heterodyne.bins.compressed` a tile between two blocks gives

    Σ d S = l̂ᵀ (Pᵀ d P) T r̂,      l̂ = Pᵀ l,  r̂ = Pᵀ r,

but for S⊥ = S - P Pᵀ S P Pᵀ, of which the norm over all tiles is bounded at any parameters, in O(blocks² K) operations,
by l⊥ = l - P Pᵀ l and r⊥:

    ‖S⊥‖² ≤ 2 K Σ_k Σ_{I<J} T_k² (‖l⊥_k‖² ‖r_k‖² + ‖l_k‖² ‖r⊥_k‖²).

Outside of the span the data hold noise, the standard deviation of which per pair, σ⊥, is measured when they are
projected, and c S⊥. Both are left out; in units of the log-likelihood that is

    δ = c/σ² (3 σ⊥ ‖S⊥‖ + g c ‖S⊥‖²),

where noise is taken to have no preference for S⊥ (three standard deviations). g is 1, and κ⁻² of data W D W with
W = (S + κ 1)⁻¹, in which what is outside of the span of S stands over κ². Single pairs that are left out hold what the
model gives in their place, and are taken away again. The same of ∂S, for a step of one standard error of a parameter
with all others known, is δ of the gradient. Where one of them exceeds `TOLERANCE`, tiles are read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jax import Array
from jaxtyping import Float

from heterodyne.bins.bin import Bin, Moments
from heterodyne.bins.compressed import Compressed, Projected, projected
from heterodyne.bins.nodes import Nodes
from heterodyne.evaluators.blocks import Blocks, carried, corner, cut, cut_slopes, sides, transfer
from heterodyne.evaluators.elementwise import listed_values, weighted_sums
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.evaluators.spans import fitted
from heterodyne.evaluators.streamed import data_products, rows_and_sums
from heterodyne.evaluators.structured import (
    averaged,
    components,
    corner_products,
    model_sums,
    tile_products,
    with_slopes,
)
from heterodyne.kernels._jax import compiled, jax, jnp
from heterodyne.model import Components, Model

TOLERANCE = 0.01
"""What may be left out of the log-likelihood, and of its change over a standard error of a parameter."""

_MARGIN = 0.3  # of the tolerance at the points for which a basis is made: others are further out
_RANKS = (8, 12, 16, 20, 24, 28, 32)
_PATIENCE = 3  # evaluations in a row outside of the span, after which a basis is made about the last of them


class Scale(NamedTuple):
    """The contrast of one bin, its offset less the reference, its noise per element, and the error of every parameter
    with all others known, (P,), inf where the bin does not depend on it."""

    contrast: float
    level: float
    noise: float
    errors: Float[np.ndarray, " P"]


def bin_sums(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, jacobian: bool = True
) -> Sums[np.ndarray]:
    """The sums of one bin whose tiles are compressed, of a separable S and weights per frame."""
    rows, slopes, total, gram = rows_and_sums(
        model, theta, bin.t, bin.nodes, model_sums, (bin.weight,), jacobian
    )
    total, gram = np.asarray(total), np.asarray(gram)
    moments = bin.moments
    return Sums(cross_sums(model, theta, bin, moments, moments.pairs, rows, slopes, total, gram), total, gram)


def cross_sums(
    model: Model,
    theta: Float[np.ndarray, " P"],
    bin: Bin,
    moments: Moments[float],
    n_pairs: float,
    rows: Components,
    slopes: Components | None,
    total: Float[np.ndarray, " x"],
    gram: Float[np.ndarray, "x x"],
) -> Float[np.ndarray, " x"]:
    """Σ d X of these components; the tiles are read where they are not known well enough.

    ``moments`` are those of the product of which ``total`` and ``gram`` are the sums without data, ``n_pairs`` the
    number of pairs.
    """
    values = bin.values
    assert isinstance(values, Compressed)
    held, root = values.held, np.sqrt(bin.weight)
    if held.projected is not None:
        cross, outside = map(np.asarray, _known(rows, slopes, root, held.projected, values.region.size))
        cross = cross - _of_skipped(model, theta, bin, held.projected.filling, slopes is not None)
        scale = scale_of(moments, n_pairs, cross, total, gram)
        if left_out(values, held.projected.beyond, scale, outside) <= TOLERANCE:
            held.in_row = 0
            return cross
    held.outside, held.in_row = held.outside + 1, held.in_row + 1
    cross = data_products(bin, rows, slopes)
    if slopes is not None and held.in_row >= _PATIENCE and held.projected is not None:
        compress(model, theta[None], bin, scale_of(moments, n_pairs, cross, total, gram))
    return cross


def scale_of(
    moments: Moments[float],
    n_pairs: float,
    cross: Float[np.ndarray, " x"],
    total: Float[np.ndarray, " x"],
    gram: Float[np.ndarray, "x x"],
) -> Scale:
    """The scale of a bin whose contrast and offset are at their least squares."""
    n = moments.pairs
    varying = max(gram[0, 0] - total[0] ** 2 / n, 1e-300)
    product = cross[0] - total[0] * moments.total / n
    ssr = moments.square - moments.total**2 / n - product**2 / varying
    noise = np.sqrt(max(ssr, 1e-24 * moments.square, 1e-300) / n_pairs)
    contrast = float(product / varying)
    level = float(moments.total - contrast * total[0]) / n
    return Scale(contrast, level, float(noise), errors_of(abs(contrast) / noise, n, total, gram))


def errors_of(
    contrast_over_noise: float, n: float, total: Float[np.ndarray, " x"], gram: Float[np.ndarray, "x x"]
) -> Float[np.ndarray, " P"]:
    """The error of every parameter with all others known but contrast and offset, inf where nothing tells it."""
    slope = np.diag(gram)[1:]
    square = slope - total[1:] ** 2 / n - gram[0, 1:] ** 2 / max(gram[0, 0], 1e-300)
    square = np.where(square > 1e-3 * slope, square, 1e-3 * slope)
    with np.errstate(divide="ignore"):
        return 1.0 / np.sqrt(square) / max(contrast_over_noise, 1e-300)


def left_out(values: Compressed, beyond: float, scale: Scale, outside: Float[np.ndarray, " x"]) -> float:
    """The most of δ over the value and the gradient; ``outside`` are ‖S⊥‖ and ‖∂S⊥‖."""
    value, norms = outside[0], np.copy(outside)
    if len(norms) > 1:
        norms[1:] *= np.where(np.isfinite(scale.errors), scale.errors, 0.0)
    c = abs(scale.contrast)
    return float(c / scale.noise**2 * np.max(3.0 * beyond * norms + values.gain * c * value * norms))


@compiled("size")
def _known(
    rows: Components,
    slopes: Components | None,
    root: Float[Array, " frames"],
    of: Projected,
    size: int,
) -> tuple[Float[Array, " x"], Float[Array, " x"]]:
    """Σ d X in the span, and the norms of what is outside."""
    rows = rows._replace(a=rows.a * root)
    if slopes is None:
        b = cut(rows, size)
        return with_projected(b, of)[None], norms_outside(b, None, jnp.asarray(of.basis))
    slopes = slopes._replace(a=slopes.a * root)
    cross = with_slopes(lambda b: with_projected(b, of), rows, slopes, size)
    return cross, norms_outside(cut(rows, size), cut_slopes(rows, slopes, size), jnp.asarray(of.basis))


def with_projected(b: Blocks, of: Projected) -> Float[Array, ""]:
    """⟨d, S⟩ over i < j of vectors in the span."""
    (left, right), t = sides(b), transfer(b)
    inside_left, inside_right = (jnp.einsum("nks,nsm->nkm", side, of.basis) for side in (left, right))
    blocks, terms, m = inside_right.shape
    of_first = (left[0] @ of.first).reshape(terms, blocks, m).swapaxes(0, 1)
    first = jnp.vdot(carried(jax.tree.map(lambda x: x[0], t), of_first), inside_right)
    far = tile_products(jnp.asarray(of.far), inside_left, inside_right, t)
    return far + first + corner_products(jnp.asarray(of.near), b.a, b.rise)


def norms_outside(
    b: Blocks, slope: Blocks | None, basis: Float[Array, "blocks size m"]
) -> Float[Array, " x"]:
    """Bounds of ‖S⊥‖ and, with slopes, of ‖∂S⊥‖ over the tiles between blocks."""

    def parts(b: Blocks) -> tuple[Array, ...]:
        (left, right), t = sides(b), transfer(b)
        return left, right, t.direct, t.crossed

    def norms(of: tuple[Array, ...]) -> tuple[Array, ...]:
        left, right, direct, crossed = of
        turning = crossed.shape[-1]
        return (
            *_squares(_beyond(left, basis).at[..., 0, :, :].set(0.0), turning),
            *_squares(left, turning),
            *_squares(_beyond(right, basis), turning),
            *_squares(right, turning),
            direct**2 + jnp.pad(crossed**2, [(0, 0)] * (direct.ndim - 1) + [(direct.shape[-1] - turning, 0)]),
        )

    at = norms(parts(b))
    terms = b.a.shape[1]
    value = jnp.sqrt(2.0 * terms * _over_tiles(at[4], at, at))
    if slope is None:
        return value[None]

    def of_slope(slope: Blocks) -> Float[Array, ""]:
        moved = norms(jax.jvp(parts, (b,), (slope,))[1])
        total = _over_tiles(at[4], moved, at) + _over_tiles(at[4], at, moved) + _over_tiles(moved[4], at, at)
        return jnp.sqrt(6.0 * terms * total)

    return jnp.concatenate([value[None], jax.lax.map(of_slope, slope)])


def _over_tiles(t: Array, one: tuple[Array, ...], other: tuple[Array, ...]) -> Float[Array, ""]:
    """Σ_k Σ_{I<J} T_k² (‖l⊥‖² ‖r‖² + ‖l‖² ‖r⊥‖²), of which one gives l and another r."""
    beyond_left, left, _, _, _ = one
    _, _, beyond_right, right, _ = other
    return jnp.einsum("ijk,ik,jk->", t, beyond_left, right) + jnp.einsum("ijk,ik,jk->", t, left, beyond_right)


def _beyond(rows: Float[Array, "*x blocks terms size"], basis: Float[Array, "blocks size m"]) -> Array:
    """What of these rows is outside of the span."""
    return rows - jnp.einsum("...nkm,nsm->...nks", jnp.einsum("...nks,nsm->...nkm", rows, basis), basis)


def _squares(rows: Float[Array, "*x blocks terms size"], turning: int) -> tuple[Array]:
    """The squared norms, those of the two terms of a fringe added up, as T turns one into the other."""
    square = jnp.sum(rows**2, axis=-1)
    plain, cosine, sine = jnp.split(
        square, [square.shape[-1] - turning, square.shape[-1] - turning // 2], axis=-1
    )
    return (jnp.concatenate([plain, cosine + sine, cosine + sine], axis=-1),)


def compress(model: Model, centres: Float[np.ndarray, "centres P"], bin: Bin, scale: Scale) -> None:
    """Hold the tiles of a bin for the neighbourhood of these centres, in one pass; nothing where no basis serves."""
    values = bin.values
    assert isinstance(values, Compressed)
    held, region, root = values.held, values.region, np.sqrt(bin.weight)
    held.projected, held.in_row = None, 0
    points = np.concatenate([region.around(theta) for theta in centres])
    steps = np.where(np.isfinite(scale.errors), scale.errors, 0.0)
    whole = fitted(model, points, steps, bin, region.size, values.smooth)
    # E = W D W of white L⁻¹ D L⁻ᵀ, L Lᵀ = W⁻¹, and W ≤ 1/κ
    beyond = scale.noise * np.sqrt(values.gain)
    # the last points lie as far out as others, and each centre has to be met
    tried = [*centres, *points[-3:]]
    for rank in (rank for rank in _RANKS if rank <= region.size // 2):
        basis = np.ascontiguousarray(whole[:, :, :rank])
        if all(
            left_out(values, beyond, scale, _outside(model, theta, bin, basis)) <= _MARGIN * TOLERANCE
            for theta in tried
        ):
            filling = scale.level + scale.contrast * _at_skipped(model, centres[0], bin)
            held.projected = projected(values.tiles, root, bin.moments.reference, basis, bin.skipped, filling)
            held.passes += 1
            region.tell(f"compressed tiles: {rank} vectors for {region.size} frames")
            return
    region.tell("no compressed tiles: too many vectors would be needed")


def _at_skipped(model: Model, theta: Float[np.ndarray, " P"], bin: Bin) -> Float[np.ndarray, " pairs"]:
    """S at the single pairs that a bin leaves out."""
    if not len(bin.skipped):
        return np.zeros(0)
    return np.asarray(_listed(model, theta, bin.t, bin.nodes, *bin.skipped.T))


def _of_skipped(
    model: Model,
    theta: Float[np.ndarray, " P"],
    bin: Bin,
    filling: Float[np.ndarray, " pairs"],
    jacobian: bool,
) -> Float[np.ndarray, " x"] | float:
    """Σ d X over the single pairs that a bin leaves out, of what is held in their place."""
    if not len(bin.skipped):
        return 0.0
    first, second = bin.skipped.T
    weight = bin.weight[first] * bin.weight[second] * filling
    return weighted_sums(model, theta, bin, jacobian, weight)[0]


def _outside(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, basis: Float[np.ndarray, "blocks size m"]
) -> Float[np.ndarray, " x"]:
    return np.asarray(_norms_at(model, theta, bin.t, bin.nodes, np.sqrt(bin.weight), basis, basis.shape[1]))


@compiled("model", "size")
def _norms_at(
    model: Model,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    root: Float[Array, " frames"],
    basis: Float[Array, "blocks size m"],
    size: int,
) -> Float[Array, " x"]:
    rows, slopes = (x._replace(a=x.a * root) for x in components(model, theta, t, nodes))
    return norms_outside(cut(rows, size), cut_slopes(rows, slopes, size), basis)


def smoothing(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, noise: float, size: int
) -> Float[np.ndarray, "blocks size size"]:
    """κ w^½ (S + κ 1)⁻¹ w^½ of every block: what multiplies vectors where W = (S + κ 1)⁻¹ multiplies the data.

    W between two blocks is that of one block times the vectors of S.
    """
    root = np.sqrt(bin.weight)
    s = np.array(_near(model, theta, bin.t, bin.nodes, root, size))
    s[:, np.arange(size), np.arange(size)] = (bin.weight + noise).reshape(-1, size)
    flat = root.reshape(-1, size)
    return noise * flat[:, :, None] * np.linalg.inv(s) * flat[:, None, :]


@compiled("model", "size")
def _near(
    model: Model,
    theta: Float[Array, " P"],
    t: Float[Array, " frames"],
    nodes: Nodes,
    root: Float[Array, " frames"],
    size: int,
) -> Float[Array, "blocks size size"]:
    rows = averaged(model, theta, t, nodes)
    b = cut(rows._replace(a=rows.a * root), size)
    upper = jnp.einsum("nkij,nki,nkj->nij", corner(b.rise), b.a, b.a)
    return upper + upper.swapaxes(1, 2)


_listed = compiled("model")(listed_values)
