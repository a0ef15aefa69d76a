"""The physical functions of time that parameters stand for: J(t), v(t) and f(t).

The same value of a curve can belong to many sets of parameters; where parameters merge, the curve is still
determined. Curves of models with other parameter names are not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from jax import Array

from heterodyne.kernels._jax import jax
from heterodyne.kernels.rates import fraction, transport_rate, unclipped_fraction, velocity

CURVES: Mapping[str, tuple[str, ...]] = {
    "J_ref": ("D0_ref", "alpha_ref", "D_offset_ref"),
    "J_sample": ("D0_sample", "alpha_sample", "D_offset_sample"),
    "J": ("D0", "alpha", "D_offset"),
    "v": ("v0", "beta", "v_offset"),
    "f": ("f0", "f1", "f2", "f3"),
}
"""Every curve and the parameters that it is made of, in the order of its function in `kernels.rates`."""

_CLIPPED = {"v": velocity, "f": fraction}

_UNCLIPPED = {"f": unclipped_fraction}


def curve_names(names: Mapping[str, object]) -> tuple[str, ...]:
    """The curves of a model with these parameters."""
    return tuple(curve for curve, parts in CURVES.items() if set(parts) <= set(names))


def curve(
    name: str, values: Mapping[str, float | np.ndarray], t: np.ndarray, clipped: bool = True
) -> np.ndarray:
    """The curve at the times ``t`` (N,): J in Å²/s, v in Å/s, f dimensionless; (n, N) for values (n, 1).

    Without ``clipped``, J and f are those before their limits cut them.
    """
    parts = tuple(np.asarray(values[part], dtype=float) for part in CURVES[name])
    return np.asarray(_values(_function(name, clipped), t, parts))


def curve_slopes(
    name: str,
    ties: Mapping[str, str],
    values: Mapping[str, float],
    names: tuple[str, ...],
    t: np.ndarray,
    clipped: bool = True,
) -> np.ndarray:
    """∂(curve)/∂(parameter) by the varying parameters ``names`` and by those tied to them, (N, p)."""
    parts = CURVES[name]
    follows = [[float(ties.get(part, part) == moved) for moved in names] for part in parts]
    at = np.array([values[part] for part in parts], dtype=float)
    return np.asarray(_slopes(_function(name, clipped), t, at)) @ np.array(follows)


def _function(name: str, clipped: bool) -> Callable[..., Array]:
    return _CLIPPED.get(name, transport_rate) if clipped else _UNCLIPPED.get(name, velocity)


@partial(jax.jit, static_argnums=0)
def _values(function: Callable[..., Array], t: Array, parts: tuple[Array, ...]) -> Array:
    return function(t, *parts)


@partial(jax.jit, static_argnums=0)
def _slopes(function: Callable[..., Array], t: Array, at: Array) -> Array:
    return jax.jacfwd(lambda parts: function(t, *parts))(at)


_UNITS = {"v": "Å/s", "f": "1"}


def curve_unit(name: str) -> str:
    """The unit of a curve."""
    return _UNITS.get(name, "Å²/s")
