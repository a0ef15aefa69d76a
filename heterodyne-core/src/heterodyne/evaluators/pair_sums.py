"""Sums over frame pairs, the same records from every evaluator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Sums(NamedTuple):
    """Sums over the pairs i < j of one bin that depend on the parameters, X = (S, ∂S/∂θ_1, ..., ∂S/∂θ_P).

    ``cross`` Σ d X and ``model`` ΣX are (1+P,), ``gram`` Σ X Xᵀ is (1+P, 1+P).
    """

    cross: np.ndarray
    model: np.ndarray
    gram: np.ndarray


class PairSums(NamedTuple):
    """All sums over the pairs i < j in use, weighted, per bin (leading axis).

    ``pairs`` Σ1, ``data`` Σd and ``data2`` Σd² of d = D - reference; the others as in `Sums`.
    """

    pairs: np.ndarray
    reference: np.ndarray
    data: np.ndarray
    data2: np.ndarray
    model: np.ndarray
    cross: np.ndarray
    gram: np.ndarray
