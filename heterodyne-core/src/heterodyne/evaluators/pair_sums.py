"""Sums over frame pairs: the record that every evaluator gives, and the type of an evaluator."""

from __future__ import annotations

from typing import Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float

from heterodyne.bins.bin import Bin, Moments
from heterodyne.kernels._jax import AnyArray
from heterodyne.model import Model

Numbers = TypeVar("Numbers", bound=AnyArray)


class Sums(NamedTuple, Generic[Numbers]):
    """Sums over the pairs i < j that depend on the parameters, X = (S, ∂S/∂θ_1, ..., ∂S/∂θ_P) or S alone.

    ``cross`` Σ W d X, ``total`` Σ W X and ``gram`` Σ W X Xᵀ with d = c2 - reference, of one bin or of several.
    """

    cross: Float[Numbers, "*bins x"]
    total: Float[Numbers, "*bins x"]
    gram: Float[Numbers, "*bins x x"]


class PairSums(NamedTuple):
    """All sums over the pairs i < j in use, per bin: those of the ``data`` alone and those with the ``model``.

    ``n_pairs`` (bins,) is the number of pairs, as ``data.pairs`` is but where the covariance of frames weights them.
    """

    data: Moments[np.ndarray]
    n_pairs: np.ndarray
    model: Sums[np.ndarray]


@runtime_checkable
class Evaluator(Protocol):
    """A way to sum over the pairs of a bin at the parameters ``theta``, in the order of the model's table.

    Without ``jacobian`` X is S alone, which is enough for the cost. Pairs that the bin's ``skipped`` lists are
    summed as if they were used, which `heterodyne.evaluators.sums` makes good; all others not in use are left
    out.
    """

    def __call__(
        self, model: Model, theta: Float[np.ndarray, " P"], bin: Bin, jacobian: bool = True
    ) -> Sums[np.ndarray]: ...
