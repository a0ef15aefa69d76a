"""Structure of residuals: block sums against loops, noise that passes, structure that is found."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import block_diag

from heterodyne import create_model, simulate
from heterodyne.bins.reading import read_bins
from heterodyne.bins.streaming import stream_bin
from heterodyne.solution.residuals import examine_residuals
from heterodyne.solution.structure import BlockSums, cell_panel, cells_of, lag_edges, residual_structure
from tolerances import REORDERED, TWO_WAYS

N = 120
TRUTH = {"D0": 3e3, "alpha": 0.1, "D_offset": 0.0}
MODEL = create_model("static")
UPPER = np.triu(np.ones((N, N)), 1)
LAG = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
AGE = np.add.outer(np.arange(N), np.arange(N)) / (2.0 * N)


def data_of(frames=N, **choices):
    return simulate(model="static", params=TRUTH, phi=[0.0], frames=frames, seed=1, **choices)


def cells_about(residual, weight=UPPER):
    """The cells of one bin with this residual (N, N) about a fitted offset, noise 1."""
    edges = lag_edges(N)
    residual = residual - np.sum(residual * weight) / weight.sum()
    share = [(edges[k] <= LAG) & (edges[k + 1] > LAG) for k in range(len(edges) - 1)]
    sums = BlockSums(
        *(np.array([of * weight * one for one in share]) for of in (residual, np.ones((N, N)))), N, 1
    )
    return cells_of(sums, 1.0), weight


def white(seed):
    noise = np.triu(np.random.default_rng(seed).normal(size=(N, N)), 1)
    return noise + noise.T


def kernel(length):
    """What makes noise that frames within about ``length`` share, of variance about 1."""
    rows = np.exp(-0.5 * (np.subtract.outer(np.arange(N), np.arange(N)) / length) ** 2)
    return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))


def smooth(seed, length):
    return kernel(length) @ white(seed) @ kernel(length).T


def checked(*residuals, length=None, weight=UPPER):
    """The structure of bins with these residuals, whose noise is that of the kernel of this length."""
    every = [cells_about(one, weight) for one in residuals]
    root = np.eye(N) if length is None else kernel(length)
    variance = [_covariance(cells, weight, root) for cells, _ in every]
    return residual_structure([cells for cells, _ in every], np.asarray(block_diag(*variance)))


def _covariance(cells, weight, root):
    panel = cell_panel(cells.z, N, 1, slice(0, N)) * (weight + weight.T)
    taken = 0.5 * panel.sum(axis=(1, 2)) / weight.sum()
    left = panel - taken[:, None, None] * (weight + weight.T)
    q = root.T @ left @ root
    return 0.5 * np.einsum("fij,gij->fg", q, q)


@pytest.mark.parametrize("frames", [2, 3, 10, 57, 120, 5000])
def test_lag_bins_cover_all_lags_and_the_last_is_the_longer_half(frames):
    edges = lag_edges(frames)
    assert edges[0] == 1
    assert edges[-1] >= frames
    assert np.all(np.diff(edges) > 0)
    assert edges[-2] == max(frames // 2, 2)


def test_sums_by_lag_and_blocks_are_those_of_a_loop():
    data = data_of(frames=150, noise=0.05)  # more than 128 frames: two in a block
    one = read_bins((data,))[0]
    found = examine_residuals(MODEL, TRUTH, one, 0.15, 1.0).sums
    residual = data.c2[0] - 1.0 - 0.15 * MODEL.correlation(TRUTH, data.t, data.q[0])
    edges, expected = lag_edges(150), np.zeros_like(found.residual)
    for i in range(150):
        for j in range(i + 1, 150):
            expected[np.searchsorted(edges, j - i, side="right") - 1, i // 2, j // 2] += residual[i, j]
    assert (found.frames, found.grain) == (150, 2)
    np.testing.assert_allclose(found.residual, expected, atol=REORDERED)
    assert found.weight.sum() == 150 * 149 / 2


def test_sums_of_a_streamed_bin_are_those_of_one_in_memory():
    data = data_of(frames=150, noise=0.05)
    data = replace(data, mask=np.arange(150) % 13 != 7)
    whole = examine_residuals(MODEL, TRUTH, read_bins((data,))[0], 0.15, 1.0)
    parts = examine_residuals(MODEL, TRUTH, stream_bin(data, 0, 0, 1 << 20, 64), 0.15, 1.0)
    np.testing.assert_allclose(parts.sums.residual, whole.sums.residual, atol=TWO_WAYS)
    np.testing.assert_allclose(parts.sums.weight, whole.sums.weight, atol=TWO_WAYS)
    np.testing.assert_allclose(parts.neighbours, whole.neighbours, rtol=TWO_WAYS)


def test_sums_over_neighbours_are_those_of_a_loop():
    data = replace(data_of(frames=70, noise=0.05), mask=np.arange(70) % 13 != 7)
    found = examine_residuals(MODEL, TRUTH, read_bins((data,))[0], 0.15, 1.0).neighbours
    s = MODEL.correlation(TRUTH, data.t, data.q[0])
    r, used = data.c2[0] - 1.0 - 0.15 * s, np.triu(np.outer(data.mask[0], data.mask[0]), 1)
    in_row = [(i, j) for i in range(70) for j in range(69) if used[i, j] and used[i, j + 1]]
    squares = [(i, j) for i, j in in_row if i < 69 and used[i + 1, j] and used[i + 1, j + 1]]
    after = np.diagonal(s, 1)
    assert (found.in_row, found.in_square) == (len(in_row), len(squares))
    expected = {
        "difference": sum(0.5 * (r[i, j] - r[i, j + 1]) ** 2 for i, j in in_row),
        "s_square": sum(s[i, j] ** 2 for i, j in in_row),
        "next": sum(after[j] for _, j in in_row),
        "mixed": sum(0.25 * (r[i, j] - r[i, j + 1] - r[i + 1, j] + r[i + 1, j + 1]) ** 2 for i, j in squares),
        "next_both": sum(after[i] + after[j] for i, j in squares),
        "next_product": sum(after[i] * after[j] for i, j in squares),
        "of_lag": sum(0.5 * (r[i, j] - r[i + 1, j + 1]) ** 2 for i, j in squares),
        "s_of_lag": sum(s[i + 1, j + 1] ** 2 - s[i + 1, j] * s[i, j + 1] for i, j in squares),
    }
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=TWO_WAYS), name


@pytest.mark.parametrize("length", [0.3, 1.0, 2.0])
def test_noise_passes_however_many_frames_share_it(length):
    verdicts = [
        checked(smooth(3 * seed, length), smooth(3 * seed + 1, length), length=length).verdict
        for seed in range(20)
    ]
    assert verdicts.count("no structure found") >= 19


@pytest.mark.parametrize(("length", "depth"), [(0.3, 0.6), (1.0, 1.5), (2.0, 3.0)])
def test_a_dip_at_short_lags_is_structure_over_lag(length, depth):
    dip = -depth * np.exp(-LAG / 8.0)
    found = [
        checked(smooth(seed, length) + dip, smooth(seed + 50, length) + dip, length=length)
        for seed in range(8)
    ]
    assert sum(one.lag.found for one in found) >= 7
    assert sum(one.age.found for one in found) <= 1


def test_a_drift_is_structure_over_age():
    verdicts = [checked(white(seed) + AGE, white(seed + 50) + AGE).verdict for seed in range(8)]
    assert verdicts.count("structure over age") >= 7


def test_what_bins_have_in_common_is_found_though_none_shows_it_alone():
    common = 0.12 * AGE
    alone = [checked(white(seed) + common).age.found for seed in range(6)]
    together = [checked(*(white(10 * seed + b) + common for b in range(8))).age.found for seed in range(6)]
    assert sum(together) >= sum(alone) + 3


def test_pairs_that_are_left_out_are_no_cell():
    found = checked(white(3), weight=UPPER * (LAG > 2))
    assert np.all(np.isnan(found.lag_z[0][:2]))
    assert np.all(np.isfinite(found.lag_z[0][2:]))
