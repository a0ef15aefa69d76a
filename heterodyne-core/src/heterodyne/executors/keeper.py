"""A process that keeps data: ``python -m heterodyne.executors.keeper TARGET``.

It reads questions from its standard input and writes answers to its standard output, every message after its length
in eight bytes. When its input ends, because the parent closed it or is gone, so does the process, at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import IO

from heterodyne.executors.keepers import KeeperTarget, receive, send
from heterodyne.plugins.records import Record


def main() -> None:
    """Answer questions until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, and it decides
    channel = _take_output()
    questions: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(os.fdopen(os.dup(0), "rb"), questions.put), daemon=True).start()
    answer = Record("keeper", "", sys.argv[1]).resolve(KeeperTarget)()
    while True:
        send(channel, answer(questions.get()))


def _take_output() -> IO[bytes]:
    """The standard output for our messages alone: what else is printed goes to standard error."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return channel


def _listen(pipe: IO[bytes], put: Callable[[bytes], None]) -> None:
    while (question := receive(pipe)) is not None:
        put(question)
    os._exit(0)


if __name__ == "__main__":
    main()
