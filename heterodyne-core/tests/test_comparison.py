"""Scores of fits, the rule of preference, and which choices reach which model."""

import csv
import json
import math
from dataclasses import replace

import pytest
from scipy.special import chdtri

import heterodyne.fitting.comparison as comparison
from heterodyne.catalogue import create_model
from heterodyne.errors import ConfigError, ParameterError, PluginError
from heterodyne.fitting.comparison import compare, compared_fits, is_richer, more_parameters
from heterodyne.parameters import Prior
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne.result.fit import BinScaling
from heterodyne.result.provenance import Provenance
from heterodyne.result.statistics import Statistics
from heterodyne.simulation.simulate import simulate
from heterodyne.switch import LIST
from heterodyne.testing.results import estimate, estimates_of, fit_by_hand

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
    return compared_fits({one.model: one for one in fits})


def margin(more):
    """What noise explains where a model has so many parameters more."""
    return float(chdtri(more, 1e-4))


def test_criteria_count_parameters_scaling_and_noise():
    (score,) = compared(fit_of("a", 3, -500.0, 12.0)).scores
    unit = 12.0 / 6
    assert score.cost == -250.0
    assert (score.chi2, score.effective) == (-500.0 / unit, 6.0)
    assert score.clic == -500.0 / unit + 2 * 6.0
    assert score.aic == -500.0 + 2 * (3 + 4 + 2)
    assert score.bic == -500.0 + (3 + 4 + 2) * math.log(200)
    assert score.parameters == 3


def test_a_model_is_shown_where_all_that_is_simpler_is_ruled_out():
    found = compared(fit_of("a", 2, -500.0, 8.0), fit_of("b", 5, -540.0, 8.0))
    assert found.least is found.scores[1]
    assert found.difference(found.scores[0], "chi2") == pytest.approx(40.0)
    assert found.rulings == {"a": ("b", pytest.approx(40.0), pytest.approx(margin(3)))}
    assert (found.preferred, found.sufficient, found.left) == ("b", "b", ("b",))
    assert "preferred: b (ruled out: a by Δχ² = 40)" in found.report()


def test_shared_frames_stretch_the_difference_that_rules_out():
    fits = [fit_of("a", 2, -500.0, 8.0), fit_of("b", 5, -540.0, 16.0)]
    found = compared(*fits)
    assert found.difference(found.scores[0], "chi2") == pytest.approx(20.0)
    assert (found.preferred, found.sufficient) == (None, "a")


def test_what_richer_models_do_not_rule_out_suffices_and_nothing_is_shown():
    found = compared(fit_of("a", 2, -500.0, 8.0), fit_of("b", 5, -515.0, 8.0))
    assert (found.preferred, found.sufficient, found.left) == (None, "a", ("a", "b"))
    assert found.margin == pytest.approx(margin(3))
    assert "not shown: a describes the data as well as richer ones" in found.report()
    assert "χ² of b is lower by 15, where 21.1 would rule a out" in found.report()


def test_a_model_that_suffices_is_not_shown_while_a_richer_form_is_left():
    fits = [fit_of("a", 2, -500.0, 8.0), fit_of("b", 4, -540.0, 8.0), fit_of("c", 5, -546.0, 8.0)]
    found = compared(*fits)
    assert (found.preferred, found.sufficient, found.left) == (None, "b", ("b", "c"))
    assert "not shown: b describes the data as well as richer ones, and a is ruled out" in found.report()


def test_two_models_of_which_neither_is_a_form_of_the_other_show_nothing():
    other = fit_of("c", 4, -541.0, 8.0)
    other = replace(other, estimates=tuple(replace(row, name=f"own {row.name}") for row in other.estimates))
    found = compared(fit_of("a", 2, -500.0, 8.0), fit_of("b", 3, -540.0, 8.0), other)
    assert set(found.rulings) == {"a"}
    assert (found.preferred, found.sufficient) == (None, "b")
    assert "not shown: b and c describe the data alike" in found.report()


def test_a_richer_form_has_the_curves_of_the_other_and_more_parameters():
    static, mixed, still = (
        fit_by_hand(estimates_of(problem), model=problem.model.name, problem=problem)
        for problem in (
            create_problem(DATA, create_model(name))
            for name in ("static", "two-component", "static-reference")
        )
    )
    assert is_richer(mixed, static)
    assert is_richer(mixed, still)
    assert is_richer(still, static)
    assert not is_richer(static, mixed)
    no_flow = create_problem(DATA, create_model("no-flow"))
    other = fit_by_hand(estimates_of(no_flow), model="no-flow", problem=no_flow)
    assert not is_richer(still, other)
    assert more_parameters(mixed, static) == len(mixed.problem.varying) - 3
    assert more_parameters(still, other) == 4  # those of the flow


def test_a_fit_that_did_not_converge_rules_nothing_out():
    found = compared(fit_of("a", 2, -500.0, 8.0), fit_of("b", 5, -600.0, 8.0, verdict="stalled"))
    assert (found.preferred, found.sufficient) == (None, "a")
    assert "left out, as not converged: b" in found.report()
    assert not found.success


def test_a_simpler_fit_that_did_not_converge_is_not_ruled_out():
    found = compared(
        fit_of("a", 2, -500.0, 8.0, verdict="stalled"),
        fit_of("b", 3, -510.0, 8.0),
        fit_of("c", 5, -600.0, 8.0),
    )
    assert (found.preferred, found.sufficient) == (None, "c")
    assert (
        "not shown: a did not converge, so that nobody knows how well it can describe the data"
        in found.report()
    )


def test_without_robust_errors_nothing_is_preferred():
    found = compared(fit_of("a", 2, -500.0, math.nan), fit_of("b", 5, -520.0, math.nan))
    assert (found.preferred, found.sufficient) == (None, None)
    assert "preferred: none; the fits have no robust errors" in found.report()
    assert "nan" not in found.report()


def test_structure_that_the_best_model_leaves_is_said():
    rich = fit_of("b", 5, -540.0, 8.0)
    rich = replace(rich, statistics=rich.statistics | Statistics(structure="structure over lag"))
    found = compared(fit_of("a", 2, -500.0, 8.0), rich)
    assert "b leaves structure over lag: no model may be the right one" in found.report()


def test_an_optimizer_without_a_likelihood_is_named():
    one = fit_of("a", 2, 0.0, 1.0)
    with pytest.raises(PluginError, match="'by hand' gives no likelihood"):
        compared(replace(one, statistics={"ssr": 1.0}))


def test_a_comparison_is_written_as_json_and_csv_beside_its_fits(tmp_path):
    found = compared(fit_of("a", 2, -500.0, 8.0), fit_of("b", 5, -516.0, 8.0))
    found.save(tmp_path, ["json"])
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {LIST, "a", "b", "comparison.csv", "comparison.json"}
    document = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert (document["preferred"], document["least_clic"], document["sufficient"]) == (None, "b", "a")
    assert document["conclusion"].startswith("not shown: a describes")
    assert [row["delta_clic"] for row in document["models"]] == [16.0, 0.0]
    assert [row["ruled_out_by"] for row in document["models"]] == ["", ""]
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
