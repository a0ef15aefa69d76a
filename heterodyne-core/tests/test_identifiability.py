"""Directions that the data determine."""

import numpy as np

from heterodyne.problem.spectrum import independent_covariance, spectrum_of


def test_a_full_rank_matrix_gives_its_inverse():
    rng = np.random.default_rng(0)
    jacobian = rng.normal(size=(100, 4)) * [1.0, 1e3, 1e-3, 10.0]
    gram = jacobian.T @ jacobian
    found = spectrum_of(gram, np.full(4, 1e9))
    assert found.rank == 4
    assert not found.undetermined.any()
    np.testing.assert_allclose(independent_covariance(found), np.linalg.inv(gram), rtol=1e-8)


def test_two_merged_parameters_are_undetermined_and_the_third_is_not():
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=(2, 50))
    jacobian = np.stack([one, 2.0 * one, two], axis=1)
    found = spectrum_of(jacobian.T @ jacobian, np.full(3, 1e9))
    assert found.rank == 2
    np.testing.assert_array_equal(found.undetermined, [True, True, False])
    np.testing.assert_allclose(
        independent_covariance(found)[2, 2],
        np.linalg.inv(jacobian[:, 1:].T @ jacobian[:, 1:])[1, 1],
        rtol=1e-6,
    )


def test_an_error_wider_than_the_bounds_is_no_determination():
    gram = np.diag([1.0, 1.0])
    np.testing.assert_array_equal(spectrum_of(gram, np.array([100.0, 1.5])).undetermined, [False, True])


def test_a_parameter_without_any_effect_is_undetermined():
    np.testing.assert_array_equal(
        spectrum_of(np.diag([1.0, 0.0]), np.full(2, 1e6)).undetermined, [False, True]
    )
