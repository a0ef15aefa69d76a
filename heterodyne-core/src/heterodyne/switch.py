"""A folder of results that changes as one: what a run writes replaces what the run before it wrote.

New files are made in a hidden folder beside it. When all are there, a journal in the folder says which files come
and which go; from then on the switch is completed, by this process or by the next one that reads or writes the
folder. Old files go before new ones come, so that at no moment both are seen. A list with the hashes of what was
written tells files of a run from those of the user, which are never removed.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import file_digest
from itertools import count
from pathlib import Path, PurePosixPath
from shutil import rmtree
from typing import Any

from heterodyne.atomic import hidden_name, leftover_names, remove_leftovers, replacing
from heterodyne.errors import DataError, HeterodyneError

try:
    import fcntl
except ImportError:  # not on Windows, where folders have no locks
    fcntl = None

LIST = ".heterodyne-files.json"
"""The list of what the last run wrote in a folder."""

JOURNAL = ".heterodyne-switch.json"
"""What a switch that was begun has to do."""

SCHEMA = "heterodyne/files/1"

_STAGE = re.compile(r"\.[^/]+\.new")


@dataclass(frozen=True)
class _Switch:
    """Files with their hashes: ``new`` ones in the folder ``stage``, ``old`` ones that they replace."""

    stage: str
    new: Mapping[str, str]
    old: Mapping[str, str]


@contextmanager
def changing(folder: Path, run: str) -> Iterator[Path]:
    """An empty folder whose content, when the block ends, is what ``run`` wrote in ``folder``, all at once.

    What an earlier run wrote there goes, unless it bears the same name ``run``. A file of the user, or one that the
    user has changed, stays; one in the way of a new file is renamed, with a warning. If the block raises, or writes
    nothing, ``folder`` stays as it was. Raises `HeterodyneError` where it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        settle(folder)
        home = folder.resolve()
        stage = _create_stage(home)
    except OSError as error:
        raise HeterodyneError(f"cannot write to {folder}: {error.strerror or error}") from error
    try:
        yield stage
        _switch(home, stage, run)
    except HeterodyneError as error:
        if str(stage) not in str(error):
            raise
        raise type(error)(str(error).replace(str(stage), str(folder))) from error  # the one that a user knows
    except OSError as error:
        raise HeterodyneError(f"cannot write to {folder}: {error.strerror or error}") from error
    finally:
        if not os.path.exists(home / JOURNAL):
            rmtree(stage, ignore_errors=True)


def settle(folder: Path) -> None:
    """Complete the switch that a killed run began in ``folder`` or in the one around it.

    One that a living process is at is waited for. Raises `DataError` where that cannot be done.
    """
    for home in (folder, folder.absolute().parent):
        if os.path.exists(home / JOURNAL):
            with _locked(home):
                _complete(home.resolve())


def _create_stage(home: Path) -> Path:
    """A hidden folder beside ``home``, or in it where it could not be renamed from there to here."""
    for place in (home.parent, home):
        remove_leftovers(place, leftover_names(home.name, "new"))
    stage = home / hidden_name(home.name, "new")
    stage.mkdir()
    beside = home.parent / stage.name
    with suppress(OSError):  # another disk, or a folder that may not be written
        stage.rename(beside)
        return beside
    return stage


def _switch(home: Path, stage: Path, run: str) -> None:
    """Put the files of ``stage``, if there are any, in place of those that the last run wrote in ``home``."""
    new = {path.relative_to(stage).as_posix(): path for path in stage.rglob("*") if path.is_file()}
    if not new:
        return
    hashes = {name: _hash(path) for name, path in new.items()}
    for path in new.values():
        _flush(path)
    with _locked(home):
        _complete(home)
        last = _read_list(home)
        added = {**last["files"], **hashes} if last["run"] == run else hashes
        _write_json(stage / LIST, {"schema": SCHEMA, "run": run, "files": added})
        old = {name: digest for name, digest in last["files"].items() if name in new or name not in added}
        for name in new:
            _check_place(home, name)
        place = stage.name if stage.parent == home else f"../{stage.name}"
        _write_json(stage / JOURNAL, asdict(_Switch(place, hashes, old)))
        (stage / JOURNAL).replace(home / JOURNAL)
        _flush(home)
        try:
            _complete(home)
        except KeyboardInterrupt:
            _complete(home)
            raise


def _check_place(home: Path, name: str) -> None:
    """Raise `DataError` if no file of this name can come into ``home``."""
    for parent in (home / name).parents:
        if parent == home:
            break
        if parent.is_symlink():
            raise DataError(
                f"cannot write {home / name}: {parent} is a link, and may lead elsewhere; remove it"
            )
    if (home / name).is_dir():
        raise DataError(f"cannot write {home / name}: it is a folder")


def _complete(home: Path) -> None:
    """Do what is left of the switch in ``home``, if there is one. Each step may be repeated."""
    switch = _read_journal(home)
    if switch is None:
        return
    stage = home / switch.stage
    if stage.is_symlink() or any(path.is_symlink() for path in stage.rglob("*")):
        raise DataError(
            f"{home / JOURNAL} names {stage} with links in it, as no run writes: remove {JOURNAL} there"
        )
    if not stage.is_dir():
        raise DataError(
            f"{home}: its run was stopped while it replaced files, and {stage} with the new ones is gone: "
            f"remove {JOURNAL} there and fit again"
        )
    try:
        coming = [name for name in (*switch.new, LIST) if (stage / name).is_file()]
        kept = _clear(home, coming, switch)
        for name in coming:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (stage / name).replace(home / name)
        _flush(home)
        (home / JOURNAL).unlink()
    except OSError as error:
        raise DataError(f"cannot replace files in {home}: {error.strerror or error}") from error
    rmtree(stage, ignore_errors=True)
    if kept:
        warnings.warn(f"{home}: kept what no run has written, {', '.join(kept)}", stacklevel=2)


def _clear(home: Path, coming: list[str], switch: _Switch) -> list[str]:
    """Remove what the last run wrote, and rename what is in the way of ``coming`` files and is the user's.

    Returns the latter in words.
    """
    kept = []
    for place in sorted({str(parent) for name in coming for parent in PurePosixPath(name).parents}):
        path = home / place
        if os.path.lexists(path) and not path.is_dir():
            kept.append(_put_aside(path))
    for name in [*coming, *(name for name in switch.old if name not in switch.new)]:
        path = home / name
        if not os.path.lexists(path):
            continue
        if name == LIST or _hash(path) in (switch.old.get(name), switch.new.get(name)):
            path.unlink()
        elif name in coming:
            kept.append(_put_aside(path))
    _remove_empty(
        home, {str(parent) for name in switch.old for parent in PurePosixPath(name).parents}, coming
    )
    return kept


def _remove_empty(home: Path, places: set[str], coming: list[str]) -> None:
    """Remove those folders in ``home`` that are empty and will stay so."""
    needed = {str(parent) for name in coming for parent in PurePosixPath(name).parents}
    for place in sorted(places - needed, reverse=True):
        with suppress(OSError):  # it holds something
            (home / place).rmdir()


def _put_aside(path: Path) -> str:
    """Rename what is in the way of a new file; returns both names in words."""
    spare = _spare(path)
    path.replace(spare)
    return f"{path.name} as {spare.name}"


def _spare(path: Path) -> Path:
    """A free name next to a file: ``fit.kept-1.json``."""
    names = (path.with_name(f"{path.stem}.kept-{k}{path.suffix}") for k in count(1))
    return next(name for name in names if not os.path.lexists(name))


def _hash(path: Path) -> str:
    """The SHA-256 of a file; nothing for what is no file."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _read_list(home: Path) -> dict[str, Any]:
    """The list of what the last run wrote in ``home``; nothing where there is none that can be read."""
    try:
        found = json.loads((home / LIST).read_text(encoding="utf-8"))
        return {"run": str(found["run"]), "files": _named_within(home, found["files"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"run": "", "files": {}}


def _read_journal(home: Path) -> _Switch | None:
    file = home / JOURNAL
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        stage = str(found["stage"])
        if not _STAGE.fullmatch(stage.removeprefix("../")):
            raise ValueError(stage)
        return _Switch(stage, _named_within(home, found["new"]), _named_within(home, found["old"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is no journal of heterodyne: remove it ({error})") from error


def _named_within(home: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Names and hashes from a file; raises `ValueError` for a name that leads out of ``home``."""
    for name in files:
        if not (home / name).parent.resolve().is_relative_to(home.resolve()) or PurePosixPath(name).name in (
            "",
            "..",
        ):
            raise ValueError(f"{name!r} lies elsewhere")
    return {str(name): str(digest) for name, digest in files.items()}


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _flush(path: Path) -> None:
    """Have a file or folder on the disk, where its file system can tell."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """No other process switches files of ``folder`` during the block, where its file system has locks."""
    with ExitStack() as stack:
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
