"""A process that runs one task: ``python -m heterodyne.executors.worker``.

It reads the task as a line of JSON from its standard input, and writes lines of JSON to its standard output:
``{"progress": text}`` any number of times and last ``{"result": value}`` or ``{"error": text}``. Its input stays
open as long as it is wanted: when it ends, because the parent closed it or is gone, so does the process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from heterodyne.errors import HeterodyneError
from heterodyne.executors.task import Task, TaskFunction
from heterodyne.plugins.records import Record


def main() -> None:
    """Run the task on standard input and end the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, and it decides
    channel = _take_output()
    task = Task(**json.loads(sys.stdin.buffer.readline()))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = threading.Lock()

    def send(kind: str, value: Any) -> None:
        line = json.dumps({kind: value})
        with lock:
            print(line, file=channel, flush=True)

    warnings.showwarning = lambda message, category, *_: send("progress", f"{category.__name__}: {message}")
    _run(task, send)
    sys.stderr.flush()
    os._exit(0)  # threads and exit handlers of libraries can neither hold the process nor crash it now


def _run(task: Task, send: Callable[[str, Any], None]) -> None:
    try:
        function = Record(task.name, "", task.target).resolve(TaskFunction)
        send("result", function(**task.arguments, progress=lambda line: send("progress", str(line))))
    except HeterodyneError as error:
        send("error", str(error))
    except Exception as error:  # anyone's function may raise anything: it is reported, not retried
        send("error", _last_line(error))


def _take_output() -> TextIO:
    """The standard output for our lines alone: what else is printed goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def _end_with_parent() -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would abort an interpreter that ends in another way
        pass
    os._exit(1)


def _last_line(error: Exception) -> str:
    """The type and message of an exception, and where it was raised."""
    message = " ".join("".join(traceback.format_exception_only(error)).split())
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{message} ({Path(frame.filename).name}, line {frame.lineno})"


if __name__ == "__main__":
    main()
