"""Keepers of the executor `processes`: processes of this machine that share its cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from heterodyne.device.cores import available_cores
from heterodyne.executors.keepers import KeeperProcess, Keepers, drained
from heterodyne.executors.settings import read_settings


@contextmanager
def keepers(
    target: str, settings: Mapping[str, Any], most: int, tell: Callable[[str], None]
) -> Iterator[Keepers]:
    """``workers`` keepers, by default as many as there are cores; their threads share the cores."""
    chosen = read_settings("processes", settings, ("workers", "retries"))
    count = max(1, min(chosen.workers or available_cores(), most))
    threads = max(1, available_cores() // count)
    lines: SimpleQueue[str] = SimpleQueue()
    processes = [KeeperProcess(target, threads, chosen.retries, lines.put) for _ in range(count)]
    pools = [ThreadPoolExecutor(1, thread_name_prefix="heterodyne-keeper") for _ in processes]
    try:
        yield _Processes(processes, pools, lines, tell)
    finally:
        for process, pool in zip(processes, pools, strict=True):
            process.stop()
            pool.shutdown(cancel_futures=True)


class _Processes:
    """Keepers, each asked in a thread of its own; what they say of themselves is told in the thread of the caller."""

    def __init__(
        self,
        processes: Sequence[KeeperProcess],
        pools: Sequence[ThreadPoolExecutor],
        lines: SimpleQueue[str],
        tell: Callable[[str], None],
    ) -> None:
        self._processes, self._pools, self._lines, self._tell = processes, pools, lines, tell

    @property
    def count(self) -> int:
        return len(self._processes)

    def ask(self, questions: Mapping[int, bytes]) -> dict[int, bytes]:
        futures = {k: self._pools[k].submit(self._processes[k].ask, text) for k, text in questions.items()}
        answers = {k: future.result() for k, future in futures.items()}
        for line in drained(self._lines):
            self._tell(line)
        return answers
