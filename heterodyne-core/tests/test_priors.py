"""A user's priors: how they are written, what is rejected, and where they end up."""

from __future__ import annotations

import pytest

import heterodyne as het
from heterodyne.config.files import read_config
from heterodyne.config.schema import FitConfig, create_config
from heterodyne.errors import ConfigError, HeterodyneError, ParameterError
from heterodyne.parameters import Prior
from heterodyne.problem.choices import Choices
from heterodyne.problem.priors import as_prior
from heterodyne.problem.problem import create_problem

MODEL = het.create_model("two-component")


@pytest.fixture(scope="module")
def data():
    return het.simulate(frames=16)


@pytest.mark.parametrize(
    ("given", "prior"),
    [
        ("normal:0:0.3", Prior("normal", 0.0, 0.3)),
        (" truncated-normal : 1 : 2e3 ", Prior("truncated-normal", 1.0, 2000.0)),
        ("half-normal:0.1:1", Prior("half-normal", 0.1, 1.0)),
        ("uniform", Prior()),
        ({"family": "uniform"}, Prior()),
        ({"family": "log-normal", "location": 9, "width": 1}, Prior("log-normal", 9, 1)),
        ({"family": "half-normal", "width": 2.0}, Prior("half-normal", 0.0, 2.0)),
        ({"family": "normal", "width": 3.0, "per_duration": True}, Prior("normal", 0.0, 3.0, True)),
        (Prior("normal", 1.0, 2.0), Prior("normal", 1.0, 2.0)),
    ],
)
def test_priors_are_given_as_text_mapping_or_record(given, prior):
    assert as_prior(given) == prior


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nrmal:0:1", "no family of priors named 'nrmal'; did you mean 'normal'?"),
        ("normal:0:0", "the width of a prior must be positive, not 0.0"),
        ("normal:0:-1", "the width of a prior must be positive"),
        ("normal:inf:1", "the location of a prior must be a number"),
        ("normal:0", "prior 'normal:0' is not FAMILY:LOCATION:WIDTH"),
        ("normal:a:1", "is not FAMILY:LOCATION:WIDTH"),
        ("uniform:0:1", "a uniform prior takes no numbers"),
        ({"family": "uniform", "width": 2.0}, "a uniform prior takes no numbers"),
        ({"family": "normal"}, "a normal prior needs a width"),
        ({"width": 1.0}, "a prior needs a family"),
        ({"family": "normal", "wdth": 1.0}, "no key of a prior named 'wdth'; did you mean 'width'?"),
        ({"family": "normal", "width": "1"}, "the width of a prior must be positive, not '1'"),
        (0.3, "a prior is FAMILY:LOCATION:WIDTH or a mapping"),
    ],
)
def test_what_is_no_prior_is_said_in_one_line(given, message):
    with pytest.raises(ParameterError) as caught:
        as_prior(given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_problem_holds_the_priors_and_knows_which_were_given(data):
    problem = create_problem(data, MODEL, Choices(prior={"alpha_ref": "normal:-0.2:0.1", "f2": "normal:0:5"}))
    assert problem.parameters["alpha_ref"].prior == Prior("normal", -0.2, 0.1)
    assert problem.choices.prior.keys() == {"alpha_ref", "f2"}
    assert "f2" in problem.varying


def test_priors_of_contrast_and_offset_are_kept_apart(data):
    problem = create_problem(
        data, MODEL, Choices(prior={"contrast": "normal:0.2:0.05", "v0": "normal:1e3:100"})
    )
    assert problem.choices.scaling_priors == {"contrast": Prior("normal", 0.2, 0.05)}
    assert problem.parameters["v0"].prior == Prior("normal", 1e3, 100.0)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"prior": {"alhpa_ref": "uniform"}}, "no parameter named 'alhpa_ref'; did you mean 'alpha_ref'?"),
        (
            {"prior": {"contrast": "uniform"}},
            "prior of 'contrast': contrast and offset are integrated out with",
        ),
        ({"prior": {"offset": "normal:5:0.1"}}, "has nothing inside the bounds 0.5:1.5"),
        ({"prior": {"offset": "normal:1:0.1"}, "offset": 1.0}, "offset is held at 1 and has a prior"),
        ({"prior": {"offset": "normal:1:0.1"}, "offset": "1"}, "offset is held at 1 and has a prior"),
        ({"prior": {"v0": "normal:1:0"}}, "prior of 'v0': the width of a prior must be positive"),
        ({"prior": {"v0": "normal:1:1"}, "fix": ["v0"]}, "'v0' stands in fix and in prior"),
        ({"prior": {"f0": "uniform"}, "tie": {"f0": "f3"}}, "'f0' stands in tie and in prior"),
        ({"prior": {"alpha_ref": "log-normal:0:1"}}, "log-normal needs values above 0, the bounds are -2:2"),
        ({"prior": {"alpha_ref": "normal:5:0.5"}}, "has nothing inside the bounds -2:2"),
        ({"prior": {"alpha_ref": "half-normal:2:1"}}, "has nothing inside the bounds -2:2"),
        ({"prior": {"v0": "log-normal:1000:3"}}, "has nothing inside the bounds 1e-06:1e+06 (in logarithms)"),
        ({"prior": ["v0"]}, "prior: 'v0' has no value; write NAME=VALUE"),
    ],
)
def test_priors_that_cannot_hold_are_rejected(data, choices, message):
    with pytest.raises(ParameterError) as caught:
        create_problem(data, MODEL, Choices(**choices))
    assert message in str(caught.value)


def test_a_configuration_takes_priors_as_text_and_as_mappings(tmp_path):
    file = tmp_path / "fit.yaml"
    file.write_text("prior:\n  alpha_ref: normal:0:0.3\n  f0: {family: half-normal, width: 1e-1}\n")
    config = read_config(file)
    assert config.prior == {"alpha_ref": Prior("normal", 0.0, 0.3), "f0": Prior("half-normal", 0.0, 0.1)}
    again = create_config(config.model_dump(mode="json", exclude_unset=True), "again")
    assert again.prior == config.prior
    line = create_config({"prior": ["f0=uniform"]}, "command line")
    assert config.overridden(line).prior == {**config.prior, "f0": Prior()}


def test_a_choice_takes_away_what_it_contradicts():
    fixed, tied = FitConfig(fix={"f0": 0.5}), FitConfig(tie={"f0": "f3"})
    prior = FitConfig(prior={"f0": "uniform"})
    assert fixed.overridden(prior).fix == tied.overridden(prior).tie == {}
    assert prior.overridden(fixed).prior == prior.overridden(tied).prior == {}


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (
            {"prior": {"f0": "nrmal:0:1"}},
            ConfigError,
            "here: prior of 'f0': no family of priors named 'nrmal'",
        ),
        ({"prior": "f0"}, ConfigError, "here: prior: 'f0' has no value; write NAME=VALUE"),
    ],
)
def test_a_wrong_prior_in_a_configuration_is_named(values, kind: type[HeterodyneError], message):
    with pytest.raises(kind) as caught:
        create_config(values, "here")
    assert message in str(caught.value)
