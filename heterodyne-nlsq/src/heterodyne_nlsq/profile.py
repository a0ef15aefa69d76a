"""The profile likelihood of one parameter: walks to both sides of the minimum, and the intervals that they give.

Each side is walked until Δχ² has passed the threshold of the widest interval or a bound is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from heterodyne.errors import ParameterError
from heterodyne.problem.problem import Problem
from heterodyne.result.profile import Interval, Profile
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.walks import Stop, WalkBase, Way, vanishing, walked

_SPENT = 500  # iterations, after which no more profiles are begun that nobody asked for


def check_profiled(problem: Problem, names: Sequence[str]) -> None:
    """Raise `ParameterError` for the first name without a profile: unknown, tied or held."""
    for name in names:
        row = problem.parameters[name]
        if name in problem.ties:
            source = problem.ties[name]
            raise ParameterError(f"parameter {name!r} is tied to {source!r} and has no profile of its own")
        if not row.vary:
            raise ParameterError(f"parameter {name!r} is fixed at {row.start:g} and has no profile: free it")


def profiled(
    base: WalkBase,
    asked: Sequence[str],
    due: Sequence[str],
    contradicted: Callable[[Mapping[str, Profile]], Iterable[str]],
    search: Search,
) -> dict[str, Profile] | np.ndarray:
    """The profiles of these parameters by name, or u of a lower minimum where one of them meets it.

    To those that are ``due`` come others whose errors the profiles so far have ``contradicted``. Unless it is
    ``asked`` for, none is begun after so many iterations as a search takes. What the profile of a parameter that
    the data draw to 0 has passed is where other walks may come back from there.
    """
    profiles, spent, waiting = {}, 0, [*asked, *due]
    while waiting:
        name, *waiting = waiting
        if spent > _SPENT and name not in asked:
            break
        sides = walked(base, name, search)
        if vanishing(base.objective, base.best)[base.objective.problem.varying.index(name)]:
            base = replace(base, awake=(*base.awake, *(stop.u for stop in sides[1][1:])))
        spent += sum(stop.iterations for stops in sides for stop in stops)
        if sides[-1][-1].delta < 0.0:
            search.progress(f"the profile of {name} met a lower minimum")
            return sides[-1][-1].u
        profiles[name] = _profile(Way(base, name, base.thresholds(name)), sides)
        waiting += [other for other in contradicted(profiles) if other not in waiting]
    return profiles


def _profile(way: Way, sides: Sequence[Sequence[Stop]]) -> Profile:
    """The record of a walk to both sides."""
    problem, thresholds, index = way.objective.problem, way.thresholds, way.index
    row, stops = problem.parameters[way.name], [*reversed(sides[0][1:]), *sides[1]]
    values = np.array([way.objective.to_values(stop.u) for stop in stops])
    lows, highs = (_crossings(way, stops, end) for stops, end in zip(sides, (-np.inf, np.inf), strict=True))
    return Profile(
        name=way.name,
        unit=row.unit,
        best=way.value(way.best),
        low=row.low,
        high=row.high,
        scale=thresholds.scale,
        own_scale=thresholds.own,
        intervals=tuple(
            Interval(*kind, low=low, high=high)
            for kind, low, high in zip(thresholds.rows, lows, highs, strict=True)
        ),
        values=values[:, index],
        delta_chi2=np.array([stop.delta for stop in stops]),
        cost=np.array([stop.cost for stop in stops]),
        others={other: values[:, k] for k, other in enumerate(problem.varying) if k != index},
    )


def _crossings(way: Way, stops: Sequence[Stop], nowhere: float) -> list[float]:
    """Where Δχ² first passes each threshold on one side, ``nowhere`` if it does not.

    √Δχ² is nearly linear in u, so its inverse is interpolated (monotone cubic).
    """
    index, root = way.index, np.sqrt([stop.delta for stop in stops])
    u = np.array([stop.u[index] for stop in stops])
    rising = root > np.concatenate([[-1.0], np.maximum.accumulate(root)[:-1]])
    ends = []
    for _, _, threshold in way.thresholds.rows:
        if root.max() < np.sqrt(threshold):
            ends.append(nowhere)
            continue
        at = way.best.copy()
        at[index] = PchipInterpolator(root[rising], u[rising])(np.sqrt(threshold))
        ends.append(way.value(at))
    return ends
