"""Complex fields per pixel and mode, whose coherent sum has the S of a model, and their intensities.

A model whose S is that of one field, S = e^{-ΔΛ}, or of two that interfere,

    S_ij = w_1(i) w_1(j) e^{-ΔΛ_1} + w_2(i) w_2(j) e^{-ΔΛ_2} + a(i) a(j) e^{-½ (ΔΛ_1 + ΔΛ_2)} cos Δκ,   a² = 2 w_1 w_2,

with shares of the intensity w_1 + w_2 = 1, is |Σ_k sqrt(w_k(i) w_k(j)) e^{-½ ΔΛ_k + iκ_k}|²: that of independent
complex Gaussian processes of unit intensity with <E_k*(i) E_k(j)> = e^{-½ ΔΛ_k}, added with amplitudes
sqrt(w_k) e^{iκ_k}. A process in the time Λ is an Ornstein-Uhlenbeck process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from heterodyne.errors import DataError
from heterodyne.kernels._jax import jax
from heterodyne.model import Components, Model

_equal = partial(np.allclose, rtol=1e-9, atol=1e-12)  # of what a model states in two ways


class Fields(NamedTuple):
    """The fields of a model over the frames, each array (fields, frames).

    ``share`` of the mean intensity, decay ``exponent`` Λ and ``phase`` κ in rad.
    """

    share: np.ndarray
    exponent: np.ndarray
    phase: np.ndarray


def fields_of(model: Model, params: Mapping[str, float], t: np.ndarray, q: float, phi: float) -> Fields:
    """One or two fields of which the model's S consists, for frame times t in s.

    Raises `DataError` for a model whose S is neither that of one field nor that of two that interfere, and
    for an azimuth that a model needs and does not get.
    """
    if model.uses_azimuth and np.isnan(phi):
        raise DataError(f"model {model.name!r} needs an azimuth phi for every bin")
    if model.components is None:
        raise _no_fields(model)
    stated = jax.jit(model.components)(params, t, q, phi)
    a, exponent, turning = map(np.asarray, Components.of(stated))
    fields = 1 if len(a) == 1 else 2
    phase = np.zeros((fields, len(t)))
    phase[-1:] += turning.sum(axis=0)
    found = Fields(a[:fields], exponent[:fields], phase)
    if not (
        len(turning) < fields and np.all(np.diff(found.exponent) >= 0.0) and _consists_of(a, exponent, found)
    ):
        raise _no_fields(model)
    return found


def _consists_of(a: np.ndarray, exponent: np.ndarray, fields: Fields) -> bool:
    """Whether components with these a and Λ are the fields and what their interference makes."""
    cross = 2.0 * fields.share[:1] * fields.share[1:]
    mean = 0.5 * (fields.exponent[:1] + fields.exponent[1:])
    return (
        len(a) == len(fields.share) + len(cross)
        and _equal(fields.share.sum(axis=0), 1.0)
        and _equal(a[len(fields.share) :] ** 2, cross)
        and _equal(exponent[len(fields.share) :], mean)
    )


def _no_fields(model: Model) -> DataError:
    return DataError(
        f"speckle of model {model.name!r} cannot be simulated: its S is that of neither one field nor two "
        "that interfere"
    )


def intensities(
    rng: np.random.Generator, fields: Fields, pixels: int, modes: int, static: np.ndarray
) -> np.ndarray:
    """Intensity of every pixel in every frame, mean over its modes, shape (frames, pixels).

    ``static`` is a field that never changes, (pixels, modes); the others have mean intensity 1.
    """

    def draw() -> np.ndarray:
        return unit_field(rng, (pixels, modes))

    amplitude = np.sqrt(fields.share) * np.exp(1j * fields.phase)
    processes = [ornstein_uhlenbeck(draw, exponent) for exponent in fields.exponent]
    found = np.empty((fields.share.shape[1], pixels))
    for k, parts in enumerate(zip(*processes, strict=True)):
        total = static
        for factor, part in zip(amplitude[:, k], parts, strict=True):
            total = total + factor * part
        found[k] = np.mean(np.real(total) ** 2 + np.imag(total) ** 2, axis=1)
    return found


def unit_field(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Independent complex Gaussian numbers of mean intensity 1."""
    real_and_imaginary = rng.standard_normal((*shape, 2)) * np.sqrt(0.5)
    return real_and_imaginary.view(np.complex128)[..., 0]


def ornstein_uhlenbeck(draw: Callable[[], np.ndarray], exponent: np.ndarray) -> Iterator[np.ndarray]:
    """A Gaussian process frame by frame, <x*(i) x(j)> = exp(-½ (Λ_j - Λ_i)), Λ = ``exponent`` (frames,).

    ``draw`` gives independent values of unit variance. The process is Markov, so that one step
    x ← ρ x + sqrt(1 - ρ²) ξ with ρ = exp(-½ ΔΛ) is exact however long it is.
    """
    value = draw()
    yield value
    for step in np.diff(exponent):
        value = np.exp(-0.5 * step) * value + np.sqrt(-np.expm1(-step)) * draw()
        yield value
