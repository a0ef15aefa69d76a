"""Scores of fits, the rule of preference, and which choices reach which model."""

import csv
import json
import math
from dataclasses import replace

import pytest

import heterodyne.fitting.comparison as comparison
from heterodyne.errors import ConfigError, ParameterError, PluginError
from heterodyne.fitting.comparison import Comparison, compare, score_of
from heterodyne.parameters import Prior
from heterodyne.problem.choices import Choices
from heterodyne.result.fit import BinScaling
from heterodyne.result.provenance import Provenance
from heterodyne.result.statistics import Statistics
from heterodyne.simulation.simulate import simulate
from heterodyne.switch import LIST
from heterodyne.testing.results import estimate, fit_by_hand

DATA = simulate("static", frames=10)


def fit_of(model, parameters, deviance, effective, verdict="converged", design="individual (auto)"):
    """A fit of so many parameters, the last of which lies on a bound, to two bins of 100 pairs."""
    rows = [estimate(f"p{k}", 1.0, 0.1) for k in range(parameters - 1)]
    statistics = Statistics(
        deviance=deviance,
        effective_parameters=effective,
        n_variables=parameters - 1 + 4,
        n_pairs=200,
        ssr=1.0,
    )
    return fit_by_hand(
        [*rows, estimate("last", 1.0, 0.1, status="at low")],
        model=model,
        scaling=tuple(BinScaling(0.01, phi, 0.1, 1.0, 0.01, 0.01, 0.02, 100) for phi in (0.0, 90.0)),
        statistics=statistics,
        verdict=verdict,
        provenance=Provenance(scaling={"contrast": design, "offset": design}),
    )


def compared(*fits):
    return Comparison({one.model: one for one in fits}, tuple(score_of(one.model, one) for one in fits))


def test_criteria_count_parameters_scaling_and_noise():
    score = score_of("a", fit_of("a", 3, -500.0, 12.5))
    assert score.cost == -250.0
    assert score.clic == -500.0 + 25.0
    assert score.aic == -500.0 + 2 * (3 + 4 + 2)
    assert score.bic == -500.0 + (3 + 4 + 2) * math.log(200)
    assert score.parameters == 3


def test_the_least_clic_is_preferred():
    found = compared(fit_of("a", 2, -500.0, 8.0), fit_of("b", 5, -540.0, 12.0))
    assert found.least is found.scores[1]
    assert found.difference(found.scores[0], "clic") == pytest.approx(32.0)
    assert found.margin == pytest.approx(10.0 * 12.0 / 8.0)
    assert found.preferred == "b"


def test_of_models_that_criteria_do_not_tell_apart_the_simplest_is_preferred():
    found = compared(fit_of("a", 2, -500.0, 8.0), fit_of("b", 5, -515.0, 12.0))
    assert found.least is found.scores[1]
    assert found.preferred == "a"
    assert "preferred by CLIC: a (the least is that of b; differences up to 15" in found.report()


def test_a_fit_that_did_not_converge_is_not_preferred():
    found = compared(fit_of("a", 2, -500.0, 8.0), fit_of("b", 5, -600.0, 12.0, verdict="stalled"))
    assert found.preferred == "a"
    assert "left out, as not converged: b" in found.report()
    assert not found.success


def test_without_robust_errors_nothing_is_preferred():
    found = compared(fit_of("a", 2, -500.0, math.nan), fit_of("b", 5, -520.0, math.nan))
    assert found.preferred is None
    assert "preferred by CLIC: none; the fits have no robust errors" in found.report()
    assert "nan" not in found.report()


def test_an_optimizer_without_a_likelihood_is_named():
    one = fit_of("a", 2, 0.0, 1.0)
    with pytest.raises(PluginError, match="'by hand' gives no likelihood"):
        score_of("a", replace(one, statistics={"ssr": 1.0}))


def test_a_comparison_is_written_as_json_and_csv_beside_its_fits(tmp_path):
    found = compared(fit_of("a", 2, -500.0, 8.0), fit_of("b", 5, -520.0, 12.0))
    found.save(tmp_path, ["json"])
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {LIST, "a", "b", "comparison.csv", "comparison.json"}
    document = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert (document["preferred"], document["least_clic"]) == ("a", "b")
    assert [row["delta_clic"] for row in document["models"]] == [12.0, 0.0]
    rows = list(csv.DictReader((tmp_path / "comparison.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["model"] for row in rows] == ["a", "b"]
    assert float(rows[1]["aic"]) == found.scores[1].aic


@pytest.fixture
def calls(monkeypatch):
    """The model and the choices of every fit asked for; `no-flow` shares its contrast."""
    seen = []

    def recorded(data, model, optimizer, choices, options, progress):
        seen.append((model.name, choices))
        shared = model.name == "no-flow" or choices.contrast == "shared"
        return fit_of(model.name, 3, -500.0, 8.0, design="shared (auto)" if shared else "individual (auto)")

    monkeypatch.setattr(comparison, "fit_chosen", recorded)
    return seen


def test_choices_hold_where_a_model_has_the_parameter(calls):
    compare(
        DATA,
        ["static", "static-reference"],
        fix={"D_offset": 0.0, "f2": 1.0},
        bounds={"v0": (1.0, 10.0)},
        start={"alpha": 0.1},
        tie={"alpha_sample": "beta", "f3": "f1"},
        prior={"contrast": "normal:0.1:0.1", "phi0": "uniform"},
        warm_start=fit_of("another", 3, 0.0, 0.0),
        skip_lags=2,
    )
    of_scaling = {"contrast": Prior("normal", 0.1, 0.1)}
    assert calls == [
        ("static", Choices(fix={"D_offset": 0.0}, start={"alpha": 0.1}, prior=of_scaling, skip_lags=2)),
        (
            "static-reference",
            Choices(
                fix={"f2": 1.0},
                bounds={"v0": (1.0, 10.0)},
                tie={"alpha_sample": "beta", "f3": "f1"},
                prior={**of_scaling, "phi0": "uniform"},
                skip_lags=2,
            ),
        ),
    ]


def test_a_contrast_shared_by_one_model_is_shared_by_all(calls):
    found = compare(DATA, ["static", "no-flow"])
    assert [(name, choices.contrast) for name, choices in calls] == [
        ("static", "auto"),
        ("no-flow", "auto"),
        ("static", "shared"),
    ]
    assert list(found.fits) == ["static", "no-flow"]
    calls.clear()
    compare(DATA, ["static", "no-flow"], contrast="individual")
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("choices", "error", "words"),
    [
        ({"models": ["static"]}, ConfigError, "needs two models or more, not static"),
        ({"models": ["static", "static"]}, ConfigError, "compared with itself"),
        ({"models": "static"}, ConfigError, "as a list of names"),
        ({"models": ["static", "no-flow"], "fix": ["v0"]}, ParameterError, "no parameter named 'v0'"),
        ({"models": ["static", "no-flow"], "tie": {"D0": "v0"}}, ParameterError, "no parameter named 'v0'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_any_fit(calls, choices, error, words):
    with pytest.raises(error, match=words):
        compare(DATA, **choices)
    assert not calls
