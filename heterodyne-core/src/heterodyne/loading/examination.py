"""Data that may crash the HDF5 library, or keep it busy for ever, read first in a process of its own.

`python -m heterodyne.loading.examination FILE` reads one value of every part of FILE that is virtual or lies in
external storage, within limits of time and memory.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import h5py

from heterodyne.errors import DataError, reading

_SECONDS = 20

_MEMORY = 4 * 2**30  # bytes


def check_in_a_process(path: Path) -> None:
    """Raise `DataError` if reading what is virtual or external in the file ends or blocks the process that reads."""
    status = path.stat()
    _tried(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _tried(path: Path, size: int, mtime_ns: int) -> None:
    """The trial, once while the file stays as it is."""
    command = (sys.executable, "-P", "-m", "heterodyne.loading.examination", str(path))
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise DataError(f"{path} cannot be read: HDF5 does not come to an end with it") from None
    if done.returncode:
        raise DataError(
            f"{path} cannot be read: the process that tried it ended with status {done.returncode}"
        )


def examine(path: str) -> None:
    """Read one value of every part of the file that is virtual or external."""
    with h5py.File(path, "r", locking=False) as file:
        file.visititems(_touch)


def _touch(name: str, member: h5py.Dataset | h5py.Group) -> None:
    with suppress(DataError), reading(name):  # what is an error here is told when the data are read
        if not isinstance(member, h5py.Dataset):
            return
        if member.is_virtual:
            for source in member.virtual_sources():
                member[tuple(source.vspace.get_select_bounds()[0])]
        elif member.external:
            member[(0,) * member.ndim]


def _limit() -> None:
    try:
        import resource
    except ImportError:  # not on this system
        return
    for limit, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        low = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (low, hard))


if __name__ == "__main__":
    _limit()
    examine(sys.argv[1])
