"""Parameters that follow the profile of another farther than their own errors let expect.

Where the cost is a parabola, no parameter moves farther within the interval of another than its own interval
reaches. One that does has an error that does not hold, be it that the cost is no parabola, or that the other stands
at a bound, next to which the curvature says little of what lies further inside.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from heterodyne.problem.problem import Problem
from heterodyne.result.profile import Profile
from heterodyne.solution.conditions import (
    BOUND,
    BOUNDS,
    CURVED,
    LARGER,
    NO_PARABOLA,
    WIDER,
    Condition,
    Errors,
)


def on_profiles(
    at: Errors, known: np.ndarray, profiles: Mapping[str, Profile], quantile: float
) -> dict[str, Condition]:
    """By parameter without a profile of its own, what its error is conditional on, as profiles of others show.

    ``known`` (p,) marks the free coordinates that have an error, half of whose interval are ``quantile`` errors.
    """
    found: dict[str, Condition] = {}
    for profile in profiles.values():
        kind, on, least = _reason(at, profile)
        times = _moved(at, profile, quantile) * known
        for name, farther in zip(at.names, times.tolist(), strict=True):
            if farther > least and name not in profiles and name not in found:
                found[name] = Condition(kind, on, farther)
    return found


def _reason(at: Errors, profile: Profile) -> tuple[str, str, float]:
    """What errors are conditional on that a profile contradicts, and how far others then move at least.

    An error takes a parameter at its bound for known, so that all of the way counts; elsewhere it includes the way.
    """
    if profile.name in at.names:
        return CURVED, NO_PARABOLA, WIDER
    place = at.here.weighted.problem.varying.index(profile.name)
    side = -1 if at.here.x[place] <= at.here.weighted.low[place] else 1
    return BOUND, f"{profile.name} {BOUNDS[side]}", np.sqrt(LARGER**2 - 1.0)


def _moved(at: Errors, profile: Profile, quantile: float) -> np.ndarray:
    """How far every free coordinate (p,) moves within the interval of a profile, over what its error lets expect."""
    interval, best = profile.interval(), int(np.argmin(np.abs(profile.values - profile.best)))
    ends = np.clip([interval.low, interval.high], profile.values[0], profile.values[-1])
    inside = (profile.values > ends[0]) & (profile.values < ends[1])
    places = np.concatenate([ends[:1], profile.values[inside], ends[1:]])
    half = quantile * at.sd * np.sqrt(np.maximum(profile.scale / at.ratio, 1.0))
    moved = np.zeros(len(half))
    for k, name in enumerate(at.names):
        if name in profile.others and half[k] > 0.0:
            u = _coordinate(at.here.weighted.problem, name, profile.others[name])
            moved[k] = np.max(np.abs(np.interp(places, profile.values, u) - u[best])) / half[k]
    return moved


def _coordinate(problem: Problem, name: str, values: np.ndarray) -> np.ndarray:
    return np.log(values) if problem.parameters[name].scale == "log" else values
