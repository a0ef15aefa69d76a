"""Where numbers come from: the file, and the versions that read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from heterodyne.words import as_utf8

_HASHED = 64 * 2**20  # bytes; reading more than this only for a checksum would double the time of a load


def file_provenance(path: str | Path) -> dict[str, Any]:
    """The file as it was named, its size in bytes, and its sha256 or, above 64 MiB, mtime_ns."""
    status = Path(path).stat()
    found: dict[str, Any] = {"file": as_utf8(str(path)), "size": status.st_size}
    if status.st_size > _HASHED:
        return {**found, "mtime_ns": status.st_mtime_ns}
    with open(path, "rb") as file:
        return {**found, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def linked_provenance(paths: Iterable[Path]) -> dict[str, Any]:
    """Under ``linked`` the other files in which data were found, as `file_provenance` knows them."""
    found = [file_provenance(path) for path in paths]
    return {"linked": found} if found else {}
