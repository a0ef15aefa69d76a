"""Bins in groups of one q or azimuth; tables and files of a series."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from heterodyne.catalogue import create_model
from heterodyne.errors import ConfigError, DataError
from heterodyne.fitting.constancy import constancy
from heterodyne.fitting.series import Group, Series, agreed, grouped, named_alike, nearest_of
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne.result.band import Band
from heterodyne.result.derived import Derived
from heterodyne.result.statistics import Statistics
from heterodyne.simulation.simulate import simulate
from heterodyne.testing.results import estimate, estimates_of, fit_by_hand
from heterodyne.words import between, significant


def sets():
    one = simulate("static", q=[0.01, 0.02], phi=[0.0, 45.0], frames=10)
    two = simulate("static", q=[0.0101], phi=[180.2, -135.0], frames=12)
    return (one, two)


def test_bins_of_one_q_in_several_files_are_one_group():
    assert [(name, bins) for _, name, bins in grouped(sets(), "q")] == [
        ("q_0.01005", [[0, 1], [0, 1]]),
        ("q_0.02", [[2, 3], []]),
    ]


def test_azimuths_are_axes():
    assert [(name, bins) for _, name, bins in grouped(sets(), "phi")] == [
        ("phi_0", [[0, 2], [0]]),
        ("phi_45", [[1, 3], [1]]),
    ]


def test_every_file_is_a_group_in_the_order_given_with_a_name_of_its_own():
    files = ("b/run.h5", "a/run.h5", "a/%other.h5")
    made = tuple(
        replace(data, provenance={"file": file})
        for data, file in zip((*sets(), sets()[0]), files, strict=True)
    )
    assert grouped(made, "file") == [
        ("b/run.h5", "file_1_run", [[0, 1, 2, 3], [], []]),
        ("a/run.h5", "file_2_run", [[], [0, 1], []]),
        ("a/%other.h5", "file_%25other", [[], [], [0, 1, 2, 3]]),
    ]
    assert [value for value, *_ in grouped(sets(), "file")] == ["data set 1", "data set 2"]


def test_near_values_keep_names_of_their_own():
    near = simulate("static", phi=[10.0, 10.6, 11.2], frames=10)
    assert [name for _, name, _ in grouped((near,), "phi")] == ["phi_10", "phi_10.6", "phi_11.2"]
    close = simulate("static", q=[0.010001, 0.0106], phi=[0.0], frames=10)
    assert len(grouped((close,), "q")) == 2


def test_what_cannot_be_grouped_is_said():
    ring = simulate("static", phi=[math.nan], frames=10)
    with pytest.raises(DataError, match="rings"):
        grouped((ring,), "phi")
    with pytest.raises(ConfigError, match="q, phi or file, not by 'age'"):
        grouped((ring,), "age")


T = np.arange(1.0, 6.0)


def group(value, name, one, error, verdict="converged"):
    row = estimate(
        "v0", one, error, unit="Å/s", low=0.0, high=1e6, interval=(one - 2 * error, one + 2 * error)
    )
    rate, spread = 100.0 * T, error * T
    curves = (Band("J", "Å²/s", T, rate, spread, rate - 2 * spread, rate + 2 * spread),)
    return Group(value, name, 3, fit_by_hand([row], verdict=verdict, curves=curves))


@pytest.fixture
def series():
    groups = (
        group(0.01, "q_0.01", 10.0, 1.0),
        group(0.02, "q_0.02", 12.0, 1.0),
        group(0.03, "q_0.03", 9.0, math.nan),
    )
    rows = [one.estimate("v0") for one in groups]
    test = constancy(
        "v0",
        "Å/s",
        np.array([row.value for row in rows]),
        np.array([row.error for row in rows]),
        np.full(3, math.inf),
        tuple(one.name for one in groups),
    )
    return Series("q", groups, {"v0": test})


def test_the_report_shows_values_and_tests(series):
    text = series.report()
    assert "10.0 +/- 1.0" in text
    assert "undetermined" in text
    assert "0.01  300.0 [294.0, 306.0]  150.0 [147.0, 153.0]" in text
    assert "0.03  undetermined          undetermined" in text
    assert "q_0.03" in text.splitlines()[-1]
    assert " constant" in text.splitlines()[-1]


def test_a_series_is_written_as_json_and_csv_beside_its_fits(series, tmp_path):
    written = series.save(tmp_path / "out", ["json"])
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in written) == [
        "by_q.csv",
        "by_q.json",
        "q_0.01/fit.json",
        "q_0.02/fit.json",
        "q_0.03/fit.json",
    ]
    document = json.loads((tmp_path / "out" / "by_q.json").read_text(encoding="utf-8"))
    assert document["schema"] == "heterodyne/series/1"
    assert [one["q"] for one in document["groups"]] == [0.01, 0.02, 0.03]
    assert document["groups"][2]["parameters"]["v0"]["error"] is None
    assert document["constancy"]["v0"]["left_out"] == ["q_0.03"]
    rows = list(csv.DictReader((tmp_path / "out" / "by_q.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["v0_error"] for row in rows] == ["1.0", "1.0", ""]
    assert [float(row["q"]) for row in rows] == [0.01, 0.02, 0.03]
    assert [row["v0_interval_high"] for row in rows] == ["12.0", "14.0", ""]
    assert [row["J_middle"] for row in rows] == ["300.0"] * 3
    assert [row["J/2_middle_interval_low"] for row in rows] == ["147.0", "147.0", ""]
    assert document["groups"][0]["parameters"]["v0"]["interval"] == [8.0, 12.0]
    assert document["groups"][0]["derived"][1]["words"] == "D = J/2"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (2003.694, 4.66, "2003.7 +/- 4.7"),
        (-0.29978, 0.02297, "-0.300 +/- 0.023"),
        (0.0, 0.5, "0.00 +/- 0.50"),
        (0.001, 3.0, "0.0 +/- 3.0"),
        (20049.3, 1442.0, "20000 +/- 1400"),
        (3.21e-6, 4.4e-8, "3.210e-06 +/- 4.4e-08"),
        (1.23456e8, 120.0, "1.2345600e+08 +/- 1.2e+02"),
        (9.96, 0.0996, "9.96 +/- 0.10"),
        (-0.001, 3.0, "0.0 +/- 3.0"),
    ],
)
def test_a_value_is_shown_to_the_place_of_its_error(value, error, text):
    assert significant(value, error) == text


@pytest.mark.parametrize(
    ("low", "high", "error", "text"),
    [
        (1991.48, 2020.91, 7.3, "[1991.5, 2020.9]"),
        (6.41, 18534.0, 660.0, "[6, 18530]"),
        (0.0, 12.34, 5.0, "[0, 12.3]"),
        (-0.00038, math.inf, 0.01, "[-0.0004, inf]"),
        (2e-7, 8.1e9, 3e4, "[2e-07, 8.100000e+09]"),
    ],
)
def test_ends_are_shown_to_the_place_of_the_error_or_their_first_digit(low, high, error, text):
    assert between(low, high, error) == text


DATA = simulate(q=0.01, phi=[0.0, 45.0, 90.0], frames=10)
HELD = dict.fromkeys(("f1", "f2", "f3"), 0.0)
ONE = {"D0_ref": 2e4, "alpha_ref": -0.3, "D0_sample": 6e3, "alpha_sample": 0.2, "f0": 0.4, "v0": 1500.0}
OTHER = {**ONE, "D0_ref": 6e3, "alpha_ref": 0.2, "D0_sample": 2e4, "alpha_sample": -0.3, "f0": 0.6}


def two_component(values, deviance=0.0):
    problem = create_problem(DATA, create_model("two-component"), Choices(fix=HELD))
    rows = [replace(row, error=0.01 * abs(row.value)) for row in estimates_of(problem, values)]
    return fit_by_hand(rows, statistics=Statistics(deviance=deviance), problem=problem)


@pytest.mark.parametrize(("deviance", "taken"), [(0.0, True), (3.0, True), (5.0, False)])
def test_reference_and_sample_are_named_as_in_the_neighbour_where_the_data_do_not_tell(deviance, taken):
    starts = []

    def again(start, brief):
        starts.append(start)
        return two_component(start, deviance)

    found = named_alike(two_component(OTHER), two_component(ONE), again)
    assert {name: starts[0][name] for name in ONE} == pytest.approx(ONE)
    assert found.values["D0_ref"] == (2e4 if taken else 6e3)


def test_names_that_agree_are_left_alone():
    alike = two_component({**ONE, "D0_ref": 1.8e4})
    assert named_alike(alike, two_component(ONE), again=None) is alike
    silent = replace(two_component(OTHER), statistics=Statistics())
    assert named_alike(silent, two_component(ONE), again=None) is silent


def test_a_group_in_a_higher_minimum_is_led_to_the_lower_one():
    good, high = two_component(ONE, -10.0), two_component({**ONE, "v0": 3000.0}, 20.0)
    starts = []

    def again(start, brief=False):
        starts.append((start["v0"], brief))
        return two_component(start, 5.0 if start["v0"] < 2000.0 else 20.0)

    first, second = agreed([good, high], None, [again, again])
    assert (first.values["v0"], second.values["v0"]) == (1500.0, 1500.0)
    assert (first.statistics.deviance, second.statistics.deviance) == (-10.0, 5.0)
    assert starts == [(3000.0, True), (1500.0, True), (1500.0, False)]


def test_a_joint_fit_leads_all_groups_and_names_their_components():
    first, second = agreed(
        [two_component(OTHER), two_component({**OTHER, "v0": 1600.0})],
        two_component(ONE),
        [lambda start, brief=False: two_component(start)] * 2,
    )
    assert first.values["D0_ref"] == second.values["D0_ref"] == 2e4


def test_groups_without_errors_of_their_parameters_are_told_apart_by_their_curves():
    own = two_component({**ONE, "f0": 0.4})
    t = np.array([0.1, 5.0, 10.0])
    curve = Derived("f", "1", *map(tuple, (t, [0.4] * 3, [0.01] * 3, [0.38] * 3, [0.42] * 3)))
    rows = tuple(replace(row, error=np.nan) for row in own.estimates)
    bare = replace(own, estimates=rows, derived=(curve,))
    tried = []

    def again(start, brief=False):
        tried.append(start["f0"])
        return bare

    for other in (0.402, 0.6):
        agreed([bare, two_component({**ONE, "f0": other})], None, [again, again])
    assert 0.402 not in tried
    assert 0.6 in tried


def test_draws_are_not_made_again():
    drawn = replace(two_component(ONE), posterior=object())
    found = agreed([drawn, replace(drawn)], None, [pytest.fail, pytest.fail])
    assert all(fit.posterior is drawn.posterior for fit in found)


def test_of_minima_that_fit_as_well_the_converged_one_like_the_neighbour_is_taken():
    low, like = two_component(OTHER, 0.0), two_component(ONE, 3.0)
    assert nearest_of([low, like], like) is like
    assert nearest_of([low, like], None) is low
    assert nearest_of([low, replace(like, verdict="stalled")], like) is low
    assert nearest_of([low, two_component(ONE, 4.0)], like) is low
