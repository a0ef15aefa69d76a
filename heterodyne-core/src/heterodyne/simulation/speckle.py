"""Simulated speckle: complex fields, intensities per pixel, and the two-time correlation made from them.

Every pixel and speckle mode has a reference field and a sample field, independent complex Gaussian
processes of unit intensity whose two-time correlations are

    <E_r*(i) E_r(j)> = e^{-½ q² R},      <E_s*(i) E_s(j)> = e^{-½ q² Q + i q cos(φ - φ0) V}.

The intensity of a pixel is the mean over its modes of |r E_r + s E_s|², and

    c2_ij = <I_i I_j> / (<I_i> <I_j>),      < > over the pixels.

The total field has the mean intensity n = r² + s², and by the Gaussian moment theorem
<I_i I_j> - <I_i> <I_j> = |<E*(i) E(j)>|² / modes, in which
|r_i r_j e^{-½ q² R} + s_i s_j e^{-½ q² Q + i q cos(φ - φ0) V}|² / (n_i n_j) = S_ij. So c2 = 1 + S / modes on
average, to first order in 1/pixels: offset 1, contrast 1/modes. The noise is that of an experiment:
elements that share a frame are correlated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from heterodyne.catalogue import create_model
from heterodyne.data.geometry import between_axes
from heterodyne.data.two_time import TwoTime
from heterodyne.device.backend import check_device
from heterodyne.errors import DataError
from heterodyne.kernels._jax import jax
from heterodyne.model import Model
from heterodyne.simulation.simulate import (
    bin_grid,
    frame_times,
    generators,
    simulated,
    true_parameters,
    whole,
)
from heterodyne.variants import two_component

_SAME = 1e-6  # degrees, and relative in q: bins this close are one sector given twice


def simulate_speckle(
    model: str = "two-component",
    params: Mapping[str, float] | None = None,
    q: float | Sequence[float] = 0.01,
    phi: float | Sequence[float] = (0.0, 45.0, 90.0),
    frames: int = 192,
    dt: float = 0.1,
    pixels: int = 1000,
    modes: int = 4,
    seed: int = 0,
    age: float = 0.0,
    t: ArrayLike | None = None,
    friedel: bool = False,
) -> TwoTime:
    """Two-time data of a simulated speckle experiment: offset 1, contrast 1/modes, correlated noise.

    Bins, times, parameters, seed and truth as in `heterodyne.simulate`. Bins have independent speckles;
    with ``friedel`` those of one q whose phi agree modulo 180° share one pattern, as the intensities
    I(q) = I(-q) of a weakly scattering sample do. For models whose S is that of `two-component`; others
    raise `DataError`.
    """
    variant = create_model(model)
    if variant.pair is not two_component.pair:
        raise DataError(
            f"model {model!r} has no reference and sample fields; "
            "speckle is simulated for two-component, static-reference and no-flow"
        )
    values = true_parameters(variant, params)
    axis = frame_times(frames, dt, age, t)
    bin_q, bin_phi = bin_grid(q, phi)
    check_device()
    n_pixels, n_modes = whole("pixels", pixels, 1), whole("modes", modes, 1)
    patterns = _patterns(bin_q, bin_phi) if friedel else range(len(bin_q))
    c2 = np.empty((len(bin_q), len(axis.t), len(axis.t)))
    for b, rng in enumerate(generators(seed, len(bin_q))):
        if patterns[b] < b:
            c2[b] = c2[patterns[b]]
            continue
        rows = _profiles(variant, values, axis.t, bin_q[b], bin_phi[b])
        c2[b] = _correlate(intensities(rng, rows, n_pixels, n_modes))
    truth = {
        "model": model,
        "params": values,
        "contrast": [1.0 / n_modes] * len(bin_q),
        "offset": [1.0] * len(bin_q),
        "pixels": n_pixels,
        "modes": n_modes,
        "friedel": friedel,
        "seed": int(seed),
    }
    point = np.zeros(len(bin_q))
    return TwoTime(c2, bin_q, bin_phi, *axis, dq=point, dphi=point, provenance=simulated(truth))


def intensities(
    rng: np.random.Generator, rows: two_component.Profiles, pixels: int, modes: int
) -> np.ndarray:
    """Intensity of every pixel in every frame, mean 1, shape (frames, pixels)."""
    reference = _field(rng, np.asarray(rows.decay_reference), (pixels, modes))
    sample = _field(rng, np.asarray(rows.decay_sample), (pixels, modes))
    r = np.sqrt(rows.reference)
    s = np.sqrt(rows.sample) * np.exp(1j * np.asarray(rows.phase))
    found = np.empty((len(r), pixels))
    for k, (e_reference, e_sample) in enumerate(zip(reference, sample, strict=True)):
        total = r[k] * e_reference + s[k] * e_sample
        found[k] = np.mean(total.real**2 + total.imag**2, axis=1)
    return found


def _field(rng: np.random.Generator, exponent: np.ndarray, shape: tuple[int, int]) -> Iterator[np.ndarray]:
    """A complex Gaussian field frame by frame, <E*(i) E(j)> = exp(-½ (Λ_j - Λ_i)), Λ = ``exponent``.

    In the time Λ it is an Ornstein-Uhlenbeck process, which is Markov, so that one step
    E ← ρ E + sqrt(1 - ρ²) ξ with ρ = exp(-½ ΔΛ) is exact however long it is.
    """
    field = _unit_field(rng, shape)
    yield field
    for step in np.diff(exponent):
        field = np.exp(-0.5 * step) * field + np.sqrt(-np.expm1(-step)) * _unit_field(rng, shape)
        yield field


def _unit_field(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    real_and_imaginary = rng.standard_normal((*shape, 2)) * np.sqrt(0.5)
    return real_and_imaginary.view(np.complex128)[..., 0]


def _correlate(intensity: np.ndarray) -> np.ndarray:
    normalised = intensity / intensity.mean(axis=1, keepdims=True)
    return normalised @ normalised.T / intensity.shape[1]


def _profiles(
    model: Model, params: Mapping[str, float], t: np.ndarray, q: float, phi: float
) -> two_component.Profiles:
    if model.uses_azimuth and np.isnan(phi):
        raise DataError(f"model {model.name!r} needs an azimuth phi for every bin")
    return jax.jit(model.profiles)(params, t, q, phi)


def _patterns(q: np.ndarray, phi: np.ndarray) -> list[int]:
    """For every bin the first bin with the same q and the same phi modulo 180°."""
    same_q = np.isclose(q[:, None], q, rtol=_SAME, atol=0.0)
    same = (same_q & (between_axes(phi[:, None], phi) <= _SAME)) | np.eye(len(q), dtype=bool)
    return np.argmax(same, axis=1).tolist()
