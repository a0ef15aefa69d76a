"""Which loader reads a file, what is wrong with files that none can read, and lazy reading from HDF5."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import heterodyne as het
from heterodyne.data.matrices import ShiftedMatrices, upper
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError, HeterodyneError, PluginError
from heterodyne.fitting.fit import versions
from heterodyne.loading.lazy import FileMatrices, Place
from heterodyne.plugins import hookimpl
from heterodyne.plugins.records import LoaderRecord

MATRIX = np.exp(-np.abs(np.subtract.outer(np.arange(6), np.arange(6))) / 3) + 1
ALL = slice(0, 6)


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def stored(tmp_path):
    """A function that writes one dataset ``c2`` and returns the matrices on it."""

    def write(frames=ALL, place=None, **options):
        path = tmp_path / "one.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("c2", **options)
        return FileMatrices(path, (place or Place("c2"),), frames)

    return write


WHOLE = TwoTime(
    np.stack([MATRIX + bin for bin in range(4)]),
    q=[0.01, 0.01, 0.02, 0.02],
    phi=[0.0, 90.0, 0.0, 90.0],
    t=5.0 + 0.5 * np.arange(1, 7),
    dt=0.5,
    age=5.0,
)


@pytest.fixture
def install(only_plugins, tmp_path):
    """A function: loaders of a strange plugin are the only ones, each with its score and what it loads or raises."""

    def offer(**loads):
        @hookimpl
        def heterodyne_loaders():
            yield from (LoaderRecord(name, "a test", f"strange_plugin:{name}") for name in loads)

        loaders = {
            name: SimpleNamespace(sniff=called(score), load=called(content))
            for name, (score, content) in loads.items()
        }
        only_plugins(strange=SimpleNamespace(heterodyne_loaders=heterodyne_loaders, **loaders))
        (tmp_path / "x").write_bytes(b"x")
        return tmp_path / "x"

    return offer


def called(outcome):
    """A function that gives this, or raises it."""

    def call(*arguments):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return call


def test_the_best_score_wins(install):
    data = het.load(install(low=(0.2, None), high=(0.8, WHOLE)))
    assert data.provenance["loader"] == "high"


def test_two_equal_best_scores_are_an_error_naming_both(install):
    path = install(one=(0.8, WHOLE), two=(0.8, WHOLE), three=(0.1, WHOLE))
    with pytest.raises(DataError, match="'one' and 'two' equally; choose with --loader one") as error:
        het.load(path)
    one_line(error)
    assert het.load(path, loader="two").provenance["loader"] == "two"


def test_a_loader_that_fails_to_sniff_is_passed_over_with_a_warning(install):
    path = install(broken=(RuntimeError("boom"), None), sound=(0.5, WHOLE))
    with pytest.warns(UserWarning, match=r"loader 'broken' failed on .*boom"):
        assert het.load(path).provenance["loader"] == "sound"


class Unread:
    """Upper halves, without anything that core knows of, which count how often they are read."""

    def __init__(self):
        self.read = []

    def __len__(self):
        return 4

    def __getitem__(self, bin):
        self.read.append(bin)
        return np.triu(WHOLE.c2[bin])


@pytest.mark.filterwarnings("ignore:age = 0 s as given")
def test_whatever_a_loader_returns_is_chosen_from_by_core(install):
    matrices = Unread()
    weight = np.stack([MATRIX * bin for bin in range(1, 5)])
    whole = replace(
        WHOLE, c2=matrices, mask=np.arange(6) != 3, bad_pairs=[[1, 2, 4], [3, 2, 4]], weight=weight
    )
    path = install(strange=(1.0, whole))
    part = het.load(path, q=0.0204, phi=(45.0, 135.0), frames=(3, 6), age=0.0)
    assert matrices.read == []
    assert (part.q.tolist(), part.phi.tolist()) == ([0.02], [90.0])
    np.testing.assert_array_equal(part.c2[0], WHOLE.c2[3][2:, 2:])
    np.testing.assert_allclose(part.t, [1.5, 2.0, 2.5, 3.0])
    assert (part.dt, part.age) == (0.5, pytest.approx(1.0))
    assert part.mask.tolist() == [[True, False, True, True]]
    assert part.bad_pairs.tolist() == [[0, 0, 2]]
    np.testing.assert_array_equal(part.weight[0], weight[3][2:, 2:])
    assert part.provenance["frames"] == [3, 6]
    assert matrices.read == [3]


def test_dt_and_age_are_those_given_whatever_the_loader_says(install):
    path = install(strange=(1.0, WHOLE))
    with (
        pytest.warns(UserWarning, match=r"dt = 2 s as given, not 0.5 s"),
        pytest.warns(UserWarning, match=r"age = 1 s as given, not 5 s"),
    ):
        data = het.load(path, dt=2.0, age=1.0)
    np.testing.assert_allclose(data.t, 1.0 + 2.0 * np.arange(1, 7))
    assert data.provenance["dt_source"] == "given; the file says 0.5 s (the file)"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"c2": [MATRIX]}, "returned dict, not a TwoTime"),
        (KeyError("q"), "failed: KeyError: 'q'"),
        (OSError("no disk"), "failed: OSError: no disk"),
        (
            replace(WHOLE, t=0.5 * np.arange(1, 9), age=0.0, mask=True),
            "gives 8 times for matrices of 6 frames",
        ),
    ],
)
def test_a_loader_that_breaks_its_contract_is_named_with_its_plugin(install, content, said):
    path = install(strange=(1.0, content))
    with pytest.raises(PluginError) as error:
        het.load(path)
    assert one_line(error) == f"{path}: loader 'strange' (plugin 'strange' of unknown unknown) {said}"


def test_unread_matrices_of_another_size_are_refused_when_they_are_read(install):
    path = install(strange=(1.0, replace(WHOLE, c2=Unread(), t=0.5 * np.arange(1, 9), age=0.0, mask=True)))
    with pytest.raises(DataError, match="bin 1: the matrix has 6 frames, its time axis 8"):
        het.load(path, q=0.01, frames=(1, 4)).c2[0]


def test_an_error_of_a_loader_names_the_file(install):
    path = install(strange=(1.0, DataError("there is no q")))
    with pytest.raises(DataError, match=f"^{path}: there is no q$"):
        het.load(path)


def test_an_unknown_loader_lists_those_installed(aps_u):
    with pytest.raises(HeterodyneError, match=r"no loader named 'aps_u'; did you mean 'aps-u'.*numpy"):
        het.load(aps_u(), loader="aps_u")


def test_provenance_names_the_file_its_checksum_and_the_selection(aps_u):
    path = aps_u()
    found = het.load(path, q=0.008, phi=(-5, 5), frames=(1, 10)).provenance
    assert found["file"] == str(path)
    assert found["size"] == path.stat().st_size
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["loader"] == "aps-u"
    assert found["selection"] == {"q": (0.008,), "phi": ((-5.0, 5.0),), "frames": (1, 10)}


def test_large_files_are_known_by_their_time_of_change(aps_u):
    path = aps_u()
    os.truncate(path, 2**26 + 1)  # no more on the disk than before
    found = het.load(path).provenance
    assert "sha256" not in found
    assert found["mtime_ns"] == path.stat().st_mtime_ns


def test_versions_name_the_numerical_base_and_our_distributions():
    found = versions()
    assert {"heterodyne-core", "jax", "numpy", "python"} <= set(found)
    assert found["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("q", "n_bins"),
    [(0.008, 3), ((0.007, 0.011), 5), ([0.004, 0.0221], 6), ([0.004, (0.019, 0.03)], 9), ([(0, 1)], 28)],
)
def test_q_is_a_value_a_range_or_a_list_of_those(aps_u, q, n_bins):
    assert het.load(aps_u(), q=q).n_bins == n_bins


def test_lists_arrays_and_tuples_of_several_are_the_same(aps_u):
    path = aps_u()
    assert het.load(path, phi=()).n_bins == het.load(path).n_bins == 28
    assert het.load(path, q=np.array([0.004, 0.022])).n_bins == het.load(path, q=[0.004, 0.022]).n_bins
    assert het.load(path, phi=((-70, -50), (50, 70))).n_bins == het.load(path, phi=[-60, 60]).n_bins


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ({"q": (0.1, 0.2)}, "no bin with q in 0.1:0.2; the file has q = 0.004, 0.006"),
        ({"phi": (10, 20)}, "no bin with phi in 10:20; the selected q have phi = -60, 0, 60"),
        ({"frames": (5, 30)}, "frames 5:30 cannot be selected; the file has frames 1:20"),
        ({"frames": (9, 3)}, "frames 9:3"),
        ({"frames": (4, 4)}, "frames 4:4"),
        ({"frames": (1.5, 4)}, "frames must be two whole numbers"),
        ({"frames": 7}, "frames must be two whole numbers"),
        ({"q": "0.01"}, "q must be a number"),
        ({"q": (0.02, 0.01)}, "q range 0.02:0.01 has its ends exchanged"),
        ({"phi": [(1, 2, 3)]}, "phi must be a number"),
        ({"dt": 0.0}, "dt must be positive"),
        ({"dt": -1.0}, "dt must be positive"),
        ({"dt": float("nan")}, "dt must be positive"),
        ({"age": -50.0}, "frame times must be positive"),
    ],
)
@pytest.mark.filterwarnings("ignore:(dt|age) = ")
def test_a_selection_that_selects_nothing_says_what_exists(aps_u, selection, said):
    with pytest.raises(DataError) as error:
        het.load(aps_u(), **selection)
    assert said in one_line(error)


def test_a_missing_file_suggests_the_nearest_name(tmp_path):
    (tmp_path / "run_1.h5").write_bytes(b"")
    with pytest.raises(DataError, match=r"there is no file .*/run1.h5; did you mean .*/run_1.h5\?") as error:
        het.load(tmp_path / "run1.h5")
    one_line(error)
    with pytest.raises(DataError, match="there is no file"):
        het.load(tmp_path / "no" / "where.h5")


def test_a_folder_and_an_empty_file_are_named(tmp_path):
    (tmp_path / "empty.h5").touch()
    with pytest.raises(DataError, match="is a folder"):
        het.load(tmp_path)
    with pytest.raises(DataError, match=r"empty.h5 is empty"):
        het.load(tmp_path / "empty.h5")


def test_a_file_that_is_not_hdf5_says_so(tmp_path):
    (tmp_path / "notes.h5").write_text("q = 0.01")
    with pytest.raises(DataError, match=r"notes.h5 is not an HDF5 file") as error:
        het.load(tmp_path / "notes.h5")
    one_line(error)


def test_an_unreadable_file_says_so(tmp_path, monkeypatch):
    # refused by a stand-in for open(), because root may read every file
    path = tmp_path / "secret.h5"
    path.write_text("x")
    opened = Path.open

    def refusing(self, *arguments, **options):
        if self == path:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        het.load(path)


@pytest.mark.parametrize("kept", [300, 3000])
def test_a_truncated_file_says_so(aps_u, kept):
    path = aps_u()
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match="truncated or still being written") as error:
        het.load(path)
    one_line(error)


def test_hdf5_without_two_time_data_lists_what_is_there(tmp_path):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["images"] = np.zeros(3)
        file.create_group("settings")
    with pytest.raises(DataError, match=r"no two-time correlation .* at its top: images, settings") as error:
        het.load(tmp_path / "foreign.h5")
    assert "aps-u" in one_line(error)


@pytest.mark.parametrize("key", ["xpcs/multitau/normalized_g2", "exchange/norm-0-g2", "entry/data/g2"])
def test_multi_tau_results_are_recognised(tmp_path, key):
    with h5py.File(tmp_path / "g2.h5", "w") as file:
        file[key] = np.ones(3)
    with pytest.raises(DataError, match="multi-tau g2 only"):
        het.load(tmp_path / "g2.h5")


def test_an_empty_hdf5_file_says_so(tmp_path):
    h5py.File(tmp_path / "hollow.h5", "w").close()
    with pytest.raises(DataError, match="at its top: nothing"):
        het.load(tmp_path / "hollow.h5")


def test_frames_are_cut_and_the_half_is_mirrored(stored):
    matrices = stored(slice(1, 5), data=np.triu(MATRIX).astype(np.float32), chunks=(6, 6), compression="lzf")
    assert matrices[0].dtype == np.float32
    np.testing.assert_array_equal(matrices[0], MATRIX[1:5, 1:5].astype(np.float32))
    assert [matrix.shape for matrix in matrices] == [(4, 4)]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_matrix_of_a_three_dimensional_array_is_read(stored, axis):
    stack = np.stack([MATRIX, MATRIX + 1, MATRIX + 2], axis=axis)
    np.testing.assert_array_equal(stored(place=Place("c2", 1, axis), data=stack)[0], MATRIX + 1)


def test_a_three_dimensional_array_without_index_is_refused(stored):
    with pytest.raises(DataError, match=r"c2 must be one square matrix, not of shape \(2, 6, 6\)"):
        stored(data=np.stack([MATRIX, MATRIX]))[0]


def test_a_matrix_that_is_neither_half_nor_symmetric_names_file_and_dataset(stored):
    lopsided = MATRIX.copy()
    lopsided[4, 0] += 1
    with pytest.raises(DataError, match=r"one.h5: c2: the matrix is neither") as error:
        stored(data=lopsided)[0]
    one_line(error)


def test_a_file_that_vanishes_before_its_matrix_is_read_is_named(stored):
    matrices = stored(data=MATRIX)
    matrices.path.unlink()
    with pytest.raises(DataError, match="there is no file"):
        matrices[0]


def test_a_virtual_dataset_whose_source_is_gone_is_refused(tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["m"] = MATRIX
    layout = h5py.VirtualLayout((6, 6), float)
    layout[:] = h5py.VirtualSource("source.h5", "m", (6, 6))
    with h5py.File(tmp_path / "view.h5", "w") as file:
        file.create_virtual_dataset("c2", layout)
    matrices = FileMatrices(tmp_path / "view.h5", (Place("c2"),), ALL)
    np.testing.assert_array_equal(matrices[0], MATRIX)
    (tmp_path / "source.h5").unlink()
    with pytest.raises(DataError, match=r"virtual dataset whose source source.h5 is missing"):
        matrices[0]


def unreadable(path, code):
    """A dataset ``c2`` whose only chunk claims to be packed by filter ``code``."""
    with h5py.File(path, "w") as file:
        pipeline = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        pipeline.set_chunk((6, 6))
        pipeline.set_filter(code, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((6, 6))
        made = h5py.h5d.create(file.id, b"c2", h5py.h5t.IEEE_F64LE, space, dcpl=pipeline)
        made.write_direct_chunk((0, 0), MATRIX.tobytes())
    return FileMatrices(path, (Place("c2"),), ALL)


def test_a_filter_that_nothing_brings_is_named(tmp_path):
    with pytest.raises(
        DataError, match=r"filter 32600 .*pip install heterodyne-core\[compression\]"
    ) as error:
        unreadable(tmp_path / "packed.h5", 32600)[0]
    one_line(error)


def test_without_hdf5plugin_the_installation_line_is_given(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(DataError, match=r"pip install heterodyne-core\[compression\]"):
        unreadable(tmp_path / "packed.h5", 32600)[0]


def test_damaged_chunks_are_one_line(tmp_path):
    path = tmp_path / "damaged.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("c2", (6, 6), "f8", chunks=(6, 6), compression="gzip")
        made.id.write_direct_chunk((0, 0), b"not zlib at all")
    with pytest.raises(DataError, match="c2 cannot be read") as error:
        FileMatrices(path, (Place("c2"),), ALL)[0]
    one_line(error)


def test_bitshuffle_is_read_when_hdf5plugin_is_there(tmp_path):
    pytest.importorskip("hdf5plugin")
    path = tmp_path / "shuffled.h5"
    write = (
        "import h5py, hdf5plugin, numpy as np, sys;"
        "f = h5py.File(sys.argv[1], 'w');"
        "f.create_dataset('c2', data=np.eye(6) + 1, chunks=(6, 6), **hdf5plugin.Bitshuffle(cname='lz4'))"
    )
    subprocess.run([sys.executable, "-c", write, str(path)], check=True)
    read = (
        "import sys; from pathlib import Path; from heterodyne.loading.lazy import FileMatrices, Place;"
        "print(FileMatrices(Path(sys.argv[1]), (Place('c2'),), slice(0, 6))[0].sum());"
        "assert 'hdf5plugin' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", read, str(path)], check=True, capture_output=True, text=True)
    assert float(done.stdout) == 42.0


def test_a_file_open_for_writing_elsewhere_is_still_read(tmp_path):
    path = tmp_path / "live.h5"
    with h5py.File(path, "w") as file:
        file["c2"] = MATRIX
        file.flush()
        read = (
            "import sys; from pathlib import Path; from heterodyne.loading.lazy import FileMatrices, Place;"
            "print(FileMatrices(Path(sys.argv[1]), (Place('c2'),), slice(0, 6))[0].shape)"
        )
        done = subprocess.run([sys.executable, "-c", read, str(path)], capture_output=True, text=True)
    assert done.stdout.strip() == "(6, 6)", done.stderr


def test_the_count_of_frames_ignores_the_stacking_axis(stored):
    places = (Place("c2", 2, 2), Place("c2", 3, 2))
    assert replace(stored(data=np.ones((6, 6, 4))), places=places).frame_count() == 6
    with pytest.raises(DataError, match="must be square"):
        stored(place=Place("c2", 0, 0), data=np.ones((6, 6, 4))).frame_count()


@pytest.mark.parametrize("path", ["", None, 3, b"run.h5", ["run.h5"], "a\0b"])
def test_what_names_no_file_is_rejected(path):
    with pytest.raises(DataError, match="does not name a file"):
        het.load(path)


@pytest.mark.parametrize("half", [np.array, np.triu, np.tril], ids=["full", "upper", "lower"])
def test_a_baseline_of_0_is_shifted_to_1_whole_and_in_windows(stored, half):
    matrices = ShiftedMatrices(stored(data=half(MATRIX - 1.0), chunks=(2, 2)), 6, 1.0)
    np.testing.assert_allclose(matrices[0], MATRIX)
    window = matrices.windows(0)
    with window.opened() as read:
        np.testing.assert_allclose(
            upper(read, window.half(read), window.shift)(slice(0, 3), slice(3, 6)), MATRIX[:3, 3:]
        )
    part = matrices.chosen([0], slice(1, 5))
    assert (part.frame_count(), len(part)) == (4, 1)
    np.testing.assert_allclose(part[0], MATRIX[1:5, 1:5])
