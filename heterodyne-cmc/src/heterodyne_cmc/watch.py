"""How far sampling is, in a line: share done, divergences, time left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from heterodyne_cmc.nuts import SamplerSettings

_WIDTH = 12  # of the bar

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Count:
    """Steps done of all chains of one sampler, warm-up included, and divergences after warm-up."""

    done: int = 0
    divergences: int = 0

    def text(self) -> str:
        """The count as text, for another process."""
        return f"{self.done} {self.divergences}"

    @classmethod
    def from_text(cls, text: str) -> Count | None:
        """The count that `text` gave; None for any other text."""
        try:
            return cls(*map(int, text.split()))
        except (TypeError, ValueError):
            return None


class Watch:
    """Called after every block of a chain; tells the count of all chains of the sampler."""

    def __init__(self, tell: Callable[[Count], None]):
        self._tell, self._lock = tell, threading.Lock()
        self._chains: dict[int, Count] = {}

    def __call__(self, chain: int, done: int, divergences: int) -> None:
        with self._lock:
            self._chains[chain] = Count(done, divergences)
            self._tell(_total(self._chains))


class Meter:
    """The line of one sampler, or of several shards together, from their counts; given to ``progress``."""

    def __init__(self, settings: SamplerSettings, shards: int, progress: Progress, attempt: int = 1):
        self._steps = settings.chains * (settings.warmup + settings.draws)
        self._chains, self._shards, self._progress = settings.chains, shards, progress
        self._attempt, self._counts = attempt, dict[str, Count]()
        self._first: tuple[float, int] | None = None

    def __call__(self, count: Count, shard: str = "") -> None:
        self._counts[shard] = count
        self._progress(self._line(perf_counter()))

    def _line(self, now: float) -> str:
        whole, total = _total(self._counts), self._steps * self._shards
        if self._first is None:
            self._first = now, whole.done  # what came before is compilation, or was read back
        began, before = self._first
        left = (
            (now - began) / (whole.done - before) * (total - whole.done)
            if before < whole.done < total
            else None
        )
        time = "" if left is None else f", {_duration(left)} left"
        diverged = f"{whole.divergences} divergence{'' if whole.divergences == 1 else 's'}"
        share = whole.done / total
        again = "" if self._attempt == 1 else f", try {self._attempt}"
        return f"sampling {self._parts()}{again}: {_bar(share)} {share:.0%}, {diverged}{time}"

    def _parts(self) -> str:
        if self._shards == 1:
            return f"{self._chains} chains"
        running = {name: count.done for name, count in self._counts.items() if count.done < self._steps}
        shares = ", ".join(
            f"{name.removeprefix('shard ')} at {done / self._steps:.0%}" for name, done in running.items()
        )
        ended = len(self._counts) - len(running)
        return f"{self._shards} shards ({ended} ended{f'; {shares}' if shares else ''})"


def _total(counts: dict[int, Count] | dict[str, Count]) -> Count:
    every = counts.values()
    return Count(sum(count.done for count in every), sum(count.divergences for count in every))


def _bar(share: float) -> str:
    full = int(share * _WIDTH)
    return f"[{'#' * full}{'-' * (_WIDTH - full)}]"


def _duration(seconds: float) -> str:
    """Seconds in words of two units at most: 48 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
