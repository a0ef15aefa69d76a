"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import platform
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryFile

from heterodyne.errors import DataError, HeterodyneError

_TAG = r"[0-9a-f]{6}-[0-9]+"

_LEFTOVER = re.compile(rf"\..*\.({_TAG})\.[0-9a-f]{{8}}\.tmp", re.DOTALL)


def as_path(name: object) -> Path:
    """``name`` as a path; raises `DataError` for what does not name a file or folder, an empty name too."""
    if not isinstance(name, str | os.PathLike) or not os.fspath(name) or "\0" in str(name):
        raise DataError(f"{name!r} does not name a file or a folder")
    return Path(name)


def file_name(text: str) -> str:
    """``text`` as part of the name of a file: what separates or hides names is written as %XX."""
    return re.sub(r'^\.|[/\\%:*?"<>|\x00-\x1f\x7f]', lambda found: f"%{ord(found[0]):02X}", text)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name in the folder of ``path``; what is written there becomes ``path`` when the block ends.

    The file is flushed to disk and renamed, so that a killed run leaves the old file or the new one. If the
    block raises, the temporary file is removed and ``path`` stays as it was; those that killed processes left in
    the folder are removed. Raises `DataError` if the folder does not exist or nothing can be written there.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise DataError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise DataError(f"cannot write {path}: it is a folder")
    temporary = path.parent / hidden_name(path.name, "tmp")
    try:
        remove_leftovers(path.parent, _LEFTOVER)
        yield temporary
        with open(temporary, "r+b") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error).replace(temporary.name, path.name)
        raise DataError(f"cannot write {path}: {reason}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def hidden_name(name: str, suffix: str) -> str:
    """A name that nothing bears, hidden, which says whose process made it: ``.NAME.PROCESS.HEX.SUFFIX``."""
    return f".{_short(name)}.{process_tag()}.{secrets.token_hex(4)}.{suffix}"


def _short(name: str) -> str:
    """The name, or what stands for it where the rest of a `hidden_name` would make it too long for a file."""
    return name if len(name) <= 60 else f"{name[:40]}-{sha256(os.fsencode(name)).hexdigest()[:16]}"


def process_tag() -> str:
    """The host of this process, as six digits, and its number, as they stand in `hidden_name`."""
    namespace = Path("/proc/self/ns/pid")  # a container may bear its host's name and count anew
    where = f"{platform.node()} {namespace.stat().st_ino if namespace.exists() else ''}"
    return f"{sha256(where.encode()).hexdigest()[:6]}-{os.getpid()}"


def has_ended(tag: str) -> bool:
    """Whether the process of this `process_tag` ran on this host and is gone."""
    host, number = tag.split("-")
    if os.name != "posix" or host != process_tag().split("-")[0]:
        return False
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:  # it is somebody else's
        return False
    return False


def leftover_names(name: str, suffix: str) -> re.Pattern[str]:
    """What `hidden_name` calls things of this name; group 1 is the tag of the process."""
    return re.compile(rf"\.{re.escape(_short(name))}\.({_TAG})\.[0-9a-f]{{8}}\.{suffix}")


def remove_leftovers(folder: Path, names: re.Pattern[str]) -> None:
    """Remove what processes that have ended left in ``folder`` under such `leftover_names`."""
    with suppress(OSError), os.scandir(folder) as entries:
        left = [entry for entry in entries if (found := names.fullmatch(entry.name)) and has_ended(found[1])]
        for entry in left:
            if entry.is_dir(follow_symlinks=False):
                rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)


def check_folder(folder: Path) -> None:
    """Raise `HeterodyneError` if ``folder`` could not be written or made; nothing is left behind.

    A file is made for a moment in the nearest folder that exists: permissions alone do not tell for the
    superuser, nor on read-only and virtual file systems.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise HeterodyneError(f"cannot write to {folder}: {existing} is not a folder")
    try:
        with TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise HeterodyneError(f"cannot write to {folder}: {error.strerror or error}") from error
