"""Structure of residuals: sums over patches against loops, noise that passes, structure that is found."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import block_diag

from heterodyne import create_model, simulate
from heterodyne.bins.reading import read_bins
from heterodyne.bins.streaming import stream_bin
from heterodyne.solution.misfit import Sight, noise_between
from heterodyne.solution.patches import Sizes, no_sums, patches_of
from heterodyne.solution.residuals import examine_residuals
from heterodyne.solution.structure import cells_of, lag_bins, lag_edges, residual_structure
from tolerances import REORDERED, TWO_WAYS

N = 120
TRUTH = {"D0": 3e3, "alpha": 0.1, "D_offset": 0.0}
MODEL = create_model("static")
UPPER = np.triu(np.ones((N, N)), 1)
LAG = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
AGE = np.add.outer(np.arange(N), np.arange(N)) / (2.0 * N)


def data_of(frames=N, **choices):
    return simulate(model="static", params=TRUTH, phi=[0.0], frames=frames, seed=1, **choices)


WHOLE = patches_of(np.ones(N, dtype=bool))
PARTS = patches_of(np.ones(N, dtype=bool), Sizes(whole=0, groups=24, windows=4, width=12))


def cells_about(residual, weight=UPPER, patches=WHOLE):
    """The cells of one bin with this residual (N, N) about a fitted offset, noise 1."""
    residual = residual - np.sum(residual * weight) / weight.sum()
    sums = [no_sums(of) for of in patches]
    for of in sums:
        of.add(0, 0, residual * weight, weight)
    return cells_of(sums, 1.0), weight


def whole_z(cells):
    """z of every cell between frames, (F, N, N)."""
    found = []
    for patches, z in zip(cells.patches, cells.z, strict=True):
        u = patches.columns(N)
        found.append(np.einsum("wis,fwst,wjt->fij", u, z, u, optimize=True))
    return np.concatenate(found)


def white(seed):
    noise = np.triu(np.random.default_rng(seed).normal(size=(N, N)), 1)
    return noise + noise.T


def kernel(length):
    """What makes noise that frames within about ``length`` share, of variance about 1."""
    rows = np.exp(-0.5 * (np.subtract.outer(np.arange(N), np.arange(N)) / length) ** 2)
    return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))


def smooth(seed, length):
    return kernel(length) @ white(seed) @ kernel(length).T


def checked(*residuals, length=None, weight=UPPER, patches=WHOLE):
    """The structure of bins with these residuals, whose noise is that of the kernel of this length."""
    every = [cells_about(one, weight, patches) for one in residuals]
    root = np.eye(N) if length is None else kernel(length)
    variance = [_covariance(cells, weight, root) for cells, _ in every]
    return residual_structure([cells for cells, _ in every], np.asarray(block_diag(*variance)))


def _covariance(cells, weight, root):
    panel = whole_z(cells) * (weight + weight.T)
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


@pytest.mark.parametrize("sizes", [Sizes(), Sizes(whole=0, groups=40, windows=4, width=10)])
@pytest.mark.parametrize("mask", [np.full(150, True), np.arange(150) % 13 != 7])
def test_sums_over_patches_are_those_of_a_loop(sizes, mask):
    data = replace(data_of(frames=150, noise=0.05), mask=mask)
    one = read_bins((data,))[0]
    found = examine_residuals(MODEL, TRUTH, one, 0.15, 1.0, sizes).sums
    residual = data.c2[0] - 1.0 - 0.15 * MODEL.correlation(TRUTH, data.t, data.q[0])
    for of in found:
        expected = np.zeros((2, *of.residual.shape))
        for patch, start in enumerate(of.patches.starts):
            stop = min(start + of.patches.size * of.patches.grain, 150)
            for i in range(start, stop):
                for j in range(i + 1, stop):
                    place = patch, (i - start) // of.patches.grain, (j - start) // of.patches.grain
                    if mask[i] and mask[j]:
                        expected[0][place] += residual[i, j]
                        expected[1][place] += 1.0
        np.testing.assert_allclose(of.residual, expected[0], atol=REORDERED)
        np.testing.assert_allclose(of.weight, expected[1], atol=REORDERED)
    assert found[-1].weight.sum() == pytest.approx(mask.sum() * (mask.sum() - 1) / 2)


def test_a_long_series_is_seen_in_windows_and_in_groups():
    windows, groups = patches_of(np.ones(600, dtype=bool))
    assert (windows.size, windows.grain, len(windows.starts)) == (16, 1, 32)
    assert (windows.starts[0], windows.starts[-1]) == (0, 576)
    assert (groups.size, groups.grain) == (86, 7)
    assert lag_bins((windows, groups)) == [
        *((1, 1), (2, 2), (3, 4), (5, 7), (8, 15)),
        *((1, 13), (8, 20), (15, 34), (29, 62), (57, 118), (113, 300), (295, 599)),
    ]


@pytest.mark.parametrize("used", [np.arange(600) > 500, np.arange(600) % 40 == 0, np.arange(600) % 2 == 0])
def test_windows_stand_where_frames_are_in_use(used):
    windows, groups = patches_of(used)
    assert windows.frames == groups.frames == np.flatnonzero(used)[-1] + 1
    assert np.all(np.diff(windows.starts) >= 16)
    assert all(used[start : start + 16].any() for start in windows.starts)


def test_sums_of_a_streamed_bin_are_those_of_one_in_memory():
    data = data_of(frames=300, noise=0.05)
    data = replace(data, mask=np.arange(300) % 13 != 7)
    whole = examine_residuals(MODEL, TRUTH, read_bins((data,))[0], 0.15, 1.0)
    parts = examine_residuals(MODEL, TRUTH, stream_bin(data, 0, 0, 1 << 20, 64), 0.15, 1.0)
    for part, of in zip(parts.sums, whole.sums, strict=True):
        np.testing.assert_allclose(part.residual, of.residual, atol=TWO_WAYS)
        np.testing.assert_allclose(part.weight, of.weight, atol=TWO_WAYS)
    np.testing.assert_allclose(parts.neighbours, whole.neighbours, rtol=TWO_WAYS)


def test_the_noise_of_cells_in_patches_is_that_of_their_pairs():
    cells, _ = cells_about(white(0), patches=PARTS)
    root = kernel(2.0)
    u = [of.columns(N).transpose(1, 0, 2).reshape(N, -1) for of in PARTS]
    sight = Sight(cells.z, np.concatenate([root.T @ of for of in u], axis=1), ())
    q = root.T @ whole_z(cells) @ root
    np.testing.assert_allclose(
        noise_between(sight, sight), 0.5 * np.einsum("fij,gij->fg", q, q), rtol=TWO_WAYS, atol=REORDERED
    )


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


@pytest.mark.parametrize("patches", [WHOLE, PARTS], ids=["whole", "parts"])
@pytest.mark.parametrize("length", [0.3, 1.0, 2.0])
def test_noise_passes_however_many_frames_share_it(length, patches):
    verdicts = [
        checked(
            smooth(3 * seed, length), smooth(3 * seed + 1, length), length=length, patches=patches
        ).verdict
        for seed in range(20)
    ]
    assert verdicts.count("no structure found") >= 19


@pytest.mark.parametrize("patches", [WHOLE, PARTS], ids=["whole", "parts"])
@pytest.mark.parametrize(("length", "depth"), [(0.3, 0.6), (1.0, 1.5), (2.0, 3.0)])
def test_a_dip_at_short_lags_is_structure_over_lag(length, depth, patches):
    dip = -depth * np.exp(-LAG / 8.0)
    found = [
        checked(smooth(seed, length) + dip, smooth(seed + 50, length) + dip, length=length, patches=patches)
        for seed in range(8)
    ]
    assert sum(one.lag.found for one in found) >= 7
    assert sum(one.age.found for one in found) <= 1


@pytest.mark.parametrize("patches", [WHOLE, PARTS], ids=["whole", "parts"])
def test_a_drift_is_structure_over_age(patches):
    verdicts = [
        checked(white(seed) + AGE, white(seed + 50) + AGE, patches=patches).verdict for seed in range(8)
    ]
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
