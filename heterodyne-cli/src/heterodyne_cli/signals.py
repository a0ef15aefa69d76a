"""Signals that end the program: what runs is interrupted, and the exit status tells by which signal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer, current_thread, main_thread

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals by which a user or a system asks a program to end."""

STATUS = 128
"""To which a shell adds the number of the signal that ended a program."""

WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "ended, as the terminal is gone"}

_AGAIN = 0.02
"""Seconds after which an interruption that a library swallowed is tried again."""


@contextmanager
def noted(restored: bool) -> Iterator[list[int]]:
    """Signals that raise `KeyboardInterrupt` in the block, and the list that they are noted in.

    Afterwards the handlers are ``restored``, or signals ignored, because they would disturb a process that ends
    anyway. Signals that are ignored, as under nohup, stay ignored.
    """
    received: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    def unraisable(caught: sys.UnraisableHookArgs) -> None:
        if not issubclass(caught.exc_type, KeyboardInterrupt):
            hook(caught)
        elif received:  # raised in a callback, of a garbage collection say, which cannot pass it on
            Timer(_AGAIN, signal.pthread_kill, (main_thread().ident, received[-1])).start()

    if current_thread() is not main_thread():
        yield received
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
    hook = sys.unraisablehook
    try:
        sys.unraisablehook = unraisable
        for number in before:
            signal.signal(number, interrupt)
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if restored else signal.SIG_IGN)
        sys.unraisablehook = hook


def words(number: int) -> str:
    """How a signal ended the program."""
    return WORDS[signal.Signals(number).name]
