"""8-ID-I results before 2025: labels and counters, empty cells, times, rings and widths by pixels."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import heterodyne as het
from aps_u_files import GEOMETRY, partition, q_and_phi, sectors
from heterodyne.errors import DataError
from heterodyne.testing.layouts.aps_legacy import DETECTOR, STAGE, write
from heterodyne.testing.loaders import example

PHI = (-60.0, 0.0, 60.0)
SIX = [1, 2, 3, 4, 5, 6]


@pytest.fixture
def legacy(tmp_path):
    """A function that writes six bins, 0.01 and 0.02 1/Å at three azimuths, or those ``chosen``."""

    def written(chosen=range(6), fields=None, **options):
        data = example().bins(list(chosen))
        named = {key if "/" in key else f"xpcs/{key}": value for key, value in (fields or {}).items()}
        usual = {"xpcs/dqlist": example().q[None], "xpcs/dphilist": example().phi[None]}
        grid = {"xpcs/dnoq": np.array([[2.0]]), "xpcs/dnophi": np.array([[3.0]])}
        return write(tmp_path / "legacy.hdf", data, fields={**usual, **grid, **named}, **options)

    return written


def bins_of(data):
    """Which bin of the example every matrix is, told by its baseline."""
    c2 = np.stack(list(example().c2))
    return [int(np.argmin([np.abs(matrix - one).max() for one in c2])) for matrix in data.c2]


def cells_of(data):
    """Which bin of the example q and phi belong to."""
    known = example()
    return [
        int(np.argmin(np.hypot((known.q - q) * 1e4, known.phi - phi)))
        for q, phi in zip(data.q, data.phi, strict=True)
    ]


@pytest.mark.filterwarnings("error")
def test_the_tree_is_read(legacy):
    data = het.load(legacy())
    assert data.provenance["loader"] == "aps-legacy"
    assert bins_of(data) == cells_of(data) == [0, 1, 2, 3, 4, 5]
    assert np.isnan(data.dq).all()
    assert "there is no xpcs/dqmap" in data.provenance["q_source"]
    np.testing.assert_array_equal(data.c2[4], example().c2[4].astype(np.float32))


@pytest.mark.parametrize(
    ("chosen", "numbers", "listed"),
    [
        (range(6), SIX, np.array(SIX)[:, None]),
        (range(6), SIX, [[1]]),  # as in the template, but every bin is there
        (range(6), SIX, np.ones((6, 1))),
        (range(6), SIX, None),
        ([1, 3], [2, 4], [2, 4]),  # labels
        ([1, 3], [2, 4], [4, 2]),
        ([1, 3], [1, 2], [2, 4]),  # counters
        ([3, 1], [1, 2], [4, 2]),
        ([4], [5], [[5]]),
        ([4], [1], [[5]]),
        ([0], [1], [[1]]),
    ],
)
def test_numbers_are_labels_or_count_them(legacy, chosen, numbers, listed):
    data = het.load(legacy(chosen, {"qphi_bin_to_process": listed}, numbers=numbers))
    assert bins_of(data) == cells_of(data) == list(chosen)


@pytest.mark.parametrize(
    ("numbers", "listed", "said"),
    [
        (
            [1, 3],
            [2, 4],
            "numbered 1, 3, labels in xpcs/qphi_bin_to_process are 2, 4: the numbers are neither",
        ),
        (
            [1, 2],
            [2, 1],
            "numbered 1, 2, labels in xpcs/qphi_bin_to_process are 2, 1: the numbers may be labels",
        ),
        ([1, 2], [[1]], "which of the 6 bins the matrices belong to cannot be known"),
        ([2, 4], None, "labels in xpcs/qphi_bin_to_process are absent: which of the 6 bins"),
        ([1, 2], [1, 2, 3], "neither these labels nor do they count them"),
        ([1, 2], [3, 3], "qphi_bin_to_process must name every bin once: label 3 is there 2 times"),
        ([1, 2], [3, 7], "there is no label 7; the q map has 6 bins that are not empty"),
        ([1, 2], [0, 3], "there is no label 0"),
        ([1, 2], [1.5, 3], "must hold whole numbers, not 1.5"),
    ],
)
def test_numbers_that_are_neither_are_refused_with_both_lists(legacy, numbers, listed, said):
    with pytest.raises(DataError, match=r"legacy\.hdf") as error:
        het.load(legacy([0, 1], {"qphi_bin_to_process": listed}, numbers=numbers))
    assert said in str(error.value)


def with_gaps(values, *gaps):
    return np.insert(np.asarray(values, float), gaps, np.nan)[None]


def test_labels_pass_over_empty_cells(legacy):
    lists = {"dqlist": with_gaps(example().q, 1, 4, 6), "dphilist": with_gaps(example().phi, 1, 4, 6)}
    data = het.load(legacy([2, 5], {**lists, "dnophi": 5, "qphi_bin_to_process": [3, 6]}, numbers=[3, 6]))
    assert bins_of(data) == cells_of(data) == [2, 5]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"dphilist": [0.0] * 5}, "6 values in xpcs/dqlist, but 5 in xpcs/dphilist"),
        ({"dqlist": [0.01] * 5 + [np.nan]}, "value 6 is NaN in xpcs/dqlist but not in xpcs/dphilist"),
        ({"dqlist": [np.nan] * 6, "dphilist": [np.nan] * 6}, "holds no number: all bins are empty"),
        ({"dnophi": 2}, "6 values in xpcs/dqlist for 2 q × 2 phi"),
        ({"dnophi": 2.5}, "must hold whole numbers, not 2.5"),
        ({"dqlist": None}, "has no xpcs/dqlist"),
        ({"dqlist": np.zeros((1, 6))}, "q must be positive"),
        ({"dqlist": np.zeros((2, 3))}, "must be a list of numbers, not of shape (2, 3)"),
        ({"output_data": 3}, "output_data must be one text"),
        ({f"{DETECTOR}/exposure_period": None}, f"there is no {DETECTOR}/exposure_period; give dt"),
        (
            {f"{DETECTOR}/exposure_period": 0.05},
            "exposure_period 0.05 s is shorter than exposure_time 0.09 s",
        ),
        ({f"{DETECTOR}/exposure_period": [[np.nan]]}, "exposure_period is nan s; give dt"),
        (
            {"data_end_todo": 28},
            "9 frames, each for 1 raw ones, do not come from frames 21 to 28 (data_end_todo)",
        ),
        (
            {"data_begin_todo": 0},
            "data_begin_todo = 0 does not count from 1: the file does not tell how many frames came before",
        ),
        ({"stride_frames": 0}, "stride_frames is 0, but must be at least 1"),
        ({"exchange/frames_bin_size": 4}, "frames_bin_size is 4, but avg_frames 1: how many raw frames"),
    ],
)
def test_what_contradicts_itself_is_one_line(legacy, fields, said):
    with pytest.raises(DataError, match=r"legacy\.hdf") as error:
        het.load(legacy(fields=fields), loader="aps-legacy")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("results", ["exchange", "exchange_2", "results/third"])
@pytest.mark.parametrize(
    "matrices", ["C2T_all/g2_{:05d}", "C2T_all/C2T_{:05d}", "TwoTime/C_{:04d}", "C2T_all/g2_{}"]
)
def test_where_matrices_may_be_and_how_they_are_named(legacy, results, matrices):
    data = het.load(legacy(results=results, matrices=matrices))
    assert bins_of(data) == [0, 1, 2, 3, 4, 5]


def test_unpadded_numbers_are_sorted_as_numbers(tmp_path):
    data = example(phi=tuple(np.arange(-150.0, 150.0, 50.0)))
    found = het.load(write(tmp_path / "run.hdf", data, matrices="C2T_all/g2_{}"))
    np.testing.assert_allclose([matrix[0, 5] for matrix in found.c2], [c2[0, 5] for c2 in data.c2], rtol=1e-6)


def test_results_elsewhere_than_output_data_says_are_refused(legacy):
    with pytest.raises(DataError, match="results are in exchange9, but the matrices are in exchange/C2T_all"):
        het.load(legacy(fields={"output_data": "/exchange9"}))


def test_the_group_of_the_results_is_followed_among_several(legacy):
    path = legacy(results="exchange_1")
    with h5py.File(path, "r+") as file:
        file["exchange/C2T_all/g2_00001"] = np.zeros((5, 5))
    assert bins_of(het.load(path)) == [0, 1, 2, 3, 4, 5]


def test_settings_beside_the_results_count(legacy):
    beside = {
        "exchange/qphi_bin_to_process": [2, 4],
        "exchange/stride_frames": 2,
        "qphi_bin_to_process": [[1]],
    }
    data = het.load(legacy([1, 3], beside, numbers=[2, 4], matrices="C2T_all/C2T_{:05d}"))
    assert bins_of(data) == cells_of(data) == [1, 3]
    assert data.dt == pytest.approx(0.2)


def test_other_names_among_the_matrices_are_refused(legacy):
    with pytest.raises(
        DataError, match="image_00001 in exchange/C2T_all is none of the names known: g2_00001"
    ):
        het.load(legacy(matrices="C2T_all/image_{:05d}"))


@pytest.mark.parametrize("store", [np.triu, np.tril, np.copy, lambda c2: np.triu(c2)[None]])
def test_halves_and_single_axes(legacy, store):
    data = het.load(legacy(c2=[store(matrix) for matrix in example().c2]))
    np.testing.assert_array_equal(data.c2[5], example().c2[5].astype(np.float32))


def test_matrices_of_several_sizes_are_refused(legacy):
    c2 = [*list(example().c2)[:5], np.ones((7, 7))]
    with pytest.raises(DataError, match="the selected matrices differ in size"):
        het.load(legacy(c2=c2))


@pytest.mark.parametrize(
    ("stride", "average", "begin", "first"),
    [
        (1, 1, 1, 0.1),
        (1, 1, 13, 1.3),
        (2, 1, 1, 0.1),  # raw frames 1, 3, 5, ...
        (1, 2, 1, 0.15),  # 1 and 2
        (2, 3, 11, 1.3),  # 11, 13 and 15
        (1, 1, None, 0.1),
    ],
)
def test_times_are_those_of_the_raw_frames(legacy, stride, average, begin, first):
    fields = {"stride_frames": [[stride]], "avg_frames": [[average]], "data_begin_todo": begin}
    data = het.load(legacy(fields=fields))
    assert data.dt == pytest.approx(0.1 * stride * average)
    np.testing.assert_allclose(data.t, first + data.dt * np.arange(9))
    assert data.provenance["dt_source"] == f"exposure_period × stride_frames {stride} × avg_frames {average}"


def test_a_range_that_is_just_long_enough(legacy):
    fields = {
        "stride_frames": 2,
        "avg_frames": 2,
        "data_begin_todo": 11,
        "data_end_todo": 48,
    }  # 38 raw frames
    assert het.load(legacy(fields=fields)).n_frames == 9


def test_a_period_that_is_often_a_placeholder_is_said(legacy):
    with pytest.warns(UserWarning, match="exposure_period is 1 s, which is often a placeholder"):
        het.load(legacy(fields={f"{DETECTOR}/exposure_period": 1.0}))


def test_what_is_given_mends_times(legacy):
    path = legacy(fields={f"{DETECTOR}/exposure_period": None, "data_begin_todo": 0})
    np.testing.assert_allclose(het.load(path, dt=0.5, age=2.0).t, 2.0 + 0.5 * np.arange(1, 10))


def test_layouts_of_the_years_of_change(legacy):
    bluesky = {"entry/instrument/bluesky/metadata/t0": 0.2, "entry/instrument/bluesky/metadata/t1": 0.1}
    moved = {
        "xpcs/qmap/dqlist": example().q,
        "xpcs/qmap/dphilist": example().phi,
        "dqlist": None,
        "dphilist": None,
    }
    gone = {f"{DETECTOR}/exposure_period": None, f"{DETECTOR}/exposure_time": None, "output_data": None}
    data = het.load(legacy(fields={**bluesky, **moved, **gone}, results="xpcs"))
    assert cells_of(data) == [0, 1, 2, 3, 4, 5]
    assert data.dt == pytest.approx(0.2)


def test_a_declared_unit_counts(legacy):
    path = legacy(fields={"dqlist": 10.0 * example().q})
    with h5py.File(path, "r+") as file:
        file["xpcs/dqlist"].attrs["units"] = "nm^-1"
    np.testing.assert_allclose(het.load(path).q, example().q)


def test_multi_tau_alone_is_said(legacy):
    path = legacy(fields={"exchange/norm-0-g2": np.ones((5, 3)), "analysis_type": "Multitau"})
    with h5py.File(path, "r+") as file:
        del file["exchange/C2T_all"]
    with pytest.raises(DataError, match=r"holds multi-tau g2 only \(exchange/norm-0-g2\)"):
        het.load(path, loader="aps-legacy")


def test_a_dead_link_among_the_matrices_is_named(legacy):
    path = legacy()
    with h5py.File(path, "r+") as file:
        del file["exchange/C2T_all/g2_00003"]
        file["exchange/C2T_all/g2_00003"] = h5py.ExternalLink("gone.hdf", "/c2")
    with pytest.raises(DataError, match="g2_00003 is a link to /c2 in gone"):
        list(het.load(path).c2)


def test_there_are_no_arrays_to_choose_from(legacy):
    with pytest.raises(DataError, match="in files of loader 'aps-legacy' there is nothing to choose"):
        het.load(legacy(), key="c2")


# pixels

Q, AZIMUTH = q_and_phi()
PLACE = {
    f"{STAGE}/beam_center_x": [[GEOMETRY["beam_center_x"]]],
    f"{STAGE}/beam_center_y": [[GEOMETRY["beam_center_y"]]],
    f"{DETECTOR}/distance": [[GEOMETRY["detector_distance"] * 1e3]],
    f"{DETECTOR}/x_pixel_size": [[GEOMETRY["pixel_size"] * 1e3]],
    "measurement/instrument/source_begin/energy": [[GEOMETRY["energy"]]],
}


def mapped(path, part, azimuths, **changes):
    """A file whose lists are the means of the pixels of a map, with NaN for its empty cells."""
    cells = len(part.lists[0]) * len(part.lists[1])
    q, phi = np.full(cells, np.nan), np.full(cells, np.nan)
    for label, cell in enumerate(part.natural, 1):
        q[cell] = Q[part.roi == label].mean()
        phi[cell] = AZIMUTH[part.roi == label].mean()
    count = len(part.natural)
    matrix = example().c2[0]
    data = het.TwoTime(np.stack([matrix] * count), np.full(count, 0.01), np.zeros(count), example().t, 0.1)
    fields = {
        "xpcs/dqlist": q[None],
        "xpcs/dphilist": phi[None],
        "xpcs/dnoq": [[float(len(part.lists[0]))]],
        "xpcs/dnophi": [[float(azimuths)]],
        "xpcs/dqmap": part.roi.astype(np.uint32),
        **PLACE,
        **changes,
    }
    return write(path / "map.hdf", data, fields=fields)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("moved", [0.0, 1.5, -1.5])
def test_widths_are_those_of_the_pixels(tmp_path, turned, moved):
    part, changes = sectors(), {}
    if turned:
        changes["xpcs/dqmap"] = part.roi.T
    if moved:  # mm; the stored centre is that of the stage at zero
        changes |= {f"{STAGE}/stage_{axis}": 30.0 + moved for axis in "xz"}
        changes |= {f"{STAGE}/stage_zero_{axis}": 30.0 for axis in "xz"}
        for axis in "xy":
            changes[f"{STAGE}/beam_center_{axis}"] = GEOMETRY[f"beam_center_{axis}"] - moved / 0.15
    data = het.load(mapped(tmp_path, part, 6, **changes))
    assert data.n_bins == 10
    np.testing.assert_allclose(data.dq, 0.0015, rtol=0.03)
    np.testing.assert_allclose(data.dphi, 59.0, atol=2.5)
    assert data.provenance["phi_source"] == "dphilist; widths by the pixels of dqmap"


@pytest.mark.parametrize(("turn", "sense"), [(90.0, 1.0), (0.0, -1.0), (180.0, -1.0)])
@pytest.mark.filterwarnings("error")
def test_azimuths_may_be_counted_otherwise(tmp_path, turn, sense):
    part = sectors(arm=False)
    phi = np.array([AZIMUTH[part.roi == label].mean() for label in range(1, 13)])
    data = het.load(mapped(tmp_path, part, 6, **{"xpcs/dphilist": sense * phi + turn}))
    np.testing.assert_allclose(data.phi, sense * phi + turn)


def test_azimuths_that_are_not_those_of_the_pixels_are_said(tmp_path):
    with pytest.warns(UserWarning, match="phi of dphilist lies up to .* from the pixels of dqmap"):
        het.load(mapped(tmp_path, sectors(arm=False), 6, **{"xpcs/dphilist": np.linspace(0.0, 90.0, 12)}))


def annulus(width=360.0, centre=0.0):
    used = (Q >= 0.0085) & (Q <= 0.0115) & (np.abs((AZIMUTH - centre + 180.0) % 360.0 - 180.0) <= width / 2)
    return partition(Q, AZIMUTH, used, (2, 1))


def test_rings_by_their_pixels(tmp_path):
    data = het.load(mapped(tmp_path, annulus(), 1))
    assert np.isnan(data.phi).all()
    np.testing.assert_allclose(data.dq, 0.0015, rtol=0.03)


def test_one_azimuth_on_one_side_is_a_sector(tmp_path):
    data = het.load(mapped(tmp_path, annulus(40.0, 30.0), 1))
    np.testing.assert_allclose(data.phi, 30.0, atol=1.0)
    np.testing.assert_allclose(data.dphi, 40.0, atol=1.5)


@pytest.mark.parametrize("lost", [*PLACE, "xpcs/dqmap"])
def test_one_azimuth_without_pixels_is_taken_for_rings(tmp_path, lost):
    data = het.load(mapped(tmp_path, annulus(40.0, 30.0), 1, **{lost: None}))
    assert np.isnan(data.phi).all()
    assert np.isnan(data.dq).all()
    assert data.provenance["phi_source"].startswith("dnophi is 1: taken for rings")
    assert lost in data.provenance["phi_source"]


def test_an_azimuth_that_is_nan_is_none(legacy):
    data = het.load(legacy([0, 3], {"dqlist": [0.01, 0.02], "dphilist": [np.nan] * 2, "dnophi": 1}))
    assert np.isnan(data.phi).all()


def test_pixels_of_another_geometry_tell_nothing(tmp_path):
    with pytest.warns(UserWarning, match="in dqlist, but .* by its pixels in xpcs/dqmap; the list is taken"):
        data = het.load(mapped(tmp_path, sectors(), 6, **{f"{DETECTOR}/distance": 5000.0}))
    assert np.isnan(data.dq).all()
    assert np.isfinite(data.phi).all()


def test_folded_maps_are_refused(tmp_path):
    part = partition(Q, AZIMUTH % 120.0, (Q >= 0.0085) & (Q <= 0.0115), (2, 3))
    with pytest.raises(DataError, match="the q map is folded"):
        het.load(mapped(tmp_path, part, 3))
