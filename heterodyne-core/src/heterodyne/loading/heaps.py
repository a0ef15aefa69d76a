"""Heaps of HDF5, in which strings of variable length and the maps of virtual datasets lie.

The library walks the objects of a heap by the sizes that stand in it, and never ends where one is 0. So a file
is read through a `GuardedFile`, which looks at every heap before the library does.
"""

from __future__ import annotations

import io
from struct import unpack_from
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SIGNATURE = b"GCOL"
_HEADER = 16  # bytes, of a heap and of every object in it
_LARGEST = 2**28  # bytes of a heap; the library makes them of 4 KiB


class GuardedFile(io.FileIO):
    """A file, read-only, that shows a damaged heap without its signature: the library then refuses it."""

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill ``buffer`` with what comes next; returns the number of bytes."""
        start = self.tell()
        count = super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        if view[:4] == _SIGNATURE and not self._walkable(start):
            view[:4] = bytes(4)
        return count

    def _walkable(self, start: int) -> bool:
        """Whether the objects of the heap at ``start`` follow one another to its end."""
        head = self._bytes(start, _HEADER)
        size = unpack_from("<Q", head, 8)[0] if len(head) == _HEADER else 0
        if not _HEADER <= size <= _LARGEST:
            return False
        heap = self._bytes(start, size)
        place = _HEADER
        while place + _HEADER <= len(heap):
            index, length = unpack_from("<H6xQ", heap, place)
            step = length if index == 0 else _HEADER + -(-length // 8) * 8  # free space counts its header
            if not _HEADER <= step <= size - place:
                return False
            place += step
        return len(heap) == size

    def _bytes(self, start: int, count: int) -> bytes:
        self.seek(start)
        return self.read(count)
