"""`Problem`: a model, the data, and which parameters vary within which bounds under a user's choices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from heterodyne.catalogue import create_model, is_installed
from heterodyne.data.one_time import FirstRow, OneTime
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import ConfigError, ParameterError
from heterodyne.model import Model
from heterodyne.parameters import ParameterTable
from heterodyne.problem.checks import check_count, check_data, check_lags, data_sets
from heterodyne.problem.choices import NO_CHOICES, Choices
from heterodyne.problem.one_time import Data, as_matrices, stationary
from heterodyne.problem.table import chosen_parameters
from heterodyne.problem.warm_start import WarmStart


@dataclass(frozen=True, eq=False)
class Problem:
    """What an optimizer is given.

    ``parameters`` is the model's table with the starts, bounds, priors and fixed values of the ``choices``
    written into it; ``started`` names the parameters whose start the user or an earlier result gave.
    """

    model: Model
    data: tuple[TwoTime, ...]
    parameters: ParameterTable
    choices: Choices = NO_CHOICES
    started: frozenset[str] = frozenset()

    def __getstate__(self) -> dict[str, Any]:
        # an installed model by its name: its functions may be ones that do not pickle, and code is compiled per model
        model = self.model.name if is_installed(self.model) else self.model
        return {**vars(self), "model": model}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        model = state["model"]
        vars(self).update(state, model=create_model(model) if isinstance(model, str) else model)

    @property
    def ties(self) -> Mapping[str, str]:
        """The parameters that equal another one, and which."""
        return self.choices.tie

    @property
    def one_time(self) -> bool:
        """Whether the data are g2 over the lag: values that share no frames, and tell nothing of age."""
        return any(isinstance(data, FirstRow) for data in self.data)

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """The parameters that the optimizer moves, in table order."""
        return tuple(n for n, row in self.parameters.items() if row.vary and n not in self.ties)

    @property
    def needs_start(self) -> bool:
        """Whether some varying parameter has only the table's start value."""
        return not set(self.varying) <= self.started

    def given_start(self, name: str) -> float:
        """The start value of a varying parameter that the user or an earlier result gave, NaN where there is none."""
        given = name in self.started and name in self.varying
        return float(self.parameters[name].start) if given else math.nan

    def column(self, attribute: str) -> np.ndarray:
        """One attribute (start, low, high) of the varying parameters, as an array."""
        return np.array([getattr(self.parameters[name], attribute) for name in self.varying], dtype=float)

    def expand(self, values: Sequence[float] | np.ndarray) -> dict[str, float]:
        """All parameters by name from the values of the varying ones."""
        moved = dict(zip(self.varying, map(float, values), strict=True))
        free = {name: moved.get(name, row.start) for name, row in self.parameters.items()}
        return {name: free[self.ties.get(name, name)] for name in free}

    @cached_property
    def selection_matrix(self) -> np.ndarray:
        """∂(all parameters)/∂(varying ones): zeros and ones, ties included, shape (all, varying)."""
        column = {name: k for k, name in enumerate(self.varying)}
        matrix = np.zeros((len(self.parameters), len(column)))
        for row, name in enumerate(self.parameters):
            source = self.ties.get(name, name)
            if source in column:
                matrix[row, column[source]] = 1.0
        return matrix


def create_problem(data: Data | Sequence[Data], model: Model, choices: Choices = NO_CHOICES) -> Problem:
    """The problem of fitting ``model`` to ``data`` under these choices.

    A start, bounds or a prior for a parameter that does not vary by default (f2) frees it; a parameter that
    another is tied to stays within the bounds of both; estimates of a warm start count where there is no other
    start, moved into the bounds. For one-time data a model is held at what makes it stationary. Raises
    `ParameterError` for names that the model does not have and values that leave its bounds, `DataError` for bins
    that the model cannot serve, `ConfigError` for a model that is never stationary, scaling designs that the bins
    cannot tell, more skipped lags than the data have, and a warm start that is still to be read.
    """
    given = data_sets(data)
    if any(isinstance(each, OneTime | FirstRow) for each in given):
        choices = stationary(model, choices)
    sets = as_matrices(given)
    check_data(sets, model)
    check_lags(choices.skip_lags, sets)
    earlier = _earlier_starts(model, choices.warm_start)
    table = chosen_parameters(model.parameters, choices, earlier)
    problem = Problem(model, sets, table, choices, frozenset((*choices.start, *earlier)))
    if not problem.varying:
        raise ParameterError(f"every parameter of {model.name!r} is fixed or tied: nothing is left to fit")
    check_count(sets, choices, len(problem.varying))
    return problem


def _earlier_starts(model: Model, warm_start: WarmStart | str | None) -> dict[str, float]:
    if isinstance(warm_start, str):
        raise ConfigError(f"the warm start {warm_start} is still to be read: give heterodyne.read_fit of it")
    return {} if warm_start is None else warm_start.starts(model.parameters)
