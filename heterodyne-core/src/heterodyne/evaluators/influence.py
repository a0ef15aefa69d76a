"""By how much the residual of every pair of frames moves the scores: D_a in g_a = Σ_{i<j} D_a,ij R_ij.

    D_a = W (∂_a model less its projection on the scaling design) W / σ²

with W the inverse covariance between frames by which a bin is weighted (`heterodyne.evaluators.whitened`), and
W_ij ∂_a model_ij / σ² where pairs are weighted as they are. A score has the covariance

    cov(g_a, g_b) = ½ tr(D_a C D_b C) / P

where c2 is that of P pixels with nearly Gaussian intensities, whose frames have the covariance C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from heterodyne.bins.bin import Bin, Dense, Whitened
from heterodyne.evaluators.meshgrid import averaged_tile
from heterodyne.evaluators.quasiseparable import (
    Factor,
    Generators,
    blocks_of,
    coloured,
    coloured_back,
    coloured_rows,
    combined,
    generators,
    products,
    solved,
)
from heterodyne.evaluators.scores import Linear, ScorePart
from heterodyne.model import Model

_PANEL = 2.0**22
"""Bytes that the columns of D worked on at once may take: what caches hold."""


def influence_panels(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, linear: Linear
) -> Iterator[ScorePart]:
    """D (p, M, columns) in columns from the last to the first, 0 for pairs not in use and on the diagonal."""
    values = bin.values
    is_whitened = isinstance(values, Whitened)
    root = np.sqrt(bin.weight) if is_whitened else (bin.weight > 0).astype(float)
    of = combined(generators(model, theta, bin.t, bin.nodes, root, jacobian=True), linear.slopes)
    frames, kinds, size = len(root), len(linear.slopes), of.near.shape[-1]
    width = min(max(int(_PANEL / (8 * kinds * frames * size)), 1) * size, frames)
    for start in reversed(range(0, frames, width)):
        columns = slice(start, min(start + width, frames))
        unit = np.eye(frames, columns.stop - start, -start)
        if isinstance(values, Whitened):
            d = projected(of, linear, root, solved(values.factor, unit))
            d = solved(values.factor, d.transpose(1, 0, 2).reshape(frames, -1))
            d = d.reshape(frames, kinds, -1).transpose(1, 0, 2) * np.outer(root, root[columns])
            d[:, np.arange(start, columns.stop), np.arange(columns.stop - start)] = 0.0
        else:
            d = projected(of, linear, root, unit) * bin.weights(slice(0, frames), columns)
        yield ScorePart(0, start, d / linear.sigma**2)


def projected(
    of: Generators[np.ndarray],
    linear: Linear,
    root: Float[np.ndarray, " frames"],
    x: Float[np.ndarray, "frames m"],
) -> Float[np.ndarray, "p frames m"]:
    """The projected derivatives, matrices with zero diagonal, times x."""
    ones = np.outer(root, root @ x) - (root**2)[:, None] * x
    return products(of, x)[1:] + linear.shift[:, None, None] * ones


def scores_of_panels(
    model: Model, theta: Float[np.ndarray, " P"], bin: Bin, linear: Linear
) -> Callable[[ScorePart], ScorePart]:
    """A function from columns of D of one bin to the scores R_ij D_ij of the pairs i < j, 0 at every other place."""
    params = dict(zip(model.parameters, theta, strict=True))
    frames, c2_of = len(bin.t), _c2_columns(bin)

    def scores(part: ScorePart) -> ScorePart:
        start, width = part.second, part.scores.shape[2]
        s = averaged_tile(model, params, bin.t, bin.nodes, 0, start, frames, width)
        here = slice(start, start + width)
        used = np.triu(bin.weights(slice(0, frames), here) > 0, 1 - start)
        residual = np.where(used, c2_of(here) - linear.offset - linear.contrast * s, 0.0)
        return part._replace(scores=part.scores * residual)

    return scores


def _c2_columns(bin: Bin) -> Callable[[slice], Float[np.ndarray, "frames columns"]]:
    """A function: c2 above the diagonal in some columns, anything where pairs are not in use."""
    plain, reference = bin.plain, bin.moments.reference

    def from_memory(columns: slice) -> np.ndarray:
        weight = bin.weights(slice(0, None), columns)
        d = bin.d[:, columns]
        return reference + np.divide(d, weight, out=np.zeros_like(d), where=weight > 0)

    @lru_cache(maxsize=2)
    def column_of_tiles(number: int) -> np.ndarray:
        values = plain.tiles
        column = np.zeros((len(bin.t), values.size))
        for (i, _), tile in values.read([(i, number) for i in range(number + 1)]):
            column[i * values.size : (i + 1) * values.size] = tile
        return column

    def from_tiles(columns: slice) -> np.ndarray:
        size = plain.tiles.size
        first, last = columns.start // size, (columns.stop - 1) // size
        whole = np.concatenate([column_of_tiles(number) for number in range(first, last + 1)], axis=1)
        return whole[:, columns.start - first * size : columns.stop - first * size]

    return from_memory if isinstance(plain.values, Dense) else from_tiles


def evened(bin: Bin, panels: Iterator[ScorePart]) -> Iterator[ScorePart]:
    """D over √W: what multiplies √W R, whose noise is the same in all frames."""
    if bin.pair_weight is None and np.isin(bin.weight, (0.0, 1.0)).all():
        return panels  # D is 0 where W is
    return (part._replace(scores=_over_root(bin, part)) for part in panels)


def _over_root(bin: Bin, part: ScorePart) -> np.ndarray:
    columns = slice(part.second, part.second + part.scores.shape[2])
    root = np.sqrt(bin.weights(slice(0, len(bin.t)), columns))
    return np.divide(part.scores, root, out=np.zeros_like(part.scores), where=root > 0)


def score_covariance(
    panels: Sequence[Iterator[ScorePart]], factor: Factor[np.ndarray], shared: float = 1.0
) -> Float[np.ndarray, "p p"]:
    """½ tr(D_a C D_b C) for the sum of the D of several bins, C = L Lᵀ of the ``factor``.

    They hold the same speckle up to ``shared`` of its variance; of the rest each has its own, so that this is summed
    bin by bin. With Q_a = Lᵀ D_a L it is ½ Σ_ij Q_a Q_b, of which the rows of D give rows.
    """
    total: float | np.ndarray = 0.0
    after = [np.zeros((factor.right.shape[1], 0))] * len(panels)
    for parts in zip(*panels, strict=True):
        q = []
        for number, part in enumerate(parts):
            rows, after[number] = _coloured_twice(part, factor, after[number])
            q.append(rows)
        whole = np.sum(q, axis=0)
        total = total + 0.5 * shared * whole @ whole.T
        if shared < 1.0:
            total = total + 0.5 * (1.0 - shared) * sum(own @ own.T for own in q)
    return np.asarray(total)


def estimated_covariance(
    model: Model,
    theta: Float[np.ndarray, " P"],
    bin: Bin,
    linear: Linear,
    factor: Factor[np.ndarray],
    count: int,
) -> Float[np.ndarray, "p p"]:
    """½ tr(D_a C D_b C) of a bin whose pairs weigh what their frames do, from ``count`` random vectors z.

    It is the mean of ½ (Lᵀ D_a L z)ᵀ (Lᵀ D_b L z) over normal z, of which a part 1/√count is noise (Hutchinson, Commun.
    Stat. Simul. 18 (1989) 1059): in every direction of the scores alike, and O(N) in the frames.
    """
    root = np.sqrt(bin.weight)
    of = combined(generators(model, theta, bin.t, bin.nodes, root, jacobian=True), linear.slopes)
    z = np.random.default_rng(0).standard_normal((len(root), count))
    moved = projected(of, linear, root, coloured(factor, z)) / linear.sigma**2
    kinds, frames, _ = moved.shape
    q = coloured_back(factor, moved.transpose(1, 0, 2).reshape(frames, -1))
    q = q.reshape(frames, kinds, count).transpose(1, 0, 2).reshape(kinds, -1)
    return 0.5 / count * q @ q.T


def _coloured_twice(
    part: ScorePart, factor: Factor[np.ndarray], after: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The columns of Q of a part, (p, frames · width), and what the next part needs."""
    kinds, frames, width = part.scores.shape
    if not after.size:
        after = np.zeros((factor.right.shape[1], kinds * frames))
    rows = part.scores.transpose(2, 0, 1).reshape(width, -1)
    rows, after = coloured_rows(blocks_of(factor, slice(part.second, part.second + width)), rows, after)
    columns = rows.reshape(width, kinds, frames).transpose(2, 1, 0).reshape(frames, -1)
    q = coloured_back(factor, columns).reshape(frames, kinds, width).transpose(1, 0, 2)
    return q.reshape(kinds, -1), after
