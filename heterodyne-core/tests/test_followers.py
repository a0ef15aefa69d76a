"""Profiles contradict the errors of parameters that follow them too far."""

from types import SimpleNamespace

import numpy as np
import pytest

from heterodyne.result.profile import Interval, Profile
from heterodyne.solution.conditions import BOUND, CURVED
from heterodyne.solution.followers import on_profiles

QUANTILE = 2.0


def at(names=("a", "b"), ratio=1.0):
    """Errors of 1 over these free coordinates of three, of which z lies at its low bound."""
    rows = {name: SimpleNamespace(scale="linear") for name in ("a", "b", "z")}
    problem = SimpleNamespace(varying=("a", "b", "z"), parameters=rows)
    weighted = SimpleNamespace(problem=problem, low=np.array([-9.0, -9.0, 0.0]))
    here = SimpleNamespace(weighted=weighted, x=np.zeros(3))
    return SimpleNamespace(here=here, names=names, sd=np.ones(len(names)), ratio=np.full(len(names), ratio))


def profile(name, others, low=-2.0, high=2.0, scale=1.0):
    """A profile over -4 to 4 whose interval is that of two errors."""
    values = np.linspace(-4.0, 4.0, 9)
    intervals = (Interval("robust", 0.95, 4.0, low, high),)
    return Profile(
        name, "", 0.0, -9.0, 9.0, scale, True, intervals, values, values**2, values**2, others(values)
    )


def found(of, names=("a", "b"), known=(True, True), ratio=1.0):
    return on_profiles(at(names, ratio), np.array(known), {of.name: of}, QUANTILE)


@pytest.mark.parametrize(("times", "contradicted"), [(1.0, False), (1.45, False), (1.6, True)])
def test_an_error_is_contradicted_where_its_parameter_goes_farther_than_its_interval(times, contradicted):
    conditions = found(profile("a", lambda values: {"b": times * values}))
    assert ([*conditions] == ["b"]) is contradicted
    if contradicted:
        assert conditions["b"].kind == CURVED
        assert conditions["b"].weight == pytest.approx(times)


def test_only_the_way_within_the_interval_counts():
    assert not found(profile("a", lambda values: {"b": np.where(np.abs(values) < 2.5, 0.0, 100.0)}))


def test_an_open_interval_ends_where_the_profile_does():
    assert [*found(profile("a", lambda values: {"b": values}, high=np.inf))] == ["b"]


def test_next_to_a_bound_all_of_the_way_counts():
    def others(values):
        return {"a": 0.6 * values, "b": 0.7 * values}

    conditions = found(profile("z", others))
    assert [*conditions] == ["b"]
    assert (conditions["b"].kind, conditions["b"].on) == (BOUND, "z at low")


def test_a_wider_interval_may_take_others_along_farther():
    assert not found(profile("a", lambda values: {"b": 1.6 * values}, scale=4.0))
    assert found(profile("a", lambda values: {"b": 1.6 * values}, scale=4.0), ratio=4.0)


def test_what_has_no_error_or_a_profile_of_its_own_is_left_alone():
    of = profile("a", lambda values: {"b": 9.0 * values})
    assert not found(of, known=(True, False))
    both = {"a": of, "b": profile("b", lambda values: {"a": 9.0 * values})}
    assert not on_profiles(at(), np.array([True, True]), both, QUANTILE)
