"""A model: parameters and one definition of S(t1, t2), from which every evaluator is made.

    c2(t_i, t_j) = offset + contrast · S(t_i, t_j),      S(t, t) = 1,      S symmetric.

A variant states ``profiles``, arrays over the frame grid that cost O(N), and ``pair``, the value of S
from the profiles at two frames. A *separable* variant also states ``components``: amplitudes a[K, N],
cumulative decays Λ[K, N] and the phases κ[F, N] of its fringes, which are the last F components, with

    S_ij = Σ_k a_k(i) a_k(j) exp(-|Λ_k(j) - Λ_k(i)|) cos(κ_k(j) - κ_k(i)).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jax import Array
from jax.typing import ArrayLike

from heterodyne.errors import DataError
from heterodyne.kernels._jax import jax, jnp
from heterodyne.kernels.integrals import attenuation
from heterodyne.parameters import ParameterTable

Parameters = Mapping[str, ArrayLike]

Profiles = Any  # a pytree of arrays whose last axis is the frame axis


class Components(NamedTuple):
    """What a separable S consists of: ``a`` and ``exponent`` (K, N), ``phase`` (F, N) in rad of the last F.

    Derivatives have a leading axis, (P, K, N) and (P, F, N).
    """

    a: Array
    exponent: Array
    phase: Array

    @classmethod
    def of(cls, stated: tuple[Array, ...]) -> Components:
        """The components that a model states, (a, Λ) or (a, Λ, κ); without κ there is no fringe, F = 0."""
        a, exponent, *phase = stated
        return cls(a, exponent, *phase or (exponent[:0],))


@dataclass(frozen=True, eq=False)
class Model:
    """A model variant: name, parameter table, and S in one definition.

    ``profiles(params, t, q, phi)`` gives a pytree of arrays over the frames (t in s, q in Å⁻¹, phi in
    degrees); ``pair(left, right)`` gives S from the profiles at two frames, elementwise;
    ``components(params, t, q, phi)`` gives (a, Λ) or (a, Λ, κ), as `Components.of` takes them, where S is
    separable.
    ``uses_azimuth`` says whether S depends on phi; such a model refuses bins without an azimuth.
    """

    name: str
    parameters: ParameterTable
    profiles: Callable[[Parameters, Array, ArrayLike, ArrayLike], Profiles]
    pair: Callable[[Profiles, Profiles], Array]
    components: Callable[[Parameters, Array, ArrayLike, ArrayLike], tuple[Array, ...]] | None = None
    uses_azimuth: bool = True

    def correlation(
        self, params: Mapping[str, float], t: ArrayLike, q: float, phi: float = float("nan")
    ) -> np.ndarray:
        """S over the frame times ``t``, shape (N, N).

        Parameters that are not given take the registry's start value. Raises `ParameterError` for an
        unknown name and `DataError` for times that are not positive and increasing.
        """
        from heterodyne.model import correlation_matrix

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
) -> Model:
    """A model stated by its components alone: profiles and pair follow from them."""
    return Model(name, parameters, components, pair_of_components, components, uses_azimuth)


def pair_of_components(left: tuple[Array, ...], right: tuple[Array, ...]) -> Array:
    """S between frames from their components, summed over the leading axis."""
    left, right = Components.of(left), Components.of(right)
    terms = left.a * right.a * attenuation(right.exponent - left.exponent)
    plain = len(terms) - len(left.phase)
    turning = terms[plain:] * jnp.cos(right.phase - left.phase)
    return jnp.sum(terms[:plain], axis=0) + jnp.sum(turning, axis=0)


@partial(jax.jit, static_argnames="model")
def correlation_matrix(model: Model, params: Parameters, t: ArrayLike, q: ArrayLike, phi: ArrayLike) -> Array:
    """S over all pairs of frames, shape (N, N)."""
    profiles = model.profiles(params, jnp.asarray(t), q, phi)
    left = jax.tree.map(lambda row: row[..., :, None], profiles)
    right = jax.tree.map(lambda row: row[..., None, :], profiles)
    return model.pair(left, right)
