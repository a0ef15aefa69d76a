"""Keepers of the executor `processes`: processes of this machine that share its cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from heterodyne.device.cores import available_cores
from heterodyne.executors.keepers import KeeperProcess, Keepers
from heterodyne.executors.settings import read_settings


@contextmanager
def keepers(
    target: str, settings: Mapping[str, Any], most: int, tell: Callable[[str], None]
) -> Iterator[Keepers]:
    """``workers`` keepers, by default as many as there are cores; their threads share the cores."""
    chosen = read_settings("processes", settings, ("workers", "retries"))
    count = max(1, min(chosen.workers or available_cores(), most))
    threads = max(1, available_cores() // count)
    processes = [KeeperProcess(target, threads, chosen.retries, tell) for _ in range(count)]
    with ThreadPoolExecutor(count, thread_name_prefix="heterodyne-keeper") as pool:
        try:
            yield _Processes(processes, pool)
        finally:
            for process in processes:
                process.stop()


class _Processes:
    """Keepers, each asked in a thread of its own."""

    def __init__(self, processes: Sequence[KeeperProcess], pool: ThreadPoolExecutor) -> None:
        self._processes, self._pool = processes, pool

    @property
    def count(self) -> int:
        return len(self._processes)

    def ask(self, questions: Mapping[int, bytes]) -> dict[int, bytes]:
        futures = {k: self._pool.submit(self._processes[k].ask, text) for k, text in questions.items()}
        return {k: future.result() for k, future in futures.items()}
