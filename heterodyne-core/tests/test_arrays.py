"""NumPy files with q, phi and dt, stored or given."""

from __future__ import annotations

import numpy as np
import pytest

import heterodyne as het
from heterodyne.errors import DataError

LAG = np.abs(np.subtract.outer(np.arange(9), np.arange(9)))
STACK = np.stack([1 + 0.1 * bin + 0.1 * np.exp(-LAG / 3) for bin in range(3)])
FIELDS = {"c2": STACK, "q": [0.01, 0.01, 0.02], "phi": [0.0, 45.0, 0.0], "dt": 0.1}


@pytest.fixture
def npz(tmp_path):
    """A function that writes the fields, with differences (None leaves one out)."""

    def write(saver=np.savez, **changes):
        fields = {name: value for name, value in (FIELDS | changes).items() if value is not None}
        saver(tmp_path / "run.npz", **fields)
        return tmp_path / "run.npz"

    return write


@pytest.fixture
def npy(tmp_path):
    """A function that writes an array."""

    def write(array):
        np.save(tmp_path / "run.npy", array)
        return tmp_path / "run.npy"

    return write


@pytest.mark.parametrize("saver", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_archive_is_read_bin_by_bin(npz, saver, order, dtype):
    stack = np.array(np.triu(STACK), dtype=dtype, order=order)
    data = het.load(npz(saver, c2=stack, age=2.0))
    assert data.c2[1].dtype == dtype
    for bin in range(3):
        np.testing.assert_array_equal(data.c2[bin], STACK[bin].astype(dtype))
    np.testing.assert_allclose(data.t, 2.0 + 0.1 * np.arange(1, 10))
    assert data.provenance["loader"] == "numpy"
    assert data.provenance["dt_source"] == "dt in the file"
    assert data.provenance["age_source"] == "age in the file"


def test_what_an_archive_lacks_can_be_given(npz):
    data = het.load(npz(phi=None, dt=None), phi=[0, 45, 90], dt=0.5, q=0.01)
    np.testing.assert_allclose(data.phi, [0, 45])
    assert data.dt == 0.5
    assert data.provenance["phi_source"] == "given"
    assert data.provenance["q_source"] == "the file"


def test_one_matrix_alone_is_one_bin(npz):
    assert het.load(npz(c2=STACK[0], q=0.01, phi=np.nan)).n_bins == 1


def test_arrays_that_are_not_used_are_said(npz):
    with pytest.warns(UserWarning, match=r"not used: t \(used: c2, q, phi, dt, age, bad_pairs, weight\)"):
        het.load(npz(t=np.arange(9)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"q": None, "dt": None}, "does not say q, dt: give --q, --dt (in Python q=, dt=)"),
        ({"phi": None}, "does not say phi: give --phi (in Python phi=)"),
        ({"c2": None}, "has no array c2; it has q, phi, dt"),
        ({"q": [0.01, 0.02]}, "2 values of q for 3 bins"),
        ({"dt": [0.1, 0.2]}, "dt must be one number, not 2"),
        ({"dt": -0.1}, "dt must be positive"),
        ({"dt": 0.0}, "dt must be positive"),
        ({"dt": np.nan}, "dt must be positive"),
        ({"c2": np.ones((3, 9, 8))}, "c2 must be (frames, frames) or (bins, frames, frames), not (3, 9, 8)"),
        ({"c2": np.ones(9)}, "not (9,)"),
        ({"q": [-0.01, 0.01, 0.02]}, "q must be positive"),
    ],
)
def test_what_is_wrong_with_an_archive_is_one_line(npz, changes, said):
    with pytest.raises(DataError) as error:
        het.load(npz(**changes))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_matrix_of_a_stack_with_the_sides_swapped_is_refused_by_bin(npz):
    lopsided = STACK.copy()
    lopsided[1, 4, 0] += 1
    with pytest.raises(DataError, match=r"run.npz, bin 2: the matrix is neither"):
        list(het.load(npz(c2=lopsided)).c2)


@pytest.mark.parametrize("array", [STACK, STACK.astype(np.float32), np.tril(STACK)])
def test_an_array_takes_q_phi_and_dt_as_given(npy, array):
    data = het.load(npy(array), q=0.01, phi=[0, 45, 90], dt=0.1)
    np.testing.assert_allclose(data.q, 0.01)
    np.testing.assert_allclose(data.phi, [0, 45, 90])
    np.testing.assert_array_equal(data.c2[2], STACK[2].astype(array.dtype))
    assert data.c2[2].flags.owndata


def test_one_matrix_in_an_array_file(npy):
    data = het.load(npy(STACK[0]), q=0.01, phi=float("nan"), dt=0.1, age=5.0, frames=(2, 9))
    assert np.isnan(data.phi[0])
    np.testing.assert_array_equal(data.c2[0], STACK[0][1:, 1:])
    assert data.t[0] == pytest.approx(5.2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "does not say q, phi, dt: give --q, --phi, --dt"),
        ({"q": 0.01, "phi": 0.0}, "does not say dt: give --dt (in Python dt=)"),
        (
            {"q": (0.01, 0.02), "phi": 0.0, "dt": 1.0},
            "does not say q: give values, one or one per bin, not a range",
        ),
        ({"q": [0.01, 0.02], "phi": 0.0, "dt": 1.0}, "2 values of q for 3 bins"),
    ],
)
def test_what_an_array_lacks_must_be_given_as_values(npy, given, said):
    with pytest.raises(DataError) as error:
        het.load(npy(STACK), **given)
    assert said in str(error.value)


@pytest.mark.parametrize("name", ["run.npy", "run.npz"])
def test_files_that_are_not_what_their_name_says_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"something else entirely")
    with pytest.raises(DataError, match=f"{name} cannot be read as an {name[-4:]}") as error:
        het.load(tmp_path / name, q=0.01, phi=0.0, dt=0.1)
    assert "\n" not in str(error.value)


def test_objects_are_never_unpickled(npy, npz):
    with pytest.raises(DataError, match="holds Python objects"):
        het.load(npy(np.array([[1, None], [None, 1]], dtype=object)), q=0.01, phi=0.0, dt=0.1)
    with pytest.raises(DataError, match="holds Python objects"):
        het.load(npz(q=np.array([0.01, 0.01, None], dtype=object)))
    with pytest.raises(DataError, match="holds Python objects"):
        het.load(npz(c2=STACK.astype(object)))


def test_a_stack_of_other_than_numbers_is_refused(npy):
    with pytest.raises(DataError, match="real numbers, not complex128"):
        list(het.load(npy(STACK.astype(complex)), q=0.01, phi=0.0, dt=0.1).c2)


@pytest.mark.filterwarnings("error")
def test_an_age_given_where_none_is_stored_is_no_discrepancy(npz):
    assert het.load(npz(), age=5.0).provenance["age_source"] == "given"


@pytest.mark.parametrize("wrong", [{"dt": "a"}, {"q": "a"}, {"phi": np.inf}])
def test_fields_that_are_no_numbers_are_rejected(tmp_path, wrong):
    file = tmp_path / "run.npz"
    np.savez(file, **{"c2": np.eye(5) + 1.0, "q": 0.01, "phi": 0.0, "dt": 0.1, **wrong})
    with pytest.raises(DataError, match=next(iter(wrong))):
        het.load(file)


def test_an_array_without_bins_is_rejected(tmp_path):
    np.savez(tmp_path / "run.npz", c2=np.zeros((0, 5, 5)), q=[], phi=[], dt=0.1)
    with pytest.raises(DataError, match="there are no bins"):
        het.load(tmp_path / "run.npz")
