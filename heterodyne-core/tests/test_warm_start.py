"""Start values from an earlier result: which are taken, and what the user says instead."""

import pytest

from heterodyne.catalogue import create_model
from heterodyne.errors import ConfigError, DataError, ParameterError
from heterodyne.fitting.fit import create_choices
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne.simulation.simulate import simulate
from heterodyne.testing.results import estimate, fit_by_hand

DATA = simulate(frames=20)
MODEL = create_model("two-component")


def earlier(model="two-component", **values):
    return fit_by_hand([estimate(name, value) for name, value in values.items()], model=model)


ALL = {name: min(row.start + 0.1, row.high) for name, row in MODEL.parameters.items()}


def test_every_estimate_is_a_start_value_and_nothing_is_left_to_search():
    problem = create_problem(DATA, MODEL, Choices(warm_start=earlier(**ALL)))
    assert {name: row.start for name, row in problem.parameters.items()} == ALL
    assert not problem.needs_start
    assert "f2" not in problem.varying


def test_what_the_user_gives_stands():
    problem = create_problem(
        DATA,
        MODEL,
        Choices(
            warm_start=earlier(**ALL),
            start={"v0": 7.0},
            fix={"f0": 0.3},
            bounds={"beta": (0.5, 1.0)},
            tie={"D0_ref": "D0_sample"},
        ),
    )
    assert problem.parameters["v0"].start == 7.0
    assert problem.parameters["f0"].start == 0.3
    assert problem.parameters["beta"].start == 0.5
    assert problem.expand(problem.column("start"))["D0_ref"] == ALL["D0_sample"]


def test_a_parameter_fixed_without_a_value_is_held_at_the_estimate():
    problem = create_problem(DATA, MODEL, Choices(warm_start=earlier(**ALL), fix=["beta"]))
    assert problem.parameters["beta"].start == ALL["beta"]
    assert "beta" not in problem.varying


def test_another_model_gives_what_is_common_and_the_rest_is_searched():
    problem = create_problem(DATA, MODEL, Choices(warm_start=earlier("no-flow", D0_ref=5e3, f0=0.3)))
    assert problem.started == {"D0_ref", "f0"}
    assert problem.needs_start


def test_a_rate_that_was_held_at_zero_is_no_start_value():
    problem = create_problem(DATA, MODEL, Choices(warm_start=earlier(**{**ALL, "v0": 0.0})))
    assert problem.parameters["v0"].start == MODEL.parameters["v0"].start
    assert problem.needs_start


def test_a_fit_with_nothing_in_common_is_refused():
    with pytest.raises(ParameterError, match="the fit of 'static' given as warm start"):
        create_problem(DATA, MODEL, Choices(warm_start=earlier("static", D0=5e3)))


def test_what_is_no_fit_is_refused_in_one_line(tmp_path):
    (tmp_path / "other.json").write_text('{"schema": "else"}')
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "text.json").write_text("text")
    for name in ("other.json", "list.json", "text.json", "none"):
        with pytest.raises(DataError) as caught:
            create_choices({"warm_start": tmp_path / name})
        assert "fit" in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="warm_start: 3 is neither a Fit nor"):
        create_choices({"warm_start": 3})


def test_a_place_is_read_before_a_problem_is_made_of_it(tmp_path):
    earlier(**ALL).save(tmp_path, ["json"])
    with pytest.raises(ConfigError, match="still to be read"):
        create_problem(DATA, MODEL, Choices(warm_start=tmp_path))
    choices = create_choices({"warm_start": tmp_path})
    assert str(choices.warm_start) == str(tmp_path)
    assert not create_problem(DATA, MODEL, choices).needs_start
