"""Windows of one stored matrix: its values in parts, without the whole in memory where the file allows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from heterodyne.data.triangle import Half, Read, Stated, Symmetrise, stored_half, symmetric
from heterodyne.data.validation import kept_dtype
from heterodyne.errors import DataError


@dataclass(frozen=True, eq=False)
class Windows:
    """How to read one stored matrix (``frames``, ``frames``) in windows of rows × columns.

    ``opened`` gives, while the file is open, a function from rows and columns to the values stored there,
    in whatever half that is. ``whole`` says that opening reads the whole matrix, because the file cannot
    be read in parts; ``at_hand`` that the values are in memory anyway. ``where`` names file and dataset.
    ``shift`` is what c2 is more than the values stored, ``symmetrise`` what counts where two halves differ,
    ``stated`` in which of them the file says that values are.
    """

    opened: Callable[[], AbstractContextManager[Read]]
    frames: int
    dtype: np.dtype
    where: str = ""
    whole: bool = False
    at_hand: bool = False
    shift: float = 0.0
    symmetrise: Symmetrise | None = None
    stated: Stated | None = None

    @property
    def itemsize(self) -> int:
        """Bytes per value as it is kept; raises `DataError` for values that are not real numbers."""
        return np.dtype(kept_dtype(self.dtype)).itemsize

    def half(self, read: Read) -> Half:
        """The half that is stored; raises `DataError` naming the place where two halves disagree."""
        try:
            return "full" if self.at_hand else stored_half(read, self.frames, self.symmetrise, self.stated)
        except DataError as error:
            raise DataError(f"{self.where}: {error}") from None


ALL = slice(None)
"""Every frame."""


def sliced(frames: slice, part: slice) -> slice:
    """The frames of ``part``, which are counted from the first of ``frames``."""
    kept = range(sys.maxsize)[frames][part]
    return slice(kept.start, kept.stop)


class Matrices(Protocol):
    """One symmetric (frames, frames) matrix per bin, float32 or float64; indexing reads one of them."""

    def __len__(self) -> int: ...
    def __getitem__(self, bin: int, /) -> np.ndarray: ...
    def __iter__(self) -> Iterator[np.ndarray]: ...


@runtime_checkable
class StoredMatrices(Matrices, Protocol):
    """Matrices in a file: they know their size unread, give some of them, cut, and are read in parts."""

    def frame_count(self) -> int: ...
    def chosen(self, bins: Sequence[int], frames: slice) -> Matrices: ...
    def windows(self, bin: int) -> Windows: ...


def windows(matrices: Matrices, bin: int) -> Windows:
    """The windows of matrix ``bin``; matrices that cannot be read in parts are read whole when opened."""
    if isinstance(matrices, StoredMatrices):
        return matrices.windows(bin)
    if _at_hand(matrices):
        values = np.asarray(matrices[bin])
        return Windows(lambda: nullcontext(of_array(values)), len(values), values.dtype, at_hand=True)
    return of_whole(matrices, bin)


def of_whole(matrices: Matrices, bin: int) -> Windows:
    """The windows of a matrix that indexing gives, read anew whenever it is opened."""
    first = matrices[bin]
    return Windows(lambda: nullcontext(of_array(matrices[bin])), len(first), first.dtype, "data", whole=True)


@runtime_checkable
class HalvesInFile(Protocol):
    """Matrices whose halves in a file may differ."""

    def symmetrised(self, symmetrise: Symmetrise) -> Matrices: ...


def symmetrised(matrices: Matrices, symmetrise: Symmetrise) -> Matrices:
    """The matrices with what to take where two halves differ; raises `DataError` where they are made whole before."""
    if isinstance(matrices, HalvesInFile):
        return matrices.symmetrised(symmetrise)
    raise DataError("symmetrise: this loader makes the matrices whole by itself")


def choose(matrices: Matrices, bins: Sequence[int], n_frames: int, frames: slice = ALL) -> Matrices:
    """The matrices of these bins, of ``n_frames`` each, cut to ``frames``; nothing is read."""
    if isinstance(matrices, StoredMatrices):
        return matrices.chosen(bins, frames)
    return ChosenMatrices(matrices, tuple(bins), n_frames, frames)


def frame_counts(matrices: Matrices) -> set[int]:
    """The frames of these matrices, as far as that is known without reading one.

    Raises `DataError` where a file holds matrices that are not square or differ in size.
    """
    if isinstance(matrices, StoredMatrices):
        return {matrices.frame_count()}
    held = matrices.matrices if isinstance(matrices, ChosenMatrices) else matrices
    return {len(matrix) for matrix in held} if _at_hand(held) else set()


def _at_hand(matrices: Matrices) -> bool:
    """Whether the values are in memory."""
    if isinstance(matrices, ChosenMatrices):
        return _at_hand(matrices.matrices)
    return isinstance(matrices, np.ndarray | list | tuple)


def of_array(values: np.ndarray) -> Read:
    """Windows of an array are views."""
    return lambda rows, columns: values[rows, columns]


def upper(read: Read, half: Half, shift: float = 0.0) -> Read:
    """From rows and columns, rows before columns, to c2 of the upper half, kept as float32 or float64."""

    def window(rows: slice, columns: slice) -> np.ndarray:
        values = read(columns, rows).T if half == "lower" else read(rows, columns)
        if half == "mean":
            values = 0.5 * (values + read(columns, rows).T)
        values = values.astype(kept_dtype(values.dtype), copy=False)
        return values + values.dtype.type(shift) if shift else values

    return window


@dataclass(frozen=True, eq=False)
class ChosenMatrices:
    """Those with these ``indices`` of some matrices of ``n_frames`` frames, cut to ``frames``; halves are mirrored."""

    matrices: Matrices
    indices: tuple[int, ...]
    n_frames: int
    frames: slice

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, bin: int, /) -> np.ndarray:
        matrix = np.asarray(self.matrices[self.indices[bin]])
        if len(matrix) != self.n_frames:
            raise DataError(
                f"bin {bin + 1}: the matrix has {len(matrix)} frames, its time axis {self.n_frames}"
            )
        part = matrix[self.frames, self.frames]
        try:
            return part if _at_hand(self.matrices) else symmetric(part)
        except DataError as error:
            raise DataError(f"bin {bin + 1}: {error}") from None

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[bin] for bin in range(len(self)))


@dataclass(frozen=True, eq=False)
class ShiftedMatrices:
    """Some matrices of ``n_frames`` frames with ``shift`` added to every value; halves are mirrored before."""

    matrices: Matrices
    n_frames: int
    shift: float

    def __len__(self) -> int:
        return len(self.matrices)

    def __getitem__(self, bin: int, /) -> np.ndarray:
        matrix = symmetric(np.asarray(self.matrices[bin]))
        kept = kept_dtype(matrix.dtype)
        return matrix.astype(kept, copy=False) + kept(self.shift)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[bin] for bin in range(len(self)))

    def frame_count(self) -> int:
        """The frames of every one of them."""
        return min(frame_counts(self.matrices) or {self.n_frames})

    def chosen(self, bins: Sequence[int], frames: slice) -> ShiftedMatrices:
        """Those of these bins, cut to ``frames``."""
        part = choose(self.matrices, bins, self.n_frames, frames)
        return replace(self, matrices=part, n_frames=len(range(self.n_frames)[frames]))

    def symmetrised(self, symmetrise: Symmetrise) -> ShiftedMatrices:
        """The same with what to take where two halves differ."""
        return replace(self, matrices=symmetrised(self.matrices, symmetrise))

    def windows(self, bin: int) -> Windows:
        """How to read one of them, shifted."""
        return replace(windows(self.matrices, bin), shift=self.shift)
