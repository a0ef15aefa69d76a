"""NumPy files with q, phi and dt, stored or given."""

from __future__ import annotations

import io
import warnings
import zipfile

import numpy as np
import pytest

import heterodyne as het
from heterodyne.data.matrices import upper, windows
from heterodyne.data.triangle import symmetric
from heterodyne.errors import DataError, HeterodyneError

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


def test_several_matrices_are_not_put_at_one_place(npz):
    with pytest.raises(
        DataError, match="holds 3 matrices, and would have all of them at one q and phi: repeat"
    ):
        het.load(npz(q=None, phi=None), q=0.01, phi=45.0)


def test_one_matrix_alone_is_one_bin(npz):
    assert het.load(npz(c2=STACK[0], q=0.01, phi=np.nan)).n_bins == 1


def test_arrays_that_are_not_used_are_said(npz):
    used = "c2, q, phi, dt, age, bad_pairs, weight, t, mask, dq, dphi, baseline"
    with pytest.warns(UserWarning, match=rf"not used: g2 \(used: {used}\)"):
        het.load(npz(g2=np.arange(9)))


T = 0.1 * np.arange(1, 10)
UNEVEN = np.where(np.arange(9) < 5, T, T + 2.0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"t": T}, {"t": T, "dt": 0.1, "age": 0.0}),
        ({"t": UNEVEN}, {"t": UNEVEN, "dt": 0.1, "age": 0.0}),
        ({"t": UNEVEN + 5, "dt": None}, {"t": UNEVEN + 5, "dt": 0.1, "age": 5.0}),
        ({"t": T * 1e3, "dt": 100, "time_unit": "ms"}, {"t": T, "dt": 0.1}),
        ({"dt": 100.0, "dt_unit": "ms", "age": 2}, {"dt": 0.1, "age": 2.0, "t": T + 2}),
        ({"dt": np.timedelta64(100, "ms")}, {"dt": 0.1}),
        ({"t": np.array([100 * k for k in range(1, 10)], "m8[ms]"), "dt": None}, {"t": T}),
        ({"q": [0.1, 0.1, 0.2], "q_unit": "nm^-1", "dq": 0.01}, {"q": FIELDS["q"], "dq": [0.001] * 3}),
        ({"q": [0.1, 0.1, 0.2], "q_units": b"1/nm"}, {"q": FIELDS["q"]}),
        ({"phi": np.radians([0.0, 45.0, 0.0]), "phi_unit": "rad"}, {"phi": FIELDS["phi"]}),
        ({"dq": [0.001, 0.0, np.nan], "dphi": 6.0}, {"dq": [0.001, 0.0, np.nan], "dphi": [6.0] * 3}),
        ({"mask": np.arange(9) != 4}, {"mask": np.tile(np.arange(9) != 4, (3, 1))}),
        ({"mask": np.eye(3, 9, dtype=int)}, {"mask": np.eye(3, 9, dtype=bool)}),
        ({"weight": np.tile(T, (3, 1))}, {"weight": np.tile(T, (3, 1))}),
    ],
)
def test_what_an_archive_says_is_used(npz, changes, expected):
    data = het.load(npz(**changes))
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(data, name), value, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"t": T * 10},
            "the file says dt = 0.1 s, but its frames are 1 s apart: give the right one with --dt",
        ),
        ({"t": T, "age": 5.0}, "the file says age = 5 s and dt = 0.1 s, but its first frame is at 0.1 s"),
        (
            {"t": T - 0.1},
            "its first frame is at 0 s, which must be age + dt and positive: give the age with --age",
        ),
        ({"t": T[::-1]}, "frame times must be positive and increasing"),
        ({"t": T[:8]}, "8 times t for 9 frames"),
        ({"mask": np.ones((9, 50), bool)}, "mask of shape (9, 50) does not fit 3 bins of 9 frames"),
        ({"mask": np.ones((2, 9), bool)}, "mask must have shape (3, 9), not (2, 9)"),
        ({"mask": np.full(9, 0.5)}, "mask must be True for frames to use"),
        ({"weight": np.ones((2, 9))}, "weight must have shape (3, 9)"),
        ({"weight": np.ones((4, 9, 9))}, "weight of shape (4, 9, 9) does not fit 3 bins"),
        ({"dq": -0.001}, "dq = -0.001 is no full width of a bin at q = 0.01"),
        ({"dphi": 720.0}, "dphi = 720 is no full width"),
        ({"dq": np.inf}, "dq = inf is no full width"),
        ({"q": [0.01, np.inf, 0.02]}, "q must be positive and finite (in Å⁻¹), not inf"),
        ({"phi": 1e5}, "phi must lie in -720 to 720"),
        ({"q_unit": "parsec"}, "no unit of q named 'parsec'"),
        ({"q_unit": 3}, "q_unit must be one word, the name of a unit"),
        ({"unit_of_q": "nm^-1"}, "unit_of_q is the unit of nothing that is read"),
        ({"baseline": 0.5}, "baseline must be 0 or 1, not 0.5"),
        ({"dt": np.timedelta64(1, "Y")}, "dt must hold numbers, not timedelta64"),
        ({"dt": np.timedelta64("NaT", "s")}, "dt must be positive"),
        ({"dt": True}, "dt must hold numbers, not bool"),
        ({"dt": "0.1"}, "dt must hold numbers, not <U3"),
        ({"q": np.array([0.01, 0.01, 0.02], complex)}, "q must hold numbers, not complex128"),
        ({"phi": np.zeros(3, [("a", float)])}, "phi must hold numbers, not [('a', '<f8')]"),
        ({"phi": np.array([False] * 3)}, "phi must hold numbers, not bool"),
    ],
)
def test_what_an_archive_contradicts_or_cannot_say_is_one_line(npz, changes, said):
    path = npz(**changes)
    with pytest.raises(DataError) as error:
        het.load(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "given", "expected"),
    [
        ({"t": T * 10}, {"dt": 0.1}, T),
        ({"t": T * 10}, {"dt": 0.5, "age": 1.0}, 1 + 5 * T),
        ({"t": T - 0.1}, {"age": 0.0}, T),
        ({"t": UNEVEN, "age": 5.0}, {"age": 3.0}, UNEVEN + 3.0),
        ({"dt": 0.0}, {"dt": 0.1}, T),
    ],
)
@pytest.mark.filterwarnings("ignore:the frame times of the file")
def test_facts_that_contradict_give_way_to_those_named(npz, changes, given, expected):
    np.testing.assert_allclose(het.load(npz(**changes), **given).t, expected, rtol=1e-12)


def test_a_baseline_that_an_archive_states_is_shifted_to_1(npz):
    path = npz(c2=np.triu(STACK) - np.triu(np.ones((9, 9))), baseline=0)
    for given in ({}, {"baseline": 0}):
        data = het.load(path, **given)
        np.testing.assert_allclose(data.c2[1], STACK[1])
        assert data.provenance["baseline"] == "0 in the file: c2 is shifted by +1"
    with pytest.warns(UserWarning, match="baseline = 1 as given, not 0 as in the file"):
        np.testing.assert_allclose(het.load(path, baseline=1).c2[1], STACK[1] - 1)


@pytest.mark.parametrize("saver", [np.savez, np.savez_compressed])
def test_bins_may_be_the_last_axis(npz, saver):
    data = het.load(npz(saver, c2=np.moveaxis(STACK, 0, -1)))
    np.testing.assert_array_equal(data.c2[2], STACK[2])
    assert (data.n_bins, data.n_frames) == (3, 9)


def test_bins_may_be_the_last_axis_of_an_array(npy):
    data = het.load(npy(np.moveaxis(STACK, 0, -1)), q=0.01, phi=[0, 45, 90], dt=0.1, frames=(2, 8))
    np.testing.assert_array_equal(data.c2[1], STACK[1, 1:8, 1:8])
    window = data.c2.windows(2)
    with window.opened() as read:
        np.testing.assert_array_equal(read(slice(0, 2), slice(2, 5)), STACK[2, 1:3, 3:6])
    assert het.load(npy(STACK[0][..., None]), q=0.01, phi=0.0, dt=0.1).n_bins == 1


@pytest.mark.parametrize(("name", "right"), [("run.npz", "run.npy"), ("run.npy", "run.npz")])
def test_archives_and_arrays_under_the_others_name_are_refused(tmp_path, name, right):
    with (tmp_path / name).open("wb") as file:
        (np.save if name == "run.npz" else np.savez)(file, STACK)
    with pytest.raises(DataError, match=rf"{name} is an .* by its content: rename it to {right}"):
        het.load(tmp_path / name, q=0.01, phi=0.0, dt=1.0)


def archive(path, **members):
    """An archive of these bytes, whatever they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def stored_bytes(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


GOOD = {name: stored_bytes(value) for name, value in FIELDS.items()}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("q", b"", "array q cannot be read"),
        ("q", GOOD["q"][:20], "array q cannot be read"),
        ("q", GOOD["q"][:-4], "array q declares 24 bytes and holds 20"),
        ("q", GOOD["q"].replace(b"{'descr'", b"{'de((r'"), "array q cannot be read"),
        ("q", GOOD["q"].replace(b"'<f8'", b"'<f9'"), "array q cannot be read"),
        ("q", GOOD["q"].replace(b"(3,)", b"-(3)"), "array q cannot be read"),
        ("q", stored_bytes(np.zeros(2**16)), "65536 values of q for 3 bins"),
        ("c2", GOOD["c2"][:-1], "array c2 declares 1944 bytes and holds 1943"),
        ("c2", b"\x93NUMPY\x01\x00", "array c2 cannot be read"),
        (
            "c2",
            GOOD["c2"].replace(b"(3, 9, 9)", b"(3,99,99)"),
            "array c2 declares 235224 bytes and holds 1944",
        ),
        ("mask", stored_bytes(np.ones(2**16, bool)), "mask of shape (65536,) does not fit"),
    ],
)
def test_damaged_archives_are_one_line_naming_file_and_array(tmp_path, name, content, said):
    path = tmp_path / "run.npz"
    archive(path, **{**GOOD, name: content})
    with pytest.raises(DataError) as error:
        het.load(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("saver", [np.savez, np.savez_compressed])
def test_every_flipped_bit_of_an_archive_is_told_or_harmless(npz, saver):
    path = npz(saver)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        outcome = content_or_error(path)
        assert isinstance(outcome, DataError) or np.array_equal(outcome, STACK), outcome
        assert "\n" not in str(outcome) or not isinstance(outcome, DataError)


def content_or_error(path):
    """The matrices of a file, or what is raised in their place."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return np.stack(list(het.load(path).c2))
    except HeterodyneError as error:
        return error


def test_an_array_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    archive(path, **GOOD)
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("q.npy", GOOD["q"])
    with pytest.raises(DataError, match="holds the array q twice"):
        het.load(path)


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
        list(het.load(npy(STACK.astype(complex)), q=[0.01, 0.02, 0.03], phi=0.0, dt=0.1).c2)


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


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("symmetrise", ["mean", "upper", "lower"])
def test_denoised_halves_are_read_as_asked_also_tile_by_tile(tmp_path, suffix, symmetrise):
    c2 = np.random.default_rng(1).normal(1.0, 0.01, (2, 300, 300)).astype(np.float32)
    path = tmp_path / f"denoised{suffix}"
    if suffix == ".npy":
        np.save(path, c2)
    else:
        np.savez(path, c2=c2)
    stated = {"q": [0.01, 0.02], "phi": 0.0, "dt": 0.1}
    with pytest.raises(DataError, match="--symmetrise mean, upper or lower"):
        het.load(path, **stated).c2[0]
    data = het.load(path, **stated, symmetrise=symmetrise, baseline=1)
    assert data.provenance["selection"]["symmetrise"] == symmetrise
    np.testing.assert_array_equal(data.c2[1], symmetric(c2[1], symmetrise))
    whole = windows(data.c2, 1)
    with whole.opened() as read:
        window = upper(read, whole.half(read))(slice(10, 20), slice(200, 280))
    np.testing.assert_array_equal(window, data.c2[1][10:20, 200:280])


def test_what_symmetrise_may_be(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 4)))
    with pytest.raises(DataError, match="symmetrise must be mean, upper, lower, not 'left'"):
        het.load(tmp_path / "a.npy", q=0.01, phi=0.0, dt=0.1, symmetrise="left")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"g12b": STACK}, "holds c2 and g12b: say which is c2 by --key c2 (in Python key='c2')"),
        ({"c2": None, "g12": STACK, "C2T": STACK}, "holds g12 and C2T: say which is c2 by --key g12"),
        ({"c2": None, "corr": STACK}, "has no array c2; it has q, phi, dt, corr (--key NAME"),
        ({"qs": [0.01]}, "holds q and qs: which is q? Leave one of them"),
        ({"phi_angles_list": [0.0]}, "holds phi and phi_angles_list: which is phi?"),
        ({"t": T, "t1": T}, "holds t and t1: which is t?"),
        ({"t1": T, "t2": T + 1}, "t1 and t2 differ, but c2 has the same times on both axes"),
        ({"t1": T, "t2": T[:8]}, "8 times t2 for 9 frames"),
        ({"q": None, "q_values": [0.01, 0.02]}, "2 values of q_values for 3 bins"),
        (
            {"c2": np.ones((9, 9, 9))},
            "c2 has as many bins as frames, 9: which axis the bins are cannot be known",
        ),
    ],
)
def test_arrays_of_which_several_or_none_may_be_meant(npz, fields, said):
    with pytest.raises(DataError) as error:
        het.load(npz(**fields))
    assert said in str(error.value)


def test_the_array_of_c2_can_be_named(npz):
    path = npz(denoised=2 * STACK, g12b=3 * STACK)
    for key, times in (("denoised", 2), ("g12b", 3), ("c2", 1)):
        with pytest.warns(UserWarning, match="not used: "):
            data = het.load(path, key=key)
        np.testing.assert_array_equal(data.c2[1], times * STACK[1])
        assert data.provenance["selection"]["key"] == key
    with pytest.raises(
        DataError, match=r"no array named 'denoise'; did you mean 'denoised'\? \(known: c2, d"
    ):
        het.load(path, key="denoise")
    with pytest.raises(DataError, match=r"q must be \(frames, frames\) or .*, not \(3,\)"):
        het.load(path, key="q")


def test_an_array_file_has_no_arrays_to_choose_from(npy):
    with pytest.raises(DataError, match=r"run\.npy: key = 'c2': an \.npy file is one array"):
        het.load(npy(STACK), q=0.01, phi=0.0, dt=0.1, key="c2")
