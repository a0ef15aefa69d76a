"""A model: parameters and one definition of S(t1, t2), from which every evaluator is made.

    c2(t_i, t_j) = offset + contrast · S(t_i, t_j),      S(t, t) = 1,      S symmetric.

A variant states ``profiles``, arrays over the frame grid that cost O(N), and ``pair``, the value of S
from the profiles at two frames. A *separable* variant also states ``components``: amplitudes a[K, N],
cumulative decays Λ[K, N] and the phases κ[F, N] of its fringes, which are the last F components, with

    S_ij = Σ_k a_k(i) a_k(j) exp(-|Λ_k(j) - Λ_k(i)|) cos(κ_k(j) - κ_k(i)).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from heterodyne.device.backend import check_device
from heterodyne.errors import DataError, ParameterError, unknown
from heterodyne.frozen import FrozenMapping
from heterodyne.kernels._jax import AnyArray, FloatArray, Scalar, jax, jnp
from heterodyne.kernels.curves import RATE, SPEED, Constant, Curve, Growth, PowerLaw
from heterodyne.kernels.integrals import attenuation
from heterodyne.parameters import ParameterTable

__all__ = [
    "RATE",
    "SPEED",
    "Components",
    "Constant",
    "Curve",
    "Flow",
    "Growth",
    "KnownValues",
    "Mixture",
    "Model",
    "Parameters",
    "PowerLaw",
    "Stationary",
    "Twin",
    "correlation_matrix",
    "exchange",
    "pair_of_components",
    "separable",
]

Parameters = Mapping[str, ArrayLike]


class KnownValues(NamedTuple):
    """c2 = offset + contrast · S at pairs of frames, known from elsewhere than a model's own code.

    ``t`` (N,) are the frame times in s, ``q`` in Å⁻¹, ``phi`` in degrees, ``pairs`` frames counted from 0.
    """

    params: Mapping[str, float]
    t: Sequence[float] | np.ndarray
    q: float
    phi: float
    pairs: tuple[tuple[int, int], ...]
    c2: tuple[float, ...]
    contrast: float = 1.0
    offset: float = 0.0


Profiles = Any  # a pytree of arrays whose last axis is the frame axis


class Components(NamedTuple):
    """What a separable S consists of: a and Λ of its terms, and κ in rad of the last of them, its fringes.

    Derivatives have a leading axis (P,).
    """

    a: Float[Array, "*P terms frames"]
    exponent: Float[Array, "*P terms frames"]
    phase: Float[Array, "*P fringes frames"]

    @classmethod
    def of(cls, stated: tuple[Array, ...]) -> Components:
        """The components that a model states, (a, Λ) or (a, Λ, κ); without κ there is no fringe, F = 0."""
        a, exponent, *phase = stated
        return cls(a, exponent, *phase or (exponent[:0],))


@dataclass(frozen=True)
class Flow:
    """A directed motion: ``curve`` is the name of its velocity's, ``azimuth`` the parameter of its direction.

    Only |v cos(φ - azimuth)| enters S.
    """

    curve: str
    azimuth: str


@dataclass(frozen=True)
class Mixture:
    """Two components whose shares add up to 1.

    ``share`` is the curve of the first one's share, ``of`` what it is a share of; ``names`` are the components in
    words, ``transport`` the curves of their motion, None for a component that does not move by itself.
    """

    share: str
    transport: tuple[str | None, str | None]
    of: str = "field"
    names: tuple[str, str] = ("sample", "reference")


@dataclass(frozen=True)
class Twin:
    """Another set of parameters that gives the same S, or nearly: why, in ``words``, and how.

    ``equivalent(values, time, varying)`` gives all parameters of the other set from those of one, for data about
    ``time`` in s; where it has a choice it leaves parameters as they are that are not ``varying``.
    """

    words: str
    equivalent: Callable[[Mapping[str, float], float, Collection[str]], dict[str, float]]


@dataclass(frozen=True)
class Stationary:
    """What makes S depend on the lag alone, as one-time data need it.

    Parameters ``held`` must have these values. Those in ``merged`` would then merge with others, and are held at
    these values unless a user says something else of them.
    """

    held: Mapping[str, float] = field(default_factory=FrozenMapping)
    merged: Mapping[str, float] = field(default_factory=FrozenMapping)


@dataclass(frozen=True, eq=False)
class Model:
    """A model variant: name, parameter table, S in one definition, and what its parameters stand for.

    ``profiles(params, t, q, phi)`` gives a pytree of arrays over the frames (t in s, q in Å⁻¹, phi in
    degrees); ``pair(left, right)`` gives S from the profiles at two frames, elementwise;
    ``components(params, t, q, phi)`` gives (a, Λ) or (a, Λ, κ), as `Components.of` takes them, where S is
    separable.
    ``uses_azimuth`` says whether S depends on phi; such a model refuses bins without an azimuth.

    The rest are statements from which starts, sampling coordinates, degeneracies in words, other solutions and bands
    are derived: the ``curves`` that parameters make, which of them is a ``flow`` and which two belong to a
    ``mixture``, and its ``twins``. A model that states nothing is fitted all the same, from starts within priors
    and bounds. ``stationary`` says what makes S depend on the lag alone, None that nothing does: such a model does not
    serve one-time data. ``example`` are values of a typical experiment, for simulations, completed by start values.

    Raises `ParameterError` for a statement about a parameter or a curve that the model does not have.
    """

    name: str
    parameters: ParameterTable
    profiles: Callable[[Parameters, Array, ArrayLike, ArrayLike], Profiles]
    pair: Callable[[Profiles, Profiles], Array]
    components: Callable[[Parameters, Array, ArrayLike, ArrayLike], tuple[Array, ...]] | None = None
    uses_azimuth: bool = True
    curves: tuple[Curve, ...] = ()
    flow: Flow | None = None
    mixture: Mixture | None = None
    twins: tuple[Twin, ...] = ()
    example: Mapping[str, float] = field(default_factory=dict)
    stationary: Stationary | None = None

    def __post_init__(self) -> None:
        azimuth = () if self.flow is None else (self.flow.azimuth,)
        parts = [part for curve in self.curves for part in curve.parts]
        lags = () if self.stationary is None else (*self.stationary.held, *self.stationary.merged)
        for name in (*parts, *azimuth, *self.example, *lags):
            if name not in self.parameters:
                raise ParameterError(
                    f"model {self.name!r} states something of {name!r}, which it does not have"
                )
        named = [] if self.flow is None else [self.flow.curve]
        named += [] if self.mixture is None else [self.mixture.share, *filter(None, self.mixture.transport)]
        for name in named:
            self.curve(name)

    def curve(self, name: str) -> Curve:
        """The curve of this name; raises `ParameterError` if the model states none."""
        for curve in self.curves:
            if curve.name == name:
                return curve
        raise ParameterError(
            unknown(f"curve of model {self.name!r}", name, [curve.name for curve in self.curves])
        )

    @property
    def velocity(self) -> Curve | None:
        """The curve of the flow's velocity, None without a flow."""
        return None if self.flow is None else self.curve(self.flow.curve)

    def correlation(
        self, params: Mapping[str, float], t: npt.ArrayLike, q: float, phi: float = float("nan")
    ) -> Float[np.ndarray, "frames frames"]:
        """S between the frame times ``t``.

        Parameters that are not given take the registry's start value. Raises `ParameterError` for an
        unknown name, `DataError` for times that are not positive and increasing, and `HeterodyneError` where
        JAX cannot compute.
        """
        check_device()
        times = np.asarray(t, dtype=float)
        if times.ndim != 1 or not np.all(np.diff(times) > 0) or not np.all(times > 0):
            raise DataError("frame times must be one-dimensional, positive and increasing")
        if self.uses_azimuth and np.isnan(phi):
            raise DataError(f"model {self.name!r} needs an azimuth phi for every bin")
        return np.asarray(correlation_matrix(self, self.parameters.complete(params), times, q, phi))


def separable(
    name: str,
    parameters: ParameterTable,
    components: Callable[[Parameters, Array, ArrayLike, ArrayLike], tuple[Array, ...]],
    uses_azimuth: bool = True,
    **statements: Any,
) -> Model:
    """A model given by its components alone: profiles and pair follow from them.

    ``statements`` are curves, flow, mixture, twins, example and stationary of `Model`.
    """
    return Model(name, parameters, components, pair_of_components, components, uses_azimuth, **statements)


def exchange(
    first: Curve,
    second: Curve,
    share: Growth | Constant,
    words: str = "reference and sample can be exchanged",
) -> Twin:
    """The twin with two components of one kind of curve exchanged and their share f → 1 - f.

    Exact for a share that is constant. For any other it is the place where the second-best minimum is found: an
    exponential of the value and the slope of 1 - f at the middle of the data, the offset 0 or held.
    """

    return Twin(words, partial(_exchanged, first, second, share))


def _exchanged(
    first: Curve,
    second: Curve,
    share: Growth | Constant,
    values: Mapping[str, float],
    time: float,
    varying: Collection[str],
) -> dict[str, float]:
    swapped = dict(values)
    for part, counterpart in zip(first.parts, second.parts, strict=True):
        swapped[part], swapped[counterpart] = values[counterpart], values[part]
    if isinstance(share, Constant):
        return swapped | {share.value: 1.0 / share.factor - values[share.value]}
    return swapped | _complement(share, values, time, share.offset in varying)


def _complement(
    share: Growth, values: Mapping[str, float], time: float, offset_varies: bool
) -> dict[str, float]:
    """Prefactor, rate and offset of 1 - f about a time."""
    since = time - values[share.origin]
    growth = values[share.prefactor] * np.exp(np.clip(values[share.rate] * since, -50.0, 50.0))
    offset = 0.0 if offset_varies else values[share.offset]
    height = float(np.clip(1.0 - growth - values[share.offset] - offset, 0.02, 0.98))
    rate = -values[share.rate] * growth / height
    prefactor = height * np.exp(np.clip(-rate * since, -50.0, 50.0))
    return {share.prefactor: float(prefactor), share.rate: rate, share.offset: offset}


def pair_of_components(left: tuple[Array, ...], right: tuple[Array, ...]) -> FloatArray:
    """S between frames from their components, summed over the leading axis."""
    left, right = Components.of(left), Components.of(right)
    terms = left.a * right.a * attenuation(right.exponent - left.exponent)
    plain = len(terms) - len(left.phase)
    turning = terms[plain:] * jnp.cos(right.phase - left.phase)
    return jnp.sum(terms[:plain], axis=0) + jnp.sum(turning, axis=0)


@partial(jax.jit, static_argnames="model")
def correlation_matrix(
    model: Model, params: Parameters, t: Float[AnyArray, " frames"], q: Scalar, phi: Scalar
) -> Float[Array, "frames frames"]:
    """S over all pairs of frames."""
    profiles = model.profiles(params, jnp.asarray(t), q, phi)
    left = jax.tree.map(lambda profile: profile[..., :, None], profiles)
    right = jax.tree.map(lambda profile: profile[..., None, :], profiles)
    return model.pair(left, right)
