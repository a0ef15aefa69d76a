"""`Run`: what is sampled, and the folder that it goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.problem.problem import Problem
from heterodyne_cmc.arrays import read_arrays, write_arrays
from heterodyne_cmc.centre import space_at
from heterodyne_cmc.checkpoint import fingerprint_of, run_folder
from heterodyne_cmc.density import Code, Target, create_targets, with_tail
from heterodyne_cmc.partition import partitioned
from heterodyne_cmc.prepare import (
    Prepared,
    code_of,
    prepare,
    prior_of_scaling,
    resolved_weights,
    weighted_objective,
)
from heterodyne_cmc.watch import Progress

PREPARED = "prepared.npz"


@dataclass(frozen=True, eq=False)
class Run:
    """What is sampled: bins with the nodes and weights that they need, code and one target per shard, the calibration,
    and the folder of the run, None where nothing is kept."""

    problem: Problem
    bins: tuple[Bin, ...]
    code: Code
    targets: tuple[Target, ...]
    prepared: Prepared
    options: Mapping[str, Any]
    folder: Path | None


def create_run(
    problem: Problem, bins: tuple[Bin, ...], options: Mapping[str, Any], root: Path | None, progress: Progress
) -> Run:
    """The run of a problem, with a folder in ``root``.

    Raises `ConfigError` where the data cannot be shared out, or the folder is in use.
    """
    folder = (
        None if root is None else run_folder(root, _fingerprint(problem, bins, options), options["resume"])
    )
    kept = None if folder is None else read_arrays(folder / PREPARED)
    prepared = _prepared(problem, bins, options, kept, progress)
    bins = weighted_objective(problem, bins, prepared).bins
    space, adjustment, tilt = space_at(problem, prepared.values, prepared.calibration)
    shards = partitioned(problem, bins, options["partition"], options["shards"], options["seed"], prepared)
    code, scaling = code_of(problem), prior_of_scaling(problem, prepared.weighted_noise)
    targets = create_targets(code, space, shards, scaling, adjustment, tilt)
    if len(targets) == 1:
        targets = (with_tail(code, targets[0], prepared.calibration),)
    if folder is not None and kept is None:
        write_arrays(folder / PREPARED, prepared.arrays())  # not before the data could be shared out
    return Run(problem, bins, code, targets, prepared, options, folder)


def _fingerprint(problem: Problem, bins: tuple[Bin, ...], options: Mapping[str, Any]) -> str:
    choices = problem.choices
    description = {
        "model": problem.model.name,
        "ties": dict(problem.ties),
        "options": {name: value for name, value in options.items() if name not in _NOT_SAMPLED},
        "parameters": [str(parameter) for parameter in problem.parameters.values()],
        "scaling": [str(choices.contrast), str(choices.offset), str(choices.scaling_priors)],
    }
    return fingerprint_of(description, [array for bin in bins for array in _arrays(bin)])


def _prepared(
    problem: Problem,
    bins: tuple[Bin, ...],
    options: Mapping[str, Any],
    kept: Mapping[str, np.ndarray] | None,
    progress: Progress,
) -> Prepared:
    """The solution and its calibration, read back where the run was begun before."""
    if kept is not None:
        progress("going on with the run in the checkpoint folder")
        return Prepared.from_arrays(kept)
    likelihood = options["likelihood"]
    weights = resolved_weights(options["weights"], problem, likelihood, options["shards"])
    progress(f"weights of pairs: {weights}")
    return prepare(problem, bins, not options["no_warm_start"], likelihood == "calibrated", weights, progress)


def _arrays(bin: Bin) -> tuple[np.ndarray, ...]:
    """All numbers of a bin."""
    of_pairs = () if bin.pair_weight is None else (bin.pair_weight,)
    place = np.array([bin.q, bin.phi, bin.dq, bin.dphi])
    return (bin.d, bin.t, bin.weight, bin.skipped, place, *of_pairs)


_NOT_SAMPLED = (
    "checkpoint",
    "resume",
    "executor",
    "scheduler",
    "workers",
    "rhat",
    "ess",
    "bfmi",
    "divergences",
    "saturated",
    "block_scale",
)
