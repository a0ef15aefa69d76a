"""NXxpcs files of other programs: storage modes, halves, origins, baselines, lists, units, pixels, times."""

from __future__ import annotations

import warnings

import h5py
import numpy as np
import pytest

import heterodyne as het
from aps_u_files import GEOMETRY, q_and_phi, sectors
from heterodyne.data.matrices import upper, windows
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError
from heterodyne.testing.layouts import nxxpcs
from heterodyne.testing.loaders import example

MODES = ("one_array_q_first", "one_array_q_last", "data_exchange_keys")
HALVES = {"all": np.copy, "upper_half": np.triu, "lower_half": np.tril}
FIELD = "entry/twotime/two_time_corr_func"
Q, PHI = "masks/dynamic_q_list", "masks/dynamic_phi_list"
DATA = example(age=0.0)
QUIET = "ignore::UserWarning"


@pytest.fixture
def file(tmp_path):
    """A function that writes the example, or other data, with the given differences."""
    return lambda data=DATA, **options: nxxpcs.write(tmp_path / "run.nxs", data, **options)


def refused(path, said, **options):
    def read():
        return list(het.load(path, **options).c2)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError) as error:
            read()
    assert said in str(error.value)
    assert path.name in str(error.value)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("origin", ["upper_left", "lower_left"])
@pytest.mark.parametrize("populated", HALVES)
@pytest.mark.parametrize("baseline", [0, 1])
def test_however_it_is_stored_the_data_come_back(file, mode, origin, populated, baseline):
    c2 = [HALVES[populated](matrix) for matrix in DATA.c2]
    said = {"populated_elements": populated}
    data = het.load(file(c2=c2, mode=mode, origin=origin, baseline=baseline, attributes=said))
    for found, expected in zip(data.c2, DATA.c2, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    for name in ("q", "phi", "t", "dt", "age"):
        np.testing.assert_allclose(getattr(data, name), getattr(DATA, name), rtol=1e-12)
    assert data.provenance["loader"] == "nxxpcs"
    assert ("baseline" in data.provenance) == (baseline == 0)
    assert ("origin_of_time" in data.provenance) == (origin == "lower_left")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("origin", ["upper_left", "lower_left"])
@pytest.mark.parametrize("store", HALVES.values())
def test_windows_are_those_of_the_whole_matrix(file, mode, origin, store):
    long = example(frames=23, age=0.0)
    path = file(long, c2=[store(matrix) for matrix in long.c2], mode=mode, origin=origin, chunk=5)
    data = het.load(path, frames=(3, 21))
    parts = windows(data.c2, 4)
    assert not parts.whole
    with parts.opened() as read:
        window = upper(read, parts.half(read))
        for rows, columns in (((0, 4), (2, 9)), ((3, 10), (3, 19)), ((0, 19), (0, 19))):
            part = (slice(*rows), slice(*columns))
            expected = long.c2[4][2:21, 2:21][part]
            above = np.add.outer(np.arange(*rows), -np.arange(*columns)) <= 0
            np.testing.assert_allclose(window(*part)[above], expected[above], rtol=1e-12)


def test_a_lost_part_of_a_matrix_that_is_upside_down_is_told(file):
    path = file(c2=[np.triu(matrix) for matrix in DATA.c2], origin="lower_left")

    def store(kept):
        with h5py.File(path, "r+") as opened:
            values, attrs = opened[FIELD][()], dict(opened[FIELD].attrs)
            del opened[FIELD]
            made = opened.create_dataset(FIELD, values.shape, "f8", chunks=(1, 4, 4))
            made.attrs.update(attrs)
            for bin in range(len(values)):
                for row, column in kept:
                    made[bin, row : row + 4, column : column + 4] = values[
                        bin, row : row + 4, column : column + 4
                    ]

    # frames of rows from below: 6:9, 2:5, 1
    needed = [(8, 0), (8, 4), (8, 8), (4, 0), (4, 4), (4, 8), (0, 4), (0, 8)]
    store(needed)
    np.testing.assert_allclose(het.load(path).c2[0], DATA.c2[0])
    store([place for place in needed if place != (4, 8)])
    refused(path, "c2 of frames 2:5 with 9:9 is not in the file")


@pytest.mark.parametrize(
    ("store", "said", "found"),
    [
        (np.copy, "upper_half", "said to be in the upper half alone, but are in both halves"),
        (np.tril, "upper_half", "said to be in the upper half alone, but are in the lower half alone"),
        (np.triu, "lower_half", "said to be in the lower half alone, but are in the upper half alone"),
        (np.triu, "all", "said to be in both halves, but are in the upper half alone"),
    ],
)
def test_halves_that_are_not_where_they_are_said_to_be_are_refused(file, store, said, found):
    path = file(c2=[store(matrix) for matrix in DATA.c2], attributes={"populated_elements": said})
    refused(path, found)
    parts = windows(het.load(path).c2, 0)
    with parts.opened() as read, pytest.raises(DataError, match=found):
        parts.half(read)
    np.testing.assert_allclose(het.load(path, symmetrise="mean").c2[2], DATA.c2[2], rtol=1e-12)


def test_an_origin_that_is_not_where_it_is_said_to_be_is_refused(file):
    path = file(attributes={"time_origin_location": "lower_left"})
    refused(path, "(origin at the lower left): the matrix is neither a triangle nor symmetric")


@pytest.mark.parametrize("mode", MODES[:2])
def test_without_a_mode_the_axes_are_told_by_their_lengths(file, mode):
    data = het.load(file(mode=mode, attributes={"storage_mode": None}))
    np.testing.assert_allclose(data.c2[3], DATA.c2[3])


def test_as_many_bins_as_frames_need_a_mode(tmp_path):
    square = example(frames=6, age=0.0)
    for mode in MODES[:2]:
        path = nxxpcs.write(tmp_path / f"{mode}.nxs", square, mode=mode)
        np.testing.assert_allclose(het.load(path).c2[1], square.c2[1])
        with h5py.File(path, "r+") as opened:
            del opened[FIELD].attrs["storage_mode"]
        refused(path, "as many bins as frames (6), and no storage_mode")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"mode": "one_array_q_last", "attributes": {"storage_mode": "one_array_q_first"}},
            "contradicts its",
        ),
        ({"attributes": {"storage_mode": "data_exchange_keys"}}, "is one array of shape (6, 9, 9)"),
        ({"mode": MODES[2], "attributes": {"storage_mode": MODES[0]}}, "is a group, but its storage_mode is"),
        (
            {"attributes": {"storage_mode": "by_heart"}},
            "storage_mode of entry/twotime/two_time_corr_func is 'by_heart'",
        ),
        ({"attributes": {"time_origin_location": "centre"}}, "time_origin_location"),
        ({"attributes": {"populated_elements": "some"}}, "populated_elements"),
        ({"attributes": {"baseline_reference": 2}}, "baseline_reference must be 0 or 1, not 2"),
        ({"attributes": {"baseline_reference": "one"}}, "baseline_reference must be 0 or 1, not 'one'"),
        ({"fields": {Q: None}}, "there is no entry/instrument/masks/dynamic_q_list"),
        ({"fields": {Q: DATA.q[:5]}}, "has 5 entries, but there are 6 matrices"),
        ({"fields": {Q: np.arange(1, 7)}}, "counts the bins (1, 2, ...) and does not say where they are"),
        ({"fields": {Q: np.arange(1.0, 7.0)}}, "counts the bins (1, 2, ...) and does not say where they are"),
        ({"fields": {Q: [f"ring {n}" for n in range(6)]}}, "holds 'ring 0', which is no number"),
        ({"fields": {Q: np.ones((6, 3))}}, "has 3 numbers per bin"),
        ({"fields": {Q: np.ones(6, bool)}}, "must hold numbers, not bool"),
        ({"fields": {Q: np.where(np.arange(6) == 2, np.nan, DATA.q)}}, "q must be positive"),
        ({"units": {Q: "pixel"}}, "no unit of q named 'pixel'"),
        ({"units": {PHI: "s"}}, "no unit of phi named 's'"),
        ({"fields": {PHI: np.radians(DATA.phi)}, "units": {PHI: "1/angstrom"}}, "may be in radians"),
        ({"fields": {Q: np.column_stack([DATA.q, DATA.phi + 5.0])}}, "differ"),
        ({"fields": {"detector/frame_time": None}}, "there is no entry/instrument/detector/frame_time"),
        ({"fields": {"detector/frame_time": np.nan}}, "frame_time is nan s"),
        ({"fields": {"detector/count_time": 0.2}}, "frame_time 0.1 s is shorter than count_time 0.2 s"),
        ({"fields": {"other/frame_time": 0.3}}, "frame_time differs between"),
        ({"mode": MODES[2], "labels": [0, 1, 2, 3, 4, 5]}, "has a matrix 0; labels count from 1"),
        (
            {"mode": MODES[2], "labels": [1, 2, 3, 4, 5, 7]},
            "has 6 entries, but there are a matrix of label 7",
        ),
    ],
)
def test_what_a_file_contradicts_or_does_not_say_is_one_line(file, options, said):
    refused(file(**options), said)


@pytest.mark.filterwarnings(QUIET)
@pytest.mark.parametrize(
    ("fields", "units"),
    [
        ({Q: 10.0 * DATA.q}, {Q: "1/nm"}),
        ({Q: DATA.q[None], PHI: DATA.phi[:, None]}, {}),
        ({Q: np.column_stack([DATA.q, DATA.phi]), PHI: None}, {}),
        ({Q: np.array([*zip(DATA.q, DATA.phi, strict=True)], dtype="f8,f8"), PHI: None}, {}),
        ({Q: [f"({q}, {phi})" for q, phi in zip(DATA.q, DATA.phi, strict=True)], PHI: None}, {}),
        ({Q: [str(q) for q in DATA.q]}, {}),
        ({PHI: np.radians(DATA.phi)}, {PHI: "rad"}),
        ({PHI: DATA.phi.astype(int)}, {PHI: "1/angstrom"}),
        ({}, {Q: None, PHI: None}),
        ({"detector/frame_time": 100.0, "detector/count_time": None}, {"detector/frame_time": "ms"}),
    ],
)
def test_lists_and_units_in_every_form(file, fields, units):
    data = het.load(file(fields=fields, units=units))
    for name in ("q", "phi", "t"):
        np.testing.assert_allclose(getattr(data, name), getattr(DATA, name), rtol=1e-12)


def test_units_that_are_none_of_angles_and_none_at_all_are_said(file):
    with pytest.warns(
        UserWarning, match="has the unit 1/angstrom, which is none of angles; taken as degrees"
    ):
        het.load(file(units={PHI: "1/angstrom"}))
    with pytest.warns(UserWarning, match="dynamic_q_list declares no unit; taken as Å⁻¹"):
        het.load(file(home="entry_2", units={Q: None}), key="entry_2")


def test_labels_index_the_lists(file):
    labels, count = [2, 3, 5, 7, 8, 9], 9
    q, phi = np.full(count, np.nan), np.full(count, np.nan)
    q[np.array(labels) - 1], phi[np.array(labels) - 1] = DATA.q, DATA.phi
    data = het.load(file(mode=MODES[2], labels=labels, fields={Q: q, PHI: phi}))
    np.testing.assert_allclose(data.q, DATA.q)
    np.testing.assert_allclose(data.phi, DATA.phi)


def test_the_first_labels_of_more_are_taken_with_a_warning(file):
    lists = {Q: np.append(DATA.q, 0.03), PHI: np.append(DATA.phi, 0.0)}
    with pytest.warns(
        UserWarning, match="has 7 entries; matrices 1 to 6 are taken for those of labels 1 to 6"
    ):
        data = het.load(file(mode=MODES[2], fields=lists))
    np.testing.assert_allclose(data.q, DATA.q)


def test_rings_have_no_azimuth(file):
    rings = example(phi=(np.nan,), age=0.0)
    assert np.isnan(het.load(file(rings)).phi).all()
    data = het.load(file(rings, home="entry_2", fields={PHI: None}), key="entry_2")
    assert np.isnan(data.phi).all()
    assert data.provenance["phi_source"] == "there is no dynamic_phi_list: taken for rings"


def test_one_azimuth_without_pixels_may_be_a_ring_and_is_said_to(file):
    with pytest.warns(UserWarning, match="the one azimuth, 12°, may stand for a whole ring"):
        np.testing.assert_allclose(het.load(file(example(phi=(12.0,), age=0.0))).phi, 12.0)


@pytest.mark.parametrize("home", ["entry", "entry/XPCS", "scan_17", "scan_17/XPCS"])
def test_any_entry_may_hold_them(file, home):
    np.testing.assert_allclose(het.load(file(home=home)).c2[0], DATA.c2[0])


def test_the_instrument_may_lie_in_the_entry(file):
    path = file(home="entry/XPCS")
    with h5py.File(path, "r+") as opened:
        opened.move("entry/XPCS/instrument", "entry/instrument")
    np.testing.assert_allclose(het.load(path).q, DATA.q)


def test_of_several_entries_one_is_chosen(file):
    file()
    path = file(home="other", fields={Q: 2.0 * DATA.q})
    refused(path, "there are two-time correlations at entry, other: choose by --key entry")
    np.testing.assert_allclose(het.load(path, key="other").q, 2.0 * DATA.q)
    np.testing.assert_allclose(het.load(path, key=f"/{FIELD}").q, DATA.q)
    refused(path, "there is no two-time correlation at third", key="third")


def test_one_group_under_two_names_is_one(file):
    path = file()
    with h5py.File(path, "r+") as opened:
        opened["entry/XPCS"] = opened["entry"]
    assert het.load(path).n_bins == 6


def test_the_axes_of_the_data_may_say_times(file):
    late = example(age=2.0)
    data = het.load(file(late, axis=True))
    np.testing.assert_allclose(data.t, late.t)
    assert data.age == pytest.approx(2.0)
    refused(
        file(late, home="other", axis=True, fields={"detector/frame_time": 0.3}), "0.1 s apart", key="other"
    )


def test_dt_may_be_given_where_the_file_has_none(file):
    path = file(fields={"detector/frame_time": None})
    np.testing.assert_allclose(het.load(path, dt=0.5).t, 0.5 * np.arange(1, 10))


def test_a_baseline_that_is_given_counts(file):
    path = file(attributes={"baseline_reference": 1}, c2=[matrix - 1.0 for matrix in DATA.c2])
    with pytest.warns(UserWarning, match="baseline = 0 as given, not 1 as in the file"):
        data = het.load(path, baseline=0)
    np.testing.assert_allclose(data.c2[0], DATA.c2[0])


PLACE = {
    "detector/beam_center_x": GEOMETRY["beam_center_x"],
    "detector/beam_center_y": GEOMETRY["beam_center_y"] * 0.15,
    "detector/x_pixel_size": 0.15,
    "detector/y_pixel_size": 150.0,
    "detector/distance": GEOMETRY["detector_distance"],
    "incident_beam/incident_energy": 1e3 * GEOMETRY["energy"],
}
PLACE_UNITS = {
    "detector/beam_center_x": "pixel",
    "detector/beam_center_y": "mm",
    "detector/x_pixel_size": "mm",
    "detector/y_pixel_size": "um",
    "detector/distance": "m",
    "incident_beam/incident_energy": "eV",
}


@pytest.fixture
def mapped(tmp_path):
    """A function: a file whose bins have pixels, 2 rings of 6 sectors or one bin each; and q, phi of these."""

    def write(azimuths=6, fields=None, units=None, **options):
        part = sectors((2, azimuths), arm=azimuths > 1)
        q_of, phi_of = q_and_phi()
        of = [part.roi == label for label in range(1, len(part.natural) + 1)]
        q, phi = (np.array([values[pixels].mean() for pixels in of]) for values in (q_of, phi_of))
        matrix = DATA.c2[0]
        data = TwoTime([matrix] * len(of), q, phi, DATA.t, 0.1)
        values = {"masks/dynamic_roi_map": part.roi.astype(np.uint16), **PLACE, **(fields or {})}
        said = {"masks/dynamic_roi_map": "au", **PLACE_UNITS, **(units or {})}
        return nxxpcs.write(tmp_path / "map.nxs", data, fields=values, units=said, **options), data

    return write


@pytest.mark.filterwarnings("error")
def test_pixels_tell_the_widths(mapped):
    path, expected = mapped()
    data = het.load(path)
    np.testing.assert_allclose(data.phi, expected.phi)
    np.testing.assert_allclose(data.dq, 0.0015, rtol=0.05)
    assert np.all((data.dphi > 20.0) & (data.dphi < 70.0))
    assert data.provenance["q_source"] == "dynamic_q_list; widths by the pixels"


@pytest.mark.filterwarnings("error")
def test_azimuths_may_be_counted_the_other_way(mapped):
    _, data = mapped()
    path, _ = mapped(fields={PHI: -data.phi}, home="entry_2")
    assert np.isfinite(het.load(path, key="entry_2").dphi).all()


@pytest.mark.filterwarnings("error")
def test_bins_all_around_are_rings_whatever_the_list_says(mapped):
    data = het.load(mapped(azimuths=1)[0])
    assert np.isnan(data.phi).all()
    np.testing.assert_allclose(data.dq, 0.0015, rtol=0.05)


@pytest.mark.filterwarnings("error")
def test_pixels_tell_what_no_list_says(mapped):
    path, expected = mapped(fields={Q: None, PHI: None})
    data = het.load(path)
    np.testing.assert_allclose(data.q, expected.q, rtol=1e-3)
    np.testing.assert_allclose(data.phi, -expected.phi, atol=0.5)
    assert data.provenance["q_source"] == data.provenance["phi_source"] == "pixels of dynamic_roi_map"


def test_pixels_that_contradict_the_lists_give_no_widths(mapped):
    path, _ = mapped(fields={"detector/distance": 2 * GEOMETRY["detector_distance"]})
    with pytest.warns(UserWarning, match="by its pixels; the lists are taken, widths are unknown"):
        data = het.load(path)
    assert np.isnan(data.dq).all()
    path, expected = mapped(home="entry_2")
    path, _ = mapped(home="entry_3", fields={PHI: expected.phi + 50.0 * np.arange(len(expected.phi))})
    with pytest.warns(UserWarning, match="phi of dynamic_phi_list lies up to"):
        data = het.load(path, key="entry_3")
    assert np.isnan(data.dphi).all()
    assert np.isfinite(data.dq).all()


@pytest.mark.parametrize(
    ("fields", "units"),
    [
        ({"detector/distance": None}, {}),
        ({}, {"detector/distance": None}),
        ({"incident_beam/incident_energy": np.nan}, {}),
        ({}, {"incident_beam/incident_energy": "m"}),
        ({"detector/x_pixel_size": 0.3}, {}),
        ({"masks/dynamic_roi_map": None}, {}),
    ],
)
def test_without_the_whole_geometry_widths_are_unknown(mapped, fields, units):
    data = het.load(mapped(fields=fields, units=units)[0])
    assert np.isnan(data.dq).all()
    assert "the widths are unknown, as " in data.provenance["q_source"]


def test_masks_of_either_polarity_are_not_read(mapped):
    path, _ = mapped()
    expected = het.load(path)
    with h5py.File(path, "r+") as opened:
        roi = opened["entry/instrument/masks/dynamic_roi_map"][()]
        opened["entry/instrument/masks/mask"] = (roi == 0).astype(np.uint8)
        opened["entry/instrument/detector/pixel_mask"] = (roi > 0).astype(np.uint32)
    np.testing.assert_array_equal(het.load(path).dq, expected.dq)


def test_our_own_file_is_one_of_them(tmp_path):
    t = np.array([1.0, 1.5, 2.0, 4.0, 4.5, 5.0, 9.0])
    c2 = [matrix[:7, :7].astype(np.float32) for matrix in DATA.c2[:3]]
    own = TwoTime(c2, [0.01, 0.01, 0.02], [-170.0, np.nan, 200.0], t, 0.5, provenance={"seed": 7})
    path = own.save(tmp_path / "own.h5")
    assert het.load(path).provenance["loader"] == "heterodyne"
    with pytest.warns(UserWarning, match="reads neither its widths nor its masks"):
        forced = het.load(path, loader="nxxpcs")
    assert forced.provenance["loader"] == "nxxpcs"
    again = het.load(forced.save(tmp_path / "again.h5"))
    for data in (forced, again):
        for name in ("q", "phi", "t", "dt", "age"):
            np.testing.assert_array_equal(getattr(data, name), getattr(own, name), err_msg=name)
        for found, expected in zip(data.c2, own.c2, strict=True):
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, expected)
    assert again.provenance["c2_source"] == forced.provenance["c2_source"] == FIELD
    origin = again.provenance["origin"]
    assert (origin["file"], origin["loader"]) == (str(path), "nxxpcs")
    assert origin["sha256"] == forced.provenance["sha256"]
