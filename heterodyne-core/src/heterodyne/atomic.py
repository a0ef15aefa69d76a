"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from heterodyne.errors import DataError, HeterodyneError


def as_path(name: object) -> Path:
    """``name`` as a path; raises `DataError` for what does not name a file or folder, an empty name too."""
    if not isinstance(name, str | os.PathLike) or not os.fspath(name) or "\0" in str(name):
        raise DataError(f"{name!r} does not name a file or a folder")
    return Path(name)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name in the folder of ``path``; what is written there becomes ``path`` when the block ends.

    The file is flushed to disk and renamed, so that a killed run leaves the old file or the new one. If the
    block raises, the temporary file is removed and ``path`` stays as it was. Raises `DataError` if the
    folder does not exist or nothing can be written there.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise DataError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise DataError(f"cannot write {path}: it is a folder")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with open(temporary, "r+b") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


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
