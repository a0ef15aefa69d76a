"""The folder in which an optimizer keeps what it has done: inside the output folder, until the results are there."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
    Raises `ConfigError` where the folder holds a run that is not to be resumed.
    """
    options = {option.name for option in optimizer_record(settings.optimizer).options}
    if not {OPTION, RESUME} <= options or settings.options.get(OPTION) or settings.output is None:
        return None
    folder = Path(settings.output) / OPTION
    if folder.exists() and not settings.options.get(RESUME):
        raise ConfigError(
            f"{folder} holds a run that was not finished: add --resume to go on with it, or remove that folder"
        )
    return folder


@contextmanager
def kept_until_done(folder: Path | None) -> Iterator[None]:
    """Remove the folder after the block, in which results are written; say where it is if it is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        if folder is not None and folder.exists():
            show(f"what was done is kept in {folder}: add --resume to go on", sys.stderr)
        raise
    if folder is not None and folder.exists():
        shutil.rmtree(folder)
