"""Matrices on disk for as long as they are used, where memory need not hold them."""

from __future__ import annotations

import os
import shutil
import tempfile

import numpy as np

from heterodyne.errors import DataError

_SPARE = 2.0**30
"""Bytes that stay free on the disk."""


def has_room_for(size: int) -> bool:
    """Whether the folder for temporary files has room for a matrix (size, size)."""
    return shutil.disk_usage(tempfile.gettempdir()).free > 8 * size**2 + _SPARE


def scratch_matrix(size: int) -> np.ndarray:
    """A matrix (size, size) of zeros in a temporary file, which is gone with it.

    Raises `DataError` where the disk has no room: a file that is too short would end the program when it is written.
    """
    with tempfile.TemporaryFile(prefix="heterodyne-") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, 8 * size**2)
            return np.memmap(file, dtype=float, mode="w+", shape=(size, size))
        except OSError as error:
            raise DataError(
                f"{tempfile.gettempdir()} has no room for {8 * size**2 / 2**30:.2g} GiB of weighted data "
                f"({error.strerror}): set TMPDIR to another folder, or add --weights noise"
            ) from None
