"""The curves J(t), v(t) and f(t) of the draws: median, standard deviation, and intervals of 68 % and 95 %."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from heterodyne.kernels.curves import Curve, curve_values
from heterodyne.problem.problem import Problem
from heterodyne.result.band import Band
from heterodyne_cmc.posterior import Posterior

LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)
"""Quantiles of every result: the median, and the ends of the intervals of 68 % and 95 %."""

_DRAWS = 2000  # at most, evenly out of all: more move a band by less than a line is wide

_BLOCK = 1024  # frames at once


def posterior_bands(problem: Problem, posterior: Posterior) -> tuple[Band, ...]:
    """The bands of all curves of a model at the frame times of all files, from the draws."""
    t = np.unique(np.concatenate([data.t for data in problem.data]))
    draws = posterior.flat[:: -(-len(posterior.flat) // _DRAWS)]
    moved = dict(zip(posterior.names, draws.T[:, :, None], strict=True))
    still = {name: parameter.start for name, parameter in problem.parameters.items()}
    values = {name: (still | moved)[problem.ties.get(name, name)] for name in problem.parameters}
    return tuple(_band(curve, values, t) for curve in problem.model.curves)


def _band(curve: Curve, values: Mapping[str, np.ndarray | float], t: np.ndarray) -> Band:
    blocks = np.split(t, range(_BLOCK, len(t), _BLOCK))
    low, inner_low, median, inner_high, high, error = np.hstack(
        [_levels_and_spread(np.atleast_2d(curve_values(curve, values, block))) for block in blocks]
    )
    half = curve.times_parameter(0.5)
    return Band(curve.name, curve.unit, t, median, error, low, high, inner_low, inner_high, half)


def _levels_and_spread(curves: np.ndarray) -> np.ndarray:
    """Quantiles and standard deviation over draws (n, times), (6, times)."""
    return np.concatenate([np.quantile(curves, LEVELS, axis=0), curves.std(axis=0)[None]])
