"""APS-U results: labels, grid, units, times and laziness on a scaled-down copy of the real tree."""

from __future__ import annotations

import tracemalloc

import h5py
import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import DataError

RINGS = np.linspace(0.004, 0.022, 10)
AZIMUTHS = np.array([-60.0, 0.0, 60.0])


def cells_of(data):
    """The grid cell of every bin, told by the baseline of its matrix."""
    return [round((matrix[0, -1] - 1 - 0.1 * np.exp(-(data.n_frames - 1) / 7)) * 1000) for matrix in data.c2]


def grid_cells_of(data, rings=RINGS, azimuths=AZIMUTHS):
    """The grid cell of every bin, told by its q and phi."""
    first = [int(np.argmin(np.abs(rings - q))) for q in data.q]
    second = [int(np.argmin(np.abs(azimuths - phi))) for phi in data.phi]
    return [i * len(azimuths) + j for i, j in zip(first, second, strict=True)]


def test_labels_go_through_the_mapping_past_empty_bins(aps_u):
    data = het.load(aps_u(empty=(0, 4, 11)))
    assert data.n_bins == 27
    assert cells_of(data) == grid_cells_of(data) == [c for c in range(30) if c not in (0, 4, 11)]


def test_the_matrix_is_the_full_float32_one_with_its_raw_diagonal(aps_u, cell_matrix):
    data = het.load(aps_u())
    assert data.c2[3].dtype == np.float32
    np.testing.assert_array_equal(data.c2[3], cell_matrix(3, 20))


def test_a_processed_subset_pairs_counters_with_labels(aps_u):
    data = het.load(aps_u(labels=[3, 9, 28]))
    assert cells_of(data) == grid_cells_of(data) == [2, 9, 29]


def test_selection_takes_all_azimuths_of_the_ring(aps_u):
    data = het.load(aps_u(), q=0.0081, phi=[(-70, -50), (50, 70)])
    np.testing.assert_allclose(data.q, RINGS[2])
    np.testing.assert_allclose(data.phi, [-60, 60])
    assert cells_of(data) == [6, 8]


def test_only_selected_matrices_are_read_and_only_when_indexed(aps_u, matrices_read):
    data = het.load(aps_u(), q=(0.007, 0.009), phi=(-5, 5))
    assert data.n_bins == 1
    assert matrices_read == []
    data.c2[0]
    assert matrices_read == ["c2_00007"]
    list(data.bins([0]).c2)
    assert matrices_read == ["c2_00007"] * 2


def test_an_index_mapping_in_uint8_does_not_overflow(aps_u):
    azimuths = np.linspace(-150, 150, 25)
    path = aps_u(phi=azimuths, empty=(17,), labels=[230, 249])
    with h5py.File(path) as file:
        assert file["xpcs/qmap/dynamic_index_mapping"].dtype == np.uint8
    data = het.load(path)
    assert cells_of(data) == grid_cells_of(data, azimuths=azimuths) == [230, 249]


def test_swapped_map_names_swap_the_axes(aps_u):
    data = het.load(aps_u(names=("phi", "q"), units=("deg", "1/angstrom"), empty=(5,)), q=RINGS[4], phi=0.0)
    assert cells_of(data) == [1 * 10 + 4]


def test_maps_over_other_quantities_are_refused_by_name(aps_u):
    with pytest.raises(DataError, match=r"bins are over \(x, y\)"):
        het.load(aps_u(names=("x", "y"), units=("pixel", "pixel")))


def test_q_in_inverse_nanometres_is_converted(aps_u):
    data = het.load(aps_u(q_scale=10.0, units=("nm^-1", "deg")))
    np.testing.assert_allclose(np.unique(data.q), RINGS)


@pytest.mark.parametrize("unit", ["Å⁻¹", "A^-1", "Å^{-1}", "\u212b\u207b\u00b9", "1/Angstrom"])
def test_spellings_of_inverse_angstrom(aps_u, unit):
    np.testing.assert_allclose(np.unique(het.load(aps_u(units=(unit, "deg"))).q), RINGS)


def test_the_attribute_of_a_list_outranks_map_units(aps_u):
    path = aps_u(q_scale=10.0)
    with h5py.File(path, "r+") as file:
        file["xpcs/qmap/dynamic_v_list_dim0"].attrs["unit"] = np.bytes_(b"1/nm")
    np.testing.assert_allclose(np.unique(het.load(path).q), RINGS)


def test_an_unknown_unit_is_refused_and_a_missing_one_is_said(aps_u):
    with pytest.raises(DataError, match="no unit of q named 'pixel'"):
        het.load(aps_u(units=("pixel", "deg")))
    with pytest.warns(UserWarning, match="declares no unit; taken as deg"):
        het.load(aps_u(units=("1/A", "")))


def test_the_spacing_of_the_grid_is_no_width(aps_u):
    data = het.load(aps_u())
    assert np.isnan(data.dq).all()
    assert np.isnan(data.dphi).all()
    assert "the widths are unknown, as there is no xpcs/qmap/beam_center_y" in data.provenance["q_source"]


def test_one_azimuth_without_pixels_may_be_a_ring_and_is_said_to(aps_u):
    with pytest.warns(UserWarning, match="the one azimuth, 12°, may stand for a whole ring"):
        data = het.load(aps_u(phi=[12.0], empty=(3,)))
    np.testing.assert_allclose(data.phi, 12.0)


def test_scalars_may_be_one_by_one_arrays(aps_u):
    data = het.load(
        aps_u(
            frame_time=np.array([[0.05]], np.float32),
            count_time=0.05,
            config={"stride_frame": np.array([[2]])},
        )
    )
    assert data.dt == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("stride", "average", "begin", "first"),
    [
        (1, 1, 0, 0.1),
        (1, 1, 12, 1.3),
        (2, 1, 0, 0.1),  # raw frames 1, 3, 5, ...
        (1, 2, 0, 0.15),  # 1 and 2
        (2, 3, 10, 1.3),  # 11, 13 and 15, not 16
        (3, 2, 12, 1.45),  # 13 and 16
    ],
)
def test_a_stored_frame_has_the_mean_time_of_its_raw_frames(aps_u, stride, average, begin, first):
    data = het.load(aps_u(config={"stride_frame": stride, "avg_frame": average, "begin_frame": begin}))
    assert data.dt == pytest.approx(0.1 * stride * average)
    np.testing.assert_allclose(data.t, first + data.dt * np.arange(20))
    np.testing.assert_allclose(data.t, data.age + data.dt * np.arange(1, 21))
    assert data.provenance["dt_source"] == f"frame_time × stride_frame {stride} × avg_frame {average}"
    assert data.provenance["age_source"].startswith(f"begin_frame {begin} (counted from 0) × frame period")


def test_a_begin_that_counts_from_the_end_leaves_the_age_unknown(aps_u):
    path = aps_u(config={"begin_frame": -120})
    with pytest.raises(DataError, match=r"begin_frame = -120 .* age is unknown; .* --age") as caught:
        het.load(path)
    assert "\n" not in str(caught.value)
    data = het.load(path, age=5.0)
    np.testing.assert_allclose(data.t[:2], [5.1, 5.2])
    assert data.provenance["age_source"] == "given, as begin_frame -120 counts from the end"


@pytest.mark.filterwarnings("ignore:dt = ")
@pytest.mark.parametrize(
    ("config", "fits"),
    [
        ({"end_frame": 20}, True),
        ({"end_frame": 25}, True),
        ({"begin_frame": 5, "end_frame": 25}, True),
        ({"avg_frame": 3, "stride_frame": 2, "end_frame": 125}, True),
        ({"end_frame": 0}, True),  # to the last, as -1
        ({"end_frame": 19}, False),
        ({"begin_frame": 5, "end_frame": 20}, False),
        ({"begin_frame": 30, "end_frame": 10}, False),
        ({"avg_frame": 3, "end_frame": 20}, False),  # not averaged after all?
    ],
)
def test_the_range_of_raw_frames_makes_the_stored_ones(aps_u, config, fits):
    path = aps_u(config=config)
    if fits:
        assert het.load(path).n_frames == 20
        return
    with pytest.raises(DataError, match=r"20 frames, each for \d raw ones, do not come from begin_frame"):
        het.load(path)
    assert het.load(path, dt=0.1).dt == 0.1


NO_COUNTS = (10.5, np.nan, np.inf, 1e300, 10**12, np.array([1, 2]))
NO_FACTORS = (*NO_COUNTS, 0, -1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("begin_frame", value) for value in NO_COUNTS),
        *(("stride_frame", value) for value in NO_FACTORS),
        *(("avg_frame", value) for value in NO_FACTORS),
        *(("end_frame", value) for value in NO_COUNTS),
    ],
)
def test_frame_counts_that_cannot_be_are_refused_by_name(aps_u, name, value):
    with pytest.raises(DataError, match=name):
        het.load(aps_u(config={name: value}))


def test_a_given_dt_replaces_that_of_the_file_with_a_warning(aps_u):
    with pytest.warns(UserWarning, match=r"dt = 0.2 s as given, not 0.1 s"):
        data = het.load(aps_u(config={"begin_frame": 10, "stride_frame": 1}), dt=0.2)
    assert data.dt == 0.2
    assert data.age == pytest.approx(2.0)
    assert data.provenance["dt_source"].startswith("given; the file says 0.1 s")


@pytest.mark.filterwarnings("error")
def test_a_given_dt_that_agrees_is_no_discrepancy(aps_u):
    data = het.load(aps_u(frame_time=np.float32(0.1)), dt=0.1)
    assert data.provenance["dt_source"] == "given"


@pytest.mark.parametrize(
    ("frame_time", "said"),
    [
        (0.0, "frame_time is 0 s"),
        (np.nan, "frame_time is nan s"),
        (1e300, r"frame_time is 1e\+300 s"),
        (None, "there is no .*frame_time"),
    ],
)
def test_an_unusable_frame_time_needs_dt(aps_u, frame_time, said):
    path = aps_u(frame_time=frame_time, config={"begin_frame": 5})
    with pytest.raises(DataError, match=f"{said}; give dt"):
        het.load(path)
    assert het.load(path, dt=0.5).age == pytest.approx(2.5)


def test_a_frame_time_that_may_be_a_placeholder_is_used_said_and_recorded(aps_u):
    with pytest.warns(UserWarning, match="placeholder"):
        data = het.load(aps_u(frame_time=1.0))
    assert data.dt == 1.0
    assert "placeholder" in data.provenance["dt_source"]


def test_a_frame_time_below_the_exposure_is_refused_unless_dt_is_given(aps_u):
    path = aps_u(frame_time=0.05)
    with pytest.raises(DataError, match=r"frame_time 0\.05 s is shorter than count_time 0\.09 s; give dt"):
        het.load(path)
    with pytest.warns(UserWarning, match="as given"):
        data = het.load(path, dt=0.1)
    assert data.dt == 0.1
    assert "shorter than count_time" in data.provenance["dt_source"]


def test_the_exposure_may_have_a_unit_of_its_own(aps_u):
    path = aps_u(frame_time=0.1, count_time=90.0)
    with h5py.File(path, "r+") as file:
        file["entry/instrument/detector_1/count_time"].attrs["unit"] = "ms"
    assert het.load(path).dt == 0.1


def test_what_the_configuration_omits_is_recorded(aps_u):
    data = het.load(aps_u(config={"begin_frame": None, "avg_frame": None}))
    assert "avg_frame 1 (not in the file)" in data.provenance["dt_source"]
    assert data.provenance["age_source"] == "age is not in the file, taken as 0"


def test_a_frame_time_in_milliseconds_is_converted(aps_u):
    path = aps_u(frame_time=100.0)
    with h5py.File(path, "r+") as file:
        file["entry/instrument/detector_1/frame_time"].attrs["unit"] = "ms"
    assert het.load(path).dt == pytest.approx(0.1)


@pytest.mark.parametrize("key", ["c2_{}", "{}"])
def test_unpadded_names_are_sorted_by_number(aps_u, key):
    assert cells_of(het.load(aps_u(key=key, empty=()))) == list(range(30))


def test_a_count_that_differs_from_the_labels_is_refused(aps_u):
    path = aps_u()
    with h5py.File(path, "r+") as file:
        del file["xpcs/twotime/correlation_map/c2_00028"]
    with pytest.raises(DataError, match=r"27 matrices in .* but 28 labels"):
        het.load(path)


def test_a_label_without_a_mapping_is_refused(aps_u):
    with pytest.raises(DataError, match=r"label 29 .* is not mapped; .* ends at 28"):
        het.load(aps_u(labels=[2, 29]))


def test_a_label_of_zero_is_refused(aps_u):
    with pytest.raises(DataError, match="labels count from 1"):
        het.load(aps_u(labels=[0, 1]))


def test_a_cell_outside_the_grid_is_refused(aps_u):
    path = aps_u()
    with h5py.File(path, "r+") as file:
        file["xpcs/qmap/dynamic_index_mapping"][-1] = 30
    with pytest.raises(DataError, match="cell 30 of a grid of 10 × 3"):
        het.load(path)


@pytest.mark.parametrize(
    ("key", "values", "said"),
    [
        ("twotime/processed_bins", [1, 1, 2], "every bin once: label 1 is there 2 times"),
        ("twotime/processed_bins", [1.9, 2.9, 3.9], "whole numbers, not 1.9"),
        ("twotime/processed_bins", [1.0, np.nan, 3.0], "whole numbers, not nan"),
        ("twotime/processed_bins", [-1, 1, 2], "label -1"),
        ("qmap/dynamic_index_mapping", [0, 1, 1, *range(3, 28)], "every cell once: cell 1 is there 2 times"),
        ("qmap/dynamic_index_mapping", [0.5, *range(1, 28)], "whole numbers, not 0.5"),
        ("qmap/dynamic_index_mapping", [-1, *range(1, 28)], "cell -1"),
        ("qmap/dynamic_num_pts", [10.5, 3], "whole numbers, not 10.5"),
    ],
)
def test_labels_that_cannot_be_are_refused_by_name(aps_u, key, values, said):
    path = aps_u(labels=[1, 2, 3])
    with h5py.File(path, "r+") as file:
        del file[f"xpcs/{key}"]
        file[f"xpcs/{key}"] = np.array(values)
    with pytest.raises(DataError, match=said) as caught:
        het.load(path)
    assert key in str(caught.value)


def test_lists_that_contradict_the_grid_size_are_refused(aps_u):
    path = aps_u()
    with h5py.File(path, "r+") as file:
        file["xpcs/qmap/dynamic_num_pts"][...] = [10, 4]
    with pytest.raises(DataError, match=r"\(10, 4\), but the lists of centres have \(10, 3\)"):
        het.load(path)


def test_without_mapping_a_full_grid_is_accepted_and_a_partial_one_refused(aps_u):
    assert cells_of(het.load(aps_u(mapping=False, empty=()))) == list(range(30))
    with pytest.raises(DataError, match="no xpcs/qmap/dynamic_index_mapping, and not all 30"):
        het.load(aps_u(mapping=False))


def test_a_merged_map_with_running_labels_is_refused(aps_u):
    rings = np.concatenate([RINGS[:5], RINGS[3:8]])
    with pytest.raises(DataError, match="merged"):
        het.load(aps_u(q=rings, empty=(28, 29)))


def test_empty_bins_at_the_end_only_are_said(aps_u):
    with pytest.warns(UserWarning, match="last 2 of 30 bins are empty"):
        data = het.load(aps_u(empty=(28, 29)))
    assert data.n_bins == 28


def test_matrices_with_a_leading_single_axis_are_read(aps_u, cell_matrix):
    np.testing.assert_array_equal(het.load(aps_u(shape_2d=(1, 20, 20))).c2[0], cell_matrix(0, 20))


def test_a_matrix_that_is_not_square_is_refused(aps_u):
    with pytest.raises(DataError, match=r"c2_00001 must be square, not of shape \(10, 40\)"):
        het.load(aps_u(shape_2d=(10, 40)))


def test_matrices_of_different_size_are_refused_only_if_selected(aps_u):
    path = aps_u()
    with h5py.File(path, "r+") as file:
        del file["xpcs/twotime/correlation_map/c2_00002"]
        file["xpcs/twotime/correlation_map/c2_00002"] = np.ones((7, 7))
    with pytest.raises(DataError, match=r"c2_00001 has 20 frames, .*c2_00002 has 7 frames"):
        het.load(path)
    assert het.load(path, phi=-60.0).n_frames == 20


def test_a_file_with_multi_tau_results_only_says_so(aps_u):
    path = aps_u()
    with h5py.File(path, "r+") as file:
        del file["xpcs/twotime"]
    with pytest.raises(DataError, match="multi-tau g2 only"):
        het.load(path)
    with pytest.raises(DataError, match="multi-tau g2 only"):
        het.load(path, loader="aps-u")


def test_a_dangling_external_link_is_named(aps_u):
    path = aps_u()
    with h5py.File(path, "r+") as file:
        del file["xpcs/twotime/correlation_map/c2_00001"]
        file["xpcs/twotime/correlation_map/c2_00001"] = h5py.ExternalLink("gone.hdf", "/c2")
    with pytest.raises(DataError, match=r"c2_00001 is a link to /c2 in gone.hdf"):
        het.load(path)


def test_an_external_link_to_the_matrix_is_followed_where_links_are_allowed(aps_u, tmp_path, cell_matrix):
    path = aps_u()
    with h5py.File(tmp_path / "other.hdf", "w") as other:
        other["c2"] = np.triu(cell_matrix(0, 20))
    with h5py.File(path, "r+") as file:
        del file["xpcs/twotime/correlation_map/c2_00001"]
        file["xpcs/twotime/correlation_map/c2_00001"] = h5py.ExternalLink("other.hdf", "/c2")
    with pytest.raises(DataError, match=r"c2_00001 is a link to /c2 in other.hdf.*--allow-links"):
        het.load(path)
    data = het.load(path, allow_links=True)
    np.testing.assert_array_equal(data.c2[0], cell_matrix(0, 20))
    assert [row["file"] for row in data.provenance["linked"]] == [str(tmp_path / "other.hdf")]


@pytest.mark.slow
def test_three_hundred_large_matrices_cost_nothing_until_one_is_read(aps_u, matrices_read):
    n, n_bins = 4800, 300
    path = aps_u(phi=np.linspace(-170, 170, 30), empty=(), mapping_dtype=np.uint16, labels=[1])
    with h5py.File(path, "r+") as file:
        group = file["xpcs/twotime/correlation_map"]
        del group["c2_00001"], file["xpcs/twotime/processed_bins"]
        for counter in range(1, n_bins + 1):
            group.create_dataset(
                f"c2_{counter:05d}", (n, n), np.float32, chunks=(n, n), compression="lzf", fillvalue=1.0
            )
        group["c2_00077"][...] = 1.0  # the others are never read
        file["xpcs/twotime/processed_bins"] = np.arange(1, n_bins + 1, dtype=np.int32)
    assert path.stat().st_size < 2e6
    tracemalloc.start()
    try:
        data = het.load(path, q=0.0081, phi=(0.0, 20.0))
        assert tracemalloc.get_traced_memory()[1] < 5e6
        assert data.n_bins == 2
        assert data.c2[1].shape == (n, n)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * n * n * 4
    finally:
        tracemalloc.stop()
    assert matrices_read == ["c2_00077"]
