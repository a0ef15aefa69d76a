"""The choice of a strategy from the size of the data and the free memory, with its reason in words.

`direct` holds every matrix in memory as float64. `streamed` reads tiles from the file, float32 where the
file holds that, and keeps as many as memory allows. `sequential` fits bin after bin before all together.
"""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from heterodyne.bins.bin import PADDING, Bin
from heterodyne.bins.kept import Home
from heterodyne.bins.reading import read_bins
from heterodyne.bins.streaming import stream_bins
from heterodyne.bins.tiles import TILE
from heterodyne.errors import ConfigError
from heterodyne.problem.problem import Problem

_GIB = 2.0**30
_READING = 16  # bytes per pair while one matrix is read, its stored and its whole form


@dataclass(frozen=True)
class Strategy:
    """A strategy, whether its bins are streamed, the reason, and the bytes that data may take in memory."""

    name: str
    streamed: bool
    reason: str
    memory: float


def choose(problem: Problem, wanted: str, memory: float, home: Home | None = None) -> Strategy:
    """The strategy for a problem: ``auto`` takes `direct` unless it needs more than ``memory``.

    ``memory`` is in GiB, 0 stands for half of what is free; at a ``home`` other processes hold the matrices. Raises
    `ConfigError` if `streamed` is ``wanted`` and the model or the weights need whole matrices.
    """
    if home is not None:
        return Strategy("direct" if wanted == "auto" else wanted, False, home.words, 0.0)
    allowed = memory * _GIB or 0.5 * psutil.virtual_memory().available
    needed, size = _direct_bytes(problem), _size(problem)
    obstacle = _obstacle(problem)
    if wanted == "streamed" and obstacle:
        raise ConfigError(f"strategy streamed: {obstacle} in memory; use direct or auto")
    fits = needed <= allowed
    words = f"{size} {needed / _GIB:.2g} GiB in memory, {allowed / _GIB:.3g} GiB allowed"
    if wanted in ("direct", "streamed"):
        return Strategy(wanted, wanted == "streamed", f"asked for; {words}", allowed)
    streamed = not fits and not obstacle and max(data.n_frames for data in problem.data) > TILE
    if not fits and obstacle:
        words += f", but {obstacle}"
    name = wanted if wanted == "sequential" else "streamed" if streamed else "direct"
    return Strategy(name, streamed, words, allowed)


def read(problem: Problem, strategy: Strategy, home: Home | None = None) -> tuple[Bin, ...]:
    """Every bin of the problem, in memory or read tile by tile as chosen, or kept at a ``home``."""
    if home is not None:
        return home.read(problem.data, problem.choices.skip_lags)
    if not strategy.streamed:
        return read_bins(problem.data, problem.choices.skip_lags)
    return stream_bins(problem.data, problem.choices.skip_lags, strategy.memory)


def _direct_bytes(problem: Problem) -> float:
    matrices = [(_padded(data.n_frames) ** 2, data.n_bins * (1 + data.weighs_pairs)) for data in problem.data]
    return float(sum(8 * pairs * count for pairs, count in matrices) + _READING * max(matrices)[0])


def _padded(frames: int) -> int:
    return -(-frames // PADDING) * PADDING


def _size(problem: Problem) -> str:
    count, frames = sum(data.n_bins for data in problem.data), {data.n_frames for data in problem.data}
    upto = "up to " if len(frames) > 1 else ""
    matrices, need = ("matrix", "needs") if count == 1 else ("matrices", "need")
    return f"{count} {matrices} of {upto}{max(frames)}² {need}"


def _obstacle(problem: Problem) -> str:
    """Why the matrices must be in memory, or nothing."""
    if problem.model.components is None:
        return f"model {problem.model.name!r} is not separable and needs whole matrices"
    if any(data.weighs_pairs for data in problem.data):
        return "weights per pair need whole matrices"
    return ""
