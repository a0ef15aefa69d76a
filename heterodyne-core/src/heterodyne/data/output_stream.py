"""What HDF5 writes a file through: the library never hears that a write failed, which would crash it at the end.

The first failure is kept, what comes after it is thrown away, and whoever writes looks before every matrix.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from heterodyne.data.matrices import Matrices


class OutputStream(io.RawIOBase):
    """A new file; ``failure`` is why nothing more is written to it, None while all is well."""

    def __init__(self, path: Path):
        self.failure: BaseException | None = None
        self._file = path.open("x+b", buffering=0)

    def check(self) -> None:
        """Raise the failure, if there was one."""
        if self.failure is not None:
            raise self.failure

    def write(self, data: object) -> int:
        """All of the data, or nothing after a failure; returns their size as if they were written."""
        rest = memoryview(data).cast("B")  # type: ignore[arg-type]
        size = len(rest)
        try:
            while len(rest) and self.failure is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Cut or extend the file."""
        try:
            return self._file.truncate(size) if self.failure is None else size or 0
        except OSError as error:
            self.failure = error
            return size or 0

    def readinto(self, buffer: object) -> int:
        """Read what was written."""
        return self._file.readinto(buffer)  # type: ignore[arg-type]

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a place in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The place in the file."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class CheckedMatrices:
    """Matrices to write to a stream: once that has failed, none is read any more."""

    def __init__(self, matrices: Matrices, stream: OutputStream):
        self._matrices, self._stream = matrices, stream

    def __len__(self) -> int:
        return len(self._matrices)

    def __getitem__(self, bin: int, /) -> np.ndarray:
        self._stream.check()
        return self._matrices[bin]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[bin] for bin in range(len(self)))


def written(path: Path, write: Callable[[OutputStream], None]) -> None:
    """Have ``write`` write a new file; raises what it raises, and `OSError` where the disk does not take it.

    It runs in a thread of its own, because Ctrl-C must not reach HDF5: it reaches this one, and ends the other
    before the next matrix.
    """
    with OutputStream(path) as stream, ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(write, stream).result()
        except BaseException as error:
            stream.failure = stream.failure or error
            raise
        stream.check()
