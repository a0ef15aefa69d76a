"""How well a model fits, judged by noise that the model cannot take part in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.bins.kept import in_place
from heterodyne.evaluators.meshgrid import averaged_beside
from heterodyne.evaluators.residual import ResidualPart, residual_parts
from heterodyne.solution.frame_noise import LEAST_RATIO, FrameNoise, NeighbourSums, frame_noise
from heterodyne.solution.patches import SIZES, PatchSums, Sizes, no_sums, patches_of
from heterodyne.solution.solution import AtSolution

if TYPE_CHECKING:
    from heterodyne.model import Model


_ALIEN = 8.0
"""Times the median of W r² from which what a frame has beside its neighbours is no noise of the others."""


class Residuals(NamedTuple):
    """What one pass over the residuals of a bin gives: the noise per element, sums over its patches, and
    ``of_frames`` (N,), the mean of W r² over the pairs of every frame, NaN for frames not in use; Σ W r² as ``ssr``,
    and what neighbours have in common."""

    noise: float
    sums: tuple[PatchSums, ...]
    of_frames: np.ndarray
    ssr: float
    neighbours: NeighbourSums


def examine_residuals(
    model: Model,
    params: dict[str, float],
    bin: Bin,
    contrast: float,
    offset: float,
    sizes: Sizes = SIZES,
) -> Residuals:
    """The noise per element of one bin, half the variance of neighbouring differences of the residual, and
    sums of the residual for `heterodyne.solution.structure`.

    Of the data the noise would count a fast fringe. It is a lower bound, because neighbours share part of
    their noise; with weights it is that of an element of weight 1; NaN where no two neighbours are used.
    Never more than a part of the matrix is formed, and for the noise neighbours in two of them are not compared. What
    neighbours have in common is asked without frames whose residuals are 8 times as large as those of the others.
    """
    frames, after = bin.frames, averaged_beside(model, params, bin.t, bin.nodes)
    square, count, ssr = 0.0, 0, 0.0
    sums = tuple(no_sums(patches) for patches in patches_of(bin.weight > 0, sizes))
    squares, common = np.zeros((2, frames)), _Common.nothing(after)
    for part in residual_parts(model, params, bin, contrast, offset):
        used = part.weights > 0
        part = part._replace(residual=np.where(used, part.residual, 0.0))  # others may be NaN or infinite
        more_square, more_count = _neighbour_sums(part.residual, part.weights)
        square, count = square + more_square, count + more_count
        weighted = part.weights * part.residual
        for of in sums:
            of.add(part.first, part.second, weighted, part.weights)
        _add_squares(squares, part.first, part.second, weighted * part.residual, used)
        common = common.add(part)
        ssr += float(np.vdot(weighted, part.residual))
    noise = float(np.sqrt(square / count)) if count else float("nan")
    with np.errstate(invalid="ignore"):
        of_frames = squares[0] / squares[1]
        alike = np.pad(~(of_frames > _ALIEN * np.nanmedian(of_frames)), (0, len(bin.t) - frames))
    if not alike[:frames].all():
        common = _between(residual_parts(model, params, bin, contrast, offset), alike, after)
    neighbours = common.sums._replace(square=common.sums.in_row * ssr / bin.moments.pairs)
    return Residuals(noise, sums, of_frames, ssr, neighbours)


def _between(parts: Iterator[ResidualPart], alike: np.ndarray, after: np.ndarray) -> _Common:
    """What neighbours have in common between the frames that are ``alike`` (M,)."""
    common = _Common.nothing(after)
    for part in parts:
        rows, columns = part.residual.shape
        kept = np.outer(alike[part.first : part.first + rows], alike[part.second : part.second + columns])
        weights = part.weights * kept
        residual = np.where(weights > 0, part.residual, 0.0)
        common = common.add(part._replace(residual=residual, weights=weights))
    return common


class _Common(NamedTuple):
    """The sums over neighbours so far, of residuals and S times √W; ``after`` (M,) is S_j,j+1."""

    total: np.ndarray
    seen: _Seen
    after: np.ndarray

    @classmethod
    def nothing(cls, after: np.ndarray) -> _Common:
        """Before the first part."""
        return cls(np.zeros(len(NeighbourSums._fields)), _Seen.nothing(len(after)), after)

    def add(self, part: ResidualPart) -> _Common:
        """With those of a part, in which what is not used is 0."""
        first, second, residual, s, weights = part
        root = np.sqrt(weights)
        values = np.stack([root > 0, root * residual, root * s])
        beside, seen = self.seen.beside(first, second, values)
        return _Common(self.total + _common(beside, first, second, self.after), seen, self.after)

    @property
    def sums(self) -> NeighbourSums:
        """The sums."""
        return NeighbourSums(*self.total.tolist())


class _Seen(NamedTuple):
    """What parts before one leave beside it: the row before theirs and their last ones, (3, M), their last column.

    They are those of the rows from the frame ``first`` to ``next``, up to the column ``second``.
    """

    first: int
    next: int
    second: int
    above: np.ndarray
    last: np.ndarray
    left: np.ndarray

    @classmethod
    def nothing(cls, frames: int) -> _Seen:
        """Before the first part."""
        return cls(-1, -1, -1, np.zeros((3, frames)), np.zeros((3, frames)), np.zeros((3, 0)))

    def beside(self, first: int, second: int, values: np.ndarray) -> tuple[np.ndarray, _Seen]:
        """A part (3, rows, columns) with the row above it and the column before it, and what it leaves."""
        _, rows, columns = values.shape
        above, last, left = self.above, self.last, np.zeros((3, rows))
        if first != self.first:
            above = self.last if first == self.next else np.zeros_like(self.last)
            last = np.zeros_like(self.last)
        elif second == self.second:
            left = self.left
        beside = np.pad(values, ((0, 0), (1, 0), (1, 0)))
        beside[:, 0, 1:] = above[:, second : second + columns]
        beside[:, 0, 0] = above[:, second - 1] if second else 0.0
        beside[:, 1:, 0] = left
        last[:, second : second + columns] = values[:, -1]
        return beside, _Seen(first, first + rows, second + columns, above, last, values[:, :, -1])


def _common(beside: np.ndarray, first: int, second: int, after: np.ndarray) -> np.ndarray:
    """The `NeighbourSums` of a part with the row above it and the column before it."""
    used, r, even = beside
    in_row = used[:, 1:] * used[:, :-1]
    change = in_row * (r[:, :-1] - r[:, 1:])
    all_four = in_row[1:] * in_row[:-1]
    mixed, both, square = all_four * np.diff(change, axis=0), in_row[1:], r[1:] ** 2
    across, down = (
        np.pad(after, (1, 0))[start : start + size]
        for start, size in zip((second, first), all_four.shape[::-1], strict=True)
    )
    of_lag, of_rows, of_columns = (
        all_four * (r[1:, 1:] - r[:-1, :-1]),
        all_four.sum(axis=1),
        all_four.sum(axis=0),
    )
    return np.array(
        [
            both.sum(),
            0.5 * np.vdot(both, square[:, :-1] + square[:, 1:]),
            0.5 * np.vdot(change[1:], change[1:]),
            np.vdot(both, even[1:, :-1] ** 2),
            both.sum(axis=0) @ across,
            of_rows.sum(),
            0.25 * np.vdot(mixed, mixed),
            of_rows @ down + of_columns @ across,
            down @ all_four @ across,
            0.5 * np.vdot(of_lag, of_lag),
            np.vdot(all_four, even[1:, 1:] ** 2 - even[1:, :-1] * even[:-1, 1:]),
        ]
    )


def _add_squares(
    squares: np.ndarray, first: int, second: int, of_pairs: np.ndarray, used: np.ndarray
) -> None:
    """Add W r² and the number of pairs of every frame of a part to ``squares`` (2, N)."""
    for axis, start in ((1, first), (0, second)):
        for total, values in zip(squares, (of_pairs, used), strict=True):
            sums = values.sum(axis=axis)[: max(len(total) - start, 0)]
            total[start : start + len(sums)] += sums


def _neighbour_sums(residual: np.ndarray, weights: np.ndarray) -> tuple[float, int]:
    """Σ (r_ij - r_ij+1)² / (1/W_ij + 1/W_ij+1) over neighbours in a row both in use, and their number."""
    product = weights[:, 1:] * weights[:, :-1]
    both = product > 0
    harmonic = np.divide(product, weights[:, 1:] + weights[:, :-1], out=product, where=both)
    return float(np.vdot(np.diff(residual, axis=1) ** 2, harmonic)), int(np.count_nonzero(both))


def residuals_at(here: AtSolution) -> list[Residuals]:
    """Noise and sums of the residuals of every bin at a solution."""
    objective, params = here.weighted, here.weighted.parameters(here.x)
    places = zip(objective.bins, here.scaling.contrast, here.scaling.offset, strict=True)
    rows = [(objective.problem.model, params, *place) for place in places]
    return in_place(examine_residuals, objective.bins, rows)


def noise_of_frames(here: AtSolution, residuals: Sequence[Residuals]) -> list[FrameNoise]:
    """The noise of the frames of every bin."""
    rows = zip(residuals, here.weighted.bins, here.scaling.contrast, here.scaling.offset, strict=True)
    return [frame_noise(of.neighbours, bin, float(c), float(o)) for of, bin, c, o in rows]


def noise_of_weights(here: AtSolution, residuals: Sequence[Residuals]) -> np.ndarray:
    """κ to weight every bin's frames with, (bins,): the noise of its frames, and at least 2.

    With less, intensities that are not Gaussian are amplified.
    """
    return np.maximum([of.ratio for of in noise_of_frames(here, residuals)], LEAST_RATIO)
