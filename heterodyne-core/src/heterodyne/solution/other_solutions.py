"""Other values of the parameters that fit as well: exchanged components, mirrored flow, aliased fringes.

S is the same with reference and sample exchanged and f → 1 - f, for a constant f and in `equilibrium`. Only
|v cos(φ - φ0)| enters, so that azimuths on two axes φ1, φ2 are fitted by a second flow as well:

    v' cos(φ1 - φ0') = v cos(φ1 - φ0),      v' cos(φ2 - φ0') = -v cos(φ2 - φ0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from jax import Array

from heterodyne.data.geometry import azimuth_axes
from heterodyne.kernels._jax import jax, jnp
from heterodyne.model import Components, Model
from heterodyne.problem.problem import Problem
from heterodyne.result.identifiability import Finding
from heterodyne.words import first_listed

Cost = Callable[[Mapping[str, float]], float]

_AS_GOOD = 0.5  # cost, half of a χ²: within one standard error
_SAME = 1e-6  # relative difference of values below which two solutions are one


def other_solutions(problem: Problem, values: Mapping[str, float], cost: Cost) -> list[Finding]:
    """The exchange and the mirrored flow, where they may be reached and fit as well: lines 4 and 7.

    ``cost`` is half of χ² at all parameters, contrast and offset solved.
    """
    found, here = [], cost(values)
    for reason, other in (_exchange(problem, values), _mirror(problem, values)):
        if other is None or not _reachable(problem, values, other):
            continue
        more = cost(other) - here
        if more <= _AS_GOOD:
            changed = tuple(name for name in values if _differs(values[name], other[name]))
            shown = ", ".join(f"{name} = {other[name]:.5g}" for name in changed)
            own = ", ".join(f"{name} = {values[name]:.5g}" for name in changed)
            words = f"{reason}: {own} and {shown} fit equally well (χ² {2.0 * more:+.2g})"
            found.append(Finding("other solution", words, changed, values={n: other[n] for n in changed}))
    return found


def _reachable(problem: Problem, values: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether the other solution differs, in what may vary alone, within bounds and with ties kept."""
    if not any(_differs(values[name], other[name]) for name in values):
        return False
    kept = problem.expand([other[name] for name in problem.varying])
    inside = (problem.parameters[n].low <= other[n] <= problem.parameters[n].high for n in problem.varying)
    return all(inside) and not any(_differs(kept[name], other[name]) for name in values)


def _differs(one: float, two: float) -> bool:
    return abs(one - two) > _SAME * max(abs(one), abs(two))


def _exchange(problem: Problem, values: Mapping[str, float]) -> tuple[str, dict[str, float] | None]:
    return "reference and sample can be exchanged", exchanged(problem, values)


def exchanged(problem: Problem, values: Mapping[str, float]) -> dict[str, float] | None:
    """All parameters with reference and sample exchanged and f → 1 - f, None for a model without the two.

    Exact for a constant fraction, and for any other the place where the second-best minimum is found.
    f1 is chosen so that 1 - f changes as it should in the middle of the data.
    """
    pairs = [(name, name.replace("_ref", "_sample")) for name in values if name.endswith("_ref")]
    if not pairs or not all(two in values for _, two in pairs):
        return None
    swapped = dict(values)
    for one, two in pairs:
        swapped[one], swapped[two] = values[two], values[one]
    if "x" in values:
        swapped["x"] = 1.0 - values["x"]
    if "f0" in values:
        swapped |= _exchanged_fraction(problem, values)
    return swapped


def _exchanged_fraction(problem: Problem, values: Mapping[str, float]) -> dict[str, float]:
    """f0, f1 and f3 of 1 - f at the middle time: an exponential of the same value and slope, f3 = 0 or held."""
    middle = float(np.mean([data.t.mean() for data in problem.data]))
    growth = values["f0"] * np.exp(np.clip(values["f1"] * (middle - values["f2"]), -50.0, 50.0))
    f3 = 0.0 if "f3" in problem.varying else values["f3"]
    other = float(np.clip(1.0 - growth - values["f3"] - f3, 0.02, 0.98))
    f1 = -values["f1"] * growth / other
    return {"f0": float(other * np.exp(-f1 * (middle - values["f2"]))), "f1": f1, "f3": f3}


def _mirror(problem: Problem, values: Mapping[str, float]) -> tuple[str, dict[str, float] | None]:
    axes = azimuth_axes(np.concatenate([data.phi for data in problem.data]))
    if len(axes) != 2:
        return "", None
    return f"all azimuths lie on two axes, {axes[0]:.4g}° and {axes[1]:.4g}°", mirrored(values, axes)


def mirrored(values: Mapping[str, float], axes: tuple[float, ...]) -> dict[str, float] | None:
    """All parameters with the second flow that fits azimuths on two axes (degrees), None without a flow.

    As vectors, v' = (v·e1) g1 - (v·e2) g2 with the unit vectors e of the axes and g reciprocal to them.
    """
    speeds = [name for name in ("v0", "v", "v_offset") if name in values]
    if "phi0" not in values or not speeds:
        return None
    angles = np.deg2rad(axes)
    along = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    flow = np.deg2rad(values["phi0"])
    x, y = np.linalg.solve(along, along @ [np.cos(flow), np.sin(flow)] * [1.0, -1.0])
    folded = 90.0 - (90.0 - np.rad2deg(np.arctan2(y, x))) % 180.0
    return {
        **values,
        **{name: values[name] * float(np.hypot(x, y)) for name in speeds},
        "phi0": float(folded),
    }


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
        assert model.components is not None
        phase = Components(*model.components(values, t, q, phi)).phase
        if phase is None:
            return jnp.zeros(())
        return jnp.max(jnp.abs(jnp.diff(phase)) / spacing) * spacing.min()

    return jax.vmap(of)(q, phi)
