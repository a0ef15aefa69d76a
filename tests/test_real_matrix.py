"""A matrix measured at NSLS-II: loaded from .npy, recognised as full, saved and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import heterodyne as het
from tolerances import REORDERED

MATRIX = Path(__file__).parent / "data" / "two_time_nsls2" / "test_g2.npy"


def load():
    return het.load(MATRIX, q=0.01, phi=0.0, dt=0.1)


def test_the_full_matrix_is_not_doubled():
    np.testing.assert_array_equal(load().c2[0], np.load(MATRIX))


def test_it_upper_half_survives_the_own_file_unchanged(tmp_path):
    saved = het.load(load().save(tmp_path / "real.h5"))
    assert saved.c2[0].dtype == np.float64
    np.testing.assert_array_equal(np.triu(saved.c2[0]), np.triu(np.load(MATRIX)))
    np.testing.assert_array_equal(saved.c2[0], saved.c2[0].T)
    assert saved.provenance["origin"]["file"] == str(MATRIX)


def test_repeating_the_mean_of_the_neighbours_leaves_its_diagonal_as_it_is():
    matrix = load().c2[0]
    beside = np.diagonal(matrix, 1)
    inner = (beside[1:] + beside[:-1]) / 2
    np.testing.assert_allclose(np.diagonal(matrix)[1:-1], inner, rtol=REORDERED)
