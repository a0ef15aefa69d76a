"""Choices of a fit: each is taken by every way to fit, reaches the problem, and is checked once."""

from __future__ import annotations

import pickle
from inspect import getdoc, signature

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.config.schema import create_config
from heterodyne.errors import ConfigError, HeterodyneError, ParameterError
from heterodyne.plugins.records import OptimizerRecord
from heterodyne.problem.choices import NO_CHOICES, SPELLINGS, ChoiceKeywords, Choices
from heterodyne.problem.objective import create_objective
from heterodyne.problem.table import chosen_parameters
from heterodyne.result.fit import Estimate, Fit

EXAMPLES = {
    "fix": {"alpha_ref": 0.1},
    "start": {"D0_ref": 5e3},
    "bounds": {"alpha_sample": (-1.0, 1.0)},
    "tie": {"D0_sample": "D0_ref"},
    "prior": {"f0": "normal:0.5:0.1"},
    "contrast": 0.2,
    "offset": 1.0,
    "skip_lags": 2,
    "warm_start": "earlier",
}
"""One value of every choice, other than the default."""

MODELS = ("no-flow", "two-component")
FUNCTIONS = (het.fit, het.compare, het.fit_by)


@pytest.fixture(scope="module")
def data() -> het.TwoTime:
    return het.simulate(phi=[0.0, 45.0, 90.0], frames=10)


@pytest.fixture
def problems(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """The problems that an optimizer was given; in the folder of the test lies an earlier fit."""
    given = []

    def optimizer(problem, options, progress) -> Fit:
        given.append(problem)
        return fit_of(problem.model, problem.expand(problem.column("start")))

    class Optimizer(OptimizerRecord):
        def resolve(self, contract):
            return optimizer

    record = Optimizer("recorder", "", "nowhere")
    monkeypatch.setattr("heterodyne.fitting.fit.optimizer_record", lambda name: record)
    monkeypatch.chdir(tmp_path)
    truth = {name: row.start + 0.01 for name, row in het.create_model("two-component").parameters.items()}
    fit_of(het.create_model("two-component"), truth).save("earlier", ["json"])
    return given


def fit_of(model: het.Model, values) -> Fit:
    rows = tuple(
        Estimate(name, values[name], 1.0, 1.0, "", row.low, row.high, 0.0, True, "determined")
        for name, row in model.parameters.items()
    )
    statistics = {"deviance": 0.0, "n_variables": 1, "n_pairs": 10, "ssr": 1.0}
    return Fit(model.name, "recorder", rows, (), np.zeros((0, 0)), (), statistics, "converged")


WAYS = {
    "fit": lambda data, **choices: het.fit(data, **choices),
    "compare": lambda data, **choices: het.compare(data, MODELS, **choices),
    "fit_by": lambda data, **choices: het.fit_by(data, "phi", **choices),
    "configuration": lambda data, **choices: het.fit(data, **vars(create_config(choices, "here").choices)),
}


def effects(problem) -> tuple:
    """What a problem asks of an optimizer: parameters, ties, what is started, pairs and scaling designs."""
    objective = create_objective(problem, read_bins(problem.data, problem.choices.skip_lags))
    designs = [(one.matrix.tolist(), one.fixed.tolist()) for one in (objective.contrast, objective.offset)]
    pairs = [bin.moments.pairs for bin in objective.bins]
    return (*problem.parameters.values(), problem.varying, problem.ties, problem.started, pairs, designs)


def test_every_choice_is_a_keyword_and_described_where_it_is_taken():
    assert tuple(ChoiceKeywords.__annotations__) == tuple(SPELLINGS) == tuple(EXAMPLES)
    for function in FUNCTIONS:
        assert set(SPELLINGS) <= set(signature(function).parameters)
        assert all(
            f"- ``{name}``: {spelling.help}" in getdoc(function) for name, spelling in SPELLINGS.items()
        )
        assert "choices" not in signature(function).parameters


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("choice", SPELLINGS)
def test_every_choice_reaches_every_problem_and_has_an_effect(problems, data, choice, way):
    WAYS[way](data)
    without = [effects(problem) for problem in problems]
    problems.clear()
    WAYS[way](data, **{choice: EXAMPLES[choice]})
    assert len(problems) == len(without) == {"compare": 2, "fit_by": 3}.get(way, 1)
    for problem, effects_without in zip(problems, without, strict=True):
        assert getattr(problem.choices, choice) != getattr(NO_CHOICES, choice)
        assert effects(problem) != effects_without


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_misspelled_keyword_is_told_the_nearest(data, function):
    place = {het.compare: (MODELS,), het.fit_by: ("q",)}.get(function, ())
    for wrong, near in (("strat", "start"), ("skip_lag", "skip_lags"), ("optimiser", "optimizer")):
        with pytest.raises(ConfigError, match=f"no argument of a fit named '{wrong}'; did you mean '{near}'"):
            function(data, *place, **{wrong: 1})


def test_choices_read_what_they_hold_and_pickle():
    choices = Choices(
        **{
            **EXAMPLES,
            "warm_start": fit_of(het.create_model("static"), dict.fromkeys(("D0", "alpha", "D_offset"), 1.0)),
        }
    )
    assert Choices(**vars(choices)) == choices
    assert pickle.loads(pickle.dumps(choices)) == choices
    assert str(choices.warm_start) == "<Fit of static by recorder: converged>"


@pytest.mark.parametrize(
    ("spellings"),
    [
        {"fix": [{"v0": None, "f0": 1}, ["v0", "f0=1"], ("v0", "f0=1")]},
        {"fix": ["v0", ["v0"], {"v0"}, {"v0": 1}.keys(), {"v0": None}]},
        {"start": [{"v0": "1e3"}, "v0=1000", {"v0": np.float64(1e3)}]},
        {"bounds": [{"v0": "1:10"}, ["v0=1:10"], {"v0": [1, "10"]}]},
        {"bounds": [{"v0": ":1e4"}, "v0= : 10000", {"v0": [None, 1e4]}, {"v0": (-np.inf, 1e4)}]},
        {"bounds": [{"v0": "10:"}, ["v0=10:"], {"v0": (10, None)}, {"v0": [10, np.inf]}]},
        {"tie": ["beta = alpha_ref", {"beta": "alpha_ref"}]},
        {"prior": ["f0=normal:0.5:1", {"f0": {"family": "normal", "location": 0.5, "width": 1.0}}]},
        {"contrast": [0.2, "0.2", "2e-1"]},
        {"skip_lags": [3, 3.0, "3", np.int64(3)]},
        {"start": [None, {}, ()]},
    ],
)
def test_spellings_of_one_choice_mean_the_same(spellings):
    for choice, values in spellings.items():
        read = [Choices(**{choice: value}) for value in values]
        assert all(choices == read[0] for choices in read)


@pytest.mark.parametrize(
    ("choices", "error", "message"),
    [
        ({"start": {"v0": "fast"}}, ParameterError, "start of 'v0': 'fast' is not a number"),
        ({"start": {"v0": True}}, ParameterError, "start of 'v0': True is not a number"),
        ({"bounds": {"v0": 3}}, ParameterError, "bounds of 'v0': 3 is not a range LO:HI"),
        ({"bounds": "v0=:"}, ParameterError, "bounds of 'v0': ':' names neither end of a range LO:HI"),
        ({"bounds": {"v0": (np.inf, 3)}}, ParameterError, "bounds of 'v0': inf is not a number"),
        ({"bounds": "v0=1:2:3"}, ParameterError, "bounds of 'v0': '1:2:3' is not a range LO:HI"),
        ({"bounds": "v0"}, ParameterError, "bounds: 'v0' has no value; write NAME=VALUE"),
        ({"tie": {"v0": 3}}, ParameterError, "tie of 'v0': 3 is not the name of a parameter"),
        ({"fix": ["v0", "v0=1"]}, ParameterError, "fix: 'v0' is given twice"),
        ({"contrast": 2}, ConfigError, "contrast 2 lies outside 0:1"),
        (
            {"offset": "fuorier:1"},
            ConfigError,
            "offset must be auto, individual, shared, fourier:M or a number, not",
        ),
        ({"skip_lags": 1.5}, ConfigError, "skip_lags: 1.5 is not a whole number, 0 or more"),
        (
            {"warm_start": ""},
            ConfigError,
            "warm_start: '' is neither a Fit nor the folder or fit.json of one",
        ),
        (
            {"fix": "v0=2", "start": "v0=1"},
            ParameterError,
            "'v0' stands in fix and in start: give one of the two",
        ),
        ({"tie": "v0=v", "bounds": "v0=1:2"}, ParameterError, "'v0' stands in bounds and in tie"),
    ],
)
def test_what_means_nothing_or_contradicts_itself_is_one_line(choices, error: type[HeterodyneError], message):
    with pytest.raises(error) as caught:
        Choices(**choices)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fix", ["D0", "D0=500", {"D0": None}, {"D0": 500}])
def test_a_parameter_that_is_fixed_and_started_is_held_there(fix):
    choices = Choices(fix=fix, start={"D0": 500, "alpha": 0.1})
    assert choices == Choices(fix={"D0": 500.0}, start={"alpha": 0.1})
    row = chosen_parameters(het.create_model("static").parameters, choices, {})["D0"]
    assert (row.start, row.vary) == (500.0, False)


@pytest.mark.parametrize(
    ("bounds", "found"),
    [("D0=:5e4", (1e-2, 5e4)), ("D0=1e3:", (1e3, 1e6)), ({"D0": (None, 5e4)}, (1e-2, 5e4))],
)
def test_a_bound_that_is_left_out_is_that_of_the_model(bounds, found):
    row = chosen_parameters(het.create_model("static").parameters, Choices(bounds=bounds), {})["D0"]
    assert (row.low, row.high, row.vary) == (*found, True)
    with pytest.raises(ParameterError, match=r"bounds 2e\+06:1e\+06|low < high, not 2e\+06:1e\+06"):
        chosen_parameters(het.create_model("static").parameters, Choices(bounds="D0=2e6:"), {})


def test_names_that_no_model_has_are_told():
    known = het.create_model("static").parameters
    Choices(fix="alpha", prior={"contrast": "normal:0.1:0.1"}).check_names(known)
    for choices in ({"tie": "alpha=beta"}, {"prior": "beta=uniform"}, {"start": {"contrast": 0.1}}):
        with pytest.raises(ParameterError, match=r"beta|contrast"):
            Choices(**choices).check_names(known)
