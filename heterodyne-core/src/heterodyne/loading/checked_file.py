"""`CheckedFile`: an HDF5 file whose members have passed the rules for links and for data that lie elsewhere.

A link inside the file is followed, one into another file only where that is allowed. Data may lie elsewhere: those
of a virtual dataset in files of the same folder, named without a path, and with links allowed anywhere; those
of a dataset with external storage only with links allowed. A virtual dataset whose sources are gone reads as
fill values without an error, and one that is its own source crashes the library: both are refused here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py

from heterodyne.errors import DataError, reading
from heterodyne.loading.examination import check_in_a_process
from heterodyne.loading.heaps import GuardedFile
from heterodyne.loading.storage import check_written

_HOPS = 16
"""Links and virtual datasets that may lead to one another; HDF5's own limit for links."""

_HARD, _SOFT = 0, 1  # kinds of links, H5L_type_t

_FOLLOWED: ContextVar[dict[Path, None] | None] = ContextVar("_FOLLOWED", default=None)


@contextmanager
def followed() -> Iterator[dict[Path, None]]:
    """The other files in which data are found while the block runs, in that order."""
    others: dict[Path, None] = {}
    token = _FOLLOWED.set(others)
    try:
        yield others
    finally:
        _FOLLOWED.reset(token)


class _Absent(Exception):
    """There is no member of this name."""


class CheckedFile(h5py.File):
    """An HDF5 file, read-only and without locks (network file systems, files being copied).

    Members are taken by their path: ``file[path]`` raises `DataError` for what is wrong with one, also where a
    link leads nowhere. ``guarded`` looks at every heap before the library does, and at the sources of virtual
    datasets; without it many values are read faster. ``hops`` counts the files that led here.
    """

    def __init__(self, path: Path, allow_links: bool = False, guarded: bool = True, hops: int = 0) -> None:
        self.path, self.allow_links, self.guarded, self.hops = path, allow_links, guarded, hops
        self._groups: dict[str, tuple[CheckedFile, str]] = {"": (self, "")}
        self._members: dict[str, h5py.Group | h5py.Dataset | h5py.Datatype] = {}
        self._sound: dict[tuple[Path, str], bool] = {}  # of virtual datasets; False while one is looked at
        self._others = ExitStack()
        source = self._others.enter_context(GuardedFile(path)) if guarded else path
        try:
            super().__init__(source, "r", locking=False)
        except BaseException:
            self._others.close()
            raise

    @property
    def filename(self) -> str:
        """The name under which it was opened."""
        return str(self.path)

    def close(self) -> None:
        """Close it and the files that were opened for it."""
        self._members.clear()
        super().close()
        self._others.close()

    def __contains__(self, name: object) -> bool:
        """Whether there is a member or a link of this name, wherever the link leads."""
        try:
            if name not in self._members:
                self._target(str(name))
        except _Absent:
            return False
        except DataError:
            return True
        return True

    def __getitem__(self, name: Any) -> Any:
        """The group or dataset of this name."""
        if name not in self._members:
            try:
                file, key = self._target(name)
            except _Absent:
                raise DataError(f"{self.path} has no {name}") from None
            with reading(f"{file.path}: {key}"):
                self._members[name] = file._member(key)
        return self._members[name]

    def get(self, name: Any, default: Any = None, *kinds: Any, **options: Any) -> Any:
        """The member of this name, ``default`` where there is none."""
        if kinds or options:
            return super().get(name, default, *kinds, **options)
        if name not in self:
            return default
        return self[name]

    def _target(self, name: str, hops: int = 0) -> tuple[CheckedFile, str]:
        """The file and the path in it, free of links, to which ``name`` leads; raises `_Absent` or `DataError`."""
        if hops + self.hops > _HOPS:
            raise DataError(f"{self.path}: {name.strip('/')} is a link that leads to itself")
        above, _, own = name.strip("/").rpartition("/")
        if above not in self._groups:
            self._groups[above] = self._target(above, hops)
        file, group = self._groups[above]
        if own in ("", "."):
            return file, group
        return file._leads(f"{group}/{own}" if group else own, hops)

    def _leads(self, here: str, hops: int) -> tuple[CheckedFile, str]:
        """Where a member or a link of a group leads."""
        link = self._link(here)
        if link is None:
            return self, here
        if isinstance(link, h5py.SoftLink):
            words, file = f"{here} is a link to {link.path}", self
            path = link.path if link.path.startswith("/") else f"{here.rpartition('/')[0]}/{link.path}"
        else:
            words, path = f"{here} is a link to {link.path} in {link.filename}", link.path
            other = self._other(link.filename, f"{self.path}: {words}", inside=False)
            file = self._others.enter_context(self._opened(other, self.guarded))
        try:
            return file._target(path, hops + 1)
        except _Absent:
            raise DataError(f"{self.path}: {words}, which does not exist") from None

    def _link(self, here: str) -> h5py.SoftLink | h5py.ExternalLink | None:
        """The link of this name, None for a member; raises `_Absent` if there is neither."""
        links, name = self.id.links, self._e(here)
        with reading(f"{self.path}: {here}"):
            if not self._exists(here):
                raise _Absent(here)
            kind = links.get_info(name).type
            if kind == _HARD:
                return None
            if kind == _SOFT:
                return h5py.SoftLink(self._d(links.get_val(name)))
            file, path = links.get_val(name)
            return h5py.ExternalLink(os.fsdecode(file), self._d(path))

    def _exists(self, here: str) -> bool:
        try:
            return self.id.links.exists(self._e(here))
        except RuntimeError:
            above = here.rpartition("/")[0]
            if not above or isinstance(super().__getitem__(above), h5py.Group):
                raise  # damaged
            return False  # nothing lies in a dataset

    def _member(self, key: str) -> h5py.Group | h5py.Dataset | h5py.Datatype:
        """The group or dataset at a path without links; data that lie elsewhere are checked."""
        found = super().__getitem__(key or "/")
        if not isinstance(found, h5py.Dataset):
            return found
        layout = found.id.get_create_plist()
        if layout.get_layout() == h5py.h5d.VIRTUAL:
            self._check_sources(found, key)
        elif layout.get_external_count():
            self._check_external(found, key)
        else:
            return found
        # HDF5 opens sources as it has opened the file: the guard would be taken for each of them
        return self._unguarded._member(key) if self.guarded else found

    @cached_property
    def _unguarded(self) -> CheckedFile:
        check_in_a_process(self.path)
        return self._others.enter_context(self._opened(self.path, False))

    def _check_external(self, found: h5py.Dataset, key: str) -> None:
        for name, offset, size in found.external or ():
            where = f"{self.path}: {key} has its values in {name}"
            if self._other(name, where, inside=False).stat().st_size < offset + size:
                raise DataError(f"{where}, which is too short")

    def _check_sources(self, found: h5py.Dataset, key: str) -> None:
        """Raise `DataError` unless every value of a virtual dataset has a source."""
        place = (self.path.resolve(), key)
        if (sound := self._sound.get(place)) is not None:
            if not sound:
                raise DataError(f"{self.path}: {key} is a virtual dataset that is its own source")
            return
        self._sound[place] = False
        sources = found.virtual_sources()
        if sum(source.vspace.get_select_npoints() for source in sources) < math.prod(found.shape):
            raise DataError(f"{self.path}: {key} is a virtual dataset with values that have no source")
        for name in {source.file_name for source in sources}:
            self._check_source(name, [source for source in sources if source.file_name == name], key)
        self._sound[place] = True

    def _check_source(self, name: str, maps: list[Any], key: str) -> None:
        where = f"{self.path}: {key} is a virtual dataset whose source {name}"
        if "%" in name:
            raise DataError(f"{where} is a pattern of names; write it with the names of its files")
        if name == ".":
            self._check_maps(self, maps, where)
            return
        path = self._other(name, where, inside=True)
        if self.guarded:
            with self._opened(path, True) as file:
                self._check_maps(file, maps, where)

    def _check_maps(self, file: CheckedFile, maps: list[Any], where: str) -> None:
        """Raise `DataError` if the datasets in one source file do not hold all that is taken from them."""
        for taken in maps:
            source = file[taken.dset_name]
            if not isinstance(source, h5py.Dataset):
                raise DataError(f"{where} holds no dataset {taken.dset_name}")
            if not _holds(source.shape, taken):
                raise DataError(f"{where} holds too little: {taken.dset_name} has shape {source.shape}")
            check_written(source, f"{file.path}: {taken.dset_name}")

    def _other(self, name: str, where: str, inside: bool) -> Path:
        """The other file; raises `DataError` if it may not be read or is not there.

        ``inside``: a name without a path, one of the same folder, is read without being allowed.
        """
        if not self.allow_links and not (inside and Path(name).name == name):
            raise DataError(
                f"{where}: another file is read only where links are allowed (--allow-links, in Python "
                "allow_links=True); allow it for files that you trust"
            )
        path = self.path.parent / name
        if not path.is_file():
            raise DataError(f"{where} is missing or no file: put it beside this one")
        if (others := _FOLLOWED.get()) is not None:
            others[path] = None
        return path

    def _opened(self, path: Path, guarded: bool) -> CheckedFile:
        if self.hops >= _HOPS:
            raise DataError(f"{self.path}: its data lie in files that lead to one another without end")
        with reading(path):
            file = CheckedFile(path, self.allow_links, guarded, self.hops + 1)
        file._sound = self._sound
        return file


def _holds(shape: tuple[int, ...], taken: Any) -> bool:
    """Whether a source of this shape has all that a virtual dataset takes from it."""
    space = taken.src_space
    if space.get_select_type() == h5py.h5s.SEL_ALL:  # without an extent of its own
        return math.prod(shape) == taken.vspace.get_select_npoints()
    last = space.get_select_bounds()[1]
    return len(last) == len(shape) and all(end < n for end, n in zip(last, shape, strict=True))
