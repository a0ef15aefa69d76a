"""What an executor is given and gives back: tasks, events while they run, outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from heterodyne.errors import ConfigError


@dataclass(frozen=True)
class Task:
    """A call of ``target``, "package.module:function", in a process of its own with ``threads`` threads.

    The function is called as ``function(**arguments, progress=progress)``, where ``progress`` takes a line of
    text; it returns what JSON can hold. ``arguments`` are what JSON can hold, too: paths are strings, and
    absolute, because another machine may have another working folder. ``name`` stands in messages.
    """

    target: str
    arguments: Mapping[str, Any]
    threads: int
    name: str

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ConfigError(f"{self.name} needs at least 1 thread, not {self.threads}")

    def to_json(self) -> str:
        """The task as one line of JSON; raises `TypeError` if JSON cannot hold its arguments."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Event:
    """What happens to the task named ``task`` in its attempt number ``attempt``, from 1.

    ``text`` is a line of progress, why the process died, or the error with which the task ended (empty if it
    has a result). A task that died begins again while it has retries left. An event of the whole run, before
    any task begins, has an empty ``task`` and attempt 0.
    """

    task: str
    kind: Literal["began", "progress", "died", "ended"]
    attempt: int
    text: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a task: its ``result``, or an ``error`` in one line (else None).

    ``seconds`` is the wall time from the begin of the first attempt, starts of processes included.
    """

    name: str
    result: Any
    error: str | None
    attempts: int
    seconds: float
    threads: int


@dataclass(frozen=True)
class Answer:
    """What one worker process gave: a result, or why there is none.

    ``error`` is what the function raised: another attempt would raise it again. ``died`` says how the process
    ended without an answer: another attempt may succeed.
    """

    result: Any = None
    error: str | None = None
    died: str | None = None


@runtime_checkable
class TaskFunction(Protocol):
    """What a task calls: with its arguments by name and ``progress``; returns what JSON can hold."""

    def __call__(self, *, progress: Callable[[str], None], **arguments: Any) -> Any: ...


@runtime_checkable
class Executor(Protocol):
    """Runs every task in a process of its own and returns their outcomes in the order of the tasks.

    ``on_event`` is called with what happens meanwhile, in the thread of the caller. A task that fails has an
    outcome that says so; what the user can mend in ``settings`` raises a `HeterodyneError`.
    """

    def __call__(
        self, tasks: Sequence[Task], settings: Mapping[str, Any], on_event: Callable[[Event], None]
    ) -> list[Outcome]: ...
