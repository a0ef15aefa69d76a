"""The executor `serial`: one task after another on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from heterodyne.executors.processes import run
from heterodyne.executors.settings import read_settings
from heterodyne.executors.task import Event, Outcome, Task


def execute(
    tasks: Sequence[Task], settings: Mapping[str, Any], on_event: Callable[[Event], None]
) -> list[Outcome]:
    """The outcomes of the tasks, run one after another."""
    return run(tasks, 1, read_settings("serial", settings, ("retries",)).retries, on_event)
