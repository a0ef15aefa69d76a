"""The parent's side of a worker process: start it, hand over a task, hear its answer, never leave it behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from subprocess import PIPE, Popen
from threading import Lock
from typing import IO, Any

from heterodyne.executors.task import Answer

THREAD_VARIABLES = (
    "NPROC",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "PYTHON_CPU_COUNT",
)
"""What holds a process to a number of threads.

NPROC sizes XLA's pools on the CPU, where the flag ``--xla_cpu_multi_thread_eigen=false`` has no effect and
``--intra_op_parallelism_threads`` is unknown and aborts (jaxlib 0.10 and 0.12). LAPACK of SciPy, which JAX calls,
is OpenBLAS. PYTHON_CPU_COUNT is what `os.cpu_count` returns from Python 3.13 on.
"""

_COMMAND = (sys.executable, "-P", "-m", "heterodyne.executors.worker")
_KINDS = ("progress", "result", "error")
_TAIL = 4096


def ask(text: str, threads: int, tell: Callable[[str], None], crew: Crew) -> Answer:
    """The answer of a fresh process to the task ``text`` (JSON), its progress passed on to ``tell``.

    Raises `concurrent.futures.CancelledError` if ``crew`` has been stopped.
    """
    answer = None
    with tempfile.TemporaryFile() as complaints:
        with crew.member(threads, complaints) as process:
            _write(process, text)
            for line in process.stdout or ():
                kind, value = _message(line)
                if kind == "progress":
                    tell(value)
                else:
                    answer = Answer(**{kind: value})
                    break
            status = process.wait()
        return answer or Answer(died=death(status, complaints))


class Crew:
    """The worker processes that are alive: when the crew is stopped they are killed and none starts any more."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._alive: set[Popen[str]] = set()
        self._stopped = False

    @contextmanager
    def member(self, threads: int, complaints: IO[bytes]) -> Iterator[Popen[str]]:
        """A worker process that has ended when the block is left; raises `CancelledError` once stopped."""
        with self._lock:
            if self._stopped:
                raise CancelledError
            process = Popen(
                _COMMAND,
                stdin=PIPE,
                stdout=PIPE,
                stderr=complaints,
                encoding="utf-8",
                errors="replace",
                env=environment(threads),
            )
            self._alive.add(process)
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # a task that a dead process did not take is still in the buffer
                    pipe.close()  # pyright: ignore[reportOptionalMemberAccess]
            with self._lock:
                self._alive.remove(process)

    def stop(self) -> None:
        """Kill every worker process that is alive."""
        with self._lock:
            self._stopped = True
            for process in self._alive:
                process.kill()


def environment(threads: int) -> dict[str, str]:
    """This process's environment with the number of threads fixed."""
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}


def _write(process: Popen[str], text: str) -> None:
    assert process.stdin is not None
    with suppress(OSError):  # it died while it started: its exit status tells
        print(text, file=process.stdin, flush=True)


def _message(line: str) -> tuple[str, Any]:
    """Kind and value of a line; one that is not ours, from code that runs before ours, counts as progress."""
    try:
        ((kind, value),) = json.loads(line).items()
    except (ValueError, AttributeError):
        kind, value = "", None
    return (kind, value) if kind in _KINDS else ("progress", line.strip())


def death(status: int, complaints: IO[bytes]) -> str:
    """How a process ended that gave no answer, with the last line that it wrote on standard error."""
    if status < 0:
        how = f"killed by signal {-status} ({signal.strsignal(-status) or 'unknown'})"
        if -status == getattr(signal, "SIGKILL", 0):
            how += ", perhaps by the system for lack of memory (try fewer workers)"
    else:
        how = f"ended with status {status} and no answer"
    complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - _TAIL))
    lines = complaints.read().decode("utf-8", errors="replace").strip().splitlines()
    return f"{how}: {lines[-1].strip()}" if lines else how
