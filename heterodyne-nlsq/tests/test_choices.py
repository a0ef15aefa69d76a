"""What users choose about parameters, for every one of the fourteen: fixed, started, bounded, tied; warm starts."""

import math
import re

import numpy as np
import pytest

import heterodyne as het
from heterodyne.variants.two_component import TRUTH
from tolerances import SAME_MINIMUM, SAME_PLACE

NAMES = tuple(het.create_model("two-component").parameters)
QUICK = {"max_iterations": 6, "errors": "independent", "weights": "equal"}


@pytest.fixture(scope="module")
def data():
    return het.simulate(frames=24, seed=1)


def started(**without):
    return {name: value for name, value in TRUTH.items() if name not in without and name != "f2"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_fixed_parameter_is_not_moved(data, name):
    row = het.create_model("two-component").parameters[name]
    held = 1.1 * TRUTH[name] if 1.1 * TRUTH[name] <= row.high else 0.9 * TRUTH[name]
    fit = het.fit(data, fix={name: held}, start=started(**{name: 0}), options=QUICK)
    estimate = next(one for one in fit.estimates if one.name == name)
    assert estimate.value == held
    assert (estimate.vary, estimate.status) == (False, "fixed")
    moved = {one.name for one in fit.estimates if one.value != TRUTH[one.name]}
    assert len(moved) > 8


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_bounds_keep_a_parameter_and_a_tie_makes_it_equal(data, name):
    row = het.create_model("two-component").parameters[name]
    width = 0.02 * (abs(TRUTH[name]) or 1.0)
    low, high = max(TRUTH[name] - width, row.low), min(TRUTH[name] + width, row.high)
    start = {**started(), name: TRUTH[name]}
    bounded = het.fit(data, bounds={name: (low, high)}, start=start, options=QUICK)
    assert low <= bounded.values[name] <= high
    partners = [
        other
        for other, one in het.create_model("two-component").parameters.items()
        if one.unit == row.unit and other != name and (one.low, one.high) == (row.low, row.high)
    ]
    for other in partners[:1]:
        tied = het.fit(data, tie={name: other}, start=started(**{name: 0}), options=QUICK)
        assert tied.values[name] == tied.values[other]
        assert name not in tied.errors


@pytest.fixture(scope="module")
def settled():
    truth = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}
    data = het.simulate("static", params=truth, frames=60, seed=1)
    return data, het.fit(data, "static", fix={"D_offset": 0.0}, options={"weights": "equal"})


@pytest.mark.slow
def test_a_warm_start_begins_and_ends_at_the_earlier_estimates(settled, tmp_path):
    data, cold = settled
    cold.save(tmp_path, ["json"])
    lines = []
    warm = het.fit(
        data,
        "static",
        fix={"D_offset": 0.0},
        warm_start=tmp_path,
        options={"weights": "equal"},
        progress=lines.append,
    )
    assert {row.name: row.start for row in warm.estimates if row.vary} == {
        name: cold.values[name] for name in cold.errors
    }
    assert all(math.isnan(row.start) for row in cold.estimates)
    assert not any(re.search("screening|start", line) for line in lines)
    problem_cost = float(re.search(r"iteration 0: cost (\S+)", " ".join(lines)).group(1))
    assert problem_cost == pytest.approx(0.5 * cold.statistics["ssr"], rel=SAME_MINIMUM)
    assert warm.statistics["iterations"] <= 4
    for name, error in cold.errors.items():
        assert warm.values[name] == pytest.approx(cold.values[name], abs=SAME_PLACE * error)
    assert warm.provenance["warm_start"] == str(tmp_path)


def test_a_start_value_goes_before_the_warm_start(settled):
    data, cold = settled
    fit = het.fit(data, "static", fix={"D_offset": 0.0}, warm_start=cold, start={"D0": 2e3})
    starts = {row.name: row.start for row in fit.estimates if row.vary}
    assert starts == {"D0": 2e3, "alpha": cold.values["alpha"]}


@pytest.mark.slow
def test_the_fit_of_another_model_gives_what_is_common():
    held = dict.fromkeys(("D_offset_ref", "D_offset_sample", "f1", "f2", "f3"), 0.0)
    truth = {"D0_ref": 2e4, "alpha_ref": -0.3, "D0_sample": 6e3, "alpha_sample": 0.2, "f0": 0.4}
    data = het.simulate("no-flow", params={**truth, **held}, phi=[0.0, 45.0, 90.0], frames=40, seed=1)
    simple = het.fit(data, "no-flow", fix=held, start=truth, options=QUICK)
    lines = []
    fit = het.fit(
        data, fix={**held, "v_offset": 0.0}, warm_start=simple, options=QUICK, progress=lines.append
    )
    starts = {row.name: row.start for row in fit.estimates}
    assert {name: starts[name] for name in truth} == {name: simple.values[name] for name in truth}
    assert math.isnan(starts["v0"])
    assert any("screening" in line for line in lines)  # flow and its direction are not known


def test_a_warm_start_is_moved_into_bounds(settled):
    data, cold = settled
    fit = het.fit(data, "static", fix={"D_offset": 0.0}, warm_start=cold, bounds={"alpha": (0.5, 1.0)})
    assert next(row.start for row in fit.estimates if row.name == "alpha") == 0.5
    assert np.isclose(fit.values["alpha"], 0.5)
