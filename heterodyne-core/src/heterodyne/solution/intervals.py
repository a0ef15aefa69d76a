"""95 % intervals: symmetric in the value, or in its logarithm.

    value ± t · error,      value · e^{± t · error/value}

with the quantile t of Student's distribution. The second is that of a parameter on a log scale, whose coordinate is
the logarithm, and of a rate: its lower end is above 0.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from heterodyne.parameters import Parameter

_FACTOR = 1e6  # a rate that is not known to this factor is not known at all

Values = Float[np.ndarray, " n"]


def interval_ends(
    value: Values, error: Values, quantile: float, logarithmic: bool = False
) -> tuple[Values, Values]:
    """Low and high ends (n,) of the intervals of ``quantile`` standard errors; NaN where there is no error.

    ``logarithmic`` ones are symmetric in the logarithm where the value is above 0, and reach a factor of 10⁶ to either
    side at most.
    """
    low, high = value - quantile * error, value + quantile * error
    above = logarithmic & (value > 0.0)
    relative = quantile * error / np.where(above, value, 1.0)
    factor = np.exp(np.minimum(relative, np.log(_FACTOR)))
    return np.where(above, value / factor, low), np.where(above, value * factor, high)


def parameter_interval(row: Parameter, value: float, error: float, quantile: float) -> tuple[float, float]:
    """The interval of a parameter, cut at its bounds where they are walls."""
    ends = interval_ends(np.array([value]), np.array([error]), quantile, row.scale == "log")
    if not row.is_periodic:
        ends = (np.clip(end, row.low, row.high) for end in ends)
    low, high = (float(end[0]) for end in ends)
    return low, high
