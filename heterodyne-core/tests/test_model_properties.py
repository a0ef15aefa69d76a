"""Properties of S: its symmetries, its exact degeneracies, and finite slopes at special places."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import heterodyne as het
from heterodyne.kernels._jax import jax, jnp
from heterodyne.model import correlation_matrix, pair_of_components
from heterodyne.variants import two_component
from heterodyne.variants.two_component import TRUTH
from tolerances import ELEMENTARY, LAST_DIGIT

TIMES = np.arange(1, 13) * 0.1
TWO = het.create_model("two-component")
properties = settings(derandomize=True, deadline=None, max_examples=60)


def moderate(row):
    """Values that a real experiment at q near 0.01 could have: S is neither 1 nor 0 all over."""
    ranges = {
        **dict.fromkeys(("D0_ref", "D0_sample"), (10.0, 3e4)),
        **dict.fromkeys(("alpha_ref", "alpha_sample", "beta"), (-1.0, 1.0)),
        **dict.fromkeys(("D_offset_ref", "D_offset_sample"), (-1e3, 1e3)),
        "v0": (1.0, 3e3),
        "v_offset": (-1e3, 1e3),
        "f0": (0.05, 0.6),
        "f1": (-1.0, 1.0),
        "f2": (-2.0, 2.0),
        "f3": (0.0, 0.3),
        "phi0": (-90.0, 90.0),
    }
    return st.floats(*ranges[row.name])


experiments = st.fixed_dictionaries({row.name: moderate(row) for row in TWO.parameters.values()})
azimuths = st.floats(-180.0, 180.0)


def s_of(params, phi=20.0, q=0.01, t=TIMES):
    return TWO.correlation(params, t, q, phi)


def same(left, right, atol=1e-11):
    np.testing.assert_allclose(left, right, rtol=0, atol=atol)


# Symmetries


def exchanged(p):
    """Reference and sample exchanged, f → 1 - f; f0 may become negative, which only the table forbids."""
    swapped = {
        name: p[name.replace("_ref", "_x").replace("_sample", "_ref").replace("_x", "_sample")] for name in p
    }
    return {**swapped, "f0": -p["f0"], "f3": 1.0 - p["f3"]}


@properties
@given(p=experiments, phi=azimuths)
def test_exchange_of_reference_and_sample(p, phi):
    assert exchanged(p)["D0_ref"] == p["D0_sample"]
    assert exchanged(p)["alpha_sample"] == p["alpha_ref"]
    same(s_of(p, phi), s_of(exchanged(p), phi))


@properties
@given(p=experiments, phi=azimuths)
def test_exchange_inside_the_bounds_for_a_constant_fraction(p, phi):
    constant = {**p, "f1": 0.0, "f3": 0.0}
    mirrored = {**exchanged(constant), "f0": 1.0 - p["f0"], "f3": 0.0}
    same(s_of(constant, phi), s_of(mirrored, phi))


@properties
@given(p=experiments, phi=azimuths)
def test_the_sign_of_the_velocity_is_not_measurable(p, phi):
    same(s_of(p, phi), s_of({**p, "v0": -p["v0"], "v_offset": -p["v_offset"]}, phi))


@properties
@given(p=experiments, phi=azimuths)
def test_the_flow_direction_is_an_axis(p, phi):
    same(s_of(p, phi), s_of({**p, "phi0": p["phi0"] + 180.0}, phi))
    same(s_of(p, phi), s_of(p, phi + 180.0))


# The sign of phi0


@pytest.mark.parametrize("phi0", [-70.0, -3.0, 0.0, 25.0, 60.0])
@pytest.mark.parametrize("phi", [-100.0, 0.0, 40.0, 135.0])
def test_the_fringe_carries_the_cosine_of_phi_minus_phi0(phi, phi0):
    still = dict.fromkeys(("D0_ref", "D0_sample", "D_offset_ref", "D_offset_sample", "v_offset", "beta"), 0.0)
    p = {**TRUTH, **still, "v0": 150.0, "f0": 0.5, "f1": 0.0, "f2": 0.0, "f3": 0.0, "phi0": phi0}
    lag = np.subtract.outer(TIMES, TIMES)
    fringe = np.cos(0.01 * math.cos(math.radians(phi - phi0)) * 150.0 * lag)
    same(s_of(p, phi), 0.5 + 0.5 * fringe, atol=ELEMENTARY)


# Exact degeneracies


@properties
@given(p=experiments, shift=st.floats(-3.0, 3.0), phi=azimuths)
def test_f0_and_f2_enter_only_together(p, shift, phi):
    moved = {**p, "f2": p["f2"] + shift, "f0": p["f0"] * math.exp(p["f1"] * shift)}
    same(s_of(p, phi), s_of(moved, phi))


@properties
@given(p=experiments, share=st.floats(0.0, 1.0), phi=azimuths)
def test_without_growth_f0_and_f3_merge(p, share, phi):
    f = 0.4
    one, two = ({**p, "f1": 0.0, "f0": f * x, "f3": f * (1.0 - x)} for x in (1.0, share))
    same(s_of(one, phi), s_of(two, phi))


@properties
@given(p=experiments, moved=st.floats(-500.0, 500.0), phi=azimuths)
def test_without_ageing_power_laws_and_offsets_merge(p, moved, phi):
    flat = {**p, "alpha_ref": 0.0, "alpha_sample": 0.0, "beta": 0.0}
    pairs = (("D0_ref", "D_offset_ref"), ("D0_sample", "D_offset_sample"), ("v0", "v_offset"))
    shifted = {
        name: flat[name] + sign * moved for pair in pairs for name, sign in zip(pair, (1, -1), strict=True)
    }
    same(s_of(flat, phi), s_of({**flat, **shifted}, phi))


@properties
@given(p=experiments, phi=azimuths, turned=st.floats(-60.0, 60.0))
def test_with_one_azimuth_speed_and_direction_merge(p, phi, turned):
    towards = {**p, "phi0": phi}
    slope = math.cos(math.radians(turned))
    aside = {**p, "phi0": phi + turned, "v0": p["v0"] / slope, "v_offset": p["v_offset"] / slope}
    same(s_of(towards, phi), s_of(aside, phi))


def second_solution(v, phi0, axis_one, axis_two):
    """(v', φ0') that keeps the projection on the first axis and reverses the other; φ0' in (-90, 90]."""
    axes = np.radians([axis_one, axis_two])
    projections = v * np.cos(axes - math.radians(phi0)) * [1.0, -1.0]
    along, across = np.linalg.solve(np.column_stack([np.cos(axes), np.sin(axes)]), projections)
    angle = math.degrees(math.atan2(across, along))
    folded = angle - 180.0 if angle > 90.0 else angle + 180.0 if angle <= -90.0 else angle
    return math.hypot(along, across), folded


def test_second_solution_of_two_axes_in_numbers():
    speed, angle = second_solution(2000.0, 3.0, 0.0, 45.0)
    assert (round(speed, -1), round(angle)) == (4560.0, -64)
    speed, angle = second_solution(2000.0, 3.0, 0.0, 90.0)
    assert (speed, angle) == (pytest.approx(2000.0), pytest.approx(-3.0))


@pytest.mark.parametrize("axes", [(0.0, 45.0), (0.0, 90.0), (-20.0, 75.0)])
def test_two_axes_admit_a_second_velocity_and_a_third_axis_does_not(axes):
    speed, angle = second_solution(TRUTH["v0"], TRUTH["phi0"], *axes)
    v_offset = TRUTH["v_offset"] * speed / TRUTH["v0"]
    other = {**TRUTH, "v0": speed, "v_offset": v_offset, "phi0": angle}
    for phi in (*axes, axes[0] + 180.0, axes[1] - 180.0):
        same(s_of(TRUTH, phi), s_of(other, phi))
    assert np.max(np.abs(s_of(TRUTH, 30.0) - s_of(other, 30.0))) > 0.1


# Finite slopes


def slopes(name):
    """S, its Jacobian by forward mode and the gradient of its sum by reverse mode, of pair and components."""
    model = het.create_model(name)
    axes = ((..., slice(None), None), (..., None, slice(None)))

    def of_components(params, t, q, phi):
        rows = model.components(params, t, q, phi)
        return pair_of_components(*(jax.tree.map(lambda row, at=at: row[at], rows) for at in axes))

    def of_pair(params, t, q, phi):
        return correlation_matrix(model, params, t, q, phi)

    forward, backward = jax.jacfwd(of_pair), jax.grad(lambda *args: jnp.sum(of_pair(*args)))
    forward_of_components = jax.jacfwd(of_components)
    return jax.jit(
        lambda *args: (of_pair(*args), forward(*args), backward(*args), forward_of_components(*args))
    )


SLOPES = {name: slopes(name) for name in ("two-component", "equilibrium")}


def assert_finite(name, params, t, q=0.01, phi=20.0):
    for found in jax.tree.leaves(SLOPES[name](dict(params), t, q, phi)):
        assert np.all(np.isfinite(found)), (params, t[0])


@pytest.mark.slow
@pytest.mark.parametrize("f0", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("f3", [0.0, 1.0])
def test_slopes_are_finite_at_a_fraction_of_0_and_1(f0, f3):
    for f1 in (-10.0, 0.0, 10.0, 300.0 / 2e4 - 1e-9, 310.0 / 2e4 - 1e-9):
        for f2 in (-1e4, 0.0, 1e4):
            assert_finite("two-component", {**TRUTH, "f0": f0, "f1": f1, "f2": f2, "f3": f3}, TIMES + 1e4)


@pytest.mark.slow
def test_slopes_are_finite_at_the_floor_of_the_rates_and_on_its_edge():
    for offset in (-1e5, -8e3):
        p = {**TRUTH, "D0_sample": 8e3, "alpha_sample": 0.0, "D_offset_sample": offset, "D_offset_ref": -1e5}
        assert np.all(s_of({**p, "f0": 1.0, "f1": 0.0}) == 1.0)
        assert_finite("two-component", p, TIMES)


def test_slopes_are_finite_without_motion():
    still = dict.fromkeys(("D0_ref", "D0_sample", "v0", "D_offset_ref", "D_offset_sample", "v_offset"), 0.0)
    assert_finite("two-component", {**TRUTH, **still}, TIMES)


@pytest.mark.slow
@pytest.mark.parametrize("x", [0.0, 1.0])
def test_equilibrium_has_the_right_slope_where_one_component_vanishes(x):
    model = het.create_model("equilibrium")
    p = {"D_ref": 1e3, "D_sample": 3e3, "v": 100.0, "phi0": 0.0}

    def s_at(x):
        return model.correlation({**p, "x": x}, TIMES, 0.01, 0.0)

    step = 1e-6 * (1.0 - 2.0 * x)
    assert_finite("equilibrium", {**p, "x": x}, TIMES)
    slope = SLOPES["equilibrium"]({**p, "x": x}, TIMES, 0.01, 0.0)[1]["x"]
    np.testing.assert_allclose(slope, (s_at(x + step) - s_at(x)) / step, rtol=0, atol=1e-5)


def test_profiles_have_one_row_per_quantity_over_the_frames():
    rows = two_component.profiles(dict(TRUTH), jnp.asarray(TIMES), 0.01, 20.0)
    assert {row.shape for row in rows} == {(len(TIMES),)}
    same(rows.reference + rows.sample, 1.0, atol=LAST_DIGIT)
    same(rows.reference * rows.sample, rows.mixed**2, atol=LAST_DIGIT)
