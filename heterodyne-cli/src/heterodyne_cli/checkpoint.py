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

if TYPE_CHECKING:
    from heterodyne.config.schema import FitConfig

_OPTION, _RESUME = "checkpoint", "resume"


def with_checkpoint(settings: FitConfig) -> tuple[FitConfig, Path | None]:
    """The configuration with a checkpoint in the output folder, and that folder.

    The configuration as it is, and None, where the optimizer has no option `checkpoint`, a folder is named
    for it, or nothing is to be written. Raises `ConfigError` where the folder holds a run that is not to be
    resumed.
    """
    options = {option.name for option in optimizer_record(settings.optimizer).options}
    if _OPTION not in options or settings.options.get(_OPTION) or settings.output is None:
        return settings, None
    folder = Path(settings.output) / _OPTION
    if folder.exists() and not settings.options.get(_RESUME):
        raise ConfigError(
            f"{folder} holds a run that was not finished: add --resume to go on with it, or remove that folder"
        )
    return settings.model_copy(update={"options": {**settings.options, _OPTION: str(folder)}}), folder


@contextmanager
def kept_until_done(folder: Path | None) -> Iterator[None]:
    """Remove the folder after the block, in which results are written; say where it is if it is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        if folder is not None and folder.exists():
            print(f"what was done is kept in {folder}: add --resume to go on", file=sys.stderr)
        raise
    if folder is not None and folder.exists():
        shutil.rmtree(folder)
