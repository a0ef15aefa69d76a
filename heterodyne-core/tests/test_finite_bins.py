"""Finite bins: nodes, averaged sums, how many nodes are needed, and where unknown widths would matter."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.nodes import bin_nodes
from heterodyne.bins.reading import read_bins
from heterodyne.evaluators import dense, structured
from heterodyne.evaluators.bin_average import varying_rows
from heterodyne.evaluators.meshgrid import averaged_matrix
from heterodyne.model import Components, pair_of_components
from heterodyne.problem.averaging import (
    ORDERS,
    TOLERANCE,
    BinOrders,
    critical_width,
    nodes_of,
    orders_of,
    sufficient_orders,
    with_orders,
)
from heterodyne.simulation.sector import sector_correlation
from heterodyne.variants.two_component import TRUTH as CASE
from tolerances import ELEMENTARY, LAST_DIGIT, LAST_DIGITS, NOTHING, REORDERED

MODELS = ("two-component", "static-reference", "no-flow", "equilibrium", "static")
TRUTH = dict(CASE)
STILL = {**TRUTH, "v0": 0.0, "v_offset": 0.0}


def bins_of(model="two-component", frames=90, **widths):
    data = het.simulate(model=model, phi=[30.0, 80.0], frames=frames, seed=1, **widths)
    theta = 1.05 * np.array(list(data.provenance["truth"]["params"].values()))
    return het.create_model(model), theta, read_bins((data,))


def test_nodes_average_polynomials_exactly():
    nodes = bin_nodes(0.01, 40.0, 0.002, 10.0, 3, 2)
    assert nodes.weight.shape == nodes.q.shape == nodes.phi.shape == (3, 2)
    assert nodes.weight.sum() == pytest.approx(1.0, abs=LAST_DIGIT)
    u, v = (nodes.q - 0.01) / 0.001, (nodes.phi - 40.0) / 5.0
    assert np.sum(nodes.weight * u**4 * v**2) == pytest.approx(1 / 15, abs=LAST_DIGITS)
    assert np.sum(nodes.weight * u**3 * v**2) == pytest.approx(0.0, abs=LAST_DIGITS)


@pytest.mark.parametrize("width", [np.nan, 0.0])
def test_an_unknown_or_zero_width_has_one_node(width):
    nodes = bin_nodes(0.01, np.nan, width, width, 5, 7)
    assert nodes.weight.tolist() == [[1.0]]
    assert nodes.q.tolist() == [[0.01]]
    assert np.isnan(nodes.phi).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_sums_over_a_finite_bin_equal_the_dense_ones(name):
    model, theta, (one, _) = bins_of(name, dq=5e-4, dphi=10.0)
    wide = with_orders(one, BinOrders(2, 3))
    fast, slow = structured.bin_sums(model, theta, wide), dense.bin_sums(model, theta, wide)
    size = np.sqrt(np.diag(slow.gram))
    assert np.all(np.abs(fast.gram - slow.gram) <= REORDERED * np.outer(size, size) + NOTHING)
    np.testing.assert_allclose(fast.total, slow.total, rtol=1e-11, atol=1e-9 * abs(slow.total[0]))
    assert np.all(np.abs(fast.cross - slow.cross) <= REORDERED * size * np.sqrt(one.moments.square) + NOTHING)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_merged_rows_give_the_s_of_all_rows(name):
    model, theta, (one, _) = bins_of(name, dq=5e-4, dphi=10.0)
    nodes = bin_nodes(one.q, one.phi, 5e-4, 10.0, 3, 4)
    rows = structured.averaged(model, jnp.asarray(theta), jnp.asarray(one.t), nodes)
    assert len(rows.a) < 12 * len(varying_rows(model).with_q)
    first, second = np.triu_indices(len(one.t), 1)
    s = pair_of_components(*(Components(*(jnp.asarray(x)[:, at] for x in rows)) for at in (first, second)))
    params = dict(zip(model.parameters, theta, strict=True))
    full = averaged_matrix(model, params, one.t, nodes)[first, second]
    np.testing.assert_allclose(s, full, rtol=0, atol=ELEMENTARY)


def test_only_fringes_vary_with_the_azimuth():
    rows = varying_rows(het.create_model("two-component"))
    assert rows.with_q.tolist() == [True] * 3
    assert rows.with_phi.tolist() == [False, False, True]
    # computed from q, though q² · 0 is 0: to count it as varying costs a row, not to would cost the average
    assert varying_rows(het.create_model("static-reference")).with_q.tolist() == [True] * 3
    assert not varying_rows(het.create_model("no-flow")).with_phi.any()


@pytest.mark.slow
@pytest.mark.parametrize("widths", [{"dphi": 10.0}, {"dphi": 3.0}, {"dq": 5e-4}, {"dq": 3e-4, "dphi": 6.0}])
def test_sufficient_orders_are_sufficient_and_no_more(widths):
    model, _, bins = bins_of(frames=120, **widths)
    orders = sufficient_orders(model, TRUTH, bins)
    exact = [sector_correlation(model, TRUTH, b.t[:120], b.q, b.phi, b.dq, b.dphi) for b in bins]

    def error(chosen):
        found = [averaged_matrix(model, TRUTH, b.t[:120], with_orders(b, chosen).nodes) for b in bins]
        return np.max(np.abs(np.array(found) - exact))

    assert orders.error <= TOLERANCE
    assert error(orders) < 3 * TOLERANCE  # the sample may miss the worst pair
    for axis in ("q", "phi"):
        place = ORDERS.index(getattr(orders, axis))
        assert place == 0 or error(orders._replace(**{axis: ORDERS[place - 1]})) > 0.5 * TOLERANCE


@pytest.mark.slow
def test_bins_over_which_nothing_varies_need_one_node():
    model, _, bins = bins_of(dphi=20.0)
    assert sufficient_orders(model, STILL, bins)[:2] == (1, 1)
    unknown = [replace(one, dphi=np.nan) for one in bins]
    assert sufficient_orders(model, TRUTH, unknown) == BinOrders()
    model, _, bins = bins_of("no-flow", dphi=20.0)
    assert sufficient_orders(model, dict.fromkeys(model.parameters, 0.1), bins).phi == 1


def test_an_average_that_cannot_be_reached_says_how_far_it_is_off():
    model, _, bins = bins_of(frames=200)
    bins = [replace(one, dphi=90.0) for one in bins]
    fast = {**TRUTH, "v0": 2e4, "D0_ref": 0.0, "D_offset_ref": 0.0, "D0_sample": 0.0, "D_offset_sample": 0.0}
    assert sufficient_orders(model, fast, bins).error > TOLERANCE


def test_the_average_in_words():
    assert str(BinOrders()) == "none"
    assert str(BinOrders(1, 5)) == "5 azimuths × 1 q"
    assert str(BinOrders(3, 1)) == "1 azimuth × 3 q"


def test_nodes_of_a_fit_follow_from_its_data_and_its_record():
    _, _, bins = bins_of(dphi=10.0)
    wide = [with_orders(one, BinOrders(1, 5)) for one in bins]
    assert orders_of(wide) == BinOrders(1, 5)
    data = het.simulate(phi=[30.0, 80.0], frames=5, dphi=10.0)
    fit = SimpleNamespace(statistics={"bin_nodes": [1, 5]})
    for index, one in enumerate(wide):
        np.testing.assert_array_equal(nodes_of(fit.statistics["bin_nodes"], data, index).phi, one.nodes.phi)


def test_a_width_matters_from_half_a_radian_on():
    model, _, bins = bins_of(frames=90)
    unknown = tuple(replace(one, dphi=np.nan) for one in bins)
    critical, taken = critical_width(model, TRUTH, unknown, 1)
    assert taken == 10.0
    one = unknown[1]
    s = model.correlation(TRUTH, one.t[:90], one.q, one.phi)
    upper = np.triu(s >= np.exp(-1.0), 1)
    velocity = TRUTH["v0"] * one.t[:90] ** TRUTH["beta"] + TRUTH["v_offset"]
    path = np.concatenate([[0.0], np.cumsum(0.5 * (velocity[1:] + velocity[:-1]) * 0.1)])
    longest = np.max((path - path[:, None])[upper])
    edges = np.deg2rad(one.phi - TRUTH["phi0"] + critical * np.array([-0.5, 0.5]))
    spread = one.q * longest * abs(np.diff(np.cos(edges))[0])
    assert 0.35 < spread < 0.75


def test_no_width_matters_where_the_phase_stands_still_or_bins_are_points():
    model, _, bins = bins_of()
    unknown = tuple(replace(one, dphi=np.nan) for one in bins)
    assert critical_width(model, STILL, unknown, 1) is None
    slow = {**TRUTH, "v0": 20.0}
    assert critical_width(model, slow, unknown, 1) is None
    assert critical_width(model, TRUTH, bins, 1) is None
    static = het.create_model("static")
    assert critical_width(static, static.parameters.complete({}), unknown, 1) is None


def test_neighbouring_azimuths_bound_an_unknown_width():
    data = het.simulate(phi=[70.0, 73.0, 130.0], q=[0.01, 0.02], frames=60)
    bins = tuple(replace(one, dphi=np.nan) for one in read_bins((data,)))
    taken = [critical_width(het.create_model("two-component"), TRUTH, bins, index)[1] for index in (0, 1, 2)]
    assert taken == [pytest.approx(3.0), pytest.approx(3.0), 10.0]
