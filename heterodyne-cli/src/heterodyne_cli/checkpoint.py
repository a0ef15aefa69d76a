"""The folder in which an optimizer keeps what it has done: inside the output folder, until the results are there."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from heterodyne.errors import ConfigError
from heterodyne.plugins.manager import optimizer_record
from heterodyne_cli.output import show

if TYPE_CHECKING:
    from heterodyne.config.schema import FitConfig

OPTION, RESUME = "checkpoint", "resume"


def default_checkpoint(settings: FitConfig) -> Path | None:
    """The folder for the checkpoint in the output folder.

    None where the optimizer does not have both options, another folder is named, or nothing is to be written.
    Raises `ConfigError` where the folder holds a run that is not to be resumed, or is none.
    """
    options = {option.name for option in optimizer_record(settings.optimizer).options}
    if not {OPTION, RESUME} <= options or settings.options.get(OPTION) or settings.output is None:
        return None
    folder = Path(settings.output) / OPTION
    if os.path.lexists(folder) and not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder, and what is done is kept there: remove or rename it")
    if folder.exists() and not settings.options.get(RESUME):
        raise ConfigError(
            f"{folder} holds a run that was not finished: add --resume to go on with it, or remove that folder"
        )
    return folder


@contextmanager
def told_if_interrupted(folder: Path | None) -> Iterator[None]:
    """Say where what was done is kept if the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        if folder is not None and folder.exists():
            show(f"what was done is kept in {folder}: add --resume to go on", sys.stderr)
        raise


def remove_done(folder: Path | None, runs: Iterable[Path | None]) -> None:
    """Remove the folders of these runs in the checkpoint ``folder``, and that where no other run is left in it.

    A run without a folder of its own has all of it.
    """
    if folder is None:
        return
    for run in {folder if run is None else run for run in runs}:
        if run.exists():
            shutil.rmtree(run)
    with suppress(OSError):  # there are other runs, or nothing
        folder.rmdir()
