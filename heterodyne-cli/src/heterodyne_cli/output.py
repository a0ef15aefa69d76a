"""What commands have in common on the way out: JSON, progress, files that must not be lost."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, TextIO

from heterodyne.errors import ConfigError, escaped, escaped_lines

NAME = "heterodyne"
"""The name of the program, which begins its lines of warnings and errors."""

NOT_CONVERGED = 3
"""The exit status of a fit that ran but did not converge."""

_SECONDS_BETWEEN_LINES = 5.0


def extent(n_bins: int, n_frames: int) -> str:
    """The size of two-time data in words: ``3 bins of 300 frames``."""
    return f"{n_bins} {'bin' if n_bins == 1 else 'bins'} of {n_frames} frames"


def show(text: str, file: TextIO | None = None) -> None:
    """Print the text; what a terminal would obey in it, as it may come from files, is escaped."""
    print(escaped_lines(text), file=file)


def print_json(value: Any) -> None:
    """Print ``value`` as JSON."""
    show(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


@contextmanager
def progress(quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Where lines of progress go: one changing line on a terminal, else a line now and then, or nowhere."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    if quiet:
        yield lambda line: None
    elif console.is_terminal:
        with console.status("reading") as status:
            yield lambda line: status.update(Text(escaped(line)))
    else:
        yield _seldom(lambda line: show(line, sys.stderr))


def _seldom(say: Callable[[str], None]) -> Callable[[str], None]:
    """``say``, at most once in a few seconds, so that log files stay readable."""
    said = -math.inf

    def throttled(line: str) -> None:
        nonlocal said
        if monotonic() - said >= _SECONDS_BETWEEN_LINES:
            said = monotonic()
            say(line)

    return throttled


def refuse_existing(path: Path, force: bool) -> None:
    """Raise `ConfigError` if ``path`` exists and may not be replaced."""
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file in it")
    if os.path.lexists(path) and not force:
        raise ConfigError(f"{path} exists already: choose another name or add --force")
