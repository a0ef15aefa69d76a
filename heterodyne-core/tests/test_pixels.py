"""Means and full widths of bins from their pixels, against edges that are known."""

from __future__ import annotations

import numpy as np
import pytest

from heterodyne.loading.pixels import Geometry, bins_of_pixels

SHAPE = (181, 201)
GEOMETRY = Geometry(row=90.3, column=99.6, distance=5.0, pixel=7.5e-5, energy=10.0)
WAVENUMBER = 2 * np.pi * 10.0 / 12.39841984


def polar(geometry=GEOMETRY, shape=SHAPE):
    """Radius in pixels and azimuth in degrees of every pixel."""
    row, column = np.indices(shape)
    y, x = row - geometry.row, column - geometry.column
    return np.hypot(x, y), np.degrees(np.arctan2(y, x))


def sector(centre, width, inner=40.0, outer=80.0):
    radius, phi = polar()
    apart = np.abs((phi - centre + 180) % 360 - 180)
    return (apart < width / 2) & (radius >= inner) & (radius < outer)


def of(*regions, geometry=GEOMETRY, labels=None):
    roi = np.zeros(SHAPE, int)
    for label, region in enumerate(regions, start=1):
        roi[region] = label
    return bins_of_pixels(roi, np.arange(1, len(regions) + 1) if labels is None else labels, geometry)


def q_of(radius, geometry=GEOMETRY):
    return 2 * WAVENUMBER * np.sin(np.arctan(radius * geometry.pixel / geometry.distance) / 2)


@pytest.mark.parametrize("width", [3.0, 6.0, 30.0, 90.0, 160.0])
@pytest.mark.parametrize("centre", [0.0, 37.0, 90.0, 179.0, -120.0])
def test_a_sector_has_its_edges_as_width_and_its_middle_as_azimuth(centre, width):
    found = of(sector(centre, width))
    assert found.dphi[0] == pytest.approx(width, abs=1.0)
    assert abs((found.phi[0] - centre + 180) % 360 - 180) < 0.5
    assert found.dq[0] == pytest.approx(q_of(80.0) - q_of(40.0), rel=0.07)
    assert not found.ring[0]


def test_q_is_the_mean_over_the_pixels_at_any_angle():
    near = Geometry(90.3, 99.6, distance=0.02, pixel=7.5e-5, energy=10.0)  # up to 17 degrees
    region = sector(20.0, 40.0)
    q = q_of(polar()[0], near)[region]
    assert of(region, geometry=near).q[0] == pytest.approx(q.mean(), rel=1e-4)
    assert of(region, geometry=near).dq[0] == pytest.approx(np.sqrt(12) * q.std(), rel=2e-3)


def test_a_masked_bin_has_the_mean_and_the_spread_of_what_is_left():
    radius, phi = polar()
    region = sector(0.0, 60.0) & ~((phi > 0) & (phi < 22)) & ~((radius > 50) & (phi < -10))
    found = of(region)
    assert found.phi[0] == pytest.approx(phi[region].mean(), abs=0.1)
    assert found.dphi[0] == pytest.approx(np.sqrt(12) * phi[region].std(), rel=0.02)
    assert found.q[0] == pytest.approx(q_of(radius[region]).mean(), rel=1e-6)


@pytest.mark.parametrize(("covered", "ring"), [(360.0, True), (300.0, True), (237.0, True), (150.0, False)])
def test_a_bin_round_more_than_half_the_circle_is_a_ring(covered, ring):
    assert of(sector(50.0, covered, 20.0, 60.0)).ring[0] == ring


def test_strays_far_from_a_bin_change_nothing():
    region = sector(45.0, 6.0)
    alone = of(region)
    strayed = region.copy()
    strayed[5, 5] = strayed[170, 190] = strayed[90, 0] = True
    for mine, other in zip(of(strayed), alone, strict=True):
        np.testing.assert_allclose(mine, other)


def test_labels_without_pixels_and_beyond_the_map_are_unknown():
    found = of(sector(0.0, 30.0), sector(90.0, 0.0), labels=np.array([1, 2, 7, 10**12]))
    assert found.known.tolist() == [True, False, False, False]
    assert np.isnan(found.q[1:]).all()


def test_two_pixels_are_too_few():
    region = np.zeros(SHAPE, bool)
    region[90, 150:152] = True
    assert not of(region).known[0]


def test_bins_are_the_same_whatever_block_of_rows_they_lie_in(monkeypatch):
    regions = [sector(centre, 30.0) for centre in range(0, 360, 30)]
    whole = of(*regions)
    monkeypatch.setattr("heterodyne.loading.pixels._BLOCK", 1000)
    for mine, other in zip(of(*regions), whole, strict=True):
        np.testing.assert_allclose(mine, other)
