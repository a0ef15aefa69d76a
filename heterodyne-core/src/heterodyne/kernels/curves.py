"""Curves: the physical functions of time that the parameters of a model stand for.

    power law   A t^b + o            a rate J, never below 0, or a velocity v, signed
    growth      A e^{b (t - c)} + o   a fraction f, between 0 and 1
    constant    factor · A

A model states its curves, and with them what its parameters are: starts, sampling coordinates, degeneracies in words
and bands with errors are derived from the statement, whatever the parameters are called. The same curve can belong
to many sets of parameters: where parameters merge, the curve is still determined.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from heterodyne.kernels._jax import FloatArray, compiled, jax, jnp
from heterodyne.kernels.rates import fraction, transport_rate, unclipped_fraction, velocity

RATE, SPEED = "Å²/s", "Å/s"
"""The units that make a curve a transport coefficient J, with |g1|² = e^{-q² ∫J}, or a velocity."""


@dataclass(frozen=True)
class Curve(ABC):
    """A function of time named ``name`` in ``unit``, of the parameters ``parts``.

    A kind of curve says how it is made of them, in ``free`` without the ``limits`` that cut it, and which of its
    parts are ``factors``: multiplied together by a number, they multiply the curve.
    """

    name: str
    unit: str

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """The names of its parameters, in the order in which its functions take them."""

    @property
    @abstractmethod
    def factors(self) -> tuple[str, ...]:
        """The parameters that are its height, the main one first."""

    @property
    def limits(self) -> tuple[float, float]:
        """Where the model cuts it."""
        return -np.inf, np.inf

    def times_parameter(self, number: float) -> str:
        """``number`` times the curve as a multiple of a parameter, such as ``3 D_ref``; empty where it is none."""
        return ""

    @abstractmethod
    def free(self, t: ArrayLike, *values: ArrayLike) -> FloatArray:
        """The curve before its limits cut it."""

    def clipped(self, t: ArrayLike, *values: ArrayLike) -> FloatArray:
        """The curve as the model has it."""
        return self.free(t, *values)


@dataclass(frozen=True)
class PowerLaw(Curve):
    """``prefactor`` t^``exponent`` + ``offset``: a rate, cut at 0, or with ``signed`` a velocity."""

    prefactor: str
    exponent: str
    offset: str
    signed: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        return self.prefactor, self.exponent, self.offset

    @property
    def factors(self) -> tuple[str, ...]:
        return self.prefactor, self.offset

    @property
    def limits(self) -> tuple[float, float]:
        return (-np.inf if self.signed else 0.0), np.inf

    def free(self, t: ArrayLike, *values: ArrayLike) -> Array:
        return velocity(t, *values)

    def clipped(self, t: ArrayLike, *values: ArrayLike) -> Array:
        return self.free(t, *values) if self.signed else transport_rate(t, *values)


@dataclass(frozen=True)
class Growth(Curve):
    """``prefactor`` e^{``rate`` (t - ``origin``)} + ``offset``: a fraction, cut at 0 and 1."""

    prefactor: str
    rate: str
    origin: str
    offset: str
    unit: str = field(default="1", kw_only=True)

    @property
    def parts(self) -> tuple[str, ...]:
        return self.prefactor, self.rate, self.origin, self.offset

    @property
    def factors(self) -> tuple[str, ...]:
        return self.prefactor, self.offset

    @property
    def limits(self) -> tuple[float, float]:
        return 0.0, 1.0

    def free(self, t: ArrayLike, *values: ArrayLike) -> Array:
        return unclipped_fraction(t, *values)

    def clipped(self, t: ArrayLike, *values: ArrayLike) -> Array:
        return fraction(t, *values)


@dataclass(frozen=True)
class Constant(Curve):
    """``factor`` times one parameter at all times, such as J = 6 D."""

    value: str
    factor: float = 1.0

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.value,)

    @property
    def factors(self) -> tuple[str, ...]:
        return (self.value,)

    def times_parameter(self, number: float) -> str:
        times = number * self.factor
        return self.value if times == 1.0 else f"{times:g} {self.value}"

    def free(self, t: ArrayLike, *values: ArrayLike) -> Array:
        return self.factor * values[0] + 0.0 * t  # type: ignore[operator]  # arrays of NumPy or JAX


def curve_values(
    curve: Curve,
    values: Mapping[str, float | Float[np.ndarray, "sets 1"]],
    t: Float[np.ndarray, " frames"],
    clipped: bool = True,
) -> Float[np.ndarray, "*sets frames"]:
    """The curve at the times ``t`` in s, in its unit, for one set of values or several."""
    parts = tuple(np.asarray(values[part], dtype=float) for part in curve.parts)
    return np.asarray(_values(curve, clipped, t, parts))


def curve_slopes(
    curve: Curve,
    ties: Mapping[str, str],
    values: Mapping[str, float],
    names: tuple[str, ...],
    t: Float[np.ndarray, " frames"],
    clipped: bool = True,
) -> Float[np.ndarray, "frames p"]:
    """∂(curve)/∂(parameter) by the p varying parameters ``names`` and by those tied to them."""
    follows = [[float(ties.get(part, part) == moved) for moved in names] for part in curve.parts]
    at = np.array([values[part] for part in curve.parts], dtype=float)
    return np.asarray(_slopes(curve, clipped, t, at)) @ np.array(follows)


@compiled("curve", "clipped")
def _values(
    curve: Curve, clipped: bool, t: Float[Array, " frames"], parts: tuple[Array, ...]
) -> Float[Array, "*sets frames"]:
    return jnp.asarray((curve.clipped if clipped else curve.free)(t, *parts))


@compiled("curve", "clipped")
def _slopes(
    curve: Curve, clipped: bool, t: Float[Array, " frames"], at: Float[Array, " parts"]
) -> Float[Array, "frames parts"]:
    of = curve.clipped if clipped else curve.free
    return jax.jacfwd(lambda parts: jnp.asarray(of(t, *parts)))(at)
