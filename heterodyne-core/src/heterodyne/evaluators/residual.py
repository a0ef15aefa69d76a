"""The residual of a bin, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from heterodyne.evaluators.meshgrid import averaged_tile

if TYPE_CHECKING:
    from heterodyne.bins.bin import Bin
    from heterodyne.model import Model


class ResidualPart(NamedTuple):
    """A part of the upper triangle: c2 - offset - contrast S, S and W from the frames ``first`` and ``second`` on."""

    first: int
    second: int
    residual: np.ndarray
    s: np.ndarray
    weights: np.ndarray


def residual_parts(
    model: Model, params: dict[str, float], bin: Bin, contrast: float, offset: float
) -> Iterator[ResidualPart]:
    """Parts that cover all pairs in use; W is 0 for the others."""
    for first, second, c2, weights in bin.parts():
        s = averaged_tile(model, params, bin.t, bin.nodes, first, second, *c2.shape)
        yield ResidualPart(first, second, c2 - offset - contrast * s, s, weights)


def correlation(one: Iterator[ResidualPart], other: Iterator[ResidualPart]) -> float:
    """Σ r r' / (Σ r² Σ r'²)^½ over the pairs that two bins of one length both use, 0 where there are none."""
    total = np.zeros(3)
    for part, beside in zip(one, other, strict=False):
        used = (part.weights > 0) & (beside.weights > 0)
        r, more = (np.where(used, of.residual, 0.0) for of in (part, beside))
        total += np.vdot(r, more), np.vdot(r, r), np.vdot(more, more)
    product = total[1] * total[2]
    return float(total[0] / np.sqrt(product)) if product > 0.0 else 0.0
