from __future__ import annotations

import numpy as np
import pytest

from heterodyne_viz.averages import block_average, lag_average, slots


@pytest.fixture
def matrix() -> np.ndarray:
    upper = np.random.default_rng(0).normal(size=(11, 11))
    return upper + upper.T


@pytest.fixture
def mask() -> np.ndarray:
    return np.array([True] * 4 + [False] + [True] * 6)


def usable_pairs(mask: np.ndarray) -> np.ndarray:
    return np.outer(mask, mask) & ~np.eye(len(mask), dtype=bool)


def test_slots_count_frame_periods_across_gaps():
    t = np.array([0.35, 0.45, 0.75, 0.85])
    assert slots(t, 0.1).tolist() == [0, 1, 4, 5]


def test_blocks_of_one_frame_are_the_matrix_itself(matrix, mask):
    usable = usable_pairs(mask)
    average = block_average(matrix, usable, np.arange(11))
    np.testing.assert_allclose(average, np.where(usable, matrix, np.nan))


def test_block_average_is_the_direct_mean_of_usable_pairs(matrix, mask):
    usable, block = usable_pairs(mask), np.arange(11) // 4
    direct = [
        [np.nanmean(np.where(usable, matrix, np.nan)[np.ix_(block == i, block == j)]) for j in range(3)]
        for i in range(3)
    ]
    np.testing.assert_allclose(block_average(matrix, usable, block), direct)


def test_blocks_without_frames_are_blank(matrix):
    block = np.repeat([0, 2], [6, 5])
    average = block_average(matrix, usable_pairs(np.ones(11, dtype=bool)), block)
    assert np.isnan(average[1]).all()
    assert np.isnan(average[:, 1]).all()
    assert np.isfinite(average[::2, ::2]).all()


def test_lag_average_is_the_mean_of_each_upper_diagonal(matrix, mask):
    usable = usable_pairs(mask)
    kept = np.where(usable, matrix, np.nan)
    direct = [np.nanmean(kept.diagonal(k)) for k in range(1, 11)]
    average = lag_average(matrix, usable, np.arange(11))
    assert np.isnan(average[0])
    np.testing.assert_allclose(average[1:], direct)


def test_lag_average_keeps_true_lags_across_a_gap(matrix):
    slot = np.array([0, 1, 5])
    average = lag_average(matrix[:3, :3], usable_pairs(np.ones(3, dtype=bool)), slot)
    np.testing.assert_allclose(average[[1, 4, 5]], [matrix[0, 1], matrix[1, 2], matrix[0, 2]])
    assert np.isnan(average[[0, 2, 3]]).all()
