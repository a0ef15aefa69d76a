"""One fit per q or azimuth with its tests of constancy, and the comparison of models, on simulated truths."""

import math

import pytest

import heterodyne as het
from tolerances import SIGMAS

pytestmark = pytest.mark.slow

HELD = dict.fromkeys(("v_offset", "D_offset_ref", "D_offset_sample", "f2", "f3"), 0.0)
SAMPLE_HELD = {name: value for name, value in HELD.items() if not name.endswith("_ref")}
TRUTH = {"D0_ref": 2e4, "alpha_ref": -0.3, "D0_sample": 6e3, "alpha_sample": 0.2}
TRUTH |= {"v0": 1.5e3, "beta": 0.1, "f0": 0.4, "f1": -0.02, "phi0": 10.0}
STATIC = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}


def measured(model, seed=0, **more):
    known = {**TRUTH, **HELD, **STATIC}
    names = het.create_model(model).parameters
    choices = {"q": 0.008, "phi": [0.0, 40.0, 80.0], "frames": 80, "contrast": 0.2, "noise": 0.02}
    params = {name: known[name] for name in names}
    return het.simulate(model, params=params, seed=seed, **{**choices, **more})


@pytest.mark.parametrize("truth", ["static", "no-flow", "static-reference", "two-component"])
def test_the_true_variant_wins(truth):
    quick = {"starts": 16, "polish": 2, "max_iterations": 60}
    data = measured(truth, noise=0.005, frames=64)
    found = het.compare(data, fix={**HELD, "D_offset": 0.0}, options=quick)
    assert found.sufficient == truth
    # a richer form may always be there with little of what it adds
    assert found.preferred == ("two-component" if truth == "two-component" else None)
    assert found.alike
    assert [score.model for score in found.scores] == [
        "static",
        "no-flow",
        "static-reference",
        "two-component",
    ]
    best = next(score for score in found.scores if score.model == truth)
    assert best.effective >= best.parameters
    assert best.chi2 < min(score.chi2 for score in found.scores) + found.margin


def test_the_deviance_does_not_depend_on_the_weights_of_the_fit():
    quiet = measured("static", phi=[0.0], frames=60, noise=0.005)
    loud = measured("static", phi=[90.0], frames=60, noise=0.1, seed=1)
    fits = [
        het.fit([quiet, loud], "static", fix={"D_offset": 0.0}, options={"weights": weights})
        for weights in ("noise", "equal")
    ]
    best, other = (fit.statistics["deviance"] for fit in fits)
    assert best < other < best + 100.0
    n = 60 * 59 / 2
    expected = 2.0 * n * (1.0 + math.log(2.0 * math.pi)) + 2.0 * n * math.log(0.005 * 0.1)
    assert best == pytest.approx(expected, abs=4.0 * math.sqrt(4.0 * n))


def test_parameters_are_constant_over_q_when_they_are():
    data = measured("static-reference", q=[0.006, 0.008, 0.01], seed=2)
    series = het.fit_by(data, "q", model="static-reference", fix=SAMPLE_HELD, options={"starts": 32})
    assert [group.name for group in series.groups] == ["q_0.006", "q_0.008", "q_0.01"]
    assert [group.n_bins for group in series.groups] == [3, 3, 3]
    assert {test.verdict for test in series.tests.values()} == {"constant"}
    assert series.tests["v0"].mean == pytest.approx(TRUTH["v0"], abs=SIGMAS * series.tests["v0"].error)
    assert series.groups[1].fit.provenance["group"] == {"by": "q", "value": series.groups[1].value}


def test_a_rate_that_depends_on_q_is_not_constant():
    slow, fast = (
        het.simulate("static", params={**STATIC, "D0": rate}, q=q, phi=[0.0, 90.0], frames=60, seed=1)
        for rate, q in ((3e3, 0.008), (5e3, 0.016))
    )
    series = het.fit_by([slow, fast], "q", model="static", fix={"D_offset": 0.0})
    assert series.tests["D0"].verdict == "not constant"


def test_one_azimuth_alone_leaves_speed_and_direction_undetermined():
    data = measured("static-reference", phi=[0.0, 40.0, 180.0], frames=60)
    fix = {**SAMPLE_HELD, "f1": TRUTH["f1"], "beta": TRUTH["beta"]}
    series = het.fit_by(data, "phi", model="static-reference", fix=fix, options={"starts": 32})
    assert [(group.name, group.n_bins) for group in series.groups] == [("phi_0", 2), ("phi_40", 1)]
    for name in ("v0", "phi0"):
        assert series.tests[name].verdict == "not tested"
        assert series.tests[name].left_out == ("phi_0", "phi_40")
    assert series.tests["f0"].dof == 1
    lines = [line for line in series.report().splitlines() if line.startswith(("v0", "phi0"))]
    assert all("not tested" in line and "phi_0, phi_40" in line for line in lines)


def test_reference_and_sample_bear_the_same_names_in_every_group():
    fix = {**HELD, "f1": 0.0}
    truth = {**TRUTH, **fix}
    data = het.simulate(
        params=truth, q=[0.005, 0.006, 0.008, 0.01], phi=[0.0, 40.0, 80.0], frames=80, noise=0.01, seed=3
    )
    series = het.fit_by(data, "q", fix=fix, options={"starts": 16, "polish": 1})
    ratios = [group.fit.values["D0_ref"] > group.fit.values["D0_sample"] for group in series.groups]
    assert len(set(ratios)) == 1
    assert series.tests["D0_ref"].verdict == "constant"
