"""The objective that an optimizer sees: coordinates u of the varying parameters, normal equations in u.

Parameters on a log scale are moved in their logarithm, the others as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from heterodyne.bins.bin import Bin, at_once
from heterodyne.bins.kept import remade_in_place
from heterodyne.bins.reading import read_bins
from heterodyne.errors import DataError
from heterodyne.evaluators.pair_sums import PairSums
from heterodyne.evaluators.sums import pair_sums
from heterodyne.evaluators.whitened import can_be_whitened, whitened_bin
from heterodyne.model import Model
from heterodyne.problem.curve_steps import Trade, at_value, moved, trades
from heterodyne.problem.normal_equations import NormalEquations, SolvedScaling, normal_equations
from heterodyne.problem.problem import Problem
from heterodyne.problem.scaling import ScalingDesign, scaling_design, without_auto

_ROUNDING = 1e-14  # of sums of squares, relative to those of the data


@dataclass(frozen=True, eq=False)
class Objective:
    """A problem with its bins, and the noise ``sigma`` per bin that weights it.

    Called at u (p,), it gives the `NormalEquations` there; ``low`` ≤ u ≤ ``high`` (p,) are the bounds.
    """

    problem: Problem
    bins: tuple[Bin, ...]
    contrast: ScalingDesign
    offset: ScalingDesign
    sigma: np.ndarray

    @cached_property
    def log(self) -> np.ndarray:
        """Which varying parameters are moved in their logarithm."""
        return np.array([self.problem.parameters[name].scale == "log" for name in self.problem.varying])

    @property
    def start(self) -> np.ndarray:
        """u of the start values."""
        return self.to_coordinates(self.problem.column("start"))

    @cached_property
    def low(self) -> np.ndarray:
        """The lower bounds of u, a period further out where the bounds of an axis are no walls."""
        return self.to_coordinates(self.problem.column("low")) - self._beyond

    @cached_property
    def high(self) -> np.ndarray:
        """The upper bounds of u, likewise."""
        return self.to_coordinates(self.problem.column("high")) + self._beyond

    @property
    def width(self) -> np.ndarray:
        """The range of u, one period of an axis."""
        return self.high - self.low - 2.0 * self._beyond

    @cached_property
    def _beyond(self) -> np.ndarray:
        rows = (self.problem.parameters[name] for name in self.problem.varying)
        return np.array([row.period if row.period and row.is_periodic else 0.0 for row in rows])

    def folded(self, u: np.ndarray) -> np.ndarray:
        """The point within the bounds that means the same."""
        rows = (self.problem.parameters[name] for name in self.problem.varying)
        values = [row.folded(float(value)) for row, value in zip(rows, u, strict=True)]
        return np.array(values)  # what is periodic is on no log scale

    def moved(self, u: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Where a step from u leads along which curves move straight (`heterodyne.problem.curve_steps`)."""
        return moved(self._trades, u, step, self.low, self.high)

    def at_value(self, u: np.ndarray, tangent: np.ndarray, index: int, value: float) -> np.ndarray:
        """Where the way of `moved` from u with this tangent has this value of one coordinate."""
        return at_value(self.moved, u, tangent, index, value)

    @cached_property
    def _trades(self) -> tuple[Trade, ...]:
        return trades(self.problem)

    def to_coordinates(self, values: np.ndarray) -> np.ndarray:
        """u of the varying parameters' values."""
        return np.where(self.log, np.log(np.where(self.log, values, 1.0)), values)

    def to_values(self, u: np.ndarray) -> np.ndarray:
        """The varying parameters' values at u."""
        powers = np.exp(np.where(self.log, u, 0.0))
        # the exponential of a logarithm may miss a bound by its last digit
        return np.where(self.log, np.clip(powers, *self._ranges), u)

    @cached_property
    def _ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """The bounds of the varying parameters' values."""
        return self.problem.column("low"), self.problem.column("high")

    def point(self, parameters: Mapping[str, float]) -> np.ndarray:
        """u of these parameters by name; those that do not vary are passed over."""
        return self.to_coordinates(np.array([parameters[name] for name in self.problem.varying]))

    def parameters(self, u: np.ndarray) -> dict[str, float]:
        """All parameters of the model at u by name, in the order of its table."""
        return self.problem.expand(self.to_values(u))

    def theta(self, u: np.ndarray) -> np.ndarray:
        """All parameters of the model at u, (P,)."""
        return np.array(list(self.parameters(u).values()))

    def slopes(self, u: np.ndarray) -> np.ndarray:
        """∂(value)/∂u of every varying parameter."""
        return np.where(self.log, self.to_values(u), 1.0)

    def columns(self, u: np.ndarray) -> np.ndarray:
        """∂θ/∂u of all parameters by the varying ones, ties included, (P, p)."""
        return self.problem.selection_matrix * self.slopes(u)

    def sums(self, u: np.ndarray, jacobian: bool = True) -> PairSums:
        """The sums over all pairs at u."""
        return pair_sums(self.problem.model, self.theta(u), self.bins, jacobian)

    def solve(self, u: np.ndarray) -> tuple[NormalEquations, SolvedScaling]:
        """The normal equations at u and the scaling that solves them."""
        return normal_equations(self.sums(u), self.columns(u), self.contrast, self.offset, self.sigma)

    def __call__(self, u: np.ndarray) -> NormalEquations:
        return self.solve(u)[0]

    def cost(self, u: np.ndarray) -> float:
        """The cost alone."""
        none = np.zeros((0, 0))
        return normal_equations(self.sums(u, False), none, self.contrast, self.offset, self.sigma)[0].cost

    @property
    def at_once(self) -> int | None:
        """How many bins may be worked on at once, as many as there are cores where it is None."""
        return at_once(self.bins)

    @property
    def floor(self) -> float:
        """The cost that rounding of the sums leaves for data without noise."""
        return _ROUNDING * self.data_square

    @property
    def data_square(self) -> float:
        """Σ data² / σ²."""
        return float(sum(bin.summed.square / s**2 for bin, s in zip(self.bins, self.sigma, strict=True)))

    def weighted(self, sigma: np.ndarray) -> Objective:
        """The same objective with another noise per bin."""
        return replace(self, sigma=sigma)

    def whitened(self, u: np.ndarray, noise: np.ndarray) -> Objective:
        """The same objective with bins weighted by the inverse of S at u + ``noise`` 1 between their frames.

        ``noise`` is κ (bins,). Bins that cannot be whitened (`can_be_whitened`) stay as they are.
        """
        theta, model = self.theta(u), self.problem.model
        rows = [(model, theta, bin, of) for bin, of in zip(self.bins, noise.tolist(), strict=True)]
        return replace(self, bins=remade_in_place(_weighted, self.bins, rows))

    def part(self, members: Sequence[int]) -> Objective:
        """The objective of these bins alone, with the scaling designs of all, and without the data that bins are of.

        It is what goes to where bins are.
        """
        bins, problem = tuple(self.bins[index] for index in members), replace(self.problem, data=())
        return replace(self, problem=problem, bins=bins, sigma=self.sigma[list(members)])

    def plain(self) -> Objective:
        """The same objective without the covariance of frames in its weights."""
        return replace(self, bins=tuple(bin.plain for bin in self.bins))

    def scaled(self, contrast: str | float, offset: str | float) -> Objective:
        """The same objective with other scaling designs."""
        return replace(self, **_designs(self.bins, contrast=contrast, offset=offset))


def _weighted(model: Model, theta: np.ndarray, bin: Bin, noise: float) -> Bin:
    """The bin weighted by the inverse of S + κ 1 where it can be."""
    return whitened_bin(model, theta, bin, noise) if can_be_whitened(bin) else bin


def create_objective(problem: Problem, bins: tuple[Bin, ...] | None = None) -> Objective:
    """The objective of a problem, every bin with the same weight; a design that is ``auto`` is individual.

    The bins are read into memory where none are given. Raises `DataError` for matrices that cannot be used and for
    those whose mean is that of no normalised c2.
    """
    choices = problem.choices
    bins = read_bins(problem.data, choices.skip_lags) if bins is None else bins
    contrast, offset = without_auto(choices.contrast, choices.offset)
    designs = _designs(bins, contrast=contrast, offset=offset)
    _check_levels(bins, designs["offset"].low, designs["offset"].high + designs["contrast"].high)
    return Objective(problem, bins, **designs, sigma=np.ones(len(bins)))


def _check_levels(bins: tuple[Bin, ...], low: float, high: float) -> None:
    """Raise `DataError` for a bin whose mean no offset and contrast within their bounds can give."""
    for bin in bins:
        level = bin.moments.reference
        if not low <= level <= high:
            advice = "if c2 - 1 is stored, say baseline 0" if level < low else "divide it by its level"
            raise DataError(
                f"the bin q={bin.q:.4g} phi={bin.phi:.4g} is not normalised: the mean of c2 is {level:.4g}, and it "
                f"must lie within {low:g}:{high:g}, c2 being 1 without correlation; {advice}"
            )


def _designs(bins: tuple[Bin, ...], **choices: str | float) -> dict[str, ScalingDesign]:
    q, phi = np.array([bin.q for bin in bins]), np.array([bin.phi for bin in bins])
    return {which: scaling_design(which, choice, q, phi) for which, choice in choices.items()}
