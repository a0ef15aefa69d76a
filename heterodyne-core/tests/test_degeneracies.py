"""Words for lost directions, other solutions in closed form, curves and their errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import heterodyne as het
from heterodyne.bins.bin import Moments
from heterodyne.data.geometry import azimuth_axes
from heterodyne.evaluators.pair_sums import PairSums, Sums
from heterodyne.kernels.curves import curve_slopes, curve_values
from heterodyne.parameters import REGISTRY
from heterodyne.problem.choices import Choices
from heterodyne.problem.normal_equations import undetermined_scaling
from heterodyne.problem.problem import create_problem
from heterodyne.problem.scaling import scaling_design
from heterodyne.problem.spectrum import independent_covariance, spectrum_of, with_covariance
from heterodyne.result.fit import strong_correlations
from heterodyne.solution.degeneracies import merged_parameters, merged_scaling, same_speckle, sparse_basis
from heterodyne.solution.neighbourhood import Neighbourhood
from heterodyne.solution.other_solutions import mirrored, other_solutions, twins
from heterodyne.variants import equilibrium
from heterodyne.variants.two_component import J_REFERENCE, J_SAMPLE, MODEL, TRUTH
from tolerances import REORDERED, SOLVED

T = np.arange(1, 41) * 0.5


def problem_of(model="two-component", phi=(0.0, 45.0, 90.0), **choices):
    phi = np.asarray(phi)
    data = het.TwoTime(np.ones((len(phi), len(T), len(T))), np.full(len(phi), 0.01), phi, T, 0.5)
    return create_problem(data, het.create_model(model), Choices(**choices))


def neighbourhood(jacobian, values=None, width=1e9, **choices):
    """Around a solution where residuals change by these columns (n, p), by parameter name."""
    names = tuple(jacobian)
    held = {name: TRUTH[name] for name in TRUTH if name not in names}
    problem = problem_of(fix=held, **choices)
    point = {**TRUTH, **(values or {})}
    slopes = np.array([point[name] if REGISTRY[name].scale == "log" else 1.0 for name in names])
    columns = np.stack([jacobian[name] for name in names], axis=1)
    found = spectrum_of(columns.T @ columns, np.full(len(names), width))
    return Neighbourhood(problem, point, names, slopes, found, independent_covariance(found))


def columns(seed, count):
    return np.random.default_rng(seed).normal(size=(count, 50))


def test_a_lost_direction_of_two_parameters_is_a_sum_with_its_weight():
    one, two = columns(0, 2)
    here = neighbourhood({"alpha_ref": one, "beta": -2.0 * one, "f1": two})
    (found,) = merged_parameters(here)
    assert found.words == "alpha_ref and beta only as alpha_ref - 2·beta"
    assert found.parameters == ("alpha_ref", "beta")
    assert found.undetermined


def test_two_parameters_on_a_log_scale_are_lost_but_for_a_product():
    one, two = columns(1, 2)
    (found,) = merged_parameters(neighbourhood({"D0_ref": one, "D0_sample": one, "f1": two}))
    assert found.words == "D0_ref and D0_sample only as D0_ref·D0_sample"
    (found,) = merged_parameters(neighbourhood({"D0_ref": one, "v0": -0.5 * one, "f1": two}))
    assert found.words == "D0_ref and v0 only as D0_ref·v0^-0.5"


def test_a_log_and_a_linear_parameter_merge_in_their_values():
    one, two = columns(2, 2)
    here = neighbourhood({"D0_ref": TRUTH["D0_ref"] * one, "D_offset_ref": one, "f1": two})
    assert merged_parameters(here)[0].words == "D0_ref and D_offset_ref only as D0_ref + D_offset_ref"


def test_three_parameters_are_told_by_the_changes_that_leave_c2_as_it_is():
    one, two, three = columns(3, 3)
    here = neighbourhood({"alpha_ref": one, "beta": two, "f1": one + two, "alpha_sample": three})
    (found,) = merged_parameters(here)
    assert found.parameters == ("alpha_ref", "beta", "f1")
    changes = dict(part.rsplit(" ", 1) for part in found.words.split("along ")[1].split(", "))
    moved = sum(
        float(change) * {"alpha_ref": one, "beta": two, "f1": one + two}[n] for n, change in changes.items()
    )
    assert np.abs(moved).max() < 1e-2 * abs(float(changes["f1"]))


def test_two_lost_directions_are_told_apart_though_eigenvectors_mix_them():
    one, two, three = columns(4, 3)
    here = neighbourhood({"alpha_ref": one, "beta": one, "alpha_sample": two, "phi0": two, "f1": three})
    assert [found.words for found in merged_parameters(here)] == [
        "alpha_ref and beta only as alpha_ref + beta",
        "alpha_sample and phi0 only as alpha_sample + phi0",
    ]


def test_a_parameter_without_effect_takes_no_other_along():
    one, two = columns(5, 2)
    here = neighbourhood({"alpha_ref": one, "beta": 1e-9 * (one + two), "f1": two}, width=10.0)
    assert [found.words for found in merged_parameters(here)] == ["beta is known no better than its bounds"]
    assert here.undetermined == {"beta"}


def test_nothing_is_said_where_all_is_determined():
    one, two = columns(6, 2)
    assert merged_parameters(neighbourhood({"alpha_ref": one, "beta": two})) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_sparse_basis_spans_the_same_space(seed):
    vectors = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 2)))[0]
    basis = sparse_basis(vectors)
    np.testing.assert_allclose(np.linalg.norm(basis, axis=0), 1.0)
    np.testing.assert_allclose(vectors @ (vectors.T @ basis), basis, atol=1e-8)


def test_a_wide_error_loses_a_direction_and_is_limited_to_the_bounds():
    found = spectrum_of(np.diag([1.0, 1.0, 1.0]), np.full(3, 10.0))
    assert found.rank == 3
    judged, limited = with_covariance(found, np.diag([1.0, 100.0, 1.0]), np.full(3, 10.0))
    assert judged.rank == 2
    np.testing.assert_array_equal(judged.undetermined, [False, True, False])
    np.testing.assert_allclose(np.diag(limited), [1.0, 25.0, 1.0])


def test_an_error_within_the_bounds_is_left_as_it_is():
    rng = np.random.default_rng(7)
    root = rng.normal(size=(4, 4))
    covariance = root @ root.T
    _, limited = with_covariance(
        spectrum_of(covariance + np.eye(4), np.full(4, 1e6)), covariance, np.full(4, 1e6)
    )
    np.testing.assert_allclose(limited, covariance, rtol=SOLVED)


def test_strong_correlations_come_in_order_and_weak_ones_not_at_all():
    matrix = np.array([[1.0, 0.96, 0.1], [0.96, 1.0, -0.99], [0.1, -0.99, 1.0]])
    scale = np.array([1.0, 20.0, 0.3])
    found = strong_correlations(matrix * np.outer(scale, scale), ("a", "b", "c"))
    assert [pair[:2] for pair in found] == [("b", "c"), ("a", "b")]
    assert [pair[2] for pair in found] == pytest.approx([-0.99, 0.96])


@pytest.mark.parametrize(
    ("phi", "axes"),
    [
        ([0.0, 90.0], (0.0, 90.0)),
        ([10.0, -170.0, 190.0], (10.0,)),
        ([-45.0, 135.2, np.nan], (135.0,)),
        ([0.1, 179.9], (0.1,)),
        ([np.nan], ()),
    ],
)
def test_azimuths_and_their_opposites_lie_on_one_axis(phi, axes):
    assert azimuth_axes(np.array(phi)) == pytest.approx(axes)


@pytest.mark.parametrize(
    ("value", "folded"),
    [(90.0, 90.0), (-90.0, 90.0), (91.0, -89.0), (-269.0, -89.0), (12.3, 12.3), (450.0, 90.0)],
)
def test_the_azimuth_of_the_flow_is_folded(value, folded):
    assert REGISTRY["phi0"].folded(value) == folded


def test_bounds_that_are_walls_fold_nothing():
    narrow = REGISTRY.updated("phi0", low=0.0)["phi0"]
    assert not narrow.is_periodic
    assert narrow.folded(120.0) == 120.0
    assert REGISTRY["v0"].folded(-5.0) == -5.0


def test_the_second_flow_of_the_specification_is_found():
    found = mirrored(MODEL, {"v0": 2000.0, "v_offset": 100.0, "phi0": 3.0}, (0.0, 45.0))
    assert found["v0"] == pytest.approx(4559.87, abs=0.01)
    assert found["phi0"] == pytest.approx(-64.023, abs=0.001)
    assert found["v_offset"] / 100.0 == pytest.approx(found["v0"] / 2000.0)
    constant = mirrored(equilibrium.MODEL, {"v": 2000.0, "phi0": 3.0}, (0.0, 45.0))
    assert constant["v"] == pytest.approx(found["v0"])


@settings(max_examples=50, deadline=None)
@given(st.floats(-89.0, 89.0), st.floats(0.0, 80.0), st.floats(10.0, 90.0))
def test_the_second_flow_has_the_same_fringes_and_leads_back(phi0, first, apart):
    axes = (first, first + apart)
    here = {"v0": 1000.0, "v_offset": 0.0, "phi0": phi0}
    there = mirrored(MODEL, here, axes)
    for axis in axes:
        along = [one["v0"] * np.cos(np.deg2rad(axis - one["phi0"])) for one in (here, there)]
        assert abs(along[0]) == pytest.approx(abs(along[1]), abs=1e-6)
    assert -90.0 < there["phi0"] <= 90.0
    back = mirrored(MODEL, there, axes)
    assert back["v0"] == pytest.approx(1000.0)


def test_the_second_flow_gives_the_same_correlation():
    model, t = het.create_model("two-component"), T[:12]
    other = mirrored(MODEL, TRUTH, (0.0, 45.0))
    for phi in (0.0, 45.0):
        same = [model.correlation(values, t, 0.01, phi) for values in (TRUTH, other)]
        np.testing.assert_allclose(same[0], same[1], atol=1e-9)


def test_the_exchange_of_a_constant_fraction_gives_the_same_correlation():
    model, t = het.create_model("two-component"), T[:12]
    values = {**TRUTH, "f1": 0.0}
    ((_, other),) = twins(problem_of(start={"f2": 5.0}), values)
    assert other["D0_ref"] == TRUTH["D0_sample"]
    for phi in (0.0, 45.0):
        same = [model.correlation(v, t, 0.01, phi) for v in (values, other)]
        np.testing.assert_allclose(same[0], same[1], atol=REORDERED)
    assert not twins(problem_of("static"), {"D0": 1.0, "alpha": 0.0, "D_offset": 0.0})


def test_another_solution_is_named_only_where_it_fits_as_well():
    values = {**TRUTH, "f1": 0.0, "f2": 0.0}
    as_good = other_solutions(problem_of(), values, lambda other: 100.0)
    assert [one.kind for one in as_good] == ["other solution"]
    assert not other_solutions(problem_of(), values, lambda other: 100.0 + (other["f0"] != values["f0"]))
    held = problem_of(fix={"alpha_ref": TRUTH["alpha_ref"]})
    assert not other_solutions(held, values, lambda other: 100.0)


def test_a_minimum_where_a_twin_leads_is_named_as_that_twin_whatever_its_cost():
    values = {**TRUTH, "f1": 0.0, "f2": 0.0}
    ((reason, twin),) = twins(problem_of(), values)
    met = {**twin, "f1": 0.01, "D0_ref": 1.02 * twin["D0_ref"]}
    minima = [(met, 8.5), ({**values, "beta": -0.3}, 0.1)]
    exchanged, another = other_solutions(problem_of(), values, lambda other: 100.0, minima)
    assert exchanged.words.startswith(reason)
    assert "χ² +17" in exchanged.words
    assert "nearly as well" in exchanged.words
    assert exchanged.values["D0_ref"] == met["D0_ref"]
    assert another.words.startswith("another minimum: beta")
    assert "fit equally well (χ² +0.2)" in another.words


def test_speckle_that_bins_share_is_named_and_single_bins_are_not():
    found = same_speckle(["a", "b", "c"], [(0, 2), (1,)], robust=True)
    assert [one.words for one in found] == ["a and c hold the same speckle and count once in the errors"]


def test_a_long_list_of_bins_is_cut():
    some = np.ones(9, dtype=bool)
    (found,) = merged_scaling([f"bin {k}" for k in range(9)], np.ones(9), some, some, ~some)
    assert found.words.endswith("bin 5 (S = 1) and 3 more")


@pytest.mark.parametrize(
    ("s", "contrast", "offset"),
    [(np.ones(100), True, True), (np.full(100, 1e-9), True, False), (np.linspace(0, 1, 100), False, False)],
)
def test_contrast_and_offset_are_lost_where_s_is_constant(s, contrast, offset):
    n = float(len(s))
    zero = np.zeros(1)
    model = Sums(np.zeros((1, 1)), np.array([[s.sum()]]), np.array([[[s @ s]]]))
    sums = PairSums(Moments(np.array([n]), zero, zero, zero), np.array([n]), model)
    designs = [scaling_design(which, "individual", np.ones(1), zero) for which in ("contrast", "offset")]
    lost = undetermined_scaling(sums, designs[0], designs[1], np.array([0.02]))
    assert (bool(lost[0][0]), bool(lost[1][0])) == (contrast, offset)
    held = scaling_design("contrast", 0.2, np.ones(1), zero)
    assert not undetermined_scaling(sums, held, designs[1], np.array([0.02]))[0][0]


def test_curves_and_their_slopes_follow_ties():
    expected = TRUTH["D0_ref"] * T ** TRUTH["alpha_ref"] + TRUTH["D_offset_ref"]
    np.testing.assert_allclose(curve_values(J_REFERENCE, TRUTH, T), expected)
    problem = problem_of(tie={"alpha_sample": "alpha_ref"})
    values = {**TRUTH, "alpha_sample": TRUTH["alpha_ref"]}
    for curve, prefactor in ((J_REFERENCE, "D0_ref"), (J_SAMPLE, "D0_sample")):
        slopes = curve_slopes(curve, problem.ties, values, (prefactor, "alpha_ref", "f0"), T)
        power = T ** values["alpha_ref"]
        columns = np.stack([power, values[prefactor] * power * np.log(T), 0.0 * T], axis=1)
        np.testing.assert_allclose(slopes, columns, rtol=1e-6, atol=1e-6)


def test_the_error_of_a_curve_ignores_directions_that_do_not_move_it():
    one, two = columns(8, 2)
    here = neighbourhood({"D0_ref": TRUTH["D0_ref"] * one, "D_offset_ref": one, "beta": two})
    _, error = here.curve(J_REFERENCE)
    flat = neighbourhood(
        {"D0_ref": TRUTH["D0_ref"] * one, "D_offset_ref": one, "beta": two}, {"alpha_ref": 0.0}
    )
    assert error.mean() > 1e3  # the sum of both is known, not the curve
    assert flat.curve(J_REFERENCE)[1].max() < 1.0
