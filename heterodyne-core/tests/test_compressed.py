"""Compressed tiles against tiles that are read: all sums within the stated bound, and reading where that fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heterodyne as het
from heterodyne.bins.compressed import Compressed, Region
from heterodyne.bins.streaming import stream_bin
from heterodyne.evaluators import compressed, streamed
from heterodyne.evaluators.sums import bin_sums
from heterodyne.evaluators.whitened import can_be_whitened, product_bin, whitened_bin
from heterodyne.problem.choices import Choices
from heterodyne.problem.compression import compressed as compressed_objective
from heterodyne.problem.compression import compression_words, left_out_at, uncompressed
from heterodyne.problem.objective import create_objective
from heterodyne.problem.problem import create_problem
from tolerances import REORDERED

FRAMES, TILE, SIZE = 320, 64, 32
RADIANS = {"smooth": 0.02, "fast": 2.4}  # of a fringe from frame to frame


def data_of(kind="smooth", **changes):
    slow = {"D0_ref": 40.0, "D0_sample": 10.0, "D_offset_ref": 1.0, "D_offset_sample": 0.5}
    speed = {"v0": RADIANS[kind] / (0.01 * 0.1), "beta": 0.0, "v_offset": 0.0, "phi0": 0.0}
    data = het.simulate("two-component", params=slow | speed, frames=FRAMES, phi=(0.0,), seed=3)
    return replace(data, **changes)


def troubled(kind="smooth"):
    """Masked frames, a value that is not finite in one of them, bad pairs and weights."""
    rng = np.random.default_rng(7)
    mask = np.ones((1, FRAMES), dtype=bool)
    mask[:, [0, 70, 71, FRAMES - 1]] = False
    bad = np.array([[0, 5, 200], [0, 63, 64]])
    data = data_of(kind, mask=mask, bad_pairs=bad, weight=rng.uniform(0.3, 2.0, (1, FRAMES)))
    c2 = np.array(data.c2)
    c2[:, 70], c2[:, :, 70] = np.nan, np.inf
    return replace(data, c2=c2)


def theta_of(data, model):
    return np.array([data.provenance["truth"]["params"][name] for name in model.parameters])


def around(theta):
    """Points within a few thousandths."""
    return theta * (1.0 + 3e-3 * np.random.default_rng(1).uniform(-1.0, 1.0, (8, len(theta))))


def scale_at(model, theta, bin):
    sums = streamed.bin_sums(model, theta, bin)
    return compressed.scale_of(bin.moments, bin.moments.pairs, *sums)


def made(data, skip=0):
    """The model, true parameters, a bin of tiles, the same compressed, and its scale."""
    model, bin = het.create_model("two-component"), stream_bin(data, 0, skip, 1e9, TILE)
    theta, told = theta_of(data, model), []
    region = Region(around, told.append, SIZE)
    of = replace(bin, values=Compressed(bin.tiles, region))
    scale = scale_at(model, theta, bin)
    compressed.compress(model, theta[None], of, scale)
    assert "vectors" in told[0]
    return model, theta, bin, of, scale


def worst(scale, sums, expected):
    """What sums leave out of the log-likelihood and its changes over errors."""
    off = np.abs(sums.cross - expected.cross) * scale.contrast / scale.noise**2
    return max(
        off[0],
        float(
            np.max(
                off[1:] * np.where(np.isfinite(scale.errors), scale.errors, 0.0)[: len(off) - 1], initial=0.0
            )
        ),
    )


@pytest.mark.parametrize("kind", RADIANS)
@pytest.mark.parametrize(("make", "skip"), [(data_of, 0), (troubled, 2)])
def test_compressed_sums_are_those_of_all_tiles_within_the_tolerance(kind, make, skip):
    model, theta, bin, of, scale = made(make(kind), skip)
    rank = of.values.held.projected.basis.shape[2]
    assert rank <= SIZE // 2
    for at in (theta, *around(theta)[:2]):
        for jacobian in (True, False):
            sums, expected = bin_sums(model, at, of, jacobian), bin_sums(model, at, bin, jacobian)
            np.testing.assert_allclose(sums.gram, expected.gram, rtol=REORDERED)
            assert worst(scale, sums, expected) < compressed.TOLERANCE
            if jacobian:
                assert np.any(sums.cross != expected.cross)
    assert of.values.held.outside == 0


@pytest.mark.parametrize("kind", RADIANS)
def test_the_bound_is_no_less_than_what_is_left_out(kind):
    model, theta, bin, of, scale = made(data_of(kind))
    held = of.values.held
    coarse = held.projected.basis[:, :, :4]
    held.projected = compressed.projected(
        bin.tiles, np.sqrt(bin.weight), bin.moments.reference, coarse, bin.skipped, np.zeros(0)
    )
    outside = compressed._outside(model, theta, of, coarse)
    rows, slopes, *_ = streamed.rows_and_sums(
        model, theta, bin.t, bin.nodes, streamed.model_sums, (bin.weight,), True
    )
    cross, again = compressed._known(rows, slopes, np.sqrt(bin.weight), held.projected, SIZE)
    np.testing.assert_allclose(again, outside, rtol=1e-6)
    expected = streamed.bin_sums(model, theta, bin)
    bound = compressed.left_out(of.values, held.projected.beyond, scale, outside)
    assert worst(scale, expected._replace(cross=np.asarray(cross)), expected) < bound


def test_the_noise_outside_of_the_span_is_that_of_the_data():
    *_, of, scale = made(data_of())
    assert of.values.held.projected.beyond == pytest.approx(scale.noise, rel=0.03)


def test_tiles_are_read_for_parameters_outside_of_the_span_and_soon_compressed_anew():
    model, theta, bin, of, _ = made(data_of("fast"))
    far = theta * np.where(np.array(list(model.parameters)) == "v0", 1.3, 1.0)
    for number in range(3):
        sums, expected = bin_sums(model, far, of), bin_sums(model, far, bin)
        np.testing.assert_array_equal(sums.cross, expected.cross)
        assert of.values.held.outside == number + 1
    assert of.values.held.passes == 2
    scale = scale_at(model, far, bin)
    assert worst(scale, bin_sums(model, far, of), expected) < compressed.TOLERANCE
    assert of.values.held.outside == 3


def test_where_no_few_vectors_serve_tiles_are_read():
    model, theta, bin, of, scale = made(data_of())
    rng = np.random.default_rng(0)
    wild = replace(of.values.region, around=lambda theta: theta * rng.uniform(0.01, 100.0, (20, len(theta))))
    of = replace(of, values=Compressed(bin.tiles, wild))
    compressed.compress(model, theta[None], of, scale)
    assert of.values.held.projected is None
    expected = bin_sums(model, theta, bin)
    np.testing.assert_array_equal(bin_sums(model, theta, of).cross, expected.cross)


@pytest.mark.parametrize("kind", RADIANS)
def test_data_weighted_by_the_covariance_of_frames_compress_too(kind):
    data, model = data_of(kind), het.create_model("two-component")
    bin, theta = stream_bin(data, 0, 0, 1e9, TILE), theta_of(data, model)
    assert can_be_whitened(bin)
    bin = whitened_bin(model, theta, bin, 5.0)
    expected = bin_sums(model, theta, bin)
    scale = compressed.scale_of(bin.values.moments, bin.moments.pairs, *expected)
    smooth = compressed.smoothing(model, theta, bin, 5.0, SIZE)
    region = Region(around, print, SIZE)
    values = Compressed(product_bin(bin).tiles, region, smooth, 5.0**-2)
    compressed.compress(model, theta[None], replace(product_bin(bin), values=values), scale)
    of = replace(bin, values=replace(bin.values, d=values))
    assert worst(scale, bin_sums(model, theta, of), expected) < compressed.TOLERANCE
    assert values.held.outside == 0
    assert values.held.passes == 1


def test_an_objective_is_compressed_about_points_and_says_so():
    data = data_of()
    problem, told = create_problem(data, het.create_model("two-component"), Choices(fix={"phi0": 0.0})), []
    objective = create_objective(problem, (stream_bin(data, 0, 0, 1e9, TILE),))
    u = objective.point(data.provenance["truth"]["params"])
    of = compressed_objective(objective, u[None], told.append)
    assert of.cost(u) == pytest.approx(objective.cost(u), rel=1e-7)
    assert left_out_at(of, u) < compressed.TOLERANCE
    assert "vectors" in compression_words(of)
    assert told
    assert compression_words(uncompressed(of)) == compression_words(objective) == ""
