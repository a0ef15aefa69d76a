"""The registry: its numbers, row by row, and that nothing can change them."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest

import heterodyne as het
from heterodyne.errors import ParameterError
from heterodyne.parameters import REGISTRY, SCALING, Parameter, ParameterTable, Prior

LN_1E4, LN_1E3 = math.log(1e4), math.log(1e3)
RATE = ("log-normal", LN_1E4, 3.0)
SPEED = ("log-normal", LN_1E3, 3.0)
UNIFORM = ("uniform", 0.0, 1.0)

# name: unit, start, low, high, (family, location, width), scale, vary
TABLE = {
    "D0_ref": ("Å²/s^(α+1)", 1e4, 1e-2, 1e6, RATE, "log", True),
    "D0_sample": ("Å²/s^(α+1)", 1e4, 1e-2, 1e6, RATE, "log", True),
    "alpha_ref": ("1", 0.0, -2.0, 2.0, ("normal", 0.0, 1.0), "linear", True),
    "alpha_sample": ("1", 0.0, -2.0, 2.0, ("normal", 0.0, 1.0), "linear", True),
    "D_offset_ref": ("Å²/s", 0.0, -1e5, 1e5, ("normal", 0.0, 1e3), "linear", True),
    "D_offset_sample": ("Å²/s", 0.0, -1e5, 1e5, ("normal", 0.0, 1e3), "linear", True),
    "v0": ("Å/s^(β+1)", 1e3, 1e-6, 1e6, SPEED, "log", True),
    "beta": ("1", 0.0, -2.0, 2.0, ("normal", 0.0, 1.0), "linear", True),
    "v_offset": ("Å/s", 0.0, -1e3, 1e3, ("normal", 0.0, 300.0), "linear", True),
    "f0": ("1", 0.5, 0.0, 1.0, UNIFORM, "linear", True),
    "f1": ("1/s", 0.0, -10.0, 10.0, ("normal", 0.0, 3.0), "linear", True),
    "f2": ("s", 0.0, -1e4, 1e4, ("normal", 0.0, 1e3), "linear", False),
    "f3": ("1", 0.0, 0.0, 1.0, UNIFORM, "linear", True),
    "phi0": ("degree", 0.0, -90.0, 90.0, UNIFORM, "linear", True),
    "D0": ("Å²/s^(α+1)", 1e4, 1e-2, 1e6, RATE, "log", True),
    "alpha": ("1", 0.0, -2.0, 2.0, ("normal", 0.0, 1.0), "linear", True),
    "D_offset": ("Å²/s", 0.0, -1e5, 1e5, ("normal", 0.0, 1e3), "linear", True),
    "D_ref": ("Å²/s", 1e3, 1e-3, 1e6, SPEED, "log", True),
    "D_sample": ("Å²/s", 1e3, 1e-3, 1e6, SPEED, "log", True),
    "v": ("Å/s", 1e3, 1e-6, 1e6, SPEED, "log", True),
    "x": ("1", 0.2, 0.0, 1.0, UNIFORM, "linear", True),
}

TWO_COMPONENT = [
    *("D0_ref", "alpha_ref", "D_offset_ref", "D0_sample", "alpha_sample", "D_offset_sample"),
    *("v0", "beta", "v_offset", "f0", "f1", "f2", "f3", "phi0"),
]


def values(row):
    prior = (row.prior.family, row.prior.location, row.prior.width)
    return (row.unit, row.start, row.low, row.high, prior, row.scale, row.vary)


def test_the_registry_has_these_rows_and_no_others():
    assert set(REGISTRY) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_row(name):
    assert values(REGISTRY[name]) == TABLE[name]
    assert REGISTRY[name].name == name


def test_only_the_prior_of_f1_is_in_units_of_the_duration():
    assert [name for name, row in REGISTRY.items() if row.prior.per_duration] == ["f1"]


def test_scaling_bounds():
    bounds = {name: (row.low, row.high) for name, row in SCALING.items()}
    assert bounds == {"contrast": (0.0, 1.0), "offset": (0.5, 1.5)}


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("two-component", TWO_COMPONENT),
        ("static-reference", TWO_COMPONENT[3:]),
        ("no-flow", [*TWO_COMPONENT[:6], *TWO_COMPONENT[9:13]]),
        ("equilibrium", ["D_ref", "D_sample", "v", "x", "phi0"]),
        ("static", ["D0", "alpha", "D_offset"]),
    ],
)
def test_every_variant_takes_its_rows_from_the_registry(model, names):
    table = het.create_model(model).parameters
    assert list(table) == names
    assert all(table[name] is REGISTRY[name] for name in names)


def set_item(table):
    table["D0_ref"] = Parameter("D0_ref", "1", 1.0, 0.0, 2.0)


def delete_item(table):
    del table["D0_ref"]


def set_rows(table):
    table._rows = {}


def set_other(table):
    table.comment = "new"


def delete_rows(table):
    del table._rows


def set_inner_item(table):
    table._rows["D0_ref"] = None


def merge_in_place(table):
    table |= {"D0_ref": None}


def set_field(table):
    table["D0_ref"].start = 1.0


def delete_field(table):
    del table["D0_ref"].start


def set_new_field(table):
    table["D0_ref"].comment = "new"


def set_through_dict(table):
    vars(table["D0_ref"])["start"] = 1.0


def set_table_through_dict(table):
    vars(table)["_rows"] = {}


def set_prior(table):
    table["D0_ref"].prior.width = 1.0


def set_prior_through_dict(table):
    vars(table["D0_ref"].prior)["width"] = 1.0


MUTATIONS = [
    *(set_item, delete_item, set_rows, set_other, delete_rows, set_inner_item, merge_in_place),
    *(set_field, delete_field, set_new_field, set_through_dict, set_table_through_dict),
    *(set_prior, set_prior_through_dict),
    *(lambda table, method=method: getattr(table, method) for method in ("update", "pop", "clear")),
    *(lambda table, method=method: getattr(table, method) for method in ("popitem", "setdefault")),
]


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
@pytest.mark.parametrize("table", [REGISTRY, REGISTRY.updated("v0", high=2.0)], ids=["registry", "copy"])
def test_a_table_cannot_be_changed(mutate, table):
    before = dict(table)
    with pytest.raises((TypeError, AttributeError)):
        mutate(table)
    assert dict(table) == before


def test_initialising_a_table_again_leaves_it_as_it_is():
    before = dict(REGISTRY)
    REGISTRY.__init__(())
    assert dict(REGISTRY) == before


def test_starts_are_a_new_dictionary():
    REGISTRY.starts()["D0_ref"] = 7.0
    assert REGISTRY["D0_ref"].start == 1e4


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_table_survives_copying(duplicate):
    assert duplicate(REGISTRY) == REGISTRY
    assert list(duplicate(REGISTRY)) == list(REGISTRY)


def test_updated_is_another_table():
    changed = REGISTRY.updated("v0", high=2.0)
    assert changed["v0"] == dataclasses.replace(REGISTRY["v0"], high=2.0)
    assert REGISTRY["v0"].high == 1e6
    assert list(changed) == list(REGISTRY)


def test_complete_fills_in_starts_in_table_order():
    table = REGISTRY.select(["v0", "beta"])
    assert list(table.complete({"beta": 1}).items()) == [("v0", 1e3), ("beta", 1.0)]


@pytest.mark.parametrize(
    "look_up",
    [
        lambda: REGISTRY["alpha_rf"],
        lambda: REGISTRY.complete({"alpha_rf": 0.0}),
        lambda: REGISTRY.select(["alpha_rf"]),
        lambda: REGISTRY.updated("alpha_rf", low=0.0),
    ],
)
def test_an_unknown_name_lists_the_nearest_and_all_others_in_one_line(look_up):
    with pytest.raises(ParameterError) as caught:
        look_up()
    line = str(caught.value)
    assert "no parameter named 'alpha_rf'; did you mean 'alpha_ref'?" in line
    assert "D_offset_sample" in line
    assert "\n" not in line


def test_a_name_given_twice_is_refused():
    with pytest.raises(ParameterError, match="twice"):
        ParameterTable([REGISTRY["v0"], REGISTRY["v0"]])


def test_values_that_can_be_held_fixed():
    assert REGISTRY["v0"].accepts(0.0)
    assert not REGISTRY["v0"].accepts(-1.0)
    assert not REGISTRY["f0"].accepts(1.1)
    assert not REGISTRY["f0"].accepts(math.nan)
    assert REGISTRY["f0"].accepts(0.0)
    assert Prior() == Prior("uniform")
