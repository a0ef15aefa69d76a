"""The likelihood with contrast, offset and noise integrated out, against its definition."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.special import gammaln
from scipy.stats import multivariate_t

from heterodyne.bins.bin import Moments
from heterodyne.evaluators.pair_sums import Sums
from heterodyne.parameters import Prior
from heterodyne_cmc.likelihood import (
    ScalingPrior,
    conditional,
    draw_noise,
    draw_scaling,
    log_marginal,
    scaling_prior,
)
from tolerances import REORDERED, SOLVED, TWO_WAYS

NOISE = 0.02
REFERENCE = 1.03
CHOICES = [(None, None), (0.3, None), (None, 1.1), (0.3, 1.1)]


def model_and_data(seed, pairs=12):
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.0, 1.0, pairs)
    return s, 1.01 + 0.2 * s + NOISE * rng.normal(size=pairs)


def sums_of(s, data):
    """The sums that the evaluator gives, and the moments, of one bin."""
    d = data - REFERENCE
    sums = Sums(np.array([[d @ s]]), np.array([[s.sum()]]), np.array([[[s @ s]]]))
    return sums, Moments(*(np.array([x]) for x in (float(len(s)), REFERENCE, d.sum(), d @ d)))


def found_for(s, data, held, prior=None):
    free = (held[0] is None, held[1] is None)
    given = scaling_prior(np.array([NOISE]), held) if prior is None else prior
    sums, moments = sums_of(s, data)
    return conditional(sums, moments, moments.pairs, given, free)


def student(s, data, held):
    """log p(D | S): D is multivariate t about the prior mean, from the prior's definition."""
    design, mean = np.stack([s, np.ones_like(s)], axis=1), np.array([0.5, 1.0])
    known = sum(
        (column * value for column, value in zip(design.T, held, strict=True) if value is not None), 0.0
    )
    free = [value is None for value in held]
    width = 0.25 / NOISE
    scale = np.eye(len(s)) + width**2 * design[:, free] @ design[:, free].T
    located = known + design[:, free] @ mean[free]
    return multivariate_t(located, NOISE**2 * scale, df=2).logpdf(data)


@pytest.mark.parametrize("held", CHOICES)
def test_the_marginal_is_the_multivariate_t_of_its_definition(held):
    _, data = model_and_data(0)
    shapes = [model_and_data(seed)[0] for seed in range(1, 6)]
    ours = [float(log_marginal(found_for(s, data, held))[0]) for s in shapes]
    exact = [student(s, data, held) for s in shapes]
    assert np.ptp(exact) > 0.5
    np.testing.assert_allclose(np.diff(ours), np.diff(exact), rtol=SOLVED, atol=1e-9)


def test_the_marginal_is_the_integral_over_offset_and_noise():
    held = (0.2, None)
    _, data = model_and_data(3, pairs=6)

    def integral(s):
        def integrand(log_noise, offset):
            v = np.exp(2.0 * log_noise)
            misfit = np.sum((data - held[0] * s - offset) ** 2) + (NOISE / 0.25) ** 2 * (offset - 1.0) ** 2
            # N(D), N(offset) and InvGamma(1, s0²) in σ², times dσ²/d log σ = 2 σ²
            return np.exp(
                -0.5 * misfit / v - 3.5 * np.log(v / NOISE**2) - NOISE**2 / v - np.log(v / NOISE**2)
            )

        return dblquad(integrand, 0.5, 1.5, np.log(NOISE) - 4.0, np.log(NOISE) + 6.0, epsrel=1e-8)[0]

    shapes = [model_and_data(seed, pairs=6)[0] for seed in (4, 5)]
    ours = [float(log_marginal(found_for(s, data, held))[0]) for s in shapes]
    assert ours[1] - ours[0] == pytest.approx(np.log(integral(shapes[1]) / integral(shapes[0])), abs=1e-5)


@pytest.mark.parametrize("held", CHOICES)
def test_draws_have_the_mean_and_covariance_of_the_conditional(held):
    s, data = model_and_data(7, pairs=40)
    found = found_for(s, data, held)
    free = (held[0] is None, held[1] is None)

    def one(key):
        of_noise, of_scaling = jax.random.split(key)
        variance = draw_noise(of_noise, found)
        return variance[0], draw_scaling(of_scaling, found, variance, free)[0]

    variance, w = (np.asarray(x) for x in jax.vmap(one)(jax.random.split(jax.random.PRNGKey(0), 200_000)))
    shape, rate = float(found.shape[0]), float(found.rate[0])
    # σ² is InvGamma(shape, rate), w the multivariate t with the normal equations' solution as mean
    assert shape == 1.0 + 0.5 * len(s)
    assert variance.mean() == pytest.approx(rate / (shape - 1.0), rel=5e-3)
    assert variance.var() == pytest.approx((rate / (shape - 1.0)) ** 2 / (shape - 2.0), rel=0.05)
    design = np.stack([s, np.ones_like(s)], axis=1)
    precision = (NOISE / 0.25) ** 2
    known = np.array([0.0 if value is None else value for value in held])
    moved = np.flatnonzero(free)
    inner = design[:, moved].T @ design[:, moved] + precision * np.eye(len(moved))
    right = design[:, moved].T @ (data - design @ known) + precision * np.array([0.5, 1.0])[moved]
    mean, cov = known.copy(), np.zeros((2, 2))
    mean[moved] = np.linalg.solve(inner, right)
    cov[np.ix_(moved, moved)] = rate / (shape - 1.0) * np.linalg.inv(inner)
    np.testing.assert_allclose(np.asarray(found.mean[0]), mean, rtol=TWO_WAYS)
    np.testing.assert_allclose(w.mean(axis=0), mean, atol=5.0 * np.sqrt(cov.max() / 200_000) + 1e-12)
    np.testing.assert_allclose(np.cov(w.T), cov, atol=0.02 * cov.max() + 1e-15)


def log_prior(prior, w, log_noise, free):
    """log density of (w, log σ) under a normal-inverse-gamma prior of one bin, up to its constant."""
    v, moved = np.exp(2.0 * log_noise), np.flatnonzero(free)
    shape, rate = float(prior.shape[0]), float(prior.rate[0])
    misfit = sum(float(prior.precision[0, k]) * (w[k] - float(prior.mean[0, k])) ** 2 for k in moved)
    return -(shape + 0.5 * len(moved)) * np.log(v) - (rate + 0.5 * misfit) / v


@pytest.mark.parametrize("free", [(True, True), (False, True), (False, False)])
@pytest.mark.parametrize("shards", [1, 2, 12])
def test_a_tempered_prior_is_the_density_to_that_power(free, shards):
    prior = scaling_prior(np.array([NOISE]))
    part = prior.tempered(np.array([1.0 / shards]), sum(free))
    rng = np.random.default_rng(0)
    points = [(rng.normal([0.5, 1.0], 0.2), rng.normal(np.log(NOISE), 0.5)) for _ in range(6)]
    whole = [log_prior(prior, *at, free) for at in points]
    parts = [shards * log_prior(part, *at, free) for at in points]
    np.testing.assert_allclose(np.diff(parts), np.diff(whole), rtol=TWO_WAYS)


def test_the_prior_is_normal_about_the_usual_contrast_and_as_wide_as_the_noise_says():
    prior = scaling_prior(np.array([0.02, 0.03]), (None, 1.2))
    assert isinstance(prior, ScalingPrior)
    np.testing.assert_allclose(prior.mean, [[0.5, 1.2], [0.5, 1.2]])
    np.testing.assert_allclose(prior.precision[:, 0], [(0.02 / 0.25) ** 2, (0.03 / 0.25) ** 2])
    np.testing.assert_allclose(prior.rate, [4e-4, 9e-4])
    np.testing.assert_allclose(prior.of(np.array([1])).rate, [9e-4])


def test_a_prior_of_the_user_takes_the_place_of_the_usual_one():
    prior = scaling_prior(np.array([0.02, 0.03]), priors={"contrast": Prior("normal", 0.2, 0.05)})
    np.testing.assert_allclose(prior.mean, [[0.2, 1.0]] * 2)
    np.testing.assert_allclose(
        prior.precision, [[(0.02 / 0.05) ** 2, (0.02 / 0.25) ** 2], [(0.03 / 0.05) ** 2, (0.03 / 0.25) ** 2]]
    )


@pytest.mark.slow
def test_a_narrow_prior_holds_the_contrast(static_problem, sampled):
    problem = static_problem(frames=24, noise=0.05)
    free = sampled(problem)
    given = sampled(
        replace(problem, choices=replace(problem.choices, prior={"contrast": Prior("normal", 0.1, 1e-6)}))
    )
    assert free.scaling[0].contrast > 0.2
    assert given.scaling[0].contrast == pytest.approx(0.1, abs=1e-4)


def test_bins_are_independent():
    both = [model_and_data(seed) for seed in (0, 1)]
    each = [float(log_marginal(found_for(*one, (None, None)))[0]) for one in both]
    sums, moments = (
        type(first)(*(np.concatenate(x) for x in zip(first, second, strict=True)))
        for first, second in zip(*(sums_of(*one) for one in both), strict=True)
    )
    given = scaling_prior(np.array([NOISE, NOISE]))
    joint = log_marginal(conditional(sums, moments, moments.pairs, given))
    np.testing.assert_allclose(joint, each, rtol=REORDERED)


def test_the_constant_left_out_does_not_depend_on_the_model():
    """What the closed form leaves out: gammas, the prior's normalisation and powers of 2π."""
    s, data = model_and_data(2)
    full = student(s, data, (None, None))
    n, a0, b0, of_prior = len(s), 1.0, NOISE**2, 2.0 * np.log((NOISE / 0.25) ** 2)
    left_out = (
        0.5 * of_prior + a0 * np.log(b0) + gammaln(a0 + n / 2) - gammaln(a0) - 0.5 * n * np.log(2 * np.pi)
    )
    assert float(log_marginal(found_for(s, data, (None, None)))[0]) + left_out == pytest.approx(
        full, abs=1e-8
    )
