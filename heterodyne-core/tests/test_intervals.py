"""Intervals of parameters and curves: symmetric where the coordinate is, within the bounds."""

import math
from dataclasses import replace

import numpy as np
import pytest

from heterodyne.parameters import REGISTRY
from heterodyne.result.fit import Estimate
from heterodyne.solution.intervals import interval_ends, parameter_interval

WIDE = 2.0  # standard errors


def test_a_parameter_on_a_linear_scale_has_an_interval_symmetric_in_its_value():
    assert parameter_interval(REGISTRY["beta"], 0.1, 0.2, WIDE) == pytest.approx((-0.3, 0.5))


def test_a_parameter_on_a_log_scale_has_one_symmetric_in_its_logarithm():
    low, high = parameter_interval(REGISTRY["v0"], 100.0, 80.0, WIDE)
    assert (low, high) == pytest.approx((100.0 * math.exp(-1.6), 100.0 * math.exp(1.6)))


def test_bounds_cut_an_interval_and_the_ends_of_a_period_do_not():
    assert parameter_interval(REGISTRY["f0"], 0.9, 0.2, WIDE) == pytest.approx((0.5, 1.0))
    assert parameter_interval(REGISTRY["D0_ref"], 9e5, 9e5, WIDE)[1] == REGISTRY["D0_ref"].high
    assert parameter_interval(REGISTRY["phi0"], 89.0, 2.0, WIDE) == pytest.approx((85.0, 93.0))


def test_without_an_error_there_is_no_interval():
    assert np.isnan(parameter_interval(REGISTRY["v0"], 0.0, math.nan, WIDE)).all()


def test_a_rate_has_a_low_end_above_0_and_one_at_or_below_0_the_plain_interval():
    value, error = np.array([100.0, 100.0, 0.0, -5.0]), np.array([10.0, 1e4, 10.0, 10.0])
    low, high = interval_ends(value, error, WIDE, logarithmic=True)
    np.testing.assert_allclose(low, [100.0 * math.exp(-0.2), 1e-4, -20.0, -25.0])
    np.testing.assert_allclose(high, [100.0 * math.exp(0.2), 1e8, 20.0, 15.0])


def test_an_interval_is_shown_with_and_without_an_error():
    row = Estimate(
        "D0", 1234.5678, 12.3, 1.0, "1", 0.0, 1e6, np.nan, True, "determined", (1210.4567, 1258.6789)
    )
    assert row.interval_text == "[1210, 1259]"
    assert replace(row, error=np.nan).interval_text == "[1210, 1259]"
    assert replace(row, error=np.nan, interval=(0.0, 0.65123456)).interval_text == "[0 (bound), 0.6512]"
    assert replace(row, interval=(np.nan, np.nan)).interval_text == ""
