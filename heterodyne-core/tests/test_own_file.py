"""The project's own file keeps everything, is an NXxpcs tree, and stores upper tiles only."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest

import heterodyne as het
from heterodyne.data.own_file import MATRICES
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError

NEXUS_CLASSES = {
    "/": "NXroot",
    "entry": "NXentry",
    "entry/data": "NXdata",
    "entry/twotime": "NXcollection",
    "entry/instrument": "NXinstrument",
    "entry/instrument/detector": "NXdetector",
    "entry/instrument/masks": "NXnote",
    "entry/heterodyne": "NXcollection",
}


def symmetric(n, dtype=np.float64, seed=0):
    noise = np.random.default_rng(seed).normal(1.1, 0.02, (n, n)).astype(dtype)
    return np.triu(noise) + np.triu(noise, 1).T


@pytest.fixture
def data():
    t = np.array([1.0, 1.5, 2.0, 4.0, 4.5, 5.0, 9.0])
    mask = np.ones((3, 7), dtype=bool)
    mask[1, 2] = mask[2, :2] = False
    return TwoTime(
        c2=[symmetric(7, np.float32, seed) for seed in range(3)],
        q=[0.01, 0.01, 0.0123456789012345],
        phi=[-170.0, np.nan, 200.0],
        t=t,
        dt=0.5,
        age=0.5,
        dq=[0.001, 0.001, np.nan],
        dphi=[10.0, np.nan, 20.0],
        mask=mask,
        provenance={
            "dt_source": "simulated",
            "truth": {"D0_ref": 1.0e4 / 3, "names": ["a"], "c2": np.arange(3)},
            "seed": np.int64(7),
            "file": "raw.hdf",
            "frames": [1, 7],
        },
    )


def test_everything_survives_saving_and_loading(data, tmp_path):
    path = data.save(tmp_path / "own.h5")
    back = het.load(path)
    for name in ("q", "phi", "t", "dq", "dphi", "mask"):
        np.testing.assert_array_equal(getattr(back, name), getattr(data, name), err_msg=name)
        assert getattr(back, name).dtype == getattr(data, name).dtype
    assert (back.dt, back.age) == (data.dt, data.age)
    for loaded, original in zip(back.c2, data.c2, strict=True):
        assert loaded.dtype == np.float32
        np.testing.assert_array_equal(loaded, original)


def test_provenance_survives_and_that_of_the_earlier_file_becomes_the_origin(data, tmp_path):
    found = het.load(data.save(tmp_path / "own.h5")).provenance
    assert found["truth"] == {"D0_ref": 1.0e4 / 3, "names": ["a"], "c2": [0, 1, 2]}
    assert found["seed"] == 7
    assert (found["dt_source"], found["age_source"]) == ("simulated", "the file")
    assert found["origin"] == {"file": "raw.hdf", "frames": [1, 7]}
    assert found["file"] == str(tmp_path / "own.h5")
    assert found["loader"] == "heterodyne"


def test_the_chain_of_origins_grows_with_every_conversion(data, tmp_path):
    first = het.load(data.save(tmp_path / "first.h5"), frames=(2, 7))
    second = het.load(first.save(tmp_path / "second.h5"))
    origin = second.provenance["origin"]
    assert origin["file"] == str(tmp_path / "first.h5")
    assert origin["frames"] == [2, 7]
    assert origin["origin"]["file"] == "raw.hdf"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [3, 255, 256, 257, 700])
def test_tiles_of_every_size_give_the_matrix_back(tmp_path, n, dtype):
    matrix = symmetric(n, dtype)
    data = TwoTime([matrix], [0.01], [0.0], np.arange(1, n + 1), 1.0)
    loaded = het.load(data.save(tmp_path / "own.h5")).c2[0]
    assert loaded.dtype == dtype
    np.testing.assert_array_equal(loaded, matrix)


def test_tiles_below_the_diagonal_are_not_stored(tmp_path):
    data = TwoTime([symmetric(1024, np.float32)], [0.01], [0.0], np.arange(1, 1025), 1.0)
    with h5py.File(data.save(tmp_path / "own.h5")) as file:
        dataset = file[f"{MATRICES}/c2_00001"]
        assert dataset.chunks == (256, 256)
        assert dataset.id.get_num_chunks() == 4 + 3 + 2 + 1


def test_the_tree_is_nxxpcs(data, tmp_path):
    with h5py.File(data.save(tmp_path / "own.nxs")) as file:
        assert file.attrs["heterodyne_schema"] == b"twotime/1"
        for name, nexus_class in NEXUS_CLASSES.items():
            assert file[name].attrs["NX_class"] == nexus_class.encode()
        assert file["entry/definition"][()] == b"NXxpcs"
        matrices = file["entry/twotime/two_time_corr_func"]
        assert dict(matrices.attrs) == {
            "NX_class": b"NXcollection",
            "storage_mode": b"data_exchange_keys",
            "populated_elements": b"upper_half",
            "baseline_reference": 1,
            "time_origin_location": b"upper_left",
        }
        assert file["entry/instrument/detector/frame_time"].attrs["units"] == b"s"
        assert json.loads(file["entry/heterodyne/truth"][()])["names"] == ["a"]


def test_a_part_saved_again_keeps_its_times(data, tmp_path):
    part = het.load(data.save(tmp_path / "own.h5"), frames=(3, 7))
    again = het.load(part.save(tmp_path / "part.h5"))
    np.testing.assert_array_equal(again.t, part.t)
    assert again.age == part.age


def test_dt_and_age_given_stretch_and_shift_the_times(data, tmp_path):
    path = data.save(tmp_path / "own.h5")
    with pytest.warns(UserWarning, match=r"dt = 1 s as given, not 0.5 s"):
        stretched = het.load(path, dt=1.0)
    np.testing.assert_allclose(stretched.t, 0.5 + 2 * (data.t - 0.5))
    with pytest.warns(UserWarning, match="age = 10 s"):
        shifted = het.load(path, age=10.0)
    np.testing.assert_allclose(shifted.t, data.t + 9.5)


def test_bins_of_one_file_can_be_written_over_it(data, tmp_path):
    path = data.save(tmp_path / "own.h5")
    het.load(path, q=0.01).save(path)
    back = het.load(path)
    assert back.n_bins == 2
    np.testing.assert_array_equal(back.c2[1], data.c2[1])


def test_only_names_of_hdf5_files_are_taken(data, tmp_path):
    with pytest.raises(DataError, match=r"own.npz must end in .h5, .hdf5"):
        data.save(tmp_path / "own.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_matrix_of_the_wrong_size_leaves_no_file(data, tmp_path):
    data.c2[2] = symmetric(5)
    with pytest.raises(DataError, match="has 5 frames, the times 7"):
        data.save(tmp_path / "own.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.05, 0.25, 0.75, 0.99])
def test_a_disk_that_takes_no_more_is_one_line_and_the_old_file_stays(data, tmp_path, full_after, share):
    path = data.save(tmp_path / "own.h5")
    whole = path.read_bytes()
    with (
        full_after(int(share * len(whole))),
        pytest.raises(DataError, match=rf"cannot write {path}: File too large"),
    ):
        data.save(path)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_read_once_the_disk_is_full(data, tmp_path, full_after):
    read = []

    class Watched(list):
        def __getitem__(self, bin):
            read.append(bin)
            return super().__getitem__(bin)

    watched = replace(data, c2=Watched([*data.c2, *data.c2][:3]))
    read.clear()
    with full_after(0), pytest.raises(DataError, match="File too large"):
        watched.save(tmp_path / "own.h5")
    assert read == []


def test_ctrl_c_while_a_file_is_written_leaves_the_old_one(data, tmp_path):
    path = data.save(tmp_path / "own.h5")
    whole = path.read_bytes()

    class Interrupting(list):
        def __getitem__(self, bin):
            if bin == 1:
                signal.raise_signal(signal.SIGINT)
                time.sleep(0.2)  # the main thread hears it and waits for this one
            return super().__getitem__(bin)

    interrupting = replace(data, c2=Interrupting(data.c2))
    with pytest.raises(KeyboardInterrupt):
        interrupting.save(path)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_one_line(data, tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        data.save(tmp_path / "nowhere" / "own.h5")


def test_a_later_schema_is_refused(data, tmp_path):
    path = data.save(tmp_path / "own.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["heterodyne_schema"] = "twotime/2"
    with pytest.raises(DataError, match="heterodyne_schema is twotime/2; this version reads twotime/1"):
        het.load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("baseline_reference", 0), ("time_origin_location", "lower_left"), ("storage_mode", "other")],
)
def test_another_storage_than_the_layouts_is_refused(data, tmp_path, name, value):
    path = data.save(tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        file["entry/twotime/two_time_corr_func"].attrs[name] = value
    with pytest.raises(
        DataError, match=f"{name} of entry/twotime/two_time_corr_func is {value}; this layout has"
    ):
        het.load(path)


def test_a_file_without_its_times_names_them(data, tmp_path):
    path = data.save(tmp_path / "own.h5")
    with h5py.File(path, "r+") as file:
        del file["entry/heterodyne/t"]
    with pytest.raises(DataError, match="has no entry/heterodyne/t"):
        het.load(path)


def test_matrices_and_bins_must_be_as_many(data, tmp_path):
    path = data.save(tmp_path / "own.h5")
    with h5py.File(path, "r+") as file:
        del file[f"{MATRICES}/c2_00002"]
    with pytest.raises(DataError, match="2 matrices but 3 q and 3 phi"):
        het.load(path)


def test_matrices_of_mixed_precision_keep_all_digits(data, tmp_path):
    data.c2[1] = symmetric(7, np.float64, 1)
    back = het.load(data.save(tmp_path / "own.h5"))
    for loaded, original in zip(back.c2, data.c2, strict=True):
        np.testing.assert_array_equal(loaded, original)
    assert list(tmp_path.iterdir()) == [tmp_path / "own.h5"]


def test_what_nxxpcs_requires_is_there_and_unknown_numbers_are_nan(data, tmp_path):
    with h5py.File(data.save(tmp_path / "own.h5")) as file:
        entry = file["entry"]
        for name in ("start_time", "end_time", "entry_identifier_uuid"):
            assert entry[name][()] == b""
        assert entry["entry_identifier"][()] == b"own"
        assert (entry["scan_number"].dtype, entry["scan_number"].size) == (np.int64, 0)
        for name, unit in {
            "incident_beam/incident_energy": b"keV",
            "detector/count_time": b"s",
            "detector/beam_center_x": b"m",
            "detector/beam_center_y": b"m",
            "masks/dynamic_roi_map": b"au",
        }.items():
            field = entry[f"instrument/{name}"]
            assert np.isnan(field[()]).all()
            assert field.attrs["units"] == unit


def test_viewers_find_a_default_plot_over_the_frame_times(data, tmp_path):
    with h5py.File(data.save(tmp_path / "own.h5")) as file:
        entry = file[file.attrs["default"]]
        plot = entry[entry.attrs["default"]]
        assert list(plot.attrs["axes"]) == [b"t", b"t"]
        assert list(plot.attrs["auxiliary_signals"]) == [b"c2_00002", b"c2_00003"]
        np.testing.assert_array_equal(plot["t"], data.t)
        assert plot["t"].attrs["units"] == b"s"
        np.testing.assert_array_equal(np.triu(data.c2[0]), plot[plot.attrs["signal"]])
        np.testing.assert_array_equal(np.triu(data.c2[2]), plot["c2_00003"])


def test_netcdf_libraries_read_all_of_it(data, tmp_path):
    netcdf = pytest.importorskip("h5netcdf")
    with netcdf.File(data.save(tmp_path / "own.h5"), "r", phony_dims="sort") as file:
        names = [
            "entry/heterodyne/mask",
            "entry/heterodyne/provenance",
            "entry/scan_number",
            f"{MATRICES}/c2_00002",
        ]
        read = {name: np.asarray(file[name][...]) for name in names}
    np.testing.assert_array_equal(read[names[-1]], np.triu(data.c2[1]))
    np.testing.assert_array_equal(read["entry/heterodyne/mask"].astype(bool), data.mask)


def test_what_nexus_asks_for_costs_little(tmp_path):
    data = TwoTime([symmetric(3)], [0.01], [0.0], [1.0, 2.0, 3.0], 1.0)
    assert data.save(tmp_path / "own.h5").stat().st_size < 20_000


def test_a_provenance_that_is_not_json_is_one_line(data, tmp_path):
    path = data.save(tmp_path / "own.h5")
    with h5py.File(path, "r+") as file:
        file["entry/heterodyne/provenance"][()] = "{broken"
    with pytest.raises(DataError, match="entry/heterodyne/provenance is not JSON"):
        het.load(path)


@pytest.mark.parametrize("moment", ["mask", "c2_00001", "c2_00003"])
def test_an_interrupted_file_is_whole_or_absent(tmp_path, monkeypatch, moment):
    made, data = h5py.Group.create_dataset, het.simulate("static", frames=12)

    def making(self, name, *arguments, **options):
        if name == moment:
            signal.raise_signal(signal.SIGINT)
        return made(self, name, *arguments, **options)

    monkeypatch.setattr(h5py.Group, "create_dataset", making)
    with pytest.raises(KeyboardInterrupt):
        data.save(tmp_path / "run.h5")
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
