"""The physical functions of time that parameters stand for: J(t), v(t) and f(t).

The same value of a curve can belong to many sets of parameters; where parameters merge, the curve is still
determined. Curves of models with other parameter names are not known here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from heterodyne.kernels.rates import fraction, transport_rate, velocity
from heterodyne.problem import Problem

CURVES: Mapping[str, tuple[str, ...]] = {
    "J_ref": ("D0_ref", "alpha_ref", "D_offset_ref"),
    "J_sample": ("D0_sample", "alpha_sample", "D_offset_sample"),
    "J": ("D0", "alpha", "D_offset"),
    "v": ("v0", "beta", "v_offset"),
    "f": ("f0", "f1", "f2", "f3"),
}
"""Every curve and the parameters that it is made of, in the order of its function in `kernels.rates`."""

_STEP = 1e-6  # of a parameter, or absolutely where that is 0: central differences of smooth functions


def curve_names(names: Mapping[str, object]) -> tuple[str, ...]:
    """The curves of a model with these parameters."""
    return tuple(curve for curve, parts in CURVES.items() if set(parts) <= set(names))


def curve(name: str, values: Mapping[str, float | np.ndarray], t: np.ndarray) -> np.ndarray:
    """The curve at the times ``t`` (N,): J in Å²/s, v in Å/s, f dimensionless; (n, N) for values (n, 1)."""
    function = {"v": velocity, "f": fraction}.get(name, transport_rate)
    return np.asarray(function(t, *(values[part] for part in CURVES[name])), dtype=float)


def curve_slopes(
    name: str, problem: Problem, values: Mapping[str, float], names: tuple[str, ...], t: np.ndarray
) -> np.ndarray:
    """∂(curve)/∂(parameter) for the varying parameters ``names``, those tied to them included, (N, p)."""
    columns = np.zeros((len(t), len(names)))
    for k, moved in enumerate(names):
        followers = {part for part in CURVES[name] if problem.ties.get(part, part) == moved}
        if followers:
            step = _STEP * (abs(values[moved]) or 1.0)
            ends = [{n: v + side * step * (n in followers) for n, v in values.items()} for side in (1, -1)]
            up, down = (curve(name, end, t) for end in ends)
            columns[:, k] = (up - down) / (2.0 * step)
    return columns
