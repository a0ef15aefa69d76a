"""Profile likelihoods: against standard errors, against fits with the parameter held, open and flat ones."""

import json

import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import ParameterError
from heterodyne.problem import Choices, create_objective, create_problem
from heterodyne.solution import create_solution
from heterodyne.solution.covariance import quantile
from heterodyne.solution.outcome import fit_of, known_at
from heterodyne_nlsq.conditional import fit_with_profiles
from heterodyne_nlsq.starts.search import Search
from heterodyne_nlsq.trust_region.minimise import Tolerances
from heterodyne_nlsq.trust_region.refine import refined

pytestmark = pytest.mark.slow

STATIC = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}


@pytest.fixture(scope="module")
def sharp():
    """Data so quiet that the cost is quadratic over the interval."""
    data = het.simulate("static", params=STATIC, phi=[0.0, 90.0], frames=100, noise=0.005, seed=1)
    return het.fit(data, "static", fix={"D_offset": 0.0}, options={"profile": ["alpha", "D0"]})


@pytest.fixture(scope="module")
def weak_data():
    return het.simulate("static", params=STATIC, phi=[0.0], frames=40, noise=0.1, seed=0)


def test_a_quadratic_profile_agrees_with_the_standard_error(sharp):
    t = quantile(sharp.statistics["dof"])
    for name, profile in sharp.profiles.items():
        robust, independent = profile.interval(), profile.interval(errors="independent")
        assert robust.high - profile.best == pytest.approx(t * sharp.errors[name], rel=0.01)
        assert profile.best - robust.low == pytest.approx(t * sharp.errors[name], rel=0.01)
        half = 0.5 * (independent.high - independent.low)
        assert half == pytest.approx(1.959964 * sharp.errors_independent[name], rel=0.01)
        ratio = (sharp.errors[name] / sharp.errors_independent[name]) ** 2
        assert profile.scale == pytest.approx(ratio, rel=1e-4)
        assert profile.interval(0.68).high < robust.high
        assert profile.best == sharp.values[name]


def test_the_table_holds_the_other_parameters_at_their_best(sharp):
    profile = sharp.profiles["alpha"]
    assert list(profile.columns()) == ["alpha", "delta_chi2", "delta_chi2_scaled", "D0", "cost"]
    assert np.all(np.diff(profile.values) > 0)
    assert profile.delta_chi2.min() == 0.0
    correlation = np.corrcoef(profile.values, profile.others["D0"])[0, 1]
    index = [sharp.covariance_names.index(name) for name in ("alpha", "D0")]
    assert np.sign(correlation) == np.sign(sharp.covariance[index[0], index[1]])


def test_an_asymmetric_profile_is_that_of_fits_with_the_parameter_held(weak_data):
    fit = het.fit(weak_data, "static", fix={"D_offset": 0.0}, options={"profile": "alpha"})
    profile = fit.profiles["alpha"]
    ends = profile.interval()
    down, up = profile.best - ends.low, ends.high - profile.best
    assert max(down, up) > 1.2 * min(down, up)
    n, fitted = fit.statistics["n_pairs"], fit.statistics["n_variables"]
    for end in (ends.low, ends.high):
        held = het.fit(
            weak_data, "static", fix={"D_offset": 0.0, "alpha": end}, start={"D0": fit.values["D0"]}
        )
        delta = (held.statistics["ssr"] / fit.statistics["ssr"] - 1.0) * (n - fitted)
        assert delta == pytest.approx(ends.threshold, rel=0.02)


def test_an_end_beyond_a_bound_is_open(weak_data, tmp_path):
    fit = het.fit(
        weak_data,
        "static",
        fix={"D_offset": 0.0},
        bounds={"alpha": (-0.05, 2.0)},
        options={"profile": "alpha"},
    )
    ends = fit.profiles["alpha"].interval()
    assert np.isneginf(ends.low)
    assert np.isfinite(ends.high)
    assert "alpha: no lower limit: at -0.05 delta chi2 is" in fit.report()
    fit.save(tmp_path)
    document = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    assert document["profiles"]["alpha"]["intervals"][0]["low"] is None
    again = het.read_fit(tmp_path)
    assert again.profiles["alpha"].interval() == ends
    assert again.report() == fit.report()
    header, *rows = (tmp_path / "profile_alpha.csv").read_text(encoding="utf-8").splitlines()
    assert header == "alpha,delta_chi2,delta_chi2_scaled,D0,cost"
    assert [float(row.split(",")[0]) for row in rows] == list(fit.profiles["alpha"].values)


def test_what_the_data_do_not_determine_has_a_flat_profile():
    truth = {"D0_ref": 2e4, "D0_sample": 8e3, "v0": 2e3, "f0": 0.4, "phi0": 10.0}
    rest = [name for name in het.create_model("two-component").parameters if name not in truth]
    held = dict.fromkeys(rest, 0.0)
    data = het.simulate(params={**truth, **held}, phi=[0.0], frames=60, noise=0.01, seed=1)
    fit = het.fit(data, fix=held, start=truth, options={"profile": ["v0", "f0"]})
    assert "v0" in fit.undetermined
    profile = fit.profiles["v0"]
    assert not profile.own_scale
    assert np.isinf(profile.interval().high)
    assert not fit.profiles["f0"].flat
    one = het.fit(
        data,
        fix={**held, "phi0": 10.0},
        start={n: truth[n] for n in truth if n != "phi0"},
        options={"profile": ["v0"]},
    )
    assert one.profiles["v0"].own_scale
    assert not one.profiles["v0"].flat


def test_a_degenerate_parameter_has_a_flat_profile():
    truth = {"D0_ref": 2e4, "D0_sample": 8e3, "v0": 2e3, "f0": 0.4, "phi0": 10.0}
    rest = [name for name in het.create_model("two-component").parameters if name not in truth]
    held = {**dict.fromkeys(rest, 0.0), "f1": -0.05}
    data = het.simulate(params={**truth, **held}, phi=[0.0, 40.0, 80.0], frames=40, seed=1)
    del held["f2"]
    fit = het.fit(data, fix=held, start=truth, bounds={"f2": (-5.0, 5.0)}, options={"profile": ["f2"]})
    assert fit.profiles["f2"].flat
    assert "f2: flat from -5 to 5: the data do not determine f2" in fit.report()


def test_independent_errors_have_independent_intervals_alone():
    data = het.simulate("static", params=STATIC, frames=40, seed=1)
    fit = het.fit(
        data, "static", fix={"D_offset": 0.0}, options={"profile": "alpha", "errors": "independent"}
    )
    profile = fit.profiles["alpha"]
    assert {one.errors for one in profile.intervals} == {"independent"}
    assert profile.scale == 1.0
    half = 0.5 * (profile.interval().high - profile.interval().low)
    assert half == pytest.approx(1.96 * fit.errors["alpha"], rel=0.05)


def test_an_axis_is_profiled_over_its_end():
    truth = {"v0": 2e3, "phi0": 89.95}
    model = het.create_model("two-component").parameters
    held = {name: 0.0 for name in model if name not in truth} | {"D0_ref": 2e4, "D0_sample": 8e3, "f0": 0.4}
    data = het.simulate(params={**truth, **held}, phi=[0.0, 45.0, 90.0], frames=60, noise=0.02, seed=2)
    fit = het.fit(data, fix=held, start=truth, options={"profile": ["phi0"]})
    ends = fit.profiles["phi0"].interval()
    assert np.isfinite([ends.low, ends.high]).all()
    assert ends.high - ends.low == pytest.approx(
        2.0 * quantile(fit.statistics["dof"]) * fit.errors["phi0"], rel=0.05
    )


def test_a_profile_that_meets_a_lower_minimum_moves_the_fit_there(weak_data):
    problem = create_problem(weak_data, het.create_model("static"), Choices(fix={"D_offset": 0.0}))
    objective = create_objective(problem)
    best = refined(objective, np.array([8.0, 0.2]), Tolerances())
    believed = create_solution(objective, best.x + np.array([1.0, 0.0]))
    lines = []
    search = Search(Tolerances(), 1, 1, 0, lines.append)

    def finish(known, profiles, findings):
        return fit_of(known, "nlsq", 0.0, profiles, findings)

    fit = fit_with_profiles(believed, known_at, finish, ["alpha"], False, search)
    assert any("met a lower minimum" in line for line in lines)
    assert fit.values["alpha"] == pytest.approx(best.x[1], rel=1e-6)
    assert fit.profiles["alpha"].best == fit.values["alpha"]
    # what was left is another minimum, as far as anybody knows
    told = [found for found in fit.identifiability.findings if found.kind == "other solution"]
    assert any(found.values["D0"] == pytest.approx(believed.values["D0"]) for found in told)


@pytest.mark.parametrize(
    ("name", "choices", "words"),
    [
        ("alhpa", {}, "no parameter named 'alhpa'; did you mean 'alpha'"),
        ("contrast", {}, "'contrast' is no parameter of a model"),
        ("D_offset", {}, "parameter 'D_offset' is fixed at 0 and has no profile"),
    ],
)
def test_a_name_without_a_profile_is_refused_before_the_fit(weak_data, name, choices, words):
    lines = []
    with pytest.raises(ParameterError, match=words):
        het.fit(
            weak_data, "static", fix=["D_offset"], options={"profile": name}, progress=lines.append, **choices
        )
    assert not lines


def test_a_tied_parameter_has_no_profile_of_its_own():
    data = het.simulate(frames=20)
    with pytest.raises(ParameterError, match="'D0_ref' is tied to 'D0_sample'"):
        het.fit(data, tie={"D0_ref": "D0_sample"}, options={"profile": ["D0_ref"]})


def test_a_fit_that_did_not_converge_has_no_profile(weak_data):
    fit = het.fit(
        weak_data,
        "static",
        fix={"D_offset": 0.0},
        start={"D0": 10.0, "alpha": 1.0},
        options={"profile": "alpha", "max_iterations": 1},
    )
    assert not fit.profiles
    assert "no profile without convergence" in fit.message
