"""What an instrument makes of intensities: photons, background, an unsteady beam, drift, and more noise.

A pixel of intensity I, mean 1, receives in frame i on average

    counts · g_i · ((1 - b) I + b)

photons, g_i being the beam's relative intensity and b the share of a background. Every frame is divided by its mean
over the pixels, and c2_ij = <I_i I_j> of these. On average c2 = 1 + C S off the diagonal and 1 + C + 1/counts on it,
with the contrast C = (1 - b)²/modes, and where S has died out its standard deviation is (C + 1/counts)/sqrt(pixels).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from heterodyne.data.facts import LATEST, SPACINGS
from heterodyne.data.validation import number
from heterodyne.errors import DataError
from heterodyne.simulation.fields import ornstein_uhlenbeck

_COUNTS = (1e-9, 1e9)
_MOST_BACKGROUND = 0.99
_LARGEST_DRIFT = 0.5
_MOST_EXCESS = 100.0
_DEFAULT_TIME = 0.1  # of the run


@dataclass(frozen=True)
class Instrument:
    """The options of `heterodyne.simulate_speckle` that belong to the instrument, checked.

    Raises `DataError` for what cannot be and for an option without effect.
    """

    counts: float | None = None
    jitter: float = 0.0
    drift: float = 0.0
    background: float = 0.0
    excess: float = 1.0
    excess_time: float | None = None

    def __post_init__(self) -> None:
        if self.counts is not None:
            within("counts", self.counts, *_COUNTS)
        within("drift", self.drift, -_LARGEST_DRIFT, _LARGEST_DRIFT)
        within("background", self.background, 0.0, _MOST_BACKGROUND)
        within("excess", self.excess, 1.0, _MOST_EXCESS)
        if within("jitter", self.jitter, 0.0, 1.0) and self.counts is None:
            raise DataError(
                "jitter needs counts: without photon noise, dividing frames by their means undoes it"
            )
        if self.excess_time is not None:
            within("excess_time", self.excess_time, SPACINGS[0], LATEST)
            if self.excess == 1.0:
                raise DataError("excess_time needs excess: an excess of 1 adds no noise")

    def contrast(self, modes: int) -> float:
        """(1 - b)²/modes."""
        return (1.0 - self.background) ** 2 / modes

    def beam(self, rng: np.random.Generator, frames: int) -> np.ndarray:
        """Relative intensity of the beam per frame: log-normal, mean 1, standard deviation ``jitter``."""
        width = np.log1p(self.jitter**2)
        return np.exp(np.sqrt(width) * rng.standard_normal(frames) - 0.5 * width)

    def detected(self, rng: np.random.Generator, intensity: np.ndarray, beam: np.ndarray) -> np.ndarray:
        """What the pixels measure, (frames, pixels): intensity with background, in photons if there are ``counts``.

        Raises `DataError` for a frame without a photon.
        """
        mean = (1.0 - self.background) * intensity + self.background
        if self.counts is None:
            return mean
        photons = rng.poisson(self.counts * beam[:, None] * mean)
        if not photons.any(axis=1).all():
            raise DataError(
                f"{self.counts:g} counts per pixel leave frames of {photons.shape[1]} pixels without a photon: "
                "give more counts or pixels"
            )
        return photons

    def correlated(
        self, detected: np.ndarray, t: np.ndarray, rng: np.random.Generator, modes: int
    ) -> np.ndarray:
        """c2 of what the pixels measure, (frames, frames), with drift and excess noise.

        Every frame is divided by its mean over the pixels, times sqrt(1 + drift · (t - t_0)/(t_N - t_0)).
        """
        normalised = detected / detected.mean(axis=1, keepdims=True)
        pixels = normalised.shape[1]
        error = np.sqrt(1.0 + self.drift * (t - t[0]) / (t[-1] - t[0]))
        c2 = normalised @ normalised.T / pixels * (error[:, None] * error)
        if self.excess == 1.0:
            return c2
        shot = 0.0 if self.counts is None else 1.0 / self.counts
        own = (self.contrast(modes) + shot) / np.sqrt(pixels)
        correlation_time = _DEFAULT_TIME * (t[-1] - t[0]) if self.excess_time is None else self.excess_time
        return c2 + np.sqrt(self.excess**2 - 1.0) * own * cross_talk(rng, t / correlation_time, pixels)

    def stated(self) -> dict[str, float | None]:
        """Every option by name, for provenance."""
        return asdict(self)


def cross_talk(rng: np.random.Generator, age: np.ndarray, pixels: int) -> np.ndarray:
    """The correlation of two patterns that are independent, symmetric, (frames, frames), of mean 0.

    (X Yᵀ + Y Xᵀ)/sqrt(2 pixels), X and Y Gaussian with correlation k_ij = e^{-|age_j - age_i|} over the frames. Its
    elements have the covariance of noise of c2, k_ik k_jl + k_il k_jk: variance 1 where k_ij is 0, 2 on the diagonal.
    """
    x, y = (np.stack([*ornstein_uhlenbeck(lambda: rng.standard_normal(pixels), 2.0 * age)]) for _ in range(2))
    product = x @ y.T
    return (product + product.T) / np.sqrt(2.0 * pixels)


def within(name: str, value: object, low: float, high: float) -> float:
    """``value`` as a number from ``low`` to ``high``; anything else raises `DataError`."""
    found = number(name, value)
    if not low <= found <= high:
        raise DataError(f"{name} must lie in {low:g}:{high:g}, not {found:g}")
    return found
