"""Simulated speckle: complex fields, intensities per pixel, photons, and the two-time correlation made from them.

Every pixel and speckle mode has one field, or a reference field and a sample field, independent complex
Gaussian processes of unit intensity (`heterodyne.simulation.fields`); for `two-component`

    <E_r*(i) E_r(j)> = e^{-½ q² R},      <E_s*(i) E_s(j)> = e^{-½ q² Q + i q cos(φ - φ0) V}.

The intensity of a pixel is the mean over its modes of |r E_r + s E_s|², and

    c2_ij = <I_i I_j> / (<I_i> <I_j>),      < > over the pixels.

The total field has the mean intensity n = r² + s², and by the Gaussian moment theorem
<I_i I_j> - <I_i> <I_j> = |<E*(i) E(j)>|² / modes, in which
|r_i r_j e^{-½ q² R} + s_i s_j e^{-½ q² Q + i q cos(φ - φ0) V}|² / (n_i n_j) = S_ij. So c2 = 1 + S / modes on
average, to first order in 1/pixels: offset 1, contrast 1/modes. The noise is that of an experiment:
elements that share a frame are correlated. Photons and other noise are those of `heterodyne.simulation.instrument`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from heterodyne.catalogue import create_model
from heterodyne.data.geometry import between_axes
from heterodyne.data.two_time import TwoTime
from heterodyne.device.backend import check_device
from heterodyne.model import Model
from heterodyne.simulation.fields import Fields, fields_of, intensities, unit_field
from heterodyne.simulation.instrument import Instrument, within
from heterodyne.simulation.simulate import (
    bin_grid,
    frame_times,
    generators,
    simulated,
    true_parameters,
    whole,
)

_SAME = 1e-6  # degrees, and relative in q: bins this close are one sector given twice
_STRONGEST_STATIC = 100.0


def simulate_speckle(
    model: str | Model = "two-component",
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
    *,
    static: float = 0.0,
    background: float = 0.0,
    counts: float | None = None,
    jitter: float = 0.0,
    drift: float = 0.0,
    excess: float = 1.0,
    excess_time: float | None = None,
) -> TwoTime:
    """Two-time data of a simulated speckle experiment: offset 1, contrast 1/modes, correlated noise.

    Bins, times, parameters, seed and truth as in `heterodyne.simulate`. Bins have independent speckles;
    with ``friedel`` those of one q whose phi agree modulo 180° share one pattern, as the intensities
    I(q) = I(-q) of a weakly scattering sample do. The diagonal is left as it comes: offset + contrast, and
    1/counts of shot noise.

    ``static``: amplitude, relative to the field of the model, of a further field that never changes and
    interferes: where g is the correlation of the model's field, S = abs(g)², c2 - 1 becomes
    contrast · abs(g + static²)² / (1 + static²)².
    ``background``: share b of the mean intensity that is constant and featureless: contrast (1 - b)²/modes.
    ``counts``: mean photons per pixel and frame, Poisson; None for no photon noise.
    ``jitter``: relative standard deviation of the beam's intensity from frame to frame, the same for all bins, without
    memory; as frames are divided by their mean over the pixels, it changes their photon noise alone, and needs counts.
    ``drift``: frames are divided by a monitor that misses a change of the intensity, by
    sqrt(1 + drift · (t - t_0)/(t_N - t_0)): the baseline is 1 where both frames are early and
    1 + drift where both are late, and contrast and noise change by the same factor.
    ``excess``: ratio of the standard deviation of elements of c2 to that of speckle and photons,
    (contrast + 1/counts)/sqrt(pixels), where S has died out. Noise of mean 0 is added: the correlation of two patterns
    independent of each other, that live for ``excess_time`` in s, a tenth of the run if it is not given. An excess of 1
    adds nothing.

    None of these changes the speckle of a seed. Raises `PluginError`, `ParameterError` or `DataError` for a model,
    parameter or number that cannot be; `DataError` for a model whose S is neither that of one field nor of two that
    interfere, for an option that would have no effect, and for frames without a photon.
    """
    variant = model if isinstance(model, Model) else create_model(model)
    values = true_parameters(variant, params)
    axis = frame_times(frames, dt, age, t)
    bin_q, bin_phi = bin_grid(q, phi)
    n_pixels, n_modes = whole("pixels", pixels, 1), whole("modes", modes, 1)
    still = within("static", static, 0.0, _STRONGEST_STATIC)
    instrument = Instrument(counts, jitter, drift, background, excess, excess_time)
    check_device()
    patterns = _patterns(bin_q, bin_phi) if friedel else range(len(bin_q))
    beam = instrument.beam(_beam_generator(seed), len(axis.t))
    c2 = np.empty((len(bin_q), len(axis.t), len(axis.t)))
    for b, rng in enumerate(generators(seed, len(bin_q))):
        if patterns[b] < b:
            c2[b] = c2[patterns[b]]
            continue
        fields = fields_of(variant, values, axis.t, bin_q[b], bin_phi[b])
        for_static, for_photons, for_excess = rng.spawn(3)
        pattern = _pattern(rng, for_static, fields, n_pixels, n_modes, still)
        detected = instrument.detected(for_photons, pattern, beam)
        c2[b] = instrument.correlated(detected, axis.t, for_excess, n_modes)
    truth = {
        "model": variant.name,
        "params": values,
        "contrast": [instrument.contrast(n_modes)] * len(bin_q),
        "offset": [1.0] * len(bin_q),
        "pixels": n_pixels,
        "modes": n_modes,
        "friedel": friedel,
        "seed": int(seed),
        "static": still,
        **instrument.stated(),
    }
    point = np.zeros(len(bin_q))
    return TwoTime(c2, bin_q, bin_phi, *axis, dq=point, dphi=point, provenance=simulated(truth))


def _pattern(
    rng: np.random.Generator,
    for_static: np.random.Generator,
    fields: Fields,
    pixels: int,
    modes: int,
    static: float,
) -> np.ndarray:
    """Intensity of every pixel in every frame, mean 1, (frames, pixels)."""
    still = static * unit_field(for_static, (pixels, modes))
    return intensities(rng, fields, pixels, modes, still) / (1.0 + static**2)


def _beam_generator(seed: int) -> np.random.Generator:
    """One that no bin has: those of the bins are children of the seed. A seed < 0 raises `DataError`."""
    return np.random.default_rng(np.random.SeedSequence(whole("seed", seed, 0)))


def _patterns(q: np.ndarray, phi: np.ndarray) -> list[int]:
    """For every bin the first bin with the same q and the same phi modulo 180°."""
    same_q = np.isclose(q[:, None], q, rtol=_SAME, atol=0.0)
    same = (same_q & (between_axes(phi[:, None], phi) <= _SAME)) | np.eye(len(q), dtype=bool)
    return np.argmax(same, axis=1).tolist()
