"""The test of constancy: χ², its p value, and what is left out."""

import math

import numpy as np
import pytest
from scipy.stats import chi2, f_oneway

from heterodyne.fitting.constancy import constancy, welch
from tolerances import SOLVED

LABELS = ("a", "b", "c", "d")


def both_sides(errors):
    """The same error below and above, or what is given of both."""
    given = np.array(errors, dtype=float)
    return given if given.ndim == 2 else np.stack([given, given], axis=1)


def outcome(values, errors, freedom=math.inf, **more):
    return constancy(
        "v0",
        "Å/s",
        np.array(values, dtype=float),
        both_sides(errors),
        np.full(len(values), freedom),
        LABELS[: len(values)],
        **more,
    )


def test_known_errors_give_the_weighted_mean_and_chi_squared():
    found = outcome([1.0, 2.0, 4.0], [0.5, 1.0, 1.0])
    assert found.mean == pytest.approx((4.0 + 2.0 + 4.0) / 6.0)
    assert found.error == pytest.approx(6.0**-0.5)
    expected = 4.0 * (1.0 - found.mean) ** 2 + (2.0 - found.mean) ** 2 + (4.0 - found.mean) ** 2
    assert found.chi2 == pytest.approx(expected)
    assert (found.dof, found.p) == (2, pytest.approx(chi2.sf(expected, 2)))


def test_estimated_errors_are_those_of_welch():
    rng = np.random.default_rng(1)
    samples = [rng.normal(0.3 * k, 1.0 + k, 6 + k) for k in range(4)]
    found = constancy(
        "x",
        "1",
        np.array([one.mean() for one in samples]),
        both_sides([one.std(ddof=1) / math.sqrt(len(one)) for one in samples]),
        np.array([len(one) - 1.0 for one in samples]),
        LABELS,
    )
    assert found.p == pytest.approx(f_oneway(*samples, equal_var=False).pvalue, rel=SOLVED)


def test_few_degrees_of_freedom_make_the_same_chi_squared_less_telling():
    w = np.ones(4)
    assert welch(12.0, w, np.full(4, 1e9)) == pytest.approx(chi2.sf(12.0, 3), rel=1e-6)
    assert welch(12.0, w, np.full(4, 7.5)) > 2.0 * chi2.sf(12.0, 3)


def test_values_that_differ_are_not_constant_and_equal_ones_are():
    assert outcome([1.0, 1.1, 0.9, 1.0], [0.1] * 4).verdict == "constant"
    assert outcome([1.0, 1.1, 0.9, 2.0], [0.1] * 4).verdict == "not constant"


def test_groups_without_an_error_are_left_out_and_named():
    found = outcome([1.0, 50.0, 1.1, 0.9], [0.1, np.nan, 0.1, 0.1])
    assert found.left_out == ("b",)
    assert (found.dof, found.verdict) == (2, "constant")


@pytest.mark.parametrize("errors", [[0.1, np.nan], [np.nan, np.nan]])
def test_fewer_than_two_groups_test_nothing(errors):
    found = outcome([1.0, 2.0], errors)
    assert found.verdict == "not tested"
    assert math.isnan(found.p)


def test_an_axis_is_compared_across_its_end():
    found = outcome([89.0, -89.5, 90.0], [1.0] * 3, period=180.0)
    assert found.mean == pytest.approx(89.0 + (0.0 + 1.5 + 1.0) / 3.0)
    assert found.verdict == "constant"


def test_an_error_counts_on_the_side_on_which_the_mean_lies():
    found = outcome([1.0, 4.0], [[9.0, 1.0], [2.0, 9.0]])
    assert found.mean == pytest.approx((1.0 + 4.0 / 4.0) / (1.0 + 1.0 / 4.0))
    assert found.chi2 == pytest.approx((found.mean - 1.0) ** 2 + (found.mean - 4.0) ** 2 / 4.0)
    assert outcome([1.0, 4.0], [[1.0, 9.0], [9.0, 2.0]]).chi2 < found.chi2


def test_equal_values_are_their_mean():
    assert (outcome([2.0, 2.0], [0.1, 0.2]).mean, outcome([2.0, 2.0], [0.1, 0.2]).chi2) == (2.0, 0.0)
