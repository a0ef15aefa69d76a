"""q, azimuth, widths and rings of APS-U bins: from their pixels, and maps that contradict these."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

import heterodyne as het
from aps_u_files import GEOMETRY, SHAPE, merged, partition, q_and_phi, sectors
from heterodyne.errors import DataError

Q, PHI = q_and_phi()
ANNULUS = (Q >= 0.0085) & (Q <= 0.0115)


def means(part, quantity):
    return np.array([quantity[part.roi == label].mean() for label in range(1, len(part.natural) + 1)])


def without(path, key):
    with h5py.File(path, "r+") as file:
        del file[f"xpcs/qmap/{key}"]
    return path


def put(path, **values):
    with h5py.File(path, "r+") as file:
        for key, value in values.items():
            del file[f"xpcs/qmap/{key}"]
            file[f"xpcs/qmap/{key}"] = value
    return path


@pytest.mark.filterwarnings("error")
def test_means_and_widths_are_those_of_the_pixels(aps_u):
    part = sectors()
    data = het.load(aps_u(map=part))
    assert data.n_bins == 10  # the arm empties one sector of both rings
    np.testing.assert_allclose(data.q, means(part, Q), rtol=1e-6)
    np.testing.assert_allclose(data.phi, means(part, PHI), atol=0.05)
    np.testing.assert_allclose(data.dq, 0.0015, rtol=0.03)
    np.testing.assert_allclose(data.dphi, 59.0, atol=2.5)
    assert data.provenance["q_source"] == data.provenance["phi_source"] == "pixels of dynamic_roi_map"


def test_a_mask_leaves_part_of_a_cell(aps_u):
    part = partition(Q, PHI, ANNULUS & (np.abs((PHI + 180.0) % 45.0 - 22.5) < 3.0), (1, 8))
    data = het.load(aps_u(map=part))
    np.testing.assert_allclose(data.dphi, 6.0, atol=0.6)
    np.testing.assert_allclose(data.phi, np.arange(-157.5, 180.0, 45.0), atol=0.5)


@pytest.mark.parametrize("shadow", [0.0, 64.0, 123.0])
def test_one_azimuth_round_the_beam_is_a_ring(aps_u, shadow):
    used = ANNULUS & ~((90 - shadow / 2 < PHI) & (90 + shadow / 2 > PHI))
    part = partition(Q, PHI, used, (2, 1))
    assert np.isfinite(part.lists[1]).all()
    data = het.load(aps_u(map=part))
    assert np.isnan(data.phi).all()
    assert np.isnan(data.dphi).all()
    np.testing.assert_allclose(data.dq, 0.0015, rtol=0.03)


@pytest.mark.parametrize("centre", [0.0, 45.0, 90.0, 170.0, -179.0])
def test_one_azimuth_on_one_side_of_the_beam_is_a_sector(aps_u, centre):
    used = ANNULUS & (np.abs((PHI - centre + 180.0) % 360.0 - 180.0) < 20.0)
    data = het.load(aps_u(map=partition(Q, PHI, used, (2, 1))))
    apart = np.abs((data.phi - centre + 180.0) % 360.0 - 180.0)
    np.testing.assert_allclose(apart, 0.0, atol=1.0)
    np.testing.assert_allclose(data.dphi, 40.0, atol=1.5)


def test_azimuths_are_counted_as_the_list_counts_them(aps_u):
    part = sectors((1, 6), arm=False)
    shown = replace(part, lists=(part.lists[0], part.lists[1] % 360.0))
    np.testing.assert_allclose(het.load(aps_u(map=shown)).phi, shown.lists[1], atol=0.5)


def test_a_list_that_counts_towards_higher_rows_is_followed(aps_u):
    part = partition(Q, -PHI, ANNULUS & (np.abs(PHI + 30) < 80), (1, 5))
    data = het.load(aps_u(map=part))
    np.testing.assert_allclose(data.phi, part.lists[1], atol=0.5)
    assert "to higher rows" in data.provenance["phi_source"]


@pytest.mark.filterwarnings("error")
def test_bins_of_a_merged_map_are_where_their_pixels_are(aps_u):
    inner, outer = sectors((1, 6), (0.0085, 0.0098)), sectors((1, 6), (0.0102, 0.0115), arm=False)
    part = merged([inner, outer])
    data = het.load(aps_u(map=part))
    np.testing.assert_allclose(data.q, means(part, Q), rtol=1e-6)
    np.testing.assert_allclose(data.phi, means(part, PHI), atol=0.05)
    np.testing.assert_allclose(data.dq, 0.0013, rtol=0.05)
    assert "merged from several" in data.provenance["phi_source"]


@pytest.mark.parametrize(
    "key", ["dynamic_roi_map", "beam_center_x", "detector_distance", "pixel_size", "energy"]
)
def test_a_merged_map_without_its_geometry_is_refused(aps_u, key):
    part = merged([sectors((1, 6), (0.0085, 0.0098)), sectors((1, 6), (0.0102, 0.0115))])
    with pytest.raises(DataError, match=f"merged from several.*there is no xpcs/qmap/{key}"):
        het.load(without(aps_u(map=part), key))


def test_one_azimuth_in_each_of_two_merged_maps_is_no_cell_of_a_grid(aps_u):
    part = merged([sectors((1, 1), (0.0085, 0.0098)), sectors((1, 1), (0.0102, 0.0115))])
    data = het.load(aps_u(map=part))
    assert np.isnan(data.phi).all()


@pytest.mark.parametrize(
    "key", ["dynamic_roi_map", "beam_center_x", "detector_distance", "pixel_size", "energy"]
)
def test_without_geometry_the_lists_count_and_widths_are_unknown(aps_u, key):
    part = sectors()
    data = het.load(without(aps_u(map=part), key))
    np.testing.assert_allclose(data.phi, part.lists[1][part.natural % 6])
    assert np.isnan(data.dq).all()
    assert f"there is no xpcs/qmap/{key}" in data.provenance["phi_source"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("energy", 0.0), ("detector_distance", np.nan), ("pixel_size", -1.0), ("beam_center_x", np.inf)],
)
def test_geometry_that_cannot_be_is_none(aps_u, key, value):
    data = het.load(put(aps_u(map=sectors()), **{key: value}))
    assert np.isnan(data.dphi).all()
    assert f"{key} is {value:g}" in data.provenance["q_source"]


def test_geometry_in_declared_units(aps_u):
    path = put(aps_u(map=sectors()), detector_distance=3420.0, energy=12000.0)
    with h5py.File(path, "r+") as file:
        file["xpcs/qmap/detector_distance"].attrs["unit"] = "mm"
        file["xpcs/qmap/energy"].attrs["units"] = "eV"
    np.testing.assert_allclose(het.load(path).q, means(sectors(), Q), rtol=1e-6)


def elliptic(bins):
    """A map over the radius of an ellipse and its angle in radians, with the names and units of q and phi."""
    row, column = np.indices(SHAPE)
    y, x = (row - GEOMETRY["beam_center_y"]) / 60, (column - GEOMETRY["beam_center_x"]) / 45
    return partition(np.hypot(x, y), np.arctan2(y, x), ANNULUS, bins)


def shifted(by, bins=(2, 6)):
    turned = (PHI + by + 180.0) % 360.0 - 180.0
    return partition(Q, turned, ANNULUS & (np.abs(PHI - 10) < 100), bins)


def folded(fold, bins=(2, 6)):
    """Sectors of equal azimuth modulo 360/fold, listed by the mean of those in the first fold."""
    unit = np.mod(PHI + 180.0, 360.0 / fold)
    part = partition(Q, unit, ANNULUS, bins)
    cells = np.where(part.roi > 0, part.natural[np.maximum(part.roi, 1) - 1] % bins[1], -1)
    first = (PHI >= 0) & (360.0 / fold > PHI)
    azimuths = np.array([PHI[(cells == k) & first].mean() for k in range(bins[1])])
    return replace(part, lists=(part.lists[0], azimuths))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (elliptic((2, 6)), "eq-ephi"),
        (elliptic((3, 1)), "eq-ephi"),
        (
            replace(elliptic((1, 6)), lists=(np.array([0.0098]), elliptic((1, 6)).lists[1])),
            "radians .eq-ephi",
        ),
        (shifted(45.0), "shifted by 45° .*--phi-offset"),
        (shifted(-90.0), "shifted by -90° .*--phi-offset"),
        (shifted(150.0, (1, 12)), "shifted by 15[01]°.*--phi-offset"),
        (shifted(100.0, (2, 2)), "--phi-offset"),
        (folded(2), "--symmetry-fold"),
        (folded(3, (1, 4)), "--symmetry-fold"),
        (folded(4), "--symmetry-fold"),
        (folded(6, (2, 3)), "--symmetry-fold"),
    ],
)
def test_a_map_that_contradicts_its_pixels_is_refused_with_the_cause(aps_u, part, said):
    with pytest.raises(DataError, match=said) as caught:
        het.load(aps_u(map=part))
    assert "\n" not in str(caught.value)


def test_a_shift_within_a_bin_is_said(aps_u):
    with pytest.warns(UserWarning, match="phi differs by up to 12"):
        data = het.load(aps_u(map=shifted(12.0)))
    np.testing.assert_allclose(data.phi, means(shifted(12.0), PHI), atol=0.1)


def test_one_sector_of_another_sense_is_said(aps_u):
    part = partition(Q, -PHI, ANNULUS & (np.abs(PHI - 50) < 10), (1, 1))
    with pytest.warns(UserWarning, match="to higher rows in the list, or it is shifted"):
        np.testing.assert_allclose(het.load(aps_u(map=part)).phi, -50.0, atol=0.5)


def test_q_of_another_geometry_is_said_and_has_no_width(aps_u):
    part = sectors((2, 6))
    other = replace(part, lists=(part.lists[0] * 4, part.lists[1]))
    with pytest.warns(UserWarning, match=r"q = 0\.043 1/Å in the list, but 0\.01076 by its pixels"):
        data = het.load(aps_u(map=other))
    np.testing.assert_allclose(data.q, other.lists[0][part.natural // 6])
    assert np.isnan(data.dq).all()
    assert np.isfinite(data.dphi).all()


def test_q_off_within_a_bin_is_said(aps_u):
    with pytest.warns(UserWarning, match=r"q differs by up to 8\.\d % between the list and the pixels"):
        het.load(put(aps_u(map=sectors()), detector_distance=3.7))


@pytest.mark.filterwarnings("error")
def test_logarithmic_rings_lie_off_the_centres_of_their_cells(aps_u):
    used = (Q > 0.003) & (Q < 0.012)
    part = partition(np.log(Q), PHI, used, (3, 4))
    data = het.load(aps_u(map=replace(part, lists=(np.exp(part.lists[0]), part.lists[1]))))
    np.testing.assert_allclose(data.q, means(part, Q), rtol=1e-3)


@pytest.mark.parametrize("times", [0.01, 100.0, 1e300, -1.0])
def test_q_of_another_magnitude_is_refused(aps_u, times):
    part = sectors((2, 1))
    with pytest.raises(DataError, match="another geometry"):
        het.load(aps_u(map=replace(part, lists=(part.lists[0] * times, part.lists[1]))))


def test_bins_over_rows_and_columns_are_taken_from_their_pixels(aps_u):
    row, column = np.indices(SHAPE)
    used = (column > 70) & (Q < 0.0115)
    part = partition(
        column.astype(float), row.astype(float), used, (2, 5), names=("x", "y"), units=("pixel", "pixel")
    )
    data = het.load(aps_u(map=part))
    np.testing.assert_allclose(data.q, means(part, Q), rtol=1e-4)
    np.testing.assert_allclose(data.phi, means(part, PHI), atol=0.5)
    assert "bins are over (x, y)" in data.provenance["q_source"]


def over_pixels(used, bins):
    row, column = (index.astype(float) for index in np.indices(SHAPE))
    return partition(column, row, used, bins, names=("x", "y"), units=("pixel", "pixel"))


def test_a_bin_over_rows_and_columns_round_the_beam_is_a_ring(aps_u):
    data = het.load(aps_u(map=over_pixels(ANNULUS, (1, 1))))
    assert np.isnan(data.phi).all()
    np.testing.assert_allclose(data.q, Q[ANNULUS].mean(), rtol=1e-4)


@pytest.mark.parametrize(
    "key", ["dynamic_roi_map", "beam_center_x", "detector_distance", "pixel_size", "energy"]
)
def test_bins_over_rows_and_columns_without_geometry_are_refused(aps_u, key):
    path = without(aps_u(map=over_pixels(ANNULUS & (PHI > 0), (2, 2))), key)
    with pytest.raises(DataError, match=rf"bins are over \(x, y\).*there is no xpcs/qmap/{key}"):
        het.load(path)


@pytest.mark.parametrize(
    ("roi", "said"),
    [
        (np.ones(SHAPE), "float64"),
        (np.ones((2, *SHAPE), int), "whole numbers .rows, columns."),
        (np.full(SHAPE, 2**31, np.uint32), "label 2147483648"),
        (np.full(SHAPE, -1), "label -1"),
    ],
)
def test_labels_of_pixels_that_cannot_be_are_refused(aps_u, roi, said):
    with pytest.raises(DataError, match=f"dynamic_roi_map.*{said}"):
        het.load(put(aps_u(map=sectors()), dynamic_roi_map=roi))


def test_a_bin_without_pixels_keeps_what_the_list_says(aps_u):
    part = sectors()
    roi = np.where(part.roi == 3, 0, part.roi)
    data = het.load(aps_u(map=replace(part, roi=roi)))
    assert np.flatnonzero(np.isnan(data.dphi)).tolist() == [2]
    assert data.phi[2] == part.lists[1][2]
    assert "for 1 bins with fewer than 3" in data.provenance["q_source"]
