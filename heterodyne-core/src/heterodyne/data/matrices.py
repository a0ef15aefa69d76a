"""Windows of one stored matrix: its values in parts, without the whole in memory where the file allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from heterodyne.data.triangle import Half, Read, stored_half
from heterodyne.data.validation import kept_dtype
from heterodyne.errors import DataError


@dataclass(frozen=True, eq=False)
class Windows:
    """How to read one stored matrix (``frames``, ``frames``) in windows of rows × columns.

    ``opened`` gives, while the file is open, a function from rows and columns to the values stored there,
    in whatever half that is. ``whole`` says that opening reads the whole matrix, because the file cannot
    be read in parts; ``at_hand`` that the values are in memory anyway. ``where`` names file and dataset.
    """

    opened: Callable[[], AbstractContextManager[Read]]
    frames: int
    dtype: np.dtype
    where: str = ""
    whole: bool = False
    at_hand: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes per value as it is kept; raises `DataError` for values that are not real numbers."""
        return np.dtype(kept_dtype(self.dtype)).itemsize

    def half(self, read: Read) -> Half:
        """The half that is stored; raises `DataError` naming the place where two halves disagree."""
        try:
            return "full" if self.at_hand else stored_half(read, self.frames)
        except DataError as error:
            raise DataError(f"{self.where}: {error}") from None


@runtime_checkable
class ReadInParts(Protocol):
    """Matrices that say themselves how they are read in parts."""

    def windows(self, bin: int) -> Windows: ...


def windows(matrices: Matrices, bin: int) -> Windows:
    """The windows of matrix ``bin``; matrices that cannot be read in parts are read whole when opened."""
    if isinstance(matrices, ReadInParts):
        return matrices.windows(bin)
    if isinstance(matrices, np.ndarray | list | tuple):
        values = np.asarray(matrices[bin])
        return Windows(lambda: nullcontext(of_array(values)), len(values), values.dtype, at_hand=True)
    return of_whole(matrices, bin)


def of_whole(matrices: Matrices, bin: int) -> Windows:
    """The windows of a matrix that indexing gives, read anew whenever it is opened."""
    first = matrices[bin]
    return Windows(lambda: nullcontext(of_array(matrices[bin])), len(first), first.dtype, "data", whole=True)


def of_array(values: np.ndarray) -> Read:
    """Windows of an array are views."""
    return lambda rows, columns: values[rows, columns]


def upper(read: Read, half: Half) -> Read:
    """From rows and columns, rows before columns, to values of the upper half, kept as float32 or float64."""

    def window(rows: slice, columns: slice) -> np.ndarray:
        values = read(columns, rows).T if half == "lower" else read(rows, columns)
        return values.astype(kept_dtype(values.dtype), copy=False)

    return window


class Matrices(Protocol):
    """One symmetric (frames, frames) matrix per bin, float32 or float64; indexing reads one of them."""

    def __len__(self) -> int: ...
    def __getitem__(self, bin: int, /) -> np.ndarray: ...
    def __iter__(self) -> Iterator[np.ndarray]: ...


@dataclass(frozen=True)
class _Chosen:
    matrices: Matrices
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, bin: int, /) -> np.ndarray:
        return self.matrices[self.indices[bin]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.matrices[index] for index in self.indices)

    def windows(self, bin: int) -> Windows:
        """How to read one of them in parts."""
        return windows(self.matrices, self.indices[bin])
