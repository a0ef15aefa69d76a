"""A dask cluster of this machine, for tests that may damage it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def process(*arguments, **options) -> Iterator[subprocess.Popen]:
    started = subprocess.Popen([sys.executable, *arguments], text=True, **options)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


class Cluster:
    """A scheduler and dask workers as processes of this machine, with ``variables`` in their environment."""

    def __init__(self, folder: Path, processes: ExitStack, workers: int, **variables: str):
        self.processes = processes
        loopback = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
        self.place = (*loopback, "--scheduler-file", str(folder / "note.json"))
        log = processes.enter_context((folder / "log").open("w"))
        environment = {**os.environ, **variables}
        self.options = {"env": environment, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": log}
        self.scheduler = self.start("scheduler", "--port", "0")
        end = time.monotonic() + 30
        while not (folder / "note.json").exists() and time.monotonic() < end:
            time.sleep(0.1)
        self.address = json.loads((folder / "note.json").read_text())["address"]
        self.workers = [self.start_worker() for _ in range(workers)]

    def start(self, *words: str) -> subprocess.Popen:
        return self.processes.enter_context(process("-m", "dask", *words, *self.place, **self.options))

    def start_worker(self) -> subprocess.Popen:
        return self.start("worker", "--no-nanny", "--nthreads", "1")
