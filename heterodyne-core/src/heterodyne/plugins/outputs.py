"""Outputs of results: named writers, each of one kind of result, and what is written by default."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from heterodyne.errors import HeterodyneError, PluginError
from heterodyne.plugins.manager import manager
from heterodyne.plugins.records import WriterRecord, writer_key

OUTPUTS = ("json", "npz", "profiles")
"""What is written of every fit where no outputs are named."""


@runtime_checkable
class Writer(Protocol):
    """Writes one kind of output of a result into a folder, which exists, and returns the paths written.

    The result is a `heterodyne.result.Fit`, or what the writer's record says in ``of``.
    """

    def __call__(self, result: Any, folder: Path, /) -> list[Path]: ...


def default_outputs(optimizer: str) -> tuple[str, ...]:
    """What is written of a new fit by this optimizer where no outputs are named."""
    record = manager().listing("optimizer").get(optimizer)
    return (*OUTPUTS, *getattr(record, "outputs", ()))


def write_outputs(result: object, folder: Path, names: Iterable[str], of: str = "fit") -> list[Path]:
    """Let the named writers write a result of the kind ``of`` into ``folder``; returns the paths written.

    The folder is made if need be. Raises `PluginError` for an unknown writer before anything is written, and
    `HeterodyneError` where the folder cannot be written. A writer that fails does not keep the others from
    writing; then `PluginError` names it.
    """
    writers = {record.name: record.resolve(Writer) for record in find_writers(names, of)}
    written: list[Path] = []
    failed: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, writer in writers.items():
            try:
                written += _files(writer(result, folder))
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


def _files(returned: object) -> list[Path]:
    """What a writer returned; raises `TypeError` if that is no list of files."""
    if isinstance(returned, list) and all(isinstance(path, Path) and path.is_file() for path in returned):
        return returned
    raise TypeError(f"it returned {returned!r}, not a list of the files that it wrote")


def find_writers(names: Iterable[str], of: str = "fit") -> list[WriterRecord]:
    """The records of these writers of results of the kind ``of``.

    Another kind than a fit has writers for some names only. Raises `PluginError` for a name that is not
    installed at all.
    """
    if isinstance(names, str):
        names = (names,)
    if not isinstance(names, Iterable):
        raise HeterodyneError(f"writers are given as a list of names, not {names!r}")
    found, listing = [], manager().listing("writer")
    for name in dict.fromkeys(names):
        key = writer_key(of, name)
        if key in listing:
            found.append(cast(WriterRecord, listing[key]))
        elif of == "fit" or name not in listing:
            manager().find("writer", name)  # which says what exists and what to install
    return found
