"""An objective whose streamed bins are compressed for the neighbourhood of some points.

Neighbourhoods are as wide as the errors of a fit to excerpts: those of all pairs, times (pairs / pairs of excerpts)^½.
Steps bend as curves do (`heterodyne.problem.curve_steps`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from heterodyne.bins.bin import Bin, Moments, Whitened
from heterodyne.bins.compressed import BLOCK, Around, Compressed, Region
from heterodyne.bins.tiles import Tiles
from heterodyne.evaluators.compressed import compress, scale_of, smoothing
from heterodyne.evaluators.pair_sums import PairSums
from heterodyne.evaluators.whitened import product_bin
from heterodyne.problem.normal_equations import normal_equations
from heterodyne.problem.objective import Objective
from heterodyne.problem.spectrum import spectrum_of

_ERRORS = 4.0  # of a fit to excerpts: how far from it a fit to all may lead
_FAR = 0.05  # of the range of a coordinate: further than that no neighbourhood goes
_DRAWN = 8  # points per neighbourhood
_EXCERPTS = 1e6  # pairs of an excerpt


def compressed(
    objective: Objective, points: Float[np.ndarray, "points p"], tell: Callable[[str], None]
) -> Objective:
    """The objective with bins that are read tile by tile compressed about these points, the first the best.

    Bins stay as they are where that would not serve, and those in memory do. ``tell`` is told what is done.
    """
    if not any(_is_read(bin) for bin in objective.bins):
        return objective
    sums = objective.sums(points[0])
    region = Region(_around(objective, points[0], sums), tell)
    theta = np.array([objective.theta(u) for u in points])
    bins = (
        _compressed(objective, region, theta, bin, number, sums) if _is_read(bin) else bin
        for number, bin in enumerate(objective.bins)
    )
    return replace(objective, bins=tuple(bins))


def uncompressed(objective: Objective) -> Objective:
    """The objective with every tile read, itself where no tiles are compressed."""
    if not any(_compressions(objective.bins)):
        return objective
    return replace(objective, bins=tuple(_uncompressed(bin) for bin in objective.bins))


def left_out_at(objective: Objective, u: Float[np.ndarray, " p"]) -> float:
    """What compressed tiles leave out at u, from one pass over all tiles.

    It is the larger of two numbers: the change of the log-likelihood, and by how many standard errors, elements taken
    for independent, the change of the gradient moves the minimum along what the data determine.
    """
    here, whole = objective(u), uncompressed(objective)(u)
    unit = 2.0 * max(whole.cost, objective.floor) / whole.n_pairs  # of the cost, for a log-likelihood of 1
    spectrum = spectrum_of(whole.gram / unit, objective.width)
    along = spectrum.basis[:, ~spectrum.lost].T @ (here.gradient - whole.gradient) / unit
    moved = np.linalg.norm(along / np.sqrt(spectrum.eigenvalues[~spectrum.lost]))
    return float(max(abs(here.cost - whole.cost) / unit, moved))


def compression_words(objective: Objective) -> str:
    """What was compressed, and how often tiles had to be read all the same; nothing where no bin was."""
    every = list(_compressions(objective.bins))
    if not every:
        return ""
    ranks = sorted({of.held.projected.basis.shape[2] for of in every if of.held.projected is not None})
    if not ranks:
        return "tiles read for every step, as no few vectors span them"
    spans = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
    words = f"tiles compressed to {spans} vectors for {every[0].region.size} frames"
    outside = sum(of.held.outside for of in every)
    return f"{words}, and read {outside} times for parameters that these do not span" if outside else words


def _compressions(bins: tuple[Bin, ...]) -> Iterator[Compressed]:
    for bin in bins:
        values = bin.values.d if isinstance(bin.values, Whitened) else bin.values
        if isinstance(values, Compressed):
            yield values


def _is_read(bin: Bin) -> bool:
    """Whether what is summed over is read tile by tile, in blocks of one size."""
    values = bin.values.d if isinstance(bin.values, Whitened) else bin.values
    tiles = values.tiles if isinstance(values, Compressed) else values
    return isinstance(tiles, Tiles) and tiles.size % BLOCK == 0 and len(bin.t) >= 4 * BLOCK


def _uncompressed(bin: Bin) -> Bin:
    values = bin.values
    if isinstance(values, Compressed):
        return replace(bin, values=values.tiles)
    if isinstance(values, Whitened) and isinstance(values.d, Compressed):
        return replace(bin, values=replace(values, d=values.d.tiles))
    return bin


def _compressed(
    objective: Objective,
    region: Region,
    theta: Float[np.ndarray, "points P"],
    bin: Bin,
    number: int,
    sums: PairSums,
) -> Bin:
    """The bin of this ``number``, for neighbourhoods of these parameters."""
    bin, model = _uncompressed(bin), objective.problem.model
    own = Moments(*(float(of[number]) for of in sums.data))
    scale = scale_of(own, float(sums.n_pairs[number]), *(of[number] for of in sums.model))
    if isinstance(bin.values, Whitened):
        smooth = smoothing(model, theta[0], bin, bin.values.noise, region.size)
        values = Compressed(product_bin(bin).tiles, region, smooth, bin.values.noise**-2)
        made, held = (
            replace(bin, values=replace(bin.values, d=values)),
            replace(product_bin(bin), values=values),
        )
    else:
        values = Compressed(bin.tiles, region)
        made = held = replace(bin, values=values)
    compress(model, theta, held, scale)
    return made


def _around(objective: Objective, u: Float[np.ndarray, " p"], sums: PairSums) -> Around:
    """From parameters to some in their neighbourhood, which has the shape of that of u."""
    n = sums.n_pairs.sum()
    noise = np.sqrt(_ssr(objective, u, sums) / sums.n_pairs)
    equations = normal_equations(sums, objective.columns(u), objective.contrast, objective.offset, noise)[0]
    spectrum = spectrum_of(equations.gram, objective.width)
    along = _ERRORS * max(n / (len(objective.bins) * _EXCERPTS), 1.0) ** 0.5
    with np.errstate(divide="ignore"):
        steps = spectrum.basis * along / np.sqrt(spectrum.eigenvalues)
    wide = np.max(np.abs(np.nan_to_num(steps, nan=0.0)) / objective.width[:, None], axis=0)
    limit = np.where(np.isfinite(steps).all(axis=0), np.minimum(1.0, _FAR / np.maximum(wide, 1e-300)), 0.0)
    steps = np.nan_to_num(steps, nan=0.0, posinf=0.0, neginf=0.0) * limit
    drawn = np.random.default_rng(0).uniform(-1.0, 1.0, (_DRAWN, len(u)))

    def around(theta: Float[np.ndarray, " P"]) -> Float[np.ndarray, "points P"]:
        here = objective.point(dict(zip(objective.problem.model.parameters, theta.tolist(), strict=True)))
        return np.array([objective.theta(objective.moved(here, steps @ z)) for z in drawn])

    return around


def _ssr(objective: Objective, u: Float[np.ndarray, " p"], sums: PairSums) -> Float[np.ndarray, " bins"]:
    none = normal_equations(sums, objective.columns(u), objective.contrast, objective.offset, objective.sigma)
    return np.maximum(none[1].ssr, 1e-24 * sums.data.square)
