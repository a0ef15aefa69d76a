"""Simulated two-time matrices: the model's c2 plus Gaussian noise, with the truth beside the data.

    c2_ij = offset + contrast · S_ij + noise · ε_ij,      ε_ij = ε_ji ~ N(0, 1), the diagonal included

Every element has its own noise. In an experiment elements share speckles and frames: for that see
`heterodyne.simulation.speckle`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from heterodyne.catalogue import create_model
from heterodyne.data.facts import check_q, check_times, spacing
from heterodyne.data.two_time import TwoTime
from heterodyne.data.validation import number, numbers
from heterodyne.errors import DataError, ParameterError
from heterodyne.model import Model
from heterodyne.parameters import SCALING
from heterodyne.simulation.sector import sector_correlation

_MOST_FRAMES = 10_000_000

_MOST_NOISE = 10.0
"""Of c2, which is of order 1."""


class FrameTimes(NamedTuple):
    """Age of every frame, nominal spacing and age before the first frame, all in s."""

    t: np.ndarray
    dt: float
    age: float


def simulate(
    model: str = "two-component",
    params: Mapping[str, float] | None = None,
    q: float | Sequence[float] = 0.01,
    phi: float | Sequence[float] = (0.0, 45.0, 90.0),
    frames: int = 300,
    dt: float = 0.1,
    contrast: float | Sequence[float] = 0.15,
    offset: float | Sequence[float] = 1.0,
    noise: float = 0.02,
    seed: int = 0,
    age: float = 0.0,
    t: ArrayLike | None = None,
    dq: float | Sequence[float] | None = None,
    dphi: float | Sequence[float] | None = None,
) -> TwoTime:
    """Two-time data of a model with Gaussian noise of standard deviation ``noise`` per element.

    Bins are all of ``q`` (Å⁻¹) × ``phi`` (degrees), q slowest; ``contrast``, ``offset`` and the full
    widths ``dq``, ``dphi`` are one number or one per bin, and S is averaged over a bin whose widths are
    given (`sector_correlation`), else it is that of a point, of width 0. Frame times are t_k = k dt + age,
    k from 1, or ``t`` in place of frames, dt and age. Parameters that are not given take the values of
    `true_parameters`. The truth stands in ``provenance["truth"]``; the same seed gives the same data, and
    every bin has its own noise.
    Raises `PluginError`, `ParameterError` or `DataError` for a model, parameter or number that cannot be.
    """
    variant = create_model(model)
    values = true_parameters(variant, params)
    axis = frame_times(frames, dt, age, t)
    bin_q, bin_phi = bin_grid(q, phi)
    heights, bases = per_bin("contrast", contrast, bin_q), per_bin("offset", offset, bin_q)
    _check_signal(heights, bases, noise)
    width_q, width_phi = _widths("dq", dq, bin_q), _widths("dphi", dphi, bin_q)
    c2 = np.empty((len(bin_q), len(axis.t), len(axis.t)))
    for b, rng in enumerate(generators(seed, len(bin_q))):
        s = sector_correlation(variant, values, axis.t, bin_q[b], bin_phi[b], width_q[b], width_phi[b])
        c2[b] = bases[b] + heights[b] * s + noise * _symmetric_normal(rng, len(axis.t))
        if not np.isfinite(c2[b]).all():
            raise DataError(f"c2 of q={bin_q[b]:g} phi={bin_phi[b]:g} is not finite at these values")
    truth = {
        "model": model,
        "params": values,
        "contrast": heights.tolist(),
        "offset": bases.tolist(),
        "noise": float(noise),
        "seed": int(seed),
    }
    return TwoTime(c2, bin_q, bin_phi, *axis, dq=width_q, dphi=width_phi, provenance=simulated(truth))


def true_parameters(model: Model, params: Mapping[str, float] | None) -> dict[str, float]:
    """``params`` completed to all parameters of the model: from its example, else start values.

    Raises `ParameterError` for unknown names and for values outside the bounds of the model; an angle may be
    turned further, and a rate may be 0.
    """
    given = {name: _number(name, value) for name, value in _mapping(params).items()}
    for name, value in given.items():
        row = model.parameters[name]
        if not (row.accepts(value) or (row.is_periodic and abs(value) <= 360.0)):
            raise ParameterError(f"{name}={value:g} lies outside its bounds {row.low:g}:{row.high:g}")
    return model.parameters.complete({**model.example, **given})


def _mapping(params: object) -> Mapping[str, float]:
    if params is not None and not isinstance(params, Mapping):
        raise ParameterError(f"params must map parameter names to values, not be {params!r}")
    return params or {}


def frame_times(frames: int, dt: float, age: float, t: ArrayLike | None) -> FrameTimes:
    """t_k = k dt + age for k = 1..frames, or ``t`` with its median spacing; bad times raise `DataError`."""
    if t is not None:
        times = np.atleast_1d(numbers("t", t))
        check_times(times)
        median = float(np.median(np.diff(times)))
        return FrameTimes(times, median, float(times[0]) - median)
    step, times = spacing(dt), np.arange(1, whole("frames", frames, 3, _MOST_FRAMES) + 1)
    times = times * step + number("age", age)
    check_times(times)
    return FrameTimes(times, step, float(age))


def bin_grid(q: float | Sequence[float], phi: float | Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """q and phi of every bin of the grid, q slowest.

    Raises `DataError` for an empty list, for what is none of q and phi, and for one of them given twice.
    """
    all_q, all_phi = np.atleast_1d(numbers("q", q)), np.atleast_1d(numbers("phi", phi))
    if all_q.ndim != 1 or all_phi.ndim != 1 or not len(all_q) or not len(all_phi):
        raise DataError("q and phi must each be a number or a list of at least one")
    if outside := all_phi[np.abs(all_phi) > 720.0].tolist():
        raise DataError(f"phi must be finite, in -720:720 degrees, or be NaN for a ring, not {outside[0]:g}")
    check_q(all_q)
    for name, values in (("q", all_q), ("phi", all_phi)):
        found, counts = np.unique(values, return_counts=True)
        if np.any(counts > 1):
            raise DataError(
                f"{name} {found[counts > 1][0]:g} is given twice: every bin can be simulated once"
            )
    return np.repeat(all_q, len(all_phi)), np.tile(all_phi, len(all_q))


def per_bin(name: str, given: float | Sequence[float], bins: np.ndarray) -> np.ndarray:
    """``given`` as one number per bin; another length raises `DataError`."""
    values = numbers(name, given)
    if values.ndim > 1 or values.size not in (1, len(bins)):
        raise DataError(f"{name} must be one number or one per bin ({len(bins)}), not {values.size}")
    return np.broadcast_to(values, bins.shape).copy()


def generators(seed: int, n_bins: int) -> list[np.random.Generator]:
    """One random generator per bin, the same whatever the number of bins; a seed < 0 raises `DataError`."""
    sequence = np.random.SeedSequence(whole("seed", seed, 0))
    return [np.random.default_rng(child) for child in sequence.spawn(n_bins)]


def whole(name: str, value: float, low: int, high: int | None = None) -> int:
    """``value`` as a whole number; anything else and numbers outside ``low`` and ``high`` raise `DataError`."""
    if not (math.isfinite(number(name, value)) and value == int(value) and value >= low):
        raise DataError(f"{name} must be a whole number, at least {low}, not {value}")
    if high is not None and value > high:
        raise DataError(f"{name} must be at most {high}, not {value}")
    return int(value)


def simulated(truth: Mapping[str, object]) -> dict[str, object]:
    """The provenance of simulated data."""
    return {"dt_source": "simulated", "truth": dict(truth)}


def _number(name: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ParameterError(f"parameter {name!r} must be a finite number, not {value!r}")
    return number


def _check_signal(contrast: np.ndarray, offset: np.ndarray, noise: float) -> None:
    outside = ~((contrast >= 0) & (contrast <= 1))
    if np.any(outside):
        raise DataError(f"contrast must lie in 0..1, not {contrast[outside][0]:g}")
    low, high = SCALING["offset"].low, SCALING["offset"].high
    outside = ~((offset >= low) & (offset <= high))
    if np.any(outside):
        raise DataError(f"offset must be finite and lie in {low:g}:{high:g}, not {offset[outside][0]:g}")
    if not (math.isfinite(number("noise", noise)) and noise >= 0):
        raise DataError(f"noise must be 0 or more, not {noise:g}")
    if noise > _MOST_NOISE:
        raise DataError(f"noise must be at most {_MOST_NOISE:g}, not {noise:g}")


def _widths(name: str, given: float | Sequence[float] | None, bins: np.ndarray) -> np.ndarray:
    """Full widths per bin, 0 where not given: S at a point."""
    widths = per_bin(name, 0.0 if given is None else given, bins)
    limit = 2.0 * bins if name == "dq" else np.full(len(bins), 360.0)
    wrong = (widths < 0) | (widths > limit)
    if np.any(wrong):
        raise DataError(f"{name} must be a full width in 0..{limit[wrong][0]:g}, not {widths[wrong][0]:g}")
    return widths


def _symmetric_normal(rng: np.random.Generator, n: int) -> np.ndarray:
    upper = np.triu(rng.standard_normal((n, n)))
    return upper + np.triu(upper, 1).T
