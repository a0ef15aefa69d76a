"""`Whitened`: c2 of a bin weighted by the inverse of a covariance between its frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from heterodyne.bins.parts import Needed, Part, Weights

if TYPE_CHECKING:
    from heterodyne.bins.bin import Dense, Moments


@dataclass(frozen=True, eq=False)
class Whitened:
    """Data of a bin that enter by ½ tr(W R W R) in place of Σ_{i<j} R², R the residual with zero diagonal.

    ``plain`` are the data as they were, D with zero diagonal; ``d`` (M, M) is E = W D W, of which
    Σ_{i<j} E_ij X_ij is ½ tr(W D W X). ``moments`` are those of this product: of O = 1 1ᵀ - 1 with itself, with D,
    and of D with itself. ``factor`` is the Cholesky factor of W⁻¹ = S + κ 1 in whatever form its evaluator takes it,
    and ``noise`` is κ.
    """

    in_memory: ClassVar[bool] = True
    plain: Dense
    d: np.ndarray
    moments: Moments[float]
    factor: Any
    noise: float

    def parts(self, weights: Weights, reference: float, needed: Needed) -> Iterator[Part]:
        """The parts of the upper triangle of c2 itself."""
        return self.plain.parts(weights, reference, needed)
