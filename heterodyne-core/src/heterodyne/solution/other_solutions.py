"""Other values of the parameters that fit as well: exchanged components, mirrored flow, aliased fringes.

A model states its twins, such as reference and sample exchanged and f → 1 - f, exact for a constant f. Only
|v cos(φ - φ0)| of a flow enters, so that azimuths on two axes φ1, φ2 are fitted by a second flow as well:

    v' cos(φ1 - φ0') = v cos(φ1 - φ0),      v' cos(φ2 - φ0') = -v cos(φ2 - φ0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from jax import Array

from heterodyne.data.geometry import azimuth_axes
from heterodyne.evaluators.bin_average import components_at
from heterodyne.kernels._jax import jax, jnp
from heterodyne.model import Model
from heterodyne.problem.problem import Problem
from heterodyne.result.identifiability import Finding
from heterodyne.words import first_listed

Cost = Callable[[Mapping[str, float]], float]

_AS_GOOD = 0.5  # cost, half of a χ²: within one standard error
_EQUAL = 1e-3  # of half a χ²: less is rounding

_SAME = 1e-6  # relative difference of values below which two solutions are one


def other_solutions(
    problem: Problem,
    values: Mapping[str, float],
    cost: Cost,
    minima: Sequence[tuple[Mapping[str, float], float]] = (),
) -> list[Finding]:
    """The twins and the mirrored flow, where they may be reached and fit as well, and other ``minima``: lines 4 and 7.

    ``cost`` is half of χ² at all parameters, contrast and offset solved. ``minima`` are all parameters of those that
    were met, and by how much half of χ² is above; one that lies where a twin leads stands for it.
    """
    findings, here, left = [], cost(values), list(minima)
    for reason, other in (*twins(problem, values), *_mirror(problem, values)):
        beside = [at for at in left if _is_nearer(problem, at[0], other, values)]
        if beside:
            met, more = min(beside, key=lambda at: at[1])
            left = [at for at in left if at[0] is not met]
            findings.append(_finding(reason, values, met, more))
        elif _reachable(problem, values, other) and (more := cost(other) - here) <= _AS_GOOD:
            findings.append(_finding(reason, values, other, more))
    return findings + [_finding("another minimum", values, *at) for at in left]


def _finding(reason: str, values: Mapping[str, float], other: Mapping[str, float], more: float) -> Finding:
    """Another solution and its difference, in words."""
    changed = tuple(name for name in values if _differs(values[name], other[name]))
    shown = ", ".join(f"{name} = {other[name]:.5g}" for name in changed)
    own = ", ".join(f"{name} = {values[name]:.5g}" for name in changed)
    apart = f"χ² {2.0 * more:+.2g}" if abs(more) > _EQUAL else "equal χ²"
    fit = (
        "fit equally well"
        if more <= _AS_GOOD
        else "fit nearly as well, which noise that elements share may decide"
    )
    other_values = {name: other[name] for name in changed}
    return Finding(
        "other solution", f"{reason}: {own} and {shown} {fit} ({apart})", changed, values=other_values
    )


def _is_nearer(
    problem: Problem, at: Mapping[str, float], twin: Mapping[str, float], values: Mapping[str, float]
) -> bool:
    """Whether a minimum lies nearer to a twin than to the solution, in parts of the ranges of the parameters."""
    return _squares(problem, at, twin) < _squares(problem, at, values)


def _squares(problem: Problem, one: Mapping[str, float], other: Mapping[str, float]) -> float:
    total = 0.0
    for name in problem.varying:
        row = problem.parameters[name]
        if row.scale == "log":
            low = row.low
            part = np.log(max(one[name], low) / max(other[name], low)) / np.log(row.high / low)
        else:
            part = (one[name] - other[name]) / (row.high - row.low)
            part -= round(part) if row.is_periodic else 0.0
        total += float(part) ** 2
    return total


def twins(problem: Problem, values: Mapping[str, float]) -> list[tuple[str, dict[str, float]]]:
    """All parameters of each equivalent solution that the model states, with the reason in words."""
    time = float(np.mean([data.t.mean() for data in problem.data]))
    return [(twin.words, twin.equivalent(values, time, problem.varying)) for twin in problem.model.twins]


def _reachable(problem: Problem, values: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether the other solution differs, in what may vary alone, within bounds and with ties kept."""
    if not any(_differs(values[name], other[name]) for name in values):
        return False
    kept = problem.expand([other[name] for name in problem.varying])
    inside = (problem.parameters[n].low <= other[n] <= problem.parameters[n].high for n in problem.varying)
    return all(inside) and not any(_differs(kept[name], other[name]) for name in values)


def _differs(value: float, other: float) -> bool:
    return abs(value - other) > _SAME * max(abs(value), abs(other))


def _mirror(problem: Problem, values: Mapping[str, float]) -> list[tuple[str, dict[str, float]]]:
    axes = azimuth_axes(np.concatenate([data.phi for data in problem.data]))
    if problem.model.flow is None or len(axes) != 2:
        return []
    reason = f"all azimuths lie on two axes, {axes[0]:.4g}° and {axes[1]:.4g}°"
    return [(reason, mirrored(problem.model, values, axes))]


def mirrored(model: Model, values: Mapping[str, float], axes: tuple[float, ...]) -> dict[str, float]:
    """All parameters with the second flow that fits azimuths on two axes (degrees).

    As vectors, v' = (v·e1) g1 - (v·e2) g2 with the unit vectors e of the axes and g reciprocal to them.
    """
    flow, velocity = model.flow, model.velocity
    assert flow is not None
    assert velocity is not None
    angles = np.deg2rad(axes)
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    direction = np.deg2rad(values[flow.azimuth])
    x, y = np.linalg.solve(along, along @ [np.cos(direction), np.sin(direction)] * [1.0, -1.0])
    longer = {name: values[name] * float(np.hypot(x, y)) for name in velocity.factors}
    return {**values, **longer, flow.azimuth: 90.0 - (90.0 - float(np.rad2deg(np.arctan2(y, x)))) % 180.0}


def aliased_fringes(problem: Problem, values: Mapping[str, float]) -> list[Finding]:
    """Bins whose fringe turns by more than π between neighbouring frames: line 10."""
    if problem.model.components is None:
        return []
    theta = np.array([values[name] for name in problem.model.parameters])
    turns = {
        data.label(index): float(turn)
        for data in problem.data
        for index, turn in enumerate(_largest_turns(problem.model, theta, data.t, data.q, data.phi))
        if turn > np.pi
    }
    if not turns:
        return []
    worst = max(turns, key=lambda label: turns[label])
    words = (
        f"the fringe of {first_listed(list(turns))} is aliased: it turns "
        f"by up to {turns[worst]:.3g} rad from frame to frame, beyond π, and slower flow may fit as well"
    )
    return [Finding("aliased", words)]


@partial(jax.jit, static_argnums=0)
def _largest_turns(model: Model, theta: Array, t: Array, q: Array, phi: Array) -> Array:
    """The most that the phase of each bin turns, (bins,) in rad, within the shortest time between two frames."""
    values, spacing = dict(zip(model.parameters, theta, strict=True)), jnp.diff(t)

    def of(q: Array, phi: Array) -> Array:
        phase = components_at(model, values, t, q, phi).phase
        return jnp.max(jnp.abs(jnp.diff(phase)) / spacing, initial=0.0) * spacing.min()

    return jax.vmap(of)(q, phi)
