"""`Problem`: a model, the data, which parameters vary within which bounds, and the scaling designs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from heterodyne.catalogue import create_model, is_installed
from heterodyne.data.two_time import TwoTime
from heterodyne.frozen import FrozenMapping
from heterodyne.model import Model
from heterodyne.parameters import ParameterTable, Prior


@dataclass(frozen=True, eq=False)
class Problem:
    """What an optimizer is given.

    ``parameters`` is the model's table with the user's starts, bounds and fixed values written into it;
    ``ties`` maps a parameter to the one it equals; ``started`` names the parameters whose start the user
    or an earlier result gave; ``contrast`` and ``offset`` are scaling designs by name
    (`heterodyne.problem.scaling`). ``skip_lags`` is the number of lags next to the diagonal, in frames, that every
    bin leaves out. ``priors`` names the parameters whose prior the user gave;
    ``scaling_priors`` are those given of contrast and offset.
    """

    model: Model
    data: tuple[TwoTime, ...]
    parameters: ParameterTable
    ties: Mapping[str, str] = field(default_factory=FrozenMapping)
    started: frozenset[str] = frozenset()
    contrast: str | float = "auto"
    offset: str | float = "auto"
    skip_lags: int = 0
    priors: frozenset[str] = frozenset()
    scaling_priors: Mapping[str, Prior] = field(default_factory=FrozenMapping)

    def __getstate__(self) -> dict[str, Any]:
        # an installed model by its name: its functions may be ones that do not pickle, and code is compiled per model
        model = self.model.name if is_installed(self.model) else self.model
        return {**vars(self), "model": model}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        model = state["model"]
        vars(self).update(state, model=create_model(model) if isinstance(model, str) else model)

    @property
    def varying(self) -> tuple[str, ...]:
        """The parameters that the optimizer moves, in table order."""
        return tuple(n for n, row in self.parameters.items() if row.vary and n not in self.ties)

    @property
    def needs_start(self) -> bool:
        """Whether some varying parameter has only the table's start value."""
        return not set(self.varying) <= self.started

    def column(self, attribute: str) -> np.ndarray:
        """One attribute (start, low, high) of the varying parameters, as an array."""
        return np.array([getattr(self.parameters[name], attribute) for name in self.varying], dtype=float)

    def expand(self, values: Sequence[float] | np.ndarray) -> dict[str, float]:
        """All parameters by name from the values of the varying ones."""
        moved = dict(zip(self.varying, map(float, values), strict=True))
        free = {name: moved.get(name, row.start) for name, row in self.parameters.items()}
        return {name: free[self.ties.get(name, name)] for name in free}

    def selection_matrix(self) -> np.ndarray:
        """∂(all parameters)/∂(varying ones): zeros and ones, ties included, shape (all, varying)."""
        column = {name: k for k, name in enumerate(self.varying)}
        matrix = np.zeros((len(self.parameters), len(column)))
        for row, name in enumerate(self.parameters):
            source = self.ties.get(name, name)
            if source in column:
                matrix[row, column[source]] = 1.0
        return matrix
