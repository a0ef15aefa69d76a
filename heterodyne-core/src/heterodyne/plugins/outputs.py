"""Outputs of results: named writers, each of one kind of result, and what is written by default."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from heterodyne.errors import HeterodyneError, PluginError
from heterodyne.plugins.manager import manager
from heterodyne.plugins.records import WriterRecord, writer_key
from heterodyne.switch import changing

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


@dataclass(frozen=True)
class Output:
    """One output of a run: its name, what writes it into a folder, and where that is in the folder of the run."""

    name: str
    write: Callable[[Path], list[Path]]
    place: str = "."


def outputs_of(result: object, names: Iterable[str], of: str = "fit", place: str = ".") -> list[Output]:
    """What the named writers write of a result of the kind ``of``; raises `PluginError` for an unknown one."""
    return [
        Output(record.name, partial(record.resolve(Writer), result), place)
        for record in find_writers(names, of)
    ]


def save_outputs(outputs: Iterable[Output], folder: Path, run: str) -> list[Path]:
    """Write the outputs of the run named ``run`` into ``folder`` as `changing` does; returns the paths written.

    The folder is made if need be. Raises `HeterodyneError` where it cannot be written. A writer that fails does
    not keep the others from writing; then `PluginError` names it.
    """
    written: list[Path] = []
    failed: list[str] = []
    with changing(folder, run) as stage:
        for output in outputs:
            home = stage / output.place
            home.mkdir(parents=True, exist_ok=True)
            try:
                written += _files(output.write(home))
            except (OSError, HeterodyneError):
                raise
            except Exception as error:  # a stranger's code: it must not cost the other outputs
                reason = str(error).replace(str(stage), str(folder))
                failed.append(f"{output.name!r} ({type(error).__name__}: {reason})")
        written = [
            folder / path.relative_to(stage) if path.is_relative_to(stage) else path for path in written
        ]
    if failed:
        listing = ", ".join(map(str, written)) or "nothing"
        raise PluginError(f"writer {', '.join(failed)} failed; written: {listing}")
    return written


def name_of_run(text: str) -> str:
    """A name that tells the result of this text from others."""
    return sha256(text.encode()).hexdigest()


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
