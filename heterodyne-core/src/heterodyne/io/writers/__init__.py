"""Outputs of a fit and of data, one per module."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, cast

from heterodyne.errors import HeterodyneError, PluginError
from heterodyne.plugins.manager import manager

if TYPE_CHECKING:
    from heterodyne.plugins.records import WriterRecord
    from heterodyne.result import Fit


OUTPUTS = ("json", "npz", "profiles")
"""What is written of every fit where no outputs are named."""


def default_outputs(optimizer: str) -> tuple[str, ...]:
    """What is written of a new fit by this optimizer where no outputs are named."""
    record = manager().listing("optimizer").get(optimizer)
    return (*OUTPUTS, *getattr(record, "outputs", ()))


def write_fit(fit: Fit, folder: Path, write: Iterable[str] | None) -> list[Path]:
    """Let the named writers write into ``folder``, which is made if need be; returns the paths written.

    None names those of `default_outputs`, of which a fit that was read back has `OUTPUTS` alone. Raises
    `PluginError` for an unknown writer before anything is written, and `HeterodyneError` where the folder
    cannot be written. A writer that fails does not keep the others from writing; then `PluginError` names it.
    """
    if write is None:
        write = OUTPUTS if fit.problem is None else default_outputs(fit.optimizer)
    writers = {record.name: record.resolve() for record in find_writers(write)}
    written: list[Path] = []
    failed: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, writer in writers.items():
            try:
                written += writer(fit, folder)
            except (OSError, HeterodyneError):
                raise
            except Exception as error:  # a stranger's code: it must not cost the other outputs
                failed.append(f"{name!r} ({type(error).__name__}: {error})")
    except OSError as error:
        raise HeterodyneError(f"cannot write to {folder}: {error.strerror or error}") from error
    if failed:
        listing = ", ".join(map(str, written)) or "nothing"
        raise PluginError(f"writer {', '.join(failed)} failed; written: {listing}")
    return written


def find_writers(names: Iterable[str]) -> list[WriterRecord]:
    """The records of these writers; raises `PluginError` for a name that is not installed."""
    if isinstance(names, str):
        names = (names,)
    if not isinstance(names, Iterable):
        raise HeterodyneError(f"writers are given as a list of names, not {names!r}")
    return [cast("WriterRecord", manager().find("writer", name)) for name in dict.fromkeys(names)]


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
