"""What counts as one ring, one direction and one axis, everywhere."""

from __future__ import annotations

import numpy as np
import pytest

import heterodyne as het
from heterodyne.data.geometry import axis_of, between_axes, between_directions, ring_of
from heterodyne.data.selection import Selection, choose_bins


def test_a_ring_ends_5_percent_above_its_smallest_q():
    q, phi = np.array([0.02, 0.01, 0.0103, 0.0205, 0.011]), 30.0 * np.arange(5)
    np.testing.assert_array_equal(ring_of(q, phi), [2, 0, 0, 2, 1])


@pytest.mark.parametrize("phi", [0.0, np.nan])
def test_rings_that_a_file_states_as_different_are_different_however_close(phi):
    q = np.array([0.0104, 0.01, 0.0108, 0.01])
    np.testing.assert_array_equal(ring_of(q, np.full(4, phi)), [1, 0, 2, 0])


def test_sectors_with_their_own_mean_q_are_one_ring():
    q, phi = np.array([0.01, 0.0101, 0.0099, 0.0104, 0.0105]), np.array([0.0, 30.0, 60.0, 0.0, 30.0])
    np.testing.assert_array_equal(ring_of(q, phi), [0, 0, 0, 1, 1])


def test_directions_and_axes_go_round():
    np.testing.assert_allclose(between_directions([-179.0, 90.0, 10.0], 179.0), [2.0, 89.0, 169.0])
    np.testing.assert_allclose(between_axes([-179.0, 90.0, 1.0], 179.0), [2.0, 89.0, 2.0])


def test_azimuths_half_a_turn_apart_and_within_half_a_bin_are_one_axis():
    phi = np.array([0.0, 180.0, 4.0, 6.0, -0.4, np.nan, np.nan])
    np.testing.assert_array_equal(axis_of(phi, np.full(7, 10.0)), [0, 0, 0, 1, 0, 2, 2])
    np.testing.assert_array_equal(axis_of(phi, np.full(7, np.nan)), [0, 0, 1, 2, 0, 3, 3])


def test_what_lies_apart_shares_no_axis():
    np.testing.assert_array_equal(axis_of(np.zeros(4), np.zeros(4), ["a", "b", "a", "b"]), [0, 1, 0, 1])


def test_a_value_selects_the_ring_that_everything_else_calls_one():
    q = np.array([0.0100, 0.0104, 0.0108, 0.0200])
    for phi, wanted in ((np.array([0.0, 30.0, 0.0, 0.0]), [0, 1]), (np.zeros(4), [1])):
        chosen = choose_bins(q, phi, Selection(q=(0.0103,)))
        np.testing.assert_array_equal(chosen, np.flatnonzero(ring_of(q, phi) == ring_of(q, phi)[1]))
        np.testing.assert_array_equal(chosen, wanted)


def test_bins_without_an_azimuth_are_selected_by_nan(tmp_path):
    path = het.simulate("static", q=[0.01, 0.02], phi=[0.0, np.nan], frames=5).save(tmp_path / "run.h5")
    data = het.load(path, phi=np.nan)
    np.testing.assert_array_equal(data.q, [0.01, 0.02])
    assert np.isnan(data.phi).all()
