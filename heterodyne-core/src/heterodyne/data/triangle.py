"""Upper half, lower half or full matrix: what a file stores, recognised by measuring, and made symmetric.

Writers keep t1 ≤ t2 (row-major "upper"), the transpose, or everything. Adding the transpose to a full
matrix would double it off the diagonal, so both strict halves are looked at before anything is mirrored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from heterodyne.data.validation import kept_dtype, square
from heterodyne.errors import DataError

_BLOCK = 256  # rows and columns; a block and its transpose stay in cache
_ASYMMETRY = 1e-5  # of values of order 1: sums of float32 taken in another order differ by less

Symmetrise = Literal["mean", "upper", "lower"]
"""What to take of two halves that differ: their mean, or one of them."""

Half = Literal["upper", "lower", "full", "mean"]
"""Where c2 is: in one half, in both alike, or in the mean of both."""

Stated = Literal["upper", "lower", "full"]
"""Where a file says that c2 is."""

Read = Callable[[slice, slice], np.ndarray]
"""Rows and columns to the values stored there."""


def symmetric(
    matrix: np.ndarray, symmetrise: Symmetrise | None = None, stated: Stated | None = None
) -> np.ndarray:
    """The symmetric (frames, frames) matrix of which ``matrix`` is the upper half, the lower half or all.

    A half is mirrored; a full matrix, symmetric to rounding, is returned as it is. The dtype and the
    diagonal are kept. A half counts as missing only if every value off the diagonal in it is 0 or NaN.
    ``symmetrise`` says what counts where both halves hold values. Raises `DataError` if the matrix is not square or
    real, if it is not ``stated``, or if both halves hold values, disagree, and nothing says which counts.
    """
    values = square(matrix)
    half = stored_half(lambda rows, columns: values[rows, columns], len(values), symmetrise, stated)
    if half == "full":
        return values
    if half == "mean":
        return (0.5 * (values + values.T)).astype(kept_dtype(values.dtype), copy=False)
    return _mirrored(values if half == "upper" else values.T)


def stored_half(
    read: Read, frames: int, symmetrise: Symmetrise | None = None, stated: Stated | None = None
) -> Half:
    """What is stored of a symmetric (frames, frames) matrix that ``read`` gives in parts.

    A matrix with values on the diagonal alone is full. Raises `DataError` if that is not ``stated`` or both halves
    hold values and disagree, unless ``symmetrise`` says what counts, and if that is a half without values.
    """
    below = _empty_below(read, frames)
    above = _empty_below(lambda rows, columns: read(columns, rows).T, frames)
    if stated is not None and symmetrise is None:
        _check_stated(stated, above, below)
    if below != above:
        half: Half = "upper" if below else "lower"
        if symmetrise not in (None, "mean", half):
            raise DataError(f"the {symmetrise} half of the matrix holds no values: it cannot be taken")
        return half
    if symmetrise is not None:
        if symmetrise == "mean":
            _check_lost(read, frames)
        return symmetrise
    _check_symmetry(read, frames)
    return "full"


def _check_stated(stated: Stated, above: bool, below: bool) -> None:
    """Raise `DataError` for values in a half that should have none, and for none in one of two that should."""
    wrong = {"upper": not below, "lower": not above, "full": above != below}[stated]
    if wrong:
        found = (
            "both halves" if not above and not below else f"the {'lower' if above else 'upper'} half alone"
        )
        named = "both halves" if stated == "full" else f"the {stated} half alone"
        raise DataError(
            f"values are said to be in {named}, but are in {found}: say what to take, --symmetrise mean, upper or "
            "lower (in Python symmetrise=)"
        )


def _blocks(n: int) -> Iterator[tuple[slice, slice]]:
    """Row and column blocks that cover the upper half, diagonal blocks included."""
    for i in range(0, n, _BLOCK):
        for j in range(i, n, _BLOCK):
            yield slice(i, i + _BLOCK), slice(j, j + _BLOCK)


def _empty_below(read: Read, frames: int) -> bool:
    for start in range(0, frames, _BLOCK):
        rows = slice(start, start + _BLOCK)
        if _holds_values(read(rows, slice(0, start))) or _holds_values(np.tril(read(rows, rows), -1)):
            return False
    return True


def _holds_values(part: np.ndarray) -> bool:
    """Whether anything but 0 and NaN is there."""
    return bool(part.any()) and bool(part[part == part].any())


def _mirrored(upper: np.ndarray) -> np.ndarray:
    full = np.array(upper, order="C")
    for rows, columns in _blocks(len(full)):
        block = full[rows, columns]
        full[columns, rows] = np.triu(block) + np.triu(block, 1).T if rows == columns else block.T
    return full


def _check_symmetry(read: Read, frames: int) -> None:
    for rows, columns in _blocks(frames):
        here, mirrored = read(rows, columns), read(columns, rows).T
        with np.errstate(invalid="ignore"):
            differ = np.abs(here - mirrored) > _ASYMMETRY * (1 + np.abs(here))
        # gaps (NaN, Inf) are for `heterodyne.data.validation` to name
        differ &= np.isfinite(here) & np.isfinite(mirrored)
        if differ.any():
            i, j = np.unravel_index(int(differ.argmax()), differ.shape)
            first, second = rows.start + i + 1, columns.start + j + 1
            remedy = (
                "its rows run backwards, as from an origin at the lower left: turn them round, c2[::-1]"
                if _backwards(read, frames)
                else "say what to take: --symmetrise mean, upper or lower (in Python symmetrise= of load, or "
                "(c2 + c2.T) / 2)"
            )
            raise DataError(
                "the matrix is neither a triangle nor symmetric: "
                f"c2({first}, {second}) = {here[i, j]:g} but c2({second}, {first}) = {mirrored[i, j]:g}; {remedy}"
            )


def _check_lost(read: Read, frames: int) -> None:
    """Raise `DataError` for a value that is 0 in one half alone: the mean with it would be no value at all."""
    for rows, columns in _blocks(frames):
        lost = (read(rows, columns) == 0.0) != (read(columns, rows).T == 0.0)
        if lost.any():
            i, j = np.unravel_index(int(lost.argmax()), lost.shape)
            raise DataError(
                f"c2 is 0 at frames ({rows.start + i + 1}, {columns.start + j + 1}) in one half alone, as where a part "
                "of a file was lost: there is no mean to take; take the other half (--symmetrise upper or lower)"
            )


def _backwards(read: Read, frames: int) -> bool:
    """Whether the matrix is symmetric about its other diagonal."""
    part = slice(0, min(_BLOCK, frames))
    rows = slice(frames - part.stop, frames)
    turned = read(rows, part)[::-1]
    return bool(np.allclose(turned, turned.T, rtol=_ASYMMETRY, atol=_ASYMMETRY, equal_nan=True))
