"""The partition of the data into shards: which there are, and what each of them must hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heterodyne.bins.bin import Bin
from heterodyne.errors import ConfigError
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import Problem
from heterodyne.problem.spectrum import Spectrum, spectrum_of
from heterodyne_cmc.prepare import Prepared
from heterodyne_cmc.shards import Shard, bin_shards, pair_shards, tile_shards, whole_shard

# of a bin in a shard: with fewer, draws of the bin's scaling have no variance to weight by
_FEWEST_PAIRS = 10

_LOADING = 0.1


def partitioned(
    problem: Problem, bins: tuple[Bin, ...], kind: str, count: int, seed: int, solution: Prepared
) -> list[Shard]:
    """``count`` shards of this kind (tiles, pairs, bins), every pair of every bin in one of them.

    Raises `ConfigError` where the data cannot be shared out so: tiles of a model that is not separable or of
    weights per pair, fewer pieces than shards, and bins that do not determine each what all determine.
    """
    if count == 1:
        return [whole_shard(problem.model, bins)]
    if kind == "bins":
        shards = bin_shards(whole_shard(problem.model, bins), min(count, len(bins)), seed)
        _check_ranks(problem, bins, shards, solution)
    elif kind == "pairs":
        shards = pair_shards(bins, count, seed)
    elif problem.model.components is None or any(bin.pair_weight is not None for bin in bins):
        raise ConfigError("tiles need a separable model and weights per frame: add --partition pairs")
    else:
        shards = tile_shards(bins, count, seed)
    _check_sizes(bins, shards, kind, count)
    return shards


def _check_sizes(bins: tuple[Bin, ...], shards: list[Shard], kind: str, count: int) -> None:
    remedy = "take fewer shards" + (", or --partition pairs" if kind == "tiles" else "")
    filled = [shard for shard in shards if len(shard.bins)]
    if len(filled) < count:
        raise ConfigError(f"the data fill {len(filled)} of {count} shards of {kind}: {remedy}")
    for k, shard in enumerate(shards):
        for number, pairs in zip(shard.bins, np.asarray(shard.moments.pairs), strict=True):
            if pairs < _FEWEST_PAIRS:
                bin = bins[number]
                raise ConfigError(
                    f"shard {k + 1} would hold {pairs:.3g} pairs of bin q={bin.q:.4g} phi={bin.phi:.4g}: {remedy}"
                )


def _check_ranks(problem: Problem, bins: tuple[Bin, ...], shards: list[Shard], solution: Prepared) -> None:
    """Raise `ConfigError` where the bins of a shard determine fewer directions than all bins do."""
    whole = _spectrum(problem, bins, range(len(bins)), solution)
    for shard in shards:
        own = _spectrum(problem, bins, shard.bins.tolist(), solution)
        if own.rank < whole.rank:
            places = ", ".join(f"q={bins[k].q:.4g} phi={bins[k].phi:.4g}" for k in shard.bins)
            raise ConfigError(
                f"a shard of bins alone ({places}) does not determine "
                f"{', '.join(_lost(problem.varying, own, whole))} as all bins do: "
                "add --partition tiles, or take fewer shards"
            )


def _spectrum(
    problem: Problem, bins: tuple[Bin, ...], members: Sequence[int], solution: Prepared
) -> Spectrum:
    """The spectrum of the normal equations of some bins, at the solution."""
    chosen = create_objective(problem, tuple(bins[k] for k in members))
    objective = chosen.weighted(solution.noise[list(members)])
    x = np.clip(objective.to_coordinates(solution.values), objective.low, objective.high)
    return spectrum_of(objective.solve(x)[0].gram, objective.width)


def _lost(names: tuple[str, ...], own: Spectrum, whole: Spectrum) -> list[str]:
    """The parameters that load on directions lost to a part of the data more than on those lost to all."""
    of_part, of_all = ((part.vectors[:, part.lost] ** 2).sum(axis=1) for part in (own, whole))
    more = of_part - of_all
    return [name for name, load in zip(names, more, strict=True) if load >= min(_LOADING, more.max())]
