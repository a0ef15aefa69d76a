"""Merging: the joint draws of all data, from those of its shards."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from heterodyne.kernels._jax import jax
from heterodyne_cmc.consensus import combined, refined
from heterodyne_cmc.density import Target, create_targets, log_density, with_tail
from heterodyne_cmc.drawing import Sampled
from heterodyne_cmc.joint import JointDraws, ScalingSpread, from_joined, joint_columns, joint_draws
from heterodyne_cmc.prepare import prior_of_scaling
from heterodyne_cmc.reduced import can_be_reduced
from heterodyne_cmc.reduction import checked_draws, reduced_target
from heterodyne_cmc.run import Run
from heterodyne_cmc.shards import whole_shard


def merged_draws(run: Run, sampled: Sampled) -> JointDraws:
    """The joint draws of the only shard, or those of all shards combined and, unless refused, refined."""
    each = enumerate(zip(sampled.targets, sampled.draws, strict=True))
    shards = [_of_shard(run, number, target, draws.u) for number, (target, draws) in each]
    if len(shards) == 1:
        return shards[0]
    p, bins = len(run.problem.varying), len(run.bins)
    columns = [joint_columns(p, bins, target.shard.bins) for target in run.targets]
    psi = combined([draws.joined() for draws in shards], columns)
    if not run.options["refine"]:
        return from_joined(p, bins, psi)
    whole = _whole_target(run)
    density = jax.jit(lambda target, u: jax.lax.map(partial(log_density, run.code, target), u))
    settings = sampled.settings
    chains = refined(lambda u: np.asarray(density(whole, u)), psi[:, :p], settings.chains, settings.seed)
    number = len(shards)  # a seed that no shard has
    return replace(_joint(run, whole, np.ones(bins), chains.u, number), acceptance=chains.acceptance)


def _of_shard(run: Run, number: int, target: Target, u: np.ndarray) -> JointDraws:
    """Joint draws of one shard; under calibration contrast and offset have the shard's part of the information."""
    pairs = np.zeros(len(run.bins))
    for each in run.targets:
        pairs[each.shard.bins] += each.shard.moments.pairs
    own = target.shard
    return _joint(run, target, pairs[own.bins] / own.moments.pairs, u, number)


def _joint(run: Run, target: Target, share: np.ndarray, u: np.ndarray, number: int) -> JointDraws:
    """Joint draws for u (chains, draws, p); calibrated covariances of contrast and offset count ``share`` times."""
    at, bins, spread = run.prepared.calibration, target.shard.bins, None
    if run.options["likelihood"] == "calibrated":
        spread = ScalingSpread(at.scaling[bins] * share[:, None, None], at.slope[bins], at.shift[bins])
    alike = _of_alike_elements(run, u) if run.prepared.is_whitened else None
    return joint_draws(run.code, target, u, spread, run.options["seed"] + number, alike)


def _of_alike_elements(run: Run, u: np.ndarray) -> Target:
    """The density of all data with elements independent and alike in every bin, reduced about these draws.

    Of a likelihood the scale of all pairs is asked for, to which what is left of S adds nothing.
    """
    everything = whole_shard(run.problem.model, tuple(bin.plain for bin in run.bins))
    scaling = prior_of_scaling(run.problem, run.prepared.noise)
    none = np.eye(len(run.problem.varying))
    (target,) = create_targets(run.code, run.targets[0].space, [everything], scaling, none)
    if not can_be_reduced(run.code.model, everything):
        return target
    return reduced_target(run.code, target, checked_draws(u, run.options["seed"]))


def _whole_target(run: Run) -> Target:
    """The density of all data in the coordinates of the shards."""
    first, everything = run.targets[0], [whole_shard(run.problem.model, run.bins)]
    scaling = prior_of_scaling(run.problem, run.prepared.noise)
    adjustment = np.asarray(first.adjustment)
    (whole,) = create_targets(run.code, first.space, everything, scaling, adjustment, first.tilt)
    return with_tail(run.code, whole, run.prepared.calibration)
