"""Signals that end a program wait while a library runs that they would break, such as HDF5."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals by which a user or a system asks a program to end."""


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Signals that have a handler in Python wait until the block ends; the function given lets them through.

    It is called where the block may end early. An exception from a handler in the midst of HDF5 is swallowed
    there, or crashes it. In other threads, where Python runs no handlers, nothing changes.
    """
    waiting: list[int] = []
    handlers: dict[int, Callable[..., object]] = {}

    def let_through() -> None:
        while waiting:
            number = waiting.pop(0)
            handlers[number](number, None)

    try:
        for number in ENDING if current_thread() is main_thread() else ():
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                signal.signal(number, lambda number, frame: waiting.append(number))
        yield let_through
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        let_through()
