"""Code that a fit will need, compiled on a thread of its own while the fit does something else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from heterodyne.bins.bin import Bin, Kept
from heterodyne.device.cores import available_cores
from heterodyne.evaluators import whitened
from heterodyne.evaluators.sums import bin_sums
from heterodyne.problem.objective import Objective

_WEIGHT = 1.0  # κ, whatever: numbers are not compiled in

_LONGEST = 2048  # frames: of longer series a matrix more would take memory, and compiling little of the time


def compiled_ahead(objective: Objective, weighted: bool) -> Future[None] | None:
    """The work of compiling the sums of an objective and, if it will be ``weighted``, those with weights of frames.

    None where no core is free for it, or data are read from files or kept elsewhere. What goes wrong in it goes wrong
    where the code is used, and is told there.
    """
    here = (bin.values.in_memory and not isinstance(bin.values, Kept) for bin in objective.bins)
    if available_cores() < 2 or not all(here):
        return None
    pool = ThreadPoolExecutor(1)
    work = pool.submit(_compile, objective, weighted)
    pool.shutdown(wait=False)
    return work


def _compile(objective: Objective, weighted: bool) -> None:
    model, theta = objective.problem.model, objective.theta(objective.start)
    for bin in _unlike(objective.bins):
        bin_sums(model, theta, bin)
        if weighted and len(bin.t) <= _LONGEST and whitened.can_be_whitened(bin):
            like = whitened.whitened_bin(model, theta, bin, _WEIGHT)
            for jacobian in (True, False):
                bin_sums(model, theta, like, jacobian)


def _unlike(bins: tuple[Bin, ...]) -> Iterator[Bin]:
    """One bin of every kind of code."""
    seen: set[Any] = set()
    for bin in bins:
        kind = len(bin.t), np.shape(bin.nodes.weight), bin.pair_weight is None
        if kind not in seen:
            seen.add(kind)
            yield bin
