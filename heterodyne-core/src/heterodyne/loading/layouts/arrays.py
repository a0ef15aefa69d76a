"""NumPy arrays: .npz with c2[bin, frame, frame], q, phi, dt and more of what `TwoTime` has; .npy with those given.

What a file does not hold is taken from what the user gave, q and phi being statements then: one value for all bins or
one per bin. Names may be others (`heterodyne.loading.names`). Keys such as q_unit and dt_unit state units. Pickled
objects are never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from heterodyne.data.matrices import ALL, Windows, of_array, of_whole, sliced
from heterodyne.data.selection import Selection
from heterodyne.data.triangle import Symmetrise, symmetric
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.loading import npz
from heterodyne.loading.array_facts import Arrays, two_time
from heterodyne.loading.names import layout_of, matrices_name


@dataclass(frozen=True)
class ArrayMatrices:
    """Symmetric matrices of an .npy or .npz file, cut to ``frames``; indexing reads one of them.

    ``name`` is that of the array in an archive; ``last`` says that the bins are its last axis, not the first.
    """

    path: Path
    bins: tuple[int, ...]
    side: int
    name: str | None = None
    last: bool = False
    symmetrise: Symmetrise | None = None
    frames: slice = field(default_factory=lambda: ALL)

    def __len__(self) -> int:
        return len(self.bins)

    def __getitem__(self, bin: int, /) -> np.ndarray:
        index = self.bins[bin]
        if self.name is not None:
            matrix = _npz_matrix(self.path, self.name, index, self.last)
        else:
            matrix = _mapped(self.path, self.last)[index]
        try:
            return symmetric(np.array(matrix[self.frames, self.frames]), self.symmetrise)
        except DataError as error:
            raise DataError(f"{self.path}, bin {index + 1}: {error}") from None

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[bin] for bin in range(len(self)))

    def frame_count(self) -> int:
        """The frames of every one of them."""
        return len(range(self.side)[self.frames])

    def chosen(self, bins: Sequence[int], frames: slice) -> ArrayMatrices:
        """Those of these bins, cut to ``frames`` of the present ones."""
        return replace(self, bins=tuple(self.bins[bin] for bin in bins), frames=sliced(self.frames, frames))

    def symmetrised(self, symmetrise: Symmetrise) -> ArrayMatrices:
        """The same with what to take where two halves differ."""
        return replace(self, symmetrise=symmetrise)

    def windows(self, bin: int) -> Windows:
        """How to read one of them: in parts from an .npy file, whole from an archive."""
        if self.name is not None:
            return of_whole(self, bin)
        index = self.bins[bin]
        matrix = _mapped(self.path, self.last)[index][self.frames, self.frames]
        where = f"{self.path}, bin {index + 1}"
        return Windows(
            lambda: nullcontext(of_array(matrix)),
            len(matrix),
            matrix.dtype,
            where,
            symmetrise=self.symmetrise,
        )


def sniff(path: Path) -> float:
    """0.9 for a name in .npz or .npy, else 0."""
    return 0.9 if path.suffix.lower() in (".npz", ".npy") else 0.0


def load(path: Path, given: Selection) -> TwoTime:
    """All bins; raises `DataError` saying which of q, phi and dt neither the file nor the user says."""
    npz.check_kind(path)
    if not npz.is_npz(path):
        with npz.reading(path):
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        arrays, layout = Arrays(path, {}, lambda name: npz.array(path, name)), layout_of(path, "c2", shape)
    else:
        held = npz.headers(path)
        name = matrices_name(path, held, given.key)
        arrays = Arrays(path, held, lambda name: npz.array(path, name), name)
        layout = layout_of(path, name, held[name].shape)
    c2 = ArrayMatrices(path, tuple(range(layout.bins)), layout.frames, arrays.c2, layout.last)
    return two_time(arrays, c2, layout, given)


def _mapped(path: Path, last: bool) -> np.ndarray:
    with npz.reading(path):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0) if last else array


def _npz_matrix(path: Path, name: str, index: int, last: bool) -> np.ndarray:
    with npz.opened(path, name) as stream:
        shape, fortran, dtype = npz.header(stream)
        side = shape[1]
        if not fortran and not last:
            size = side * side * dtype.itemsize
            npz.skip(stream, index * size)
            return np.frombuffer(stream.read(size), dtype=dtype).reshape(side, side)
    # other orders interleave the bins: no matrix can be read alone
    stack = npz.array(path, name)
    return stack[..., index] if last else stack.reshape(-1, side, side)[index]
