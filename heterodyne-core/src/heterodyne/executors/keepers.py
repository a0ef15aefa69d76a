"""Keepers: processes that hold what they were given from one question to the next, as the process of a task does not.

Question and answer are bytes, whose meaning a function knows that ``target``, "package.module:name", makes once in
every process. A process that dies is started afresh and asked again: it knows nothing then, and its answer may say so.
"""

from __future__ import annotations

import struct
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, suppress
from queue import Empty, SimpleQueue
from subprocess import PIPE, Popen
from threading import Lock
from typing import IO, Any, Protocol, TypeVar, runtime_checkable

from heterodyne.errors import HeterodyneError
from heterodyne.executors.process import death, environment
from heterodyne.executors.processes import died_always

Item = TypeVar("Item")

_COMMAND = (sys.executable, "-P", "-m", "heterodyne.executors.keeper")
_LENGTH = struct.Struct(">Q")


class Keepers(Protocol):
    """So many keepers, numbered from 0."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def ask(self, questions: Mapping[int, bytes]) -> dict[int, bytes]:
        """The answers of these keepers, which work side by side; several threads may ask."""
        ...


@runtime_checkable
class OpenKeepers(Protocol):
    """Keepers for as long as the block runs: at most ``most``, as the ``settings`` of the executor have it.

    ``target`` makes what answers; ``tell`` is called with a line of text where one is lost or waited for.
    """

    def __call__(
        self, target: str, settings: Mapping[str, Any], most: int, tell: Callable[[str], None]
    ) -> AbstractContextManager[Keepers]: ...


@runtime_checkable
class Answering(Protocol):
    """What a ``target`` makes: from a question to its answer."""

    def __call__(self, question: bytes) -> bytes: ...


@runtime_checkable
class KeeperTarget(Protocol):
    """What a ``target`` is."""

    def __call__(self) -> Answering: ...


class KeeperProcess:
    """A keeper as a process of this machine, started by the first question and again after every death."""

    def __init__(self, target: str, threads: int, retries: int, tell: Callable[[str], None]) -> None:
        self._command = (*_COMMAND, target)
        self._threads, self._retries, self._tell = threads, retries, tell
        self._lock = Lock()
        self._process: Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        self._stopped = False

    def ask(self, question: bytes) -> bytes:
        """The answer; raises `HeterodyneError` where it dies of it always, `CancelledError` once it is stopped."""
        with self._lock:
            how = ""
            for _ in range(self._retries + 1):
                process = self._running()
                answer = _exchanged(process, question)
                if answer is not None:
                    return answer
                if self._stopped:
                    raise CancelledError
                how = self._died()
                self._tell(f"a process that keeps data died and begins again: {how}")
            raise HeterodyneError(died_always(self._retries + 1, how))

    def stop(self) -> None:
        """Kill the process, for good; a question that is under way raises `CancelledError`."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _running(self) -> Popen[bytes]:
        if self._stopped:
            raise CancelledError
        if self._process is None:
            self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  # closed when the process is forgotten
            self._process = Popen(
                self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=self._complaints,
                env=environment(self._threads),
            )
            if self._stopped:  # meanwhile
                self._process.kill()
        return self._process

    def _died(self) -> str:
        """How the process ended, which is forgotten."""
        process, complaints = self._process, self._complaints
        assert process is not None
        assert complaints is not None
        self._process = None
        process.kill()
        how = death(process.wait(), complaints)
        complaints.close()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # a question that a dead process did not take is still in the buffer
                pipe.close()  # pyright: ignore[reportOptionalMemberAccess]
        return how


def _exchanged(process: Popen[bytes], question: bytes) -> bytes | None:
    """The answer of a process, None if it dies."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        send(process.stdin, question)
        return receive(process.stdout)
    except OSError:
        return None


def drained(queue: SimpleQueue[Item]) -> list[Item]:
    """What is in a queue, which others may fill or empty meanwhile."""
    items: list[Item] = []
    with suppress(Empty):
        while True:
            items.append(queue.get_nowait())
    return items


def send(pipe: IO[bytes], message: bytes) -> None:
    """Write a message after its length."""
    pipe.write(_LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes | None:
    """The next message, None where the pipe ends before its end."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    message = pipe.read(length)
    return message if len(message) == length else None
