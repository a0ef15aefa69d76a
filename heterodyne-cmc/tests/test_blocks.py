"""The log likelihood by blocks of pairs: against its definition, and what ArviZ makes of it."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.reading import read_bins
from heterodyne.evaluators.meshgrid import averaged_matrix
from heterodyne.problem.choices import Choices
from heterodyne.problem.problem import create_problem
from heterodyne_cmc import netcdf, reduced_blocks
from heterodyne_cmc.blocks import block_likelihood, block_scale, stripes_within
from heterodyne_cmc.coordinates import create_space, physical_values
from heterodyne_cmc.joint import JointDraws
from heterodyne_cmc.prepare import code_of, with_own_scaling
from tolerances import TWO_WAYS

FRAMES = 50

TRUTH = {"D0": 3e3, "alpha": 0.2, "D_offset": 0.0}


def data_with(which):
    """Simulated data of two bins of 50 frames, whole or without some frames and pairs."""
    data = het.simulate("static", params=TRUTH, frames=FRAMES, phi=[0.0, 90.0], noise=0.02)
    if which == "whole":
        return data
    mask = np.ones((2, FRAMES), dtype=bool)
    mask[0, 3] = False
    return replace(data, mask=mask, bad_pairs=np.array([[0, 10, 40], [1, 11, 12]]))


def not_separable():
    model = het.create_model("static")
    return replace(model, components=None)


def drawn(problem, bins, count=5):
    """Draws made up, about the start values."""
    rng, p = np.random.default_rng(0), len(problem.varying)
    u = 0.01 * rng.normal(size=(1, count, p))
    w = np.array([0.2, 1.0]) + 0.01 * rng.normal(size=(1, count, len(bins), 2))
    return JointDraws(u, w, np.log(0.02) + 0.1 * rng.normal(size=(1, count, len(bins))))


def exact(problem, bins, space, draws, k):
    """Σ log N(c2 | offset + contrast S, σ²/W) over all pairs at draw k, per block of no pair lost, by bin."""
    values = physical_values(space, code_of(problem).form, draws.u)[0, k]
    sums = []
    for b, bin in enumerate(bins):
        s = averaged_matrix(problem.model, problem.expand(values), bin.t, bin.nodes)
        w = np.triu(bin.weights(), 1)
        used = w > 0
        (contrast, offset), sigma = draws.w[0, k, b], np.exp(draws.log_noise[0, k, b])
        c2 = bin.moments.reference + bin.d[used] / w[used]
        variance = sigma**2 / w[used]
        r = c2 - contrast * s[used] - offset
        sums.append(float(np.sum(-0.5 * np.log(2.0 * np.pi * variance) - 0.5 * r**2 / variance)))
    return sums


@pytest.mark.parametrize("model", ["static", "not separable"])
@pytest.mark.parametrize("which", ["whole", "masked"])
def test_blocks_add_up_to_the_gaussian_of_all_pairs(which, model):
    model = not_separable() if model == "not separable" else het.create_model(model)
    choices = Choices(fix={"D_offset": 0.0}, start={"D0": 3e3, "alpha": 0.2})
    problem = with_own_scaling(create_problem(data_with(which), model, choices))
    bins, code = read_bins(problem.data), code_of(problem)
    space, draws = create_space(problem, problem.column("start")), drawn(problem, bins)
    found = block_likelihood(code, space, bins, draws, 1.0)
    for k in range(draws.u.shape[1]):
        sums = np.bincount(found.bin, found.values[0, k])
        np.testing.assert_allclose(sums, exact(problem, bins, space, draws, k), rtol=TWO_WAYS)
    pairs = np.bincount(found.bin, found.columns.pairs)
    assert pairs.tolist() == [bin.moments.pairs for bin in bins]
    assert found.columns.last_column.max() == FRAMES - 1
    half = block_likelihood(code, space, bins, draws, 0.5)
    np.testing.assert_array_equal(half.values, 0.5 * found.values)


def test_many_draws_of_many_bins_have_fewer_blocks():
    assert stripes_within(3 * 4000) == 10
    assert stripes_within(100 * 40_000) == 3
    assert stripes_within(10**9) == 1


@pytest.mark.parametrize(("inflation", "scale"), [(1.0, 1.0), (81.5, 2.0**-6), (4.0, 0.25), (0.4, 1.0)])
def test_the_scale_is_the_share_of_information_that_is_left_as_a_power_of_two(inflation, scale):
    assert block_scale(inflation) == scale


@pytest.fixture(scope="module", params=[0.0, 1.0])
def compared(request, solved, sampled, tmp_path_factory):
    """Whether alpha is in the data, and ArviZ's trees of a model without and one with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import arviz
    alpha = request.param * 0.5
    truth = {**TRUTH, "alpha": alpha}
    data = het.simulate("static", params=truth, frames=FRAMES, phi=[0.0, 90.0], noise=0.03)
    trees = {}
    for name, fix in (("small", {"D_offset": 0.0, "alpha": 0.0}), ("large", {"D_offset": 0.0})):
        start = {key: value for key, value in TRUTH.items() if key not in fix}
        problem = solved(create_problem(data, het.create_model("static"), Choices(fix=fix, start=start)))
        fit = sampled(problem, chains=2, warmup=150, draws=500, likelihood="independent")
        (path,) = netcdf.write(fit, tmp_path_factory.mktemp(name))
        trees[name] = arviz.from_netcdf(str(path))
    return alpha > 0.0, arviz, trees


@pytest.mark.slow
def test_leaving_blocks_out_prefers_the_model_that_made_the_data(compared):
    larger, arviz, trees = compared
    left_out = {name: arviz.loo(tree, pointwise=True) for name, tree in trees.items()}
    for each in left_out.values():
        assert np.mean(np.asarray(each.pareto_k) < 0.7) > 0.9
    table = arviz.compare(left_out)
    if larger:
        assert table.index[0] == "large"
        assert table["elpd_diff"].abs().iloc[1] > 3.0 * table["dse"].iloc[1]
    elif table.index[0] == "large":
        assert table["elpd_diff"].abs().iloc[1] < table["dse"].iloc[1]


def test_interpolated_blocks_are_those_of_every_draw(monkeypatch):
    data = het.simulate("static", params=TRUTH, frames=270, phi=[0.0], noise=0.02)
    choices = Choices(fix={"D_offset": 0.0}, start={"D0": 3e3, "alpha": 0.2})
    problem = with_own_scaling(create_problem(data, het.create_model("static"), choices))
    bins, code = read_bins(problem.data), code_of(problem)
    space, draws = create_space(problem, problem.column("start")), drawn(problem, bins, 60)
    # as near as those of a posterior
    draws = replace(draws, w=np.array([0.15, 1.0]) + 0.01 * (draws.w - [0.2, 1.0]))
    every = block_likelihood(code, space, bins, draws, 1.0)
    for name, value in {"_SNAPSHOTS": 30, "_FEWEST": 1, "_FEWEST_FRAMES": 1}.items():
        monkeypatch.setattr(reduced_blocks, name, value)
    interpolated = block_likelihood(code, space, bins, draws, 1.0)
    np.testing.assert_allclose(interpolated.values, every.values, atol=0.01)
    assert not np.array_equal(interpolated.values, every.values)


def test_blocks_that_interpolation_misses_are_summed_at_every_draw(monkeypatch):
    data = het.simulate("static", params=TRUTH, frames=270, phi=[0.0], noise=0.02)
    problem = with_own_scaling(
        create_problem(data, het.create_model("static"), Choices(fix={"D_offset": 0.0}))
    )
    (bin,) = read_bins(problem.data)
    names, rng = problem.model.parameters, np.random.default_rng(0)
    thetas = np.array([TRUTH[name] for name in names]) * rng.uniform(0.5, 2.0, (40, len(names)))
    w, noise = np.tile([0.2, 0.0], (40, 1)), np.full(40, 0.02)
    monkeypatch.setattr(reduced_blocks, "_SNAPSHOTS", 3)
    assert reduced_blocks.interpolated_squares(problem.model, bin, 32, thetas, w, noise) is None
