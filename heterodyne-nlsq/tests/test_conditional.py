"""Errors that hold on a condition: a parameter at its bound, another minimum, a cost that is no parabola."""

import numpy as np
import pytest

import heterodyne as het
from heterodyne.problem import Choices, create_objective, create_problem
from heterodyne.solution import create_solution
from heterodyne.solution.outcome import create_fit
from heterodyne.solution.solution import Rival
from heterodyne.variants.two_component import TRUTH

pytestmark = pytest.mark.slow

STATIC = {"D0": 3e3, "alpha": 0.2, "D_offset": 300.0}


@pytest.fixture(scope="module")
def weak():
    return het.simulate("static", params=STATIC, phi=[0.0], frames=40, noise=0.1, seed=0)


def status(fit):
    return {row.name: row.status for row in fit.estimates}


def interval(fit, name):
    return next(row.interval for row in fit.estimates if row.name == name)


def words(fit, kind):
    return [finding.words for finding in fit.identifiability.findings if finding.kind == kind]


def test_an_error_is_no_bare_number_where_it_rests_on_a_bound(weak):
    fit = het.fit(weak, "static", bounds={"D_offset": (-500.0, 1e5)})
    for row in fit.estimates:
        if row.status in ("conditional", "undetermined"):
            assert np.isnan([row.error, row.error_independent]).all()
            assert row.name not in fit.covariance_names
        if row.name in fit.profiles and row.status != "determined":
            ends = fit.profiles[row.name].interval()
            assert ends.low <= STATIC[row.name] <= ends.high
    assert "determined" not in (status(fit)["D0"], status(fit)["alpha"])


def test_what_stands_at_a_bound_comes_with_a_remedy():
    data = het.simulate(frames=100, seed=4)
    fixed = ["f1", "f3", "v_offset", "beta", "D_offset_sample"]
    start = {"D0_ref": 1.18e5, "D_offset_ref": -1e5, "alpha_ref": -0.03, "D0_sample": 1e4, "f0": 0.54}
    fit = het.fit(data, fix=fixed, start=start)
    told = words(fit, "at bound")
    told += [line for line in words(fit, "merged") if ": fix " in line]
    at_bound = [row.name for row in fit.estimates if row.status in ("at low", "at high")]
    assert all(any(name in line for line in told) for name in at_bound)
    assert at_bound
    for line in told:
        assert ": hold " in line or "beyond its bound" in line or ": fix " in line


def test_a_rate_that_vanishes_is_a_bound_though_its_logarithm_moves_nothing():
    held = {"alpha_ref": -0.3, "D_offset_ref": 2.2452, "alpha_sample": 0.2, "D_offset_sample": 1.1226}
    held |= {"v_offset": 0.22452, "f1": -0.02, "f2": 5.0, "f3": 0.1}
    free = {"D0_ref": 449.041, "D0_sample": 179.616, "v0": 44.9041, "beta": 0.1, "f0": 0.4, "phi0": 3.0}
    data = het.simulate_speckle(params={**held, **free}, frames=128, seed=14001)
    fit = het.fit(data, fix=held, start=free, options={"profiles": "asked", "weights": "noise"})
    assert status(fit)["D0_sample"] == "at low"
    assert status(fit)["D0_ref"] == status(fit)["f0"] == "conditional"


DIM = {"frames": 128, "dt": 0.1, "q": 0.01, "phi": (0.0, 45.0, 90.0), "modes": 10}
FEW = {"D0_ref": 2e4, "D0_sample": 8e3, "v0": 2e3, "beta": 0.1, "f0": 0.4, "phi0": 3.0}


@pytest.fixture(scope="module")
def few_photons():
    """A fit in which the sample's rate is drawn to 0, and the arguments that begin it at the truth."""
    data = het.simulate_speckle(counts=0.05, pixels=8000, **DIM, seed=3001)
    rest = {name: value for name, value in TRUTH.items() if name not in FEW}
    return data, rest, het.fit(data, fix=rest, start=FEW)


def test_a_rate_that_is_drawn_to_0_has_an_upper_limit(few_photons):
    data, rest, fit = few_photons
    assert status(fit)["D0_sample"] == "at low"
    ends = fit.profiles["D0_sample"].interval()
    assert interval(fit, "D0_sample") == (0.01, ends.high)
    assert any(f"it is below {ends.high:.3g} (95 %)" in line for line in words(fit, "at bound"))
    held = {**rest, "D0_sample": ends.high}
    start = {name: value for name, value in FEW.items() if name != "D0_sample"}
    beyond = het.fit(data, fix=held, start=start, options={"profiles": "asked"})
    assert beyond.statistics["ssr"] > fit.statistics["ssr"]


def test_errors_rest_on_a_rate_at_0_that_may_come_back(few_photons):
    """The profile of f0 finds the way back, though nothing draws a logarithm away from its low bound."""
    _, _, fit = few_photons
    assert status(fit)["f0"] == "conditional"
    profile = fit.profiles["f0"]
    inside = (profile.values > profile.interval().low) & (profile.values < profile.interval().high)
    assert profile.others["D0_sample"][inside].max() > 1e3
    low, high = interval(fit, "f0")
    assert low < FEW["f0"] < high


def test_a_rate_at_a_bound_that_keeps_it_from_falling_is_not_drawn_to_0(weak):
    fit = het.fit(weak, "static", fix={"D_offset": 0.0, "alpha": 0.2}, bounds={"D0": (1.5e4, None)})
    assert status(fit)["D0"] == "at low"
    (line,) = words(fit, "at bound")
    assert "the data ask for it beyond its bound: widen its bounds" in line


def test_a_bound_that_hardly_matters_is_not_to_be_widened(weak):
    free = het.fit(weak, "static", fix={"D_offset": 0.0}, options={"profiles": "asked"})
    bounds = {"alpha": (free.values["alpha"] + 0.05 * free.errors["alpha"], 2.0)}
    fit = het.fit(weak, "static", fix={"D_offset": 0.0}, bounds=bounds)
    (line,) = words(fit, "at bound")
    assert line.startswith("alpha at low: beyond its bound the fit would get better by 0.00")


def test_a_fit_that_has_not_converged_has_no_error_bars(weak):
    options = {"max_iterations": 2, "starts": 8, "polish": 1}
    fit = het.fit(weak, "static", fix={"D_offset": 0.0}, options=options)
    assert fit.verdict == "max iterations"
    assert "determined" not in status(fit).values()
    assert fit.covariance_names == ()
    assert any(line.startswith("no error bars") for line in words(fit, "conditional"))


def test_only_what_is_asked_for_is_profiled_on_request(weak):
    fit = het.fit(weak, "static", bounds={"D_offset": (-500.0, 1e5)}, options={"profiles": "asked"})
    assert not fit.profiles
    conditional = {name for name, of in status(fit).items() if of == "conditional"}
    assert conditional == {*fit.identifiability.conditional} != set()
    assert words(fit, "at bound") == []


def test_a_sharp_fit_has_no_profile_that_nobody_asked_for():
    data = het.simulate("static", params={**STATIC, "D_offset": 0.0}, phi=[0.0, 90.0], frames=60, noise=0.005)
    fit = het.fit(data, "static", fix={"D_offset": 0.0})
    assert not fit.profiles
    assert status(fit)["D0"] == status(fit)["alpha"] == "determined"
    assert fit.identifiability.conditional == ()


FLOW = {"D0_ref": 2e4, "D0_sample": 8e3, "v0": 2e3, "f0": 0.4, "phi0": 10.0}


def with_rival(phi, reason):
    """Estimates without and with another solution as a rival, and that solution's finding."""
    rest = [name for name in het.create_model("two-component").parameters if name not in FLOW]
    held = dict.fromkeys(rest, 0.0)
    data = het.simulate(params={**FLOW, **held}, phi=phi, frames=60, noise=0.01, seed=1)
    fit = het.fit(data, fix=held, start=FLOW)
    other = next(one for one in fit.identifiability.findings if reason in one.words)
    objective = create_objective(create_problem(data, het.create_model("two-component"), Choices(fix=held)))
    rival = Rival(objective.point({**fit.values, **other.values}), 0.0)
    solution = create_solution(objective, objective.point(fit.values), rivals=(rival,))
    return fit, create_fit(solution, "other", 0.0)


def test_another_minimum_as_good_leaves_no_error_bar():
    alone, beside = with_rival([0.0, 40.0], "two axes")
    assert status(alone)["v0"] == "determined"
    assert status(beside)["v0"] == status(beside)["phi0"] == "conditional"
    assert np.isnan(beside.errors["v0"])
    assert beside.errors["f0"] > 0.0
    assert any("two axes" in line for line in words(beside, "other solution"))


def test_exchanged_names_of_components_are_no_condition():
    alone, beside = with_rival([0.0, 40.0, 80.0], "exchanged")
    assert status(beside) == status(alone)
    assert not beside.identifiability.conditional
    assert any("exchanged" in line for line in words(beside, "other solution"))
