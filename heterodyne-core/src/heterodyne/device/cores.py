"""The cores that this process may use, and work done on them side by side."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """NPROC where it is set, as for XLA's pools, else the cores that the system lets this process use."""
    chosen = os.environ.get("NPROC", "")
    if chosen.isdecimal() and int(chosen) > 0:
        return int(chosen)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(
    function: Callable[[Item], Result], items: Sequence[Item], at_once: int | None = None
) -> list[Result]:
    """The function of every item, on threads: compiled code and large NumPy operations free the interpreter.

    ``at_once`` of them run together, as many as there are cores where it is None. On a thread that is one of these
    itself they follow one another.
    """
    workers = min(len(items), available_cores() if at_once is None else at_once)
    if workers <= 1 or getattr(_HERE, "is_worker", False):
        return [function(item) for item in items]
    return list(_pool(os.getpid(), workers).map(function, items))


@contextmanager
def one_core_each(tasks: int) -> Iterator[None]:
    """While the block runs, linear algebra takes one core if as many ``tasks`` as there are cores do too."""
    if not 1 < available_cores() <= tasks:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


_HERE = threading.local()


@lru_cache(maxsize=4)
def _pool(process: int, workers: int) -> ThreadPoolExecutor:
    """The threads of this process: to begin some takes as long as the sums over a small bin; a fork has none."""
    return ThreadPoolExecutor(workers, initializer=_mark)


def _mark() -> None:
    _HERE.is_worker = True
