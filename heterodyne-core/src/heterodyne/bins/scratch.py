"""Matrices on disk for as long as they are used, where memory need not hold them."""

from __future__ import annotations

import shutil
import tempfile

import numpy as np

_SPARE = 2.0**30
"""Bytes that stay free on the disk."""


def has_room_for(size: int) -> bool:
    """Whether the folder for temporary files has room for a matrix (size, size)."""
    return shutil.disk_usage(tempfile.gettempdir()).free > 8 * size**2 + _SPARE


def scratch_matrix(size: int) -> np.ndarray:
    """A matrix (size, size) of zeros in a temporary file, which is gone with it."""
    with tempfile.TemporaryFile(prefix="heterodyne-") as file:
        return np.memmap(file, dtype=float, mode="w+", shape=(size, size))
