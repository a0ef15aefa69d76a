"""`Neighbourhood`: a solution with what the data say around it, from which degeneracies are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from heterodyne.kernels.curves import Curve, curve_slopes, curve_values
from heterodyne.problem.problem import Problem
from heterodyne.problem.spectrum import FLAT, Spectrum

_POINTS = 33  # times at which a curve is looked at
_KNOWN = 2.0  # standard errors from which the mean of a curve is known
_CONSTANT = 3.0  # standard errors up to which a curve counts as its mean, at any of the times


class Level(NamedTuple):
    """The mean of a curve over the data and its standard error."""

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:.4g} ± {self.error:.2g}"


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """A solution of ``problem`` and the local shape of its cost.

    ``values`` are all parameters. Over the varying parameters that are off their bounds, ``names``
    (p,), stand ``slopes`` ∂(value)/∂(coordinate), the ``spectrum``, and the covariance (p, p) of the
    coordinates over all directions that are not flat.
    """

    problem: Problem
    values: Mapping[str, float]
    names: tuple[str, ...]
    slopes: np.ndarray
    spectrum: Spectrum
    covariance: np.ndarray

    @property
    def undetermined(self) -> frozenset[str]:
        """The parameters that the spectrum finds undetermined."""
        return frozenset(
            name for name, lost in zip(self.names, self.spectrum.undetermined, strict=True) if lost
        )

    @property
    def unknown(self) -> frozenset[str]:
        """The varying parameters without an error bar: undetermined, or on a bound."""
        return self.undetermined | (set(self.problem.varying) - set(self.names))

    def varying(self, *names: str) -> tuple[str, ...]:
        """Those of ``names`` that vary."""
        return tuple(name for name in names if name in self.problem.varying)

    def times(self) -> np.ndarray:
        """Times over the span of the data, (33,)."""
        first, last = zip(*((data.t[0], data.t[-1]) for data in self.problem.data), strict=True)
        return np.linspace(min(first), max(last), _POINTS)

    def errors(self, gradient: np.ndarray) -> np.ndarray:
        """Standard errors (n,) of quantities with these derivatives (n, p) by the parameters ``names``.

        Flat directions count with the largest eigenvalue that is still flat.
        """
        spectrum, moved = self.spectrum, gradient * self.slopes
        variance = np.einsum("ni,ij,nj->n", moved, self.covariance, moved)
        along = (moved @ spectrum.basis[:, spectrum.flat]) ** 2
        return np.sqrt(np.maximum(variance, 0.0) + along.sum(axis=1) / (FLAT * max(len(self.names), 1)))

    def curve(self, curve: Curve) -> tuple[np.ndarray, np.ndarray]:
        """A curve at `times` and its standard errors."""
        return curve_values(curve, self.values, self.times()), self.errors(self._slopes(curve))

    def _slopes(self, curve: Curve) -> np.ndarray:
        return curve_slopes(curve, self.problem.ties, self.values, self.names, self.times())

    def constant(self, curve: Curve) -> Level | None:
        """The mean of a curve that differs from it by at most three standard errors everywhere.

        None for another curve, and for one whose mean is not known to two standard errors.
        """
        x, gradient = curve_values(curve, self.values, self.times()), self._slopes(curve)
        mean = gradient.mean(axis=0)
        error, level = self.errors(gradient - mean), Level(float(x.mean()), float(self.errors(mean[None])[0]))
        flat = np.abs(x - level.mean) <= _CONSTANT * error + 1e-9 * abs(level.mean)
        return level if flat.all() and abs(level.mean) > _KNOWN * level.error else None
