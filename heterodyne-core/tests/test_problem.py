"""Choices that make a problem, and the choices that are refused."""

from dataclasses import replace

import numpy as np
import pytest

from heterodyne.catalogue import create_model
from heterodyne.errors import ConfigError, DataError, ParameterError
from heterodyne.loading.load import load
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne.simulation.simulate import simulate

DATA = simulate(frames=20)
MODEL = create_model("two-component")


def problem(**choices):
    return create_problem(DATA, MODEL, Choices(**choices))


def test_f2_is_fixed_unless_asked_for():
    assert "f2" not in problem().varying
    assert "f2" in problem(start={"f2": 1.0}).varying
    assert "f2" in problem(bounds={"f2": (0.0, 10.0)}).varying


def test_every_name_can_be_fixed_started_and_bounded():
    for name, row in MODEL.parameters.items():
        middle = 0.5 * (row.low + row.high)
        fixed = problem(fix={name: middle})
        assert name not in fixed.varying
        assert fixed.expand(fixed.column("start"))[name] == middle
        assert problem(start={name: middle}).parameters[name].start == middle
        bounded = problem(bounds={name: (row.low, middle)})
        assert (bounded.parameters[name].low, bounded.parameters[name].high) == (row.low, middle)


def test_expand_follows_ties_and_keeps_fixed_values():
    tied = problem(tie={"D0_ref": "D0_sample"}, fix={"v0": 0.0})
    values = tied.expand(np.arange(len(tied.varying)) + 1.0)
    assert values["D0_ref"] == values["D0_sample"]
    assert values["v0"] == 0.0
    np.testing.assert_array_equal(
        tied.selection_matrix @ np.ones(len(tied.varying)),
        [0.0 if name in ("v0", "f2") else 1.0 for name in MODEL.parameters],
    )


def test_a_parameter_tied_to_a_fixed_one_is_fixed_too():
    tied = problem(tie={"D0_ref": "D0_sample"}, fix={"D0_sample": 5.0})
    assert tied.expand(tied.column("start"))["D0_ref"] == 5.0
    assert not tied.selection_matrix[list(MODEL.parameters).index("D0_ref")].any()


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"fix": {"D0_reff": 1.0}}, "did you mean 'D0_ref'"),
        ({"start": {"v0": 1e7}}, "outside its bounds"),
        ({"start": {"alpha_ref": 3.0}}, "outside its bounds"),
        ({"fix": {"f0": 1.5}}, "outside its bounds"),
        ({"bounds": {"beta": (1.0, 0.5)}}, "low < high"),
        ({"bounds": {"beta": (-3.0, 0.5)}}, "leave the range"),
        ({"fix": {"v0": 5.0}, "start": {"v0": 10.0}}, "stands in fix and in start"),
        ({"fix": ["v0"], "tie": {"v0": "v_offset"}}, "stands in fix and in tie"),
        ({"tie": {"v0": "v_offset"}}, "different units"),
        ({"tie": {"D0_ref": "D0_ref"}}, "of its own"),
        ({"tie": {"D0_ref": "D0_sample", "D0_sample": "D0_ref"}}, "of its own"),
        ({"fix": list(MODEL.parameters)}, "nothing is left"),
    ],
)
def test_contradictions_are_refused_in_one_line(choices, words):
    with pytest.raises(ParameterError) as caught:
        problem(**choices)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_with_flow_refuses_a_ring():
    ring = simulate(model="no-flow", phi=[float("nan")], frames=20)
    with pytest.raises(DataError, match="needs an azimuth"):
        create_problem(ring, MODEL)
    create_problem(ring, create_model("no-flow"))


@pytest.mark.parametrize("data", ["run.h5", ["run.h5"], None, 3, np.ones((5, 5))])
def test_data_must_be_loaded_data(data):
    with pytest.raises(DataError, match=r"heterodyne\.load"):
        create_problem(data, create_model("static"))


@pytest.mark.parametrize(
    "choices",
    [
        {"fix": {"D0": "a"}},
        {"fix": 3},
        {"fix": [1]},
        {"start": {"D0": "a"}},
        {"start": "D0"},
        {"bounds": {"D0": 3}},
        {"bounds": {"D0": (1, 2, 3)}},
        {"bounds": {"D0": ("a", "b")}},
        {"tie": "D0=alpha"},
        {"tie": {"D0": None}},
    ],
)
def test_choices_of_a_wrong_type_are_rejected(choices):
    with pytest.raises(ParameterError):
        create_problem(simulate("static", frames=20), create_model("static"), Choices(**choices))


def test_a_tie_keeps_both_parameters_within_their_bounds():
    data, model = simulate(frames=20), create_model("two-component")
    row = create_problem(data, model, Choices(tie={"f0": "alpha_ref"})).parameters["alpha_ref"]
    assert (row.low, row.high) == (0.0, 1.0)
    for choices in (
        {"fix": {"alpha_ref": -1.0}},
        {"start": {"alpha_ref": -1.0}},
        {"bounds": {"alpha_ref": (-2, -1)}},
    ):
        with pytest.raises(ParameterError, match="tie f0=alpha_ref"):
            create_problem(data, model, Choices(tie={"f0": "alpha_ref"}, **choices))


def test_the_same_frames_of_a_bin_count_once(tmp_path):
    file = simulate("static", frames=20, phi=[0.0, 90.0]).save(tmp_path / "run.h5")
    model = create_model("static")
    with pytest.raises(DataError, match="counted twice"):
        create_problem([load(file, phi=0.0), load(file)], model)
    with pytest.raises(DataError, match="counted twice"):
        create_problem([load(file, frames=(1, 10)), load(file, frames=(10, 20))], model)
    create_problem([load(file, phi=0.0), load(file, phi=90.0)], model)
    create_problem([load(file, frames=(1, 10)), load(file, frames=(11, 20))], model)


def test_too_few_pairs_of_frames_are_rejected():
    with pytest.raises(DataError, match="3 pairs of frames cannot determine 5 numbers"):
        create_problem(simulate("static", frames=3, phi=0.0), create_model("static"))


def test_pairs_that_are_left_out_do_not_count_for_what_can_be_fitted():
    few = simulate("static", phi=0.0, frames=8)
    static = create_model("static")
    create_problem(few, static, Choices(skip_lags=4))  # 6 pairs for 3 parameters, a contrast and an offset
    with pytest.raises(DataError, match="5 pairs of frames cannot determine 5 numbers"):
        create_problem(replace(few, bad_pairs=[[0, 0, 7]]), static, Choices(skip_lags=4))


@pytest.mark.parametrize("lags", [-1, 17, 2.5, True])
def test_lags_that_cannot_be_skipped_are_refused(lags):
    with pytest.raises(ConfigError, match="skip_lags"):
        problem(skip_lags=lags)
    assert problem(skip_lags=10).choices.skip_lags == 10
