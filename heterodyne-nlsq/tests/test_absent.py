"""What the data do not need: flows and components, compared with their absence."""

from __future__ import annotations

import numpy as np
import pytest

import heterodyne as het
from heterodyne.catalogue import create_model
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne_nlsq.absent import component_absences, flow_absences

ALL_FREE = {"v0": 0.0, "v_offset": 0.0}


def problem(model="two-component", **choices):
    data = het.simulate(frames=10, seed=0)
    return create_problem(data, create_model(model), Choices(**choices))


@pytest.mark.parametrize(
    ("choices", "held"),
    [
        ({}, [ALL_FREE]),
        ({"fix": {"v_offset": 0.0}}, [{"v0": 0.0}]),
        ({"fix": {"v_offset": 5.0}}, [{"v0": 0.0}]),
        ({"fix": {"v0": 1e3}}, []),
    ],
)
def test_a_flow_is_absent_where_its_velocity_may_vanish(choices, held):
    assert [absence.held for absence in flow_absences(problem(**choices))] == held


def test_an_offset_that_is_held_stays():
    assert [one.what for one in flow_absences(problem(fix={"v_offset": 5.0}))] == ["flow beyond v_offset"]
    assert [one.what for one in flow_absences(problem(fix={"v_offset": 0.0}))] == ["flow"]


def test_either_component_may_be_absent_as_far_as_the_share_can_be_held():
    both = {absence.what: absence.held for absence in component_absences(problem())}
    assert both == {"sample": {"f0": 0.0, "f3": 0.0}, "reference": {"f0": 0.0, "f3": 1.0}}
    fixed = {absence.what: absence.held for absence in component_absences(problem(fix={"f3": 0.0}))}
    assert fixed == {"sample": {"f0": 0.0}, "reference": {"f0": 1.0, "f1": 0.0}}


def test_a_model_that_states_no_mixture_has_none():
    assert not list(component_absences(problem("static")))


def not_seen(fit):
    return [finding for finding in fit.identifiability.findings if finding.kind == "not seen"]


@pytest.mark.slow
def test_data_without_reference_and_flow_determine_neither():
    data = het.simulate("static", phi=[0.0, 30.0, 90.0], frames=60, seed=1)
    choices = {"fix": {"D_offset_ref": 0.0, "D_offset_sample": 0.0, "v_offset": 0.0, "f3": 0.0}}
    fit = het.fit(data, **choices, options={"starts": 8, "polish": 1})
    (finding,) = not_seen(fit)
    assert finding.words.startswith(("no reference is seen", "no sample is seen"))
    status = {estimate.name: estimate.status for estimate in fit.estimates}
    assert "determined" not in {status["v0"], status["beta"], status["phi0"]}
    # nor is anything known of the curves of what is not seen
    assert np.isnan(next(row for row in fit.derived if row.name == "v").error).all()


@pytest.mark.slow
def test_what_rests_on_a_flow_that_is_not_seen_is_not_claimed():
    """A flow through noise takes the place of a decay, which is then known as well as it is not."""
    truth = {"D0_sample": 8000.0, "alpha_sample": 0.2, "D_offset_sample": 0.0, "v0": 0.0, "beta": 0.1}
    truth |= {"v_offset": 0.0, "f0": 0.44, "f1": -0.02, "f2": 0.0, "f3": 0.0, "phi0": 3.0}
    data = het.simulate("static-reference", truth, frames=60, seed=4)
    fit = het.fit(data, "static-reference", fix={"v_offset": 0.0, "D_offset_sample": 0.0, "f3": 0.0})
    for row in fit.estimates:
        if row.vary and row.status == "determined":
            assert abs(row.value - truth[row.name]) < 4.0 * row.error, row.name


@pytest.mark.slow
def test_what_is_there_is_needed():
    fit = het.fit(
        het.simulate("static-reference", phi=[0.0, 30.0, 90.0], frames=60, seed=1), "static-reference"
    )
    assert not not_seen(fit)
