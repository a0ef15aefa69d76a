"""MATLAB files: axes, names, texts, structures, versions."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import DataError
from heterodyne.testing.layouts.matlab import write
from heterodyne.testing.loaders import example

T = example().t


@pytest.fixture
def mat(tmp_path):
    """A function that writes six bins with other variables or options."""
    return lambda variables=None, **options: write(
        tmp_path / "run.mat", example(), variables=variables, **options
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bins_first", [False, True])
def test_bins_may_be_the_first_or_the_last_axis(mat, bins_first):
    data = het.load(mat(bins_first=bins_first))
    assert data.provenance["loader"] == "matlab"
    assert data.provenance["c2_source"] == "array c2"
    for bin in range(6):
        np.testing.assert_array_equal(data.c2[bin], example().c2[bin])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"c2": None, "C2T": np.transpose(np.stack(list(example().c2)), (1, 2, 0))}, {}),
        ({"q": None, "q_list": example().q[:, None]}, {}),
        ({"q": 10 * example().q, "q_unit": "nm^-1"}, {}),
        ({"phi": None, "phi_angles": example().phi[:, None]}, {}),
        ({"dt": 100.0, "age": 2000.0, "time_unit": "ms"}, {}),
        ({"t": T[:, None], "dt": None, "age": None}, {}),
        ({"t1": T, "t2": T, "age": None}, {}),
        ({"dq": 0.001, "dphi": 6.0}, {"dq": 0.001, "dphi": 6.0}),
        ({"mask": np.arange(9)[:, None] != 4}, {"mask": np.tile(np.arange(9) != 4, (6, 1))}),
        ({"mask": np.eye(6, 9, dtype=bool)}, {"mask": np.eye(6, 9, dtype=bool)}),
    ],
)
def test_what_a_file_says_is_used(mat, variables, expected):
    data = het.load(mat(variables))
    for name in ("q", "phi", "t", "dt", "age"):
        np.testing.assert_allclose(getattr(data, name), getattr(example(), name), err_msg=name)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(data, name), value, err_msg=name)


def test_what_a_file_lacks_is_given(mat):
    data = het.load(
        mat({"q": None, "phi": None, "dt": None, "age": None}),
        q=[0.01 * k for k in range(1, 7)],
        phi="ring",
        dt=0.5,
    )
    assert np.isnan(data.phi).all()
    assert data.dt == 0.5


@pytest.mark.filterwarnings("error")
def test_one_matrix(mat):
    data = het.load(mat({"c2": np.triu(example().c2[3]), "q": 0.01, "phi": np.nan}))
    np.testing.assert_array_equal(data.c2[0], example().c2[3])


def test_fields_of_a_structure_are_chosen_by_their_path(mat):
    path = mat(structure="result")
    with pytest.raises(DataError, match=r"has no array c2; it has result/age, result/c2, .* \(--key NAME"):
        het.load(path)
    data = het.load(path, key="result/c2")
    np.testing.assert_array_equal(data.c2[3], example().c2[3])
    np.testing.assert_allclose(data.q, example().q)


def test_the_array_of_c2_can_be_named(mat):
    path = mat({"smooth": np.transpose(2 * np.stack(list(example().c2)), (1, 2, 0))})
    with pytest.warns(UserWarning, match="not used: c2 "):
        np.testing.assert_array_equal(het.load(path, key="smooth").c2[0], 2 * example().c2[0])


def test_what_is_not_used_is_said(mat):
    with pytest.warns(UserWarning, match=r"not used: bad_pairs|not used: sample"):
        het.load(mat({"sample": "silica", "bad_pairs": np.ones((1, 3))}))


def test_empty_arrays_are_stored_as_their_sizes_and_are_none(mat):
    path = mat()
    with h5py.File(path, "r+") as file:
        file["dphi"] = np.zeros(2, np.uint64)
        file["dphi"].attrs["MATLAB_empty"] = np.uint8(1)
    assert np.isnan(het.load(path).dphi).all()


def test_files_that_other_programs_wrote(tmp_path):
    with h5py.File(tmp_path / "run.mat", "w") as file:
        file["c2"], file["q"], file["phi"], file["dt"] = example().c2[0], [[0.01]], [[0.0]], [[0.1]]
    assert het.load(tmp_path / "run.mat").n_bins == 1


@pytest.mark.parametrize(
    "begin", [b"MATLAB 5.0 MAT-file, Platform: GLNXA64", bytes(4) + b"\x01\x00\x00\x00" + bytes(12), b"text"]
)
def test_older_versions_are_refused_with_what_to_do(tmp_path, begin):
    path = tmp_path / "old.mat"
    path.write_bytes(begin.ljust(128) + b"\x00\x01IM" + bytes(500))
    with pytest.raises(DataError, match=r"old\.mat is a MATLAB file of a version before 7\.3, .*save -v7\.3"):
        het.load(path)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"c2": None}, "has no array c2; it has age, dt, phi, q"),
        ({"g12": np.ones((9, 9))}, "holds c2 and g12: say which is c2 by --key c2"),
        ({"q": [0.01, 0.02]}, "2 values of q for 6 bins"),
        ({"dt": [0.1, 0.2]}, "dt must be one number, not 2"),
        ({"dt": "0.1"}, "dt must hold numbers"),
        ({"c2": np.ones((9, 8, 3))}, "c2 must be (frames, frames) or (bins, frames, frames), not (3, 8, 9)"),
        ({"c2": np.ones((9, 9, 9))}, "c2 has as many bins as frames, 9"),
        ({"t": T[:8]}, "8 times t for 9 frames"),
        ({"q": None}, "does not say q: give --q"),
        ({"q_unit": "parsec"}, "no unit of q named 'parsec'"),
        ({"mask": np.ones((9, 50), bool)}, "mask of shape (50, 9) does not fit 6 bins of 9 frames"),
    ],
)
def test_what_is_wrong_is_one_line(mat, variables, said):
    path = mat(variables)
    with pytest.raises(DataError, match=r"run\.mat") as error:
        het.load(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
