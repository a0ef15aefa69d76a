"""`Band`: a curve of time with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Band:
    """A curve at the times ``t`` (N,) in s: value, standard error, and the ends of its 95 % interval.

    ``error``, ``low`` and ``high`` are NaN where the data do not determine the curve. J and f end where the
    model clips them; their error is that without the clip. Parameters on a bound count as known. A band of
    draws has their median for a value and ``inner_low`` and ``inner_high``, the ends of the 68 % interval, too.
    ``half`` is half of the curve as a multiple of a parameter, such as ``3 D_ref``, empty where it is none.
    """

    name: str
    unit: str
    t: np.ndarray
    value: np.ndarray
    error: np.ndarray
    low: np.ndarray
    high: np.ndarray
    inner_low: np.ndarray | None = None
    inner_high: np.ndarray | None = None
    half: str = ""
