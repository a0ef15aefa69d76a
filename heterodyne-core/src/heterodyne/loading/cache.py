"""Matrices of an instrument's file kept in tiles, for files that store every matrix in one piece.

A part of such a matrix costs as much as the whole: every tile of a streamed fit would read and unpack it again. The
first `load` with ``cache`` writes the chosen matrices, as they are chosen, to a file of the project's own in the folder
``files`` of the program's cache folder; later ones take the matrices from there. Bins, times and all else come from
the file itself, every time. Files that can be read in parts are left alone.

The name of an entry is a checksum of what its matrices depend on: path, size and time of change of the file and of
those it links to, layout, selection, source of dt, and the versions of core and of the loader. So what has changed is
made again. Damaged entries are removed and the matrices come from the file. All entries together take at most
`LARGEST` bytes; those unused for longest go first.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.atomic import file_name
from heterodyne.data.matrices import Matrices, StoredMatrices, Windows, of_array
from heterodyne.data.selection import Selection
from heterodyne.data.triangle import Read
from heterodyne.data.two_time import TwoTime
from heterodyne.device.compilation import cache_root, writable
from heterodyne.errors import DataError
from heterodyne.loading.layouts import own
from heterodyne.plugins.manager import manager

LARGEST = 20 * 2**30
"""Bytes of all entries."""

_SUFFIX = ".h5"


@dataclass(frozen=True)
class CachedMatrices:
    """Matrices of a cache entry; those of the file, ``original``, take their place if the entry is damaged."""

    entry: Path
    kept: StoredMatrices
    original: StoredMatrices

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, bin: int, /) -> np.ndarray:
        try:
            return self.kept[bin]
        except DataError as error:
            _remove(self.entry, error)
            return self.original[bin]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[bin] for bin in range(len(self)))

    def frame_count(self) -> int:
        """The frames of every one of them."""
        return self.original.frame_count()

    def chosen(self, bins: Sequence[int], frames: slice) -> Matrices:
        """Those of these bins, cut to ``frames``."""
        kept, original = self.kept.chosen(bins, frames), self.original.chosen(bins, frames)
        return replace(self, kept=kept, original=original)

    def windows(self, bin: int) -> Windows:
        """How to read one of them: in parts, or whole once the entry is damaged."""
        try:
            kept = self.kept.windows(bin)
        except DataError as error:
            _remove(self.entry, error)
            return self.original.windows(bin)
        return replace(kept, opened=lambda: self._reader(bin, kept))

    @contextmanager
    def _reader(self, bin: int, kept: Windows) -> Iterator[Read]:
        whole: list[np.ndarray] = []

        def window(rows: slice, columns: slice) -> np.ndarray:
            if not whole:
                try:
                    return read(rows, columns)
                except DataError as error:
                    _remove(self.entry, error)
                    whole.append(np.triu(self.original[bin]))  # entries hold upper halves
            return of_array(whole[0])(rows, columns)

        with ExitStack() as stack:
            try:
                read = stack.enter_context(kept.opened())
            except DataError as error:
                _remove(self.entry, error)
                whole.append(np.triu(self.original[bin]))
            yield window


def through_cache(data: TwoTime, path: Path, loader: str) -> TwoTime:
    """The data with matrices from the cache, which are put there now if they are not; the provenance says so.

    The data come back as they are where the file can be read in parts, where there is no place for an entry, and,
    with a warning, where it cannot be written.
    """
    root = cache_root()
    if root is None or not isinstance(data.c2, StoredMatrices):
        return data
    stored = data.c2.windows(0)
    if not stored.whole:
        return data
    key = _key(data, path, loader)
    entry = root / "files" / f"{file_name(path.stem)[:60]}-{_digest(key)}{_SUFFIX}"
    if (kept := _kept(entry, key)) is None:
        if not _write(entry, key, data, stored.itemsize):
            return data
        kept = _kept(entry, key)
    if kept is None:
        return data
    note = {"file": str(entry), "of": str(path)}
    matrices = CachedMatrices(entry, kept, data.c2)
    return replace(data, c2=matrices, provenance={**data.provenance, "cache": note})


def _key(data: TwoTime, path: Path, loader: str) -> dict[str, Any]:
    """All that the matrices of an entry depend on, as it comes back from JSON."""
    status, owner = path.stat(), manager().owner("loader", loader)
    origin = data.provenance
    key = {
        "file": str(path.absolute()),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "linked": origin.get("linked", []),
        "layout": f"{loader} of {owner.distribution} {owner.version}",
        "selection": origin["selection"],
        "dt_source": origin["dt_source"],
        "bins": [data.label(bin) for bin in range(data.n_bins)],
        "frames": origin["frames"],
        "reader": version("heterodyne-core"),
    }
    return json.loads(json.dumps(key, default=str))


def _digest(key: Mapping[str, Any]) -> str:
    return sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


def _kept(entry: Path, key: Mapping[str, Any]) -> StoredMatrices | None:
    """The matrices of the entry, which is marked as used now; None if there is none that serves."""
    if not entry.exists():
        return None
    try:
        found = own.load(entry, Selection())
        matrices = found.c2
        if found.provenance.get("cache_of") != key or not isinstance(matrices, StoredMatrices):
            raise DataError(f"{entry} holds something else")
    except DataError as error:
        _remove(entry, error)
        return None
    with suppress(OSError):
        os.utime(entry)
    return matrices


def _write(entry: Path, key: Mapping[str, Any], data: TwoTime, itemsize: int) -> bool:
    """Whether the entry was written; a warning says why not."""
    size = data.n_bins * data.n_frames**2 * itemsize // 2
    try:
        if size > LARGEST:
            raise DataError(
                f"its matrices take {size / 2**30:.1f} GiB, the cache at most {LARGEST / 2**30:.1f}"
            )
        if not writable(entry.parent):
            raise DataError(f"nothing can be written in {entry.parent}")
        _make_room(entry.parent, LARGEST - size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of gaps, which whoever uses them is told of
            replace(data, weight=None, provenance={"cache_of": key}).save(entry)
    except DataError as error:
        warnings.warn(f"{key['file']} is read without the cache: {error}", stacklevel=4)
        return False
    return True


def _make_room(folder: Path, most: int) -> None:
    """Remove the entries unused for longest until the others take at most so many bytes."""
    entries = [
        (status.st_mtime, status.st_size, path)
        for path in folder.glob(f"*{_SUFFIX}")
        if (status := path.stat())
    ]
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= size


def _remove(entry: Path, error: DataError) -> None:
    with suppress(OSError):
        entry.unlink(missing_ok=True)
    warnings.warn(
        f"an entry of the cache cannot be used and is made again by the next load: {error}", stacklevel=3
    )
