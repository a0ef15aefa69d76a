"""The report names what the data cannot tell, line by line of the model's exact degeneracies, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import heterodyne as het
from heterodyne.parameters import REGISTRY
from heterodyne.problem import create_objective, create_problem
from heterodyne.problem.spectrum import spectrum_of
from heterodyne.result.document import fit_document, fit_text
from heterodyne_nlsq.starts.race import screened_cost
from heterodyne_nlsq.starts.search import Search, search_points
from heterodyne_nlsq.trust_region.minimise import Tolerances
from tolerances import REORDERED, SAME_MINIMUM, SAME_PLACE, SIGMAS, SOLVED

pytestmark = pytest.mark.slow

TRUTH = {
    "D0_ref": 2e4, "alpha_ref": -0.5, "D0_sample": 8e3, "alpha_sample": 0.4,
    "v0": 1e3, "beta": 0.2, "f0": 0.5, "f1": -0.12, "phi0": 10.0,
}  # fmt: skip
HELD = {"D_offset_ref": 0.0, "D_offset_sample": 0.0, "v_offset": 0.0, "f2": 0.0, "f3": 0.0}


def simulated(phi=(0.0, 40.0, 80.0), frames=100, seed=1, noise=0.01, q=0.008, **params):
    truth = {**TRUTH, **HELD, **params}
    return het.simulate(params=truth, phi=list(phi), frames=frames, seed=seed, noise=noise, q=q)


def fitted(data, free=(), fix=None, **choices):
    """The fit with offsets, f2 and f3 held but for those in ``free``, started at the truth."""
    truth = data.provenance["truth"]["params"]
    held = {name: 0.0 for name in HELD if name not in free} | (fix or {})
    start = {name: value for name, value in truth.items() if name not in held}
    return het.fit(data, fix=held, start=start, **choices)


def findings(fit, kind):
    return [finding for finding in fit.identifiability.findings if finding.kind == kind]


def says(fit, words):
    """Whether report and fit.json both say so; one alone is an error."""
    told = [words in " ".join(text.split()) for text in (fit.report(), fit_text(fit))]
    assert told[0] == told[1]
    return told[0]


def assert_undetermined(fit, *names):
    """The word stands in place of every one of these error bars: report, records and JSON."""
    rows = fit_document(fit)["parameters"]
    for name in names:
        assert rows[name]["error"] is rows[name]["error_independent"] is None
        assert rows[name]["status"] == "undetermined"
        assert name in fit.undetermined
        assert name in fit.identifiability["undetermined"]
        line = next(line for line in fit.report().splitlines() if line.strip().startswith(f"{name}:"))
        assert "(undetermined, no error bar)" in line


@pytest.fixture(scope="module")
def ordinary():
    """A fit in which everything is determined: three axes, rates and a fraction that change clearly."""
    return fitted(simulated())


def test_of_a_determined_fit_nothing_is_said_but_the_axis(ordinary):
    assert ordinary.success
    assert [finding.kind for finding in ordinary.identifiability.findings] == ["axis"]
    assert ordinary.undetermined == ()
    assert ordinary.identifiability["rank"] == 9
    assert ordinary.identifiability["at_bounds"] == ()
    assert "9 of 9 directions are determined by the curvature" in ordinary.report()


def test_f0_and_f2_enter_only_as_one_product():
    fit = fitted(simulated(f2=3.0), free=("f2",))
    assert says(fit, f"f0 and f2 only as f0·exp(-f1·f2) = {combination('f2', fit.values):.4g}")
    assert_undetermined(fit, "f0", "f2")
    assert np.isfinite(fit.errors["f1"])
    assert fit.identifiability["rank"] == 9


@pytest.mark.parametrize("seed", range(4))
def test_a_constant_fraction_is_f0_plus_f3_though_the_fit_follows_the_noise(seed):
    fit = fitted(simulated(f0=0.3, f1=0.0, f3=0.1, seed=seed), free=("f3",))
    assert says(fit, "f0 and f3 only together, as f = 0.")
    assert says(fit, "which is constant within its error: fix f3=0")
    assert np.isnan([fit.errors["f0"], fit.errors["f1"], fit.errors["f3"]]).all()
    assert_undetermined(fit, *({"f0", "f3"} & set(fit.undetermined)))
    assert {"f0", "f3"} & set(fit.undetermined)  # the other may lie on its bound
    assert np.isfinite(fit.errors["D0_ref"])
    held = fitted(simulated(f0=0.3, f1=0.0, f3=0.1, seed=seed), fix={"f3": 0.1})
    assert not says(held, "f0 and f3 only")
    assert np.isfinite(held.errors["f0"])


def test_a_constant_fraction_leaves_f2_without_a_meaning_too():
    fit = fitted(simulated(f0=0.3, f3=0.1, f1=0.0), free=("f2", "f3"), fix={"f1": 0.0})
    assert says(fit, "f0, f2 and f3 only together, as f = 0.4")
    assert_undetermined(fit, "f0", "f2", "f3")


def test_a_fraction_that_changes_tells_f0_from_f3():
    fit = fitted(simulated(f0=0.6, f1=-0.4, f3=0.2), free=("f3",))
    assert not says(fit, " only ")
    assert np.isfinite(fit.errors["f3"])


@pytest.mark.parametrize(
    ("curve", "prefactor", "exponent", "offset"),
    [
        ("J_ref", "D0_ref", "alpha_ref", "D_offset_ref"),
        ("J_sample", "D0_sample", "alpha_sample", "D_offset_sample"),
        ("v", "v0", "beta", "v_offset"),
    ],
)
def test_the_prefactor_and_the_offset_of_a_constant_rate_merge(curve, prefactor, exponent, offset):
    shifted: dict[str, Any] = {offset: 0.1 * TRUTH[prefactor]}
    still: dict[str, Any] = {**shifted, exponent: 0.0}
    constant = simulated(**still)
    fit = fitted(constant, free=(offset,), fix={exponent: 0.0})
    assert says(fit, f"{prefactor} and {offset} only together, as {curve} = ")
    assert says(fit, f"which is constant within its error: fix {offset}=0")
    assert_undetermined(fit, prefactor, offset)
    free = fitted(constant, free=(offset,))
    assert says(free, f"{prefactor} and {offset} only together, as {curve} = ")
    power = fitted(simulated(**shifted), free=(offset,), fix={exponent: TRUTH[exponent]})
    assert not says(power, f"{curve} being constant")
    assert np.isfinite(power.errors[offset])


def test_the_offset_of_the_null_model_merges_too():
    data = het.simulate(model="static", params={"D0": 3e3, "alpha": 0.0, "D_offset": 500.0}, frames=60)
    fit = het.fit(data, model="static", fix={"alpha": 0.0}, start={"D0": 3e3, "D_offset": 500.0})
    assert says(fit, "D0 and D_offset only together, as J = ")
    assert fit.undetermined == ("D0", "D_offset")
    assert not findings(fit, "axis")


def test_reference_and_sample_of_a_constant_fraction_can_be_exchanged():
    fit = fitted(simulated(f0=0.3, f1=0.0), fix={"f1": 0.0})
    (found,) = findings(fit, "other solution")
    assert says(fit, "reference and sample can be exchanged")
    assert found.values["D0_ref"] == fit.values["D0_sample"]
    assert found.values["f0"] == pytest.approx(1.0 - fit.values["f0"])
    again = het.fit(
        simulated(f0=0.3, f1=0.0), fix={**HELD, "f1": 0.0}, start={**fitted_start(fit), **found.values}
    )
    assert again.statistics["ssr"] == pytest.approx(fit.statistics["ssr"], rel=REORDERED)
    held = fitted(simulated(f0=0.3, f1=0.0), fix={"f1": 0.0, "D0_ref": TRUTH["D0_ref"]})
    assert not says(held, "exchanged")


def fitted_start(fit):
    return {row.name: row.value for row in fit.estimates if row.vary}


def test_the_components_of_equilibrium_can_always_be_exchanged():
    data = het.simulate(model="equilibrium", params={"D_ref": 200.0, "D_sample": 900.0, "x": 0.3}, frames=60)
    fit = het.fit(data, model="equilibrium", start=data.provenance["truth"]["params"])
    (found,) = findings(fit, "other solution")
    assert found.values["x"] == pytest.approx(1.0 - fit.values["x"])


def test_phi0_is_an_axis_and_no_wall_stands_at_90_degrees():
    data = simulated(phi0=88.0)
    fit = het.fit(data, fix=HELD, start={**TRUTH, "phi0": -86.0})
    row = next(row for row in fit.estimates if row.name == "phi0")
    assert row.status == "determined"
    assert abs(row.value - 88.0) < SIGMAS * row.error
    assert says(fit, "phi0 is an axis, folded into (-90, 90]: phi0 + 180° is the same")
    assert says(fit, "the sign of the velocity cannot be measured")


def test_bounds_of_the_user_on_phi0_stay_walls():
    fit = fitted(simulated(phi0=88.0), bounds={"phi0": (0.0, 89.0)})
    assert not says(fit, "phi0 is an axis")
    assert 0.0 <= fit.values["phi0"] <= 89.0
    fit = het.fit(simulated(phi0=88.0), fix=HELD, start={**TRUTH, "phi0": 50.0}, bounds={"phi0": (0.0, 80.0)})
    assert fit.values["phi0"] == 80.0
    assert "phi0 at high" in fit.identifiability["at_bounds"]


def test_a_model_without_flow_has_no_axis():
    data = het.simulate(model="no-flow", frames=60)
    truth = {k: v for k, v in data.provenance["truth"]["params"].items() if k != "f2"}
    fit = het.fit(data, model="no-flow", start=truth)
    assert not says(fit, "axis")


@pytest.mark.parametrize("phi", [(20.0,), (20.0, 200.0), (20.0, 20.0 + 1e-9, -160.0)])
def test_one_axis_leaves_v0_and_phi0_only_as_a_product(phi):
    fit = fitted(simulated(phi=phi))
    along = TRUTH["v0"] * np.cos(np.deg2rad(20.0 - TRUTH["phi0"]))
    (found,) = findings(fit, "merged")
    assert says(fit, "v0 and phi0 only as v0·cos(phi - phi0) = ")
    assert says(fit, "all azimuths lying on one axis (20°)")
    assert float(found.words.split(" = ")[1].split()[0]) == pytest.approx(along, rel=0.03)
    assert_undetermined(fit, "v0", "phi0")
    assert np.isfinite(fit.errors["beta"])


def test_one_axis_leaves_the_speed_of_equilibrium_undetermined_too():
    data = het.simulate(
        model="equilibrium", params={"D_ref": 200.0, "D_sample": 900.0}, phi=[15.0], frames=60
    )
    fit = het.fit(data, model="equilibrium", start=data.provenance["truth"]["params"])
    assert says(fit, "v and phi0 only as v·cos(phi - phi0) = ")
    assert_undetermined(fit, "v", "phi0")


def test_with_phi0_held_one_azimuth_gives_v0():
    fit = fitted(simulated(phi=(20.0,)), fix={"phi0": TRUTH["phi0"]})
    assert not says(fit, " only ")
    assert np.isfinite(fit.errors["v0"])


@pytest.mark.parametrize(
    ("phi", "flow", "other"),
    [
        ((0.0, 90.0), (2000.0, 3.0), (2000.0, -3.0)),
        ((0.0, 45.0), (2000.0, 3.0), (4560.0, -64.0)),
        ((0.0, -90.0, 180.0), (2000.0, 30.0), (2000.0, -30.0)),
    ],
)
def test_two_axes_have_a_second_flow_in_closed_form(phi, flow, other):
    data = simulated(phi=phi, v0=flow[0], phi0=flow[1])
    fit = fitted(data)
    (found,) = findings(fit, "other solution")
    assert says(fit, "all azimuths lie on two axes")
    second = {**fit.values, **found.values}
    assert second["v0"] == pytest.approx(other[0], rel=0.02)
    assert second["phi0"] == pytest.approx(other[1], abs=0.5)
    for name, value in found.values.items():
        assert says(fit, f"{name} = {value:.5g}")
        assert says(fit, f"{name} = {fit.values[name]:.5g}")
    again = het.fit(data, fix=HELD, start={**fitted_start(fit), **found.values})
    assert again.values["phi0"] == pytest.approx(second["phi0"], rel=1e-4)
    assert again.statistics["ssr"] == pytest.approx(fit.statistics["ssr"], rel=SOLVED)


def test_a_second_flow_that_cannot_be_reached_is_not_said():
    assert not says(fitted(simulated(phi=(0.0, 90.0)), fix={"phi0": TRUTH["phi0"]}), "two axes")
    assert not says(fitted(simulated(phi=(0.0, 45.0)), fix={"v0": TRUTH["v0"]}), "two axes")
    assert not says(fitted(simulated(phi=(0.0, 90.0)), bounds={"phi0": (0.0, 90.0)}), "two axes")


@pytest.mark.parametrize(
    ("f0", "component", "lost"), [(1e-5, "sample", "D0_sample"), (1.0, "reference", "D0_ref")]
)
def test_a_component_that_takes_no_part_leaves_no_trace(f0, component, lost):
    fit = fitted(simulated(f0=f0, f1=0.0), fix={"f0": f0, "f1": 0.0})
    if f0 < 1.0:
        assert says(fit, f"undetermined: the {component} is at most 1e-05 of the field")
    else:
        assert says(fit, "no flow is seen")
    assert lost in fit.undetermined
    other = {"D0_sample", "D0_ref"} - {lost}
    assert np.isfinite(fit.errors[other.pop()])


def test_of_a_small_component_only_what_is_not_seen_is_said():
    fit = fitted(simulated(f0=0.07, f1=0.0), fix={"f1": 0.0})
    assert says(fit, "no sample is seen: without it the fit gets worse by")
    assert np.isfinite(fit.errors["D0_ref"])
    assert np.isfinite(fitted(simulated(f0=0.12, f1=0.0), fix={"f1": 0.0}).errors["v0"])
    assert not says(fitted(simulated(f0=0.25, f1=0.0), fix={"f1": 0.0}), "undetermined: the")


def test_a_constant_correlation_merges_contrast_and_offset():
    data = het.simulate(
        model="static", params={"D0": 0.5, "alpha": 0.0, "D_offset": 0.0}, frames=60, noise=0.01
    )
    at_rest = {"D0": 0.0, "alpha": 0.0}
    fit = het.fit(
        data, model="static", fix=at_rest, bounds={"D_offset": (-1.0, -0.5)}, start={"D_offset": -0.7}
    )
    assert says(fit, "contrast and offset only as offset + contrast·S, S being constant over the data of")
    assert "(S = 1)" in findings(fit, "scaling")[0].words
    assert all(np.isnan(row.contrast_error) and np.isnan(row.offset_error) for row in fit.scaling)
    assert fit_document(fit)["bins"][0]["contrast_error"] is None


def test_a_correlation_lost_within_one_frame_leaves_the_contrast_without_effect():
    data = het.simulate(
        model="static", params={"D0": 9e5, "alpha": 0.0, "D_offset": 0.0}, frames=60, noise=0.01, seed=4
    )
    fit = het.fit(
        data, model="static", fix=["alpha", "D_offset"], bounds={"D0": (5e5, 1e6)}, start={"D0": 9e5}
    )
    assert says(fit, "contrast has no effect, S being constant over the data of")
    assert all(np.isnan(row.contrast_error) and np.isfinite(row.offset_error) for row in fit.scaling)


def test_a_contrast_fitted_as_0_is_told_from_no_constant_correlation():
    data = het.simulate(
        model="static", params={"D0": 0.5, "alpha": 0.0, "D_offset": 0.0}, frames=60, noise=0.01
    )
    fit = het.fit(data, model="static", fix=["alpha", "D_offset"], start={"D0": 3e3})
    assert all(row.contrast == 0.0 for row in fit.scaling)
    assert says(
        fit, "contrast and offset only as their sum if S = 1, which fits as well, the contrast being 0 in"
    )
    assert_undetermined(fit, "D0")


def test_a_contrast_that_is_held_merges_with_nothing():
    data = het.simulate(
        model="static", params={"D0": 0.5, "alpha": 0.0, "D_offset": 0.0}, frames=60, noise=0.01
    )
    fit = het.fit(data, model="static", fix=["alpha", "D_offset"], start={"D0": 0.5}, contrast=0.15)
    assert not findings(fit, "scaling")
    assert all(np.isfinite(row.offset_error) for row in fit.scaling)


def test_a_fringe_beyond_nyquist_is_aliased():
    limit = np.pi / (0.008 * 0.1)
    fit = fitted(simulated(v0=1.2 * limit, beta=0.0, phi0=0.0), fix={"beta": 0.0})
    assert says(fit, "the fringe of q=0.008 phi=0 is aliased: it turns by up to")
    below = fitted(simulated(v0=0.95 * limit, beta=0.0, phi0=0.0), fix={"beta": 0.0})
    assert not says(below, "aliased")


def test_friedel_mates_are_named_and_count_once():
    data = simulated(phi=(0.0, 40.0, 180.0))
    data = replace(data, c2=np.stack([data.c2[0], data.c2[1], data.c2[0]]))
    fit = fitted(data)
    assert says(fit, "q=0.008 phi=0 and q=0.008 phi=180 hold the same speckle and count once in the errors")
    independent = fitted(data, options={"errors": "independent"})
    assert says(independent, "hold the same speckle and count as independent in these errors")
    of_their_own = fitted(simulated(phi=(0.0, 40.0, 180.0)))
    assert not findings(of_their_own, "same speckle")


def test_a_rate_at_its_floor_is_named():
    data = simulated(D_offset_ref=-1.5e4)
    fit = fitted(data, fix={"D_offset_ref": -1.5e4})
    assert says(fit, "J_ref is at its floor, 0, for")


def test_bounds_and_strong_correlations_stand_in_the_section():
    fit = het.fit(simulated(), fix=HELD, start={**TRUTH, "beta": 0.0}, bounds={"beta": (-1.0, 0.1)})
    section = fit_document(fit)["identifiability"]
    assert "beta at high" in section["at_bounds"]
    fit = het.fit(simulated(), fix=HELD, start=TRUTH)
    section = fit_document(fit)["identifiability"]
    correlated = {(one, two): value for one, two, value in section["correlated"]}
    assert correlated
    sd = np.sqrt(np.diag(fit.covariance))
    matrix = fit.covariance / np.outer(sd, sd)
    names = fit.covariance_names
    for i, one in enumerate(names):
        for j, two in enumerate(names[:i]):
            assert ((two, one) in correlated) == (abs(matrix[i, j]) > 0.95)
    for (one, two), value in correlated.items():
        assert f"C({one}, {two}) = {value:+.4f}" in fit.report()


@pytest.mark.parametrize("errors", ["robust", "independent"])
@pytest.mark.parametrize("case", ["one azimuth", "f2", "offset"])
def test_held_directions_move_to_the_prior_and_nothing_else_moves(case, errors):
    data, free, fix = {
        "one azimuth": (simulated(phi=(20.0,)), (), {}),
        "f2": (simulated(f2=3.0), ("f2",), {}),
        "offset": (simulated(alpha_ref=0.0, D_offset_ref=9e3), ("D_offset_ref",), {"alpha_ref": 0.0}),
    }[case]
    found = fitted(data, free, fix, options={"errors": errors})
    held = fitted(data, free, fix, options={"errors": errors, "hold_at_prior": True})
    assert held.success
    assert held.statistics["ssr"] == pytest.approx(found.statistics["ssr"], rel=SAME_MINIMUM)
    lost = set(found.undetermined)
    assert set(held.undetermined) == lost == set(held.identifiability["held"]["parameters"])
    for name in set(found.errors) - lost:
        assert abs(held.values[name] - found.values[name]) < SAME_PLACE * found.errors[name]
    assert combination(case, held.values) == pytest.approx(combination(case, found.values), rel=1e-5)
    assert away(held, lost) < away(found, lost)
    assert says(held, "held at the prior along undetermined directions: ")
    assert "held" not in found.identifiability


def combination(case, values):
    """What is determined of the parameters that merge."""
    if case == "f2":
        return values["f0"] * np.exp(-values["f1"] * values["f2"])
    if case == "offset":
        return values["D0_ref"] + values["D_offset_ref"]
    return values["v0"] * abs(np.cos(np.deg2rad(20.0 - values["phi0"])))


def away(fit, names):
    """The squared distance from the prior means in standard deviations."""
    total = 0.0
    for name in names:
        prior, value = REGISTRY[name].prior, fit.values[name]
        if prior.family == "uniform":
            low, high = REGISTRY[name].low, REGISTRY[name].high
            total += ((value - 0.5 * (low + high)) / ((high - low) / np.sqrt(12.0))) ** 2
        else:
            at = np.log(value) if prior.family == "log-normal" else value
            total += ((at - prior.location) / prior.width) ** 2
    return total


def test_the_held_solution_is_the_nearest_to_the_prior_of_those_that_fit():
    fit = fitted(simulated(phi=(20.0,)), options={"hold_at_prior": True})
    along = combination("one azimuth", fit.values)
    flow = np.linspace(-65.0, 65.0, 200001)
    speed = along / np.cos(np.deg2rad(20.0 - flow))
    distance = ((np.log(speed) - np.log(1e3)) / 3.0) ** 2 + (flow / (180.0 / np.sqrt(12.0))) ** 2
    assert fit.values["phi0"] == pytest.approx(flow[distance.argmin()], abs=0.01)


def test_a_solution_left_on_a_bound_by_chance_is_held_inside():
    data = simulated(f0=0.4, f1=0.0)
    on_bound = fitted(data, free=("f3",), fix={"f1": 0.0})
    assert on_bound.identifiability["rank"] == len(on_bound.identifiability["names"]) - 1
    assert says(on_bound, "f0 and f3 only together, as f = ")
    held = fitted(data, free=("f3",), fix={"f1": 0.0}, options={"hold_at_prior": True})
    assert held.values["f0"] == pytest.approx(held.values["f3"], rel=1e-3)


def test_where_all_is_determined_nothing_is_held(ordinary):
    held = fitted(simulated(), options={"hold_at_prior": True})
    assert held.values == ordinary.values
    assert says(held, "nothing was held: no direction is lost")


def test_the_start_is_no_trap_the_jacobian_has_the_rank_of_what_is_determined():
    data = het.simulate()
    objective = objective_of(data)
    points = search_points(objective, Search(Tolerances(), 64, 3, 0, lambda line: None))
    best = points[int(np.argmin([screened_cost(objective, point) for point in points]))]
    truth = data.provenance["truth"]["params"]
    at_truth = objective.to_coordinates(np.array([truth[name] for name in objective.problem.varying]))
    determined = rank_at(objective, at_truth)
    assert determined == len(objective.problem.varying)
    assert rank_at(objective, best) == determined
    table = objective.to_coordinates(objective.problem.column("start"))
    assert rank_at(objective, table) <= 7  # where all parameters of two equal components merge


def objective_of(data):
    problem = create_problem(data, het.create_model("two-component"))
    return create_objective(problem)


def rank_at(objective, u):
    gram = objective(u).gram
    return spectrum_of(gram, np.full(len(u), np.inf)).rank
