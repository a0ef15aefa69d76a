"""How far sampling is, in a line: share done, divergences, time left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter

from heterodyne_cmc.nuts import Settings


class Watch:
    """Called after every block of a chain; tells ``progress`` of all chains together."""

    def __init__(self, settings: Settings, progress: Callable[[str], None]):
        self._total = settings.chains * (settings.warmup + settings.draws)
        self._progress, self._lock = progress, threading.Lock()
        self._done: dict[int, int] = {}
        self._diverged: dict[int, int] = {}
        self._first: tuple[float, int] | None = None

    def __call__(self, chain: int, done: int, divergences: int) -> None:
        with self._lock:
            self._done[chain], self._diverged[chain] = done, divergences
            self._progress(self._line(perf_counter(), sum(self._done.values())))

    def _line(self, now: float, done: int) -> str:
        if self._first is None:
            self._first = now, done  # what came before is compilation
        began, before = self._first
        left = (now - began) / (done - before) * (self._total - done) if done > before else None
        time = "" if left is None else f", {left:.0f} s left"
        diverged = sum(self._diverged.values())
        return f"sampling: {done / self._total:.0%} of {len(self._done)} chains, {diverged} divergences{time}"
