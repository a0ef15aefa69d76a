"""Parts of a bin's upper triangle: what reads c2 pair by pair, whatever holds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

Needed: TypeAlias = Callable[[slice, slice], bool]
"""Whether the pairs of these rows and columns of frames are needed."""

Weights: TypeAlias = Callable[[slice, slice], np.ndarray]
"""W of the pairs i < j of these rows and columns of frames, 0 at every other place."""


class Part(NamedTuple):
    """c2 and W (rows, columns) from the frames ``first`` and ``second`` on; W is 0 for pairs not in use."""

    first: int
    second: int
    c2: np.ndarray
    weights: np.ndarray
