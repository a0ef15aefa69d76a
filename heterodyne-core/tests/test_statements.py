"""What a model states of its parameters: curves, flow, mixture, twins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heterodyne.catalogue import create_model, models
from heterodyne.errors import ParameterError
from heterodyne.kernels.curves import curve_slopes, curve_values
from heterodyne.kernels.rates import fraction, transport_rate, velocity
from heterodyne.model import RATE, Constant, Flow, Growth, Mixture, PowerLaw
from heterodyne.variants.two_component import FRACTION, J_REFERENCE, MODEL, TRUTH, VELOCITY
from tolerances import LAST_DIGITS, REORDERED

T = np.linspace(0.1, 30.0, 7)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            {"curves": (Constant("D", RATE, "nothing"),)},
            "states something of 'nothing', which it does not have",
        ),
        ({"flow": Flow("v", "direction")}, "states something of 'direction'"),
        ({"flow": Flow("w", "phi0")}, "no curve of model 'two-component' named 'w'"),
        ({"mixture": Mixture("g", (None, None))}, "named 'g'.*known: J_ref, J_sample, f, v"),
        ({"mixture": Mixture("f", ("J_other", None))}, "named 'J_other'"),
        ({"example": {"D7": 1.0}}, "states something of 'D7'"),
    ],
)
def test_statements_about_what_is_not_there_are_refused(statement, said):
    with pytest.raises(ParameterError, match=said):
        replace(MODEL, **statement)


def test_curves_are_the_functions_of_their_kind():
    v, f, j = ([TRUTH[part] for part in curve.parts] for curve in (VELOCITY, FRACTION, J_REFERENCE))
    np.testing.assert_allclose(curve_values(VELOCITY, TRUTH, T), velocity(T, *v), rtol=LAST_DIGITS)
    np.testing.assert_allclose(curve_values(FRACTION, TRUTH, T), fraction(T, *f), rtol=LAST_DIGITS)
    np.testing.assert_allclose(curve_values(J_REFERENCE, TRUTH, T), transport_rate(T, *j), rtol=LAST_DIGITS)
    np.testing.assert_array_equal(
        curve_values(Constant("J", RATE, "D", 6.0), {"D": 2.0}, T), np.full(7, 12.0)
    )


def test_only_a_constant_is_a_multiple_of_a_parameter():
    halves = [Constant("J", RATE, "D", factor).times_parameter(0.5) for factor in (6.0, 2.0)]
    assert halves == ["3 D", "D"]
    assert J_REFERENCE.times_parameter(0.5) == ""
    below = {**TRUTH, "D_offset_ref": -1e5}
    assert curve_values(J_REFERENCE, below, T).max() == 0.0
    assert curve_values(J_REFERENCE, below, T, clipped=False).max() < 0.0


@pytest.mark.parametrize("curve", [VELOCITY, FRACTION, J_REFERENCE, Constant("J", RATE, "v0", 6.0)])
def test_slopes_are_those_of_finite_differences(curve):
    names = tuple(TRUTH)
    slopes = curve_slopes(curve, {}, TRUTH, names, T, clipped=False)
    for column, name in zip(slopes.T, names, strict=True):
        step = 1e-6 * abs(TRUTH[name])
        ends = [
            curve_values(curve, {**TRUTH, name: TRUTH[name] + side * step}, T, clipped=False)
            for side in (-1, 1)
        ]
        np.testing.assert_allclose(column, (ends[1] - ends[0]) / (2 * step), rtol=1e-5, atol=1e-5)


def test_factors_multiply_the_curve():
    for curve in (VELOCITY, J_REFERENCE, FRACTION):
        tripled = {**TRUTH, **{name: 3.0 * TRUTH[name] for name in curve.factors}}
        values = [curve_values(curve, at, T, clipped=False) for at in (TRUTH, tripled)]
        np.testing.assert_allclose(values[1], 3.0 * values[0], rtol=REORDERED)


@pytest.mark.parametrize("name", sorted({"two-component", "no-flow", "equilibrium"} & set(models())))
def test_the_twin_of_a_constant_share_gives_the_same_correlation_and_leads_back(name):
    model = create_model(name)
    values = {**model.parameters.starts(), **model.example, **({"f1": 0.0} if name != "equilibrium" else {})}
    (twin,) = model.twins
    other = twin.equivalent(values, 2.0, list(model.parameters))
    times = np.arange(1, 13) * 0.5
    same = [model.correlation(at, times, 0.01, 30.0) for at in (values, other)]
    np.testing.assert_allclose(same[0], same[1], atol=REORDERED)
    back = twin.equivalent(other, 2.0, ())
    again = model.correlation(back, times, 0.01, 30.0)
    np.testing.assert_allclose(again, same[0], atol=REORDERED)


def test_kinds_of_curves_say_their_parts_in_order():
    assert PowerLaw("J", RATE, "a", "b", "c").parts == ("a", "b", "c")
    assert Growth("f", "a", "b", "c", "d").parts == ("a", "b", "c", "d")
    assert Growth("f", "a", "b", "c", "d").unit == "1"
