"""What an optimizer states of a fit reads as attributes and as a mapping, and holds no more than was stated."""

from __future__ import annotations

import pytest

from heterodyne.result.identifiability import Identifiability
from heterodyne.result.provenance import Provenance
from heterodyne.result.statistics import Statistics
from heterodyne.testing.results import fit_by_hand


def test_a_field_is_read_by_its_name_and_as_an_attribute():
    statistics = Statistics(ssr=0.5, n_pairs=20, extra={"walkers": 50})
    assert statistics.ssr == statistics["ssr"] == statistics.get("ssr") == 0.5
    assert statistics["walkers"] == statistics.extra["walkers"] == 50
    assert {**statistics} == {"ssr": 0.5, "n_pairs": 20, "walkers": 50}
    assert repr(statistics) == "Statistics(ssr=0.5, n_pairs=20, walkers=50)"


def test_what_was_not_stated_is_none_as_an_attribute_and_absent_as_an_entry():
    statistics = Statistics(ssr=0.5)
    assert statistics.dof is None
    assert "dof" not in statistics
    assert statistics.get("dof", 7.5) == 7.5
    with pytest.raises(KeyError):
        statistics["dof"]


def test_none_that_was_stated_is_an_entry():
    assert dict(Provenance(warm_start=None)) == {"warm_start": None}


def test_entries_stand_in_the_order_in_which_they_were_stated():
    assert list(Statistics(seconds=1.0, cost=2.0, ssr=3.0)) == ["seconds", "cost", "ssr"]
    joined = Statistics(seconds=1.0, cost=2.0) | Statistics(ssr=3.0, seconds=4.0)
    assert list(joined.items()) == [("seconds", 4.0), ("cost", 2.0), ("ssr", 3.0)]
    assert isinstance(joined, Statistics)


def test_a_record_is_immutable():
    statistics = Statistics(ssr=0.5)
    with pytest.raises(AttributeError, match="immutable"):
        statistics.ssr = 1.0
    with pytest.raises(TypeError):
        statistics["ssr"] = 1.0


def test_a_field_and_a_figure_of_ones_own_have_one_place_each():
    with pytest.raises(TypeError, match="srr: state a field by its name"):
        Statistics(srr=0.5)
    with pytest.raises(TypeError, match="ssr: state a field by its name"):
        Statistics(extra={"ssr": 0.5})


def test_an_optimizer_may_state_plain_mappings():
    stated = {"statistics": {"ssr": 0.5, "walkers": 50}, "identifiability": {"rank": 1}, "provenance": {}}
    fit = fit_by_hand(**stated)
    assert (fit.statistics.ssr, fit.statistics.extra) == (0.5, {"walkers": 50})
    assert isinstance(fit.identifiability, Identifiability)
    assert isinstance(fit.provenance, Provenance)
