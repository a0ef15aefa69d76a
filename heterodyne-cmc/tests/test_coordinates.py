"""The sampled coordinates: bounds, centre, Jacobian, and priors that hold in values."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

import heterodyne as het
from heterodyne.kernels.curves import curve_values
from heterodyne.parameters import Parameter, ParameterTable, Prior
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne_cmc.coordinates import (
    create_space,
    form_of,
    log_prior_density,
    prior_precision,
    slope_of,
    theta_of,
    values_of,
    whitened,
    x_of,
)
from heterodyne_cmc.priors import draw_prior, log_prior, prior_numbers
from tolerances import REORDERED

STEPS = np.linspace(-40.0, 40.0, 16001)


def problem_of(**rows):
    """A problem of the model `static` whose D0, alpha and D_offset are these rows; others are held."""
    problem = create_problem(
        het.simulate("static", params={"D0": 3e3}, frames=8, phi=0.0), het.create_model("static")
    )
    table = ParameterTable(
        rows[name] if name in rows else replace(row, vary=False) for name, row in problem.parameters.items()
    )
    return replace(problem, parameters=table)


def one_of(row, centre):
    """The problem of one parameter, its form and its space about this value."""
    problem = problem_of(**{row.name: row})
    return problem, form_of(problem), create_space(problem, np.array([centre]))


UNIFORM = Prior()


def row_of(low, high, prior=UNIFORM, scale="linear", name="D_offset"):
    return Parameter(name, "1", 0.5 * (low + high), low, high, prior, scale)


BOUNDED = [row_of(-3.0, 8.0), row_of(0.01, 1e4, scale="log", name="D0"), row_of(-2.0, 2.0, name="alpha")]


@pytest.mark.parametrize("row", BOUNDED, ids=lambda row: row.scale)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_values_stay_inside_the_bounds_and_the_centre_does_not_move(row, share):
    at = (np.log(row.low), np.log(row.high)) if row.scale == "log" else (row.low, row.high)
    x = at[0] + share * (at[1] - at[0])
    centre = np.exp(x) if row.scale == "log" else x
    _, form, space = one_of(row, centre)
    values = np.array([values_of(space, form, jnp.array([u]))[0] for u in (-1e3, -5.0, 0.0, 5.0, 1e3)])
    assert values[2] == pytest.approx(centre, rel=REORDERED)
    inside = 1e-12 * (row.high - row.low)
    assert np.all((values >= row.low - inside) & (values <= row.high + inside))
    assert np.all(np.diff(values) >= 0)
    slope = jax.jacfwd(lambda u: x_of(space, u))(jnp.zeros(1))
    assert float(slope[0, 0]) == pytest.approx(1.0, rel=REORDERED)


def test_a_centre_on_a_bound_is_moved_inside_by_a_fiftieth():
    row = row_of(-3.0, 7.0)
    for centre, expected in ((-3.0, -2.8), (7.0, 6.8)):
        _, form, space = one_of(row, centre)
        assert float(values_of(space, form, jnp.zeros(1))[0]) == pytest.approx(expected)


def test_without_bounds_the_coordinate_is_the_value():
    _, form, space = one_of(row_of(-np.inf, np.inf, Prior("normal", 0.0, 2.0)), 1.5)
    u = jnp.array([37.0])
    assert float(values_of(space, form, u)[0]) == pytest.approx(38.5)
    at = [float(log_prior_density(space, form, jnp.array([v]))) for v in (0.0, 3.0)]
    assert at[1] - at[0] == pytest.approx(-0.5 * ((4.5 / 2) ** 2 - (1.5 / 2) ** 2))


def two_component_space():
    data = het.simulate(frames=100)
    problem = create_problem(data, het.create_model("two-component"), Choices(tie={"D0_ref": "D0_sample"}))
    table = problem.parameters
    for name, value in data.provenance["truth"]["params"].items():
        table = table.updated(name, start=value)
    problem = replace(problem, parameters=table)
    form, space = form_of(problem), create_space(problem, problem.column("start"))
    rng = np.random.default_rng(0)
    a = rng.normal(size=(len(problem.varying),) * 2)
    return problem, form, whitened(space, form, a @ a.T), rng


@pytest.mark.slow
def test_the_jacobian_is_that_of_the_transform():
    """log p(u) is log p(x) plus log |dx/du|, up to the constant of ``root``."""
    _, form, space, rng = two_component_space()
    constant = float(np.linalg.slogdet(np.asarray(space.root))[1])
    for u in rng.normal(size=(4, len(form.families))):
        step = 1e-6
        columns = [
            (np.asarray(x_of(space, u + e)) - np.asarray(x_of(space, u - e))) / (2 * step)
            for e in step * np.eye(len(u))
        ]
        jacobian = np.linalg.slogdet(np.array(columns).T)[1]
        of_x = float(log_prior(form.families, form.log, space.priors, x_of(space, u)))
        expected = of_x + jacobian - constant
        assert float(log_prior_density(space, form, u)) == pytest.approx(expected, abs=1e-6)


def moved_by(problem, form, space, name, change):
    """All parameters by name with the coordinate y of one of them changed, the others at the centre."""
    u = np.linalg.solve(np.asarray(space.root), change * (np.array(problem.varying) == name))
    return dict(zip(problem.parameters, np.asarray(theta_of(space, form, u)), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("curve", "offset", "change"), [("v", "v_offset", 300.0), ("f", "f3", 0.05)])
def test_a_rate_and_its_slope_in_the_middle_stay_where_its_offset_changes(curve, offset, change):
    problem, form, space, _ = two_component_space()
    middle = (
        np.exp(float(space.log_time))
        if curve == "v"
        else float(space.lead[0]) + problem.expand(problem.column("start"))["f2"]
    )
    t = middle * np.array([1.0 - 1e-5, 1.0, 1.0 + 1e-5])
    for side in (-1.0, 1.0):
        before, after = (
            curve_values(problem.model.curve(curve), moved_by(problem, form, space, offset, x), t)
            for x in (0.0, side * change)
        )
        assert after[1] == pytest.approx(before[1], rel=0.02)
        assert np.diff(after)[0] == pytest.approx(np.diff(before)[0], rel=0.1)
        alone = moved_by(problem, form, space, offset, side * change)[offset]
        assert alone - moved_by(problem, form, space, offset, 0.0)[offset] == pytest.approx(
            side * change, rel=0.1
        )


def test_ties_and_fixed_parameters_follow():
    problem, form, space, rng = two_component_space()
    u = rng.normal(size=len(problem.varying))
    theta = dict(zip(problem.parameters, np.asarray(theta_of(space, form, u)), strict=True))
    values = dict(zip(problem.varying, np.asarray(values_of(space, form, u)), strict=True))
    assert "D0_ref" not in values
    assert "f2" not in values
    assert theta["D0_ref"] == theta["D0_sample"] == values["D0_sample"]
    assert theta["f2"] == problem.parameters["f2"].start
    assert all(theta[name] == value for name, value in values.items())


def test_whitening_makes_likelihood_times_prior_a_unit_sphere():
    problem, form, space, _ = two_component_space()
    flat = space._replace(root=np.eye(len(problem.varying)))
    a = np.random.default_rng(0).normal(size=(len(problem.varying),) * 2)
    total = a @ a.T + np.diag(prior_precision(flat, form))
    root = slope_of(space)
    np.testing.assert_allclose(root.T @ total @ root, np.eye(len(root)), atol=1e-9)


def density(prior, low, high):
    """The prior density over values inside the bounds, by quadrature points of the value: its CDF."""
    v = np.linspace(low, high, 200_001) if low <= 0 else np.geomspace(low, high, 200_001)
    if prior.family == "uniform":
        p = np.ones_like(v)
    elif prior.family == "log-normal":
        p = np.where(
            v > 0, np.exp(-0.5 * ((np.log(np.maximum(v, 1e-300)) - prior.location) / prior.width) ** 2), 0
        )
        p = p / np.maximum(v, 1e-300)
    else:
        p = np.exp(-0.5 * ((v - prior.location) / prior.width) ** 2)
        p = np.where(v < prior.location, 0.0, p) if prior.family == "half-normal" else p
    steps = 0.5 * (p[1:] + p[:-1]) * np.diff(v)
    cdf = np.concatenate([[0.0], np.cumsum(steps)])
    return v, cdf / cdf[-1]


PRIORS = [
    (Prior("normal", 0.4, 1.0), -3.0, 8.0, "linear"),
    (Prior("normal", 9.0, 2.0), -3.0, 8.0, "linear"),
    (Prior("truncated-normal", 0.4, 3.0), -3.0, 8.0, "linear"),
    (Prior("uniform"), -3.0, 8.0, "linear"),
    (Prior("half-normal", 0.0, 2.0), 0.0, 8.0, "linear"),
    (Prior("half-normal", 1.0, 2.0), 0.0, 8.0, "linear"),
    (Prior("half-normal", 1.0, 50.0), 0.5, 200.0, "log"),
    (Prior("log-normal", 0.5, 0.7), 0.0, 9.0, "linear"),
    (Prior("normal", 40.0, 30.0), 0.5, 200.0, "log"),
    (Prior("truncated-normal", 40.0, 30.0), 0.5, 200.0, "log"),
    (Prior("uniform"), 0.5, 200.0, "log"),
    (Prior("half-normal", 0.0, 50.0), 0.5, 200.0, "log"),
    (Prior("log-normal", 2.0, 1.0), 0.5, 200.0, "log"),
    (Prior("log-normal", 2.0, 9.0), 0.5, 200.0, "log"),
]
NAMES = [f"{prior.family}-{scale}-{k}" for k, (prior, _, _, scale) in enumerate(PRIORS)]


@pytest.mark.parametrize(("prior", "low", "high", "scale"), PRIORS, ids=NAMES)
def test_every_prior_holds_in_values(prior, low, high, scale):
    row = row_of(low, high, prior, scale, name="D0" if scale == "log" else "D_offset")
    _, form, space = one_of(row, low + 0.3 * (high - low))
    density_of = jax.jit(jax.vmap(lambda u: log_prior_density(space, form, u)))
    u = (0.5 * (high - low) if scale == "linear" else 1.0) * STEPS[:, None]
    log_p = np.asarray(density_of(u))
    values = np.asarray(jax.vmap(lambda each: values_of(space, form, each))(u))[:, 0]
    p = np.exp(log_p - log_p.max())
    cdf = np.concatenate([[0.0], np.cumsum(0.5 * (p[1:] + p[:-1]) * np.diff(u[:, 0]))])
    v, exact = density(prior, low, high)
    assert np.max(np.abs(cdf / cdf[-1] - np.interp(values, v, exact))) < 2e-3
    draws = draw_prior(row, 10.0, np.random.default_rng(0), 4000)
    assert kstest(draws, lambda x: np.interp(x, v, exact)).pvalue > 1e-3


def test_a_width_per_duration_is_divided_by_it():
    prior = Prior("normal", 0.0, 3.0, per_duration=True)
    row = row_of(-10.0, 10.0, prior)
    assert float(prior_numbers([row], 6.0).width[0]) == pytest.approx(0.5)
    problem, _, space = one_of(row, 0.0)
    assert float(space.priors.width[0]) == pytest.approx(3.0 / problem.data[0].duration)
    draws = draw_prior(row, 6.0, np.random.default_rng(0), 20_000)
    assert draws.std() == pytest.approx(0.5, rel=0.02)


def axis_problem(centre):
    data = het.simulate(frames=8, phi=[0.0, 90.0])
    fix = {name: value for name, value in data.provenance["truth"]["params"].items() if name != "phi0"}
    problem = create_problem(data, het.create_model("two-component"), Choices(fix=fix))
    return problem, form_of(problem), create_space(problem, np.array([centre]))


@pytest.mark.parametrize("centre", [3.0, 88.0, 90.0])
def test_an_axis_turns_freely_over_its_bounds_and_is_uniform(centre):
    problem, form, space = axis_problem(centre)
    assert float(space.low[0]) == pytest.approx(centre - 90.0)
    assert float(space.high[0]) == pytest.approx(centre + 90.0)
    u = 90.0 * np.linspace(-12.0, 12.0, 24001)[:, None]
    log_p = np.asarray(jax.vmap(lambda each: log_prior_density(space, form, each))(u))
    values = np.asarray(jax.vmap(lambda each: values_of(space, form, each))(u))
    p = np.exp(log_p - log_p.max())
    at = np.vectorize(problem.parameters["phi0"].folded)(values[:, 0])
    assert np.all((at > -90.0) & (at <= 90.0))
    shares = np.histogram(at, bins=np.linspace(-90.0, 90.0, 7), weights=p)[0] / p.sum()
    np.testing.assert_allclose(shares, 1.0 / 6.0, atol=2e-3)
