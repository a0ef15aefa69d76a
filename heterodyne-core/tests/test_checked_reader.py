"""What is wrong with an HDF5 file is one line that names file and place: links, sources, sizes, heaps, lost parts."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

import heterodyne as het
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import DataError, escaped, escaped_lines, reading
from heterodyne.loading.checked_file import CheckedFile
from heterodyne.loading.hdf5 import array, number, numbered, numbers, opened, string, switches
from heterodyne.loading.lazy import FileMatrices, Place

C2 = "entry/twotime/two_time_corr_func"
OWN = "entry/heterodyne"
Q = "entry/instrument/masks/dynamic_q_list"
H5 = h5py.string_dtype()


def symmetric(n, seed=0):
    noise = np.random.default_rng(seed).normal(1.1, 0.02, (n, n))
    return np.triu(noise) + np.triu(noise, 1).T


@pytest.fixture
def own(tmp_path):
    """A file of 3 bins of 8 frames, with weights and a bad pair."""
    data = TwoTime(
        [symmetric(8, seed) for seed in range(3)],
        [0.01, 0.02, 0.03],
        [0.0, 45.0, np.nan],
        0.1 * np.arange(1, 9),
        0.1,
        bad_pairs=[[0, 1, 2]],
        weight=np.linspace(0.5, 1.5, 24).reshape(3, 8),
    )
    return data.save(tmp_path / "own.h5")


def changed(path, change):
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def put(key, value):
    """A change that stores another value, with the attributes of the old one."""

    def change(file):
        attrs = dict(file[key].attrs)
        del file[key]
        if callable(value):
            value(file, key)
        else:
            file[key] = value
        if isinstance(file.get(key, getlink=True), h5py.HardLink):
            file[key].attrs.update(attrs)

    return change


def virtual(source, name, shape):
    def make(file, key):
        layout = h5py.VirtualLayout(shape, "f8")
        layout[...] = h5py.VirtualSource(source, name, shape)
        file.create_virtual_dataset(key, layout, fillvalue=0)

    return make


def declared(shape, chunks=None):
    return lambda file, key: file.create_dataset(key, shape, "f8", chunks=chunks)


def external(file, key):
    file.create_dataset(key, (3,), "u1", external=[("/etc/hostname", 0, 3)])


def dense(name):
    return f"{C2}/c2_{name}"


DAMAGES = {
    "bomb": (
        put(f"{OWN}/age", declared((10**6, 10**6), (64, 64))),
        r"heterodyne/age must be one number, not 10{12}",
    ),
    "bombed mask": (
        put(f"{OWN}/mask", declared((10**6, 10**6), (64, 64))),
        r"/mask must be 3 × 8, not of shape",
    ),
    "bombed text": (
        put(f"{OWN}/provenance", declared((10**9,), (64,))),
        r"/provenance declares 1e\+09 values",
    ),
    "never written": (put(Q, declared((3,), (3,))), r"dynamic_q_list is incomplete"),
    "null": (put(f"{OWN}/dt", h5py.Empty("f8")), r"heterodyne/dt must be one number, not None"),
    "null list": (put(f"{OWN}/t", h5py.Empty("f8")), r"heterodyne/t is null"),
    "null matrix": (put(dense("00001"), h5py.Empty("f8")), r"c2_00001 must be square"),
    "a group": (put(f"{OWN}/t", lambda file, key: file.create_group(key)), r"heterodyne/t is a group"),
    "a list of lists": (put(f"{OWN}/t", np.ones((2, 4))), r"heterodyne/t must be a list of numbers"),
    "short": (put(f"{OWN}/dq", np.zeros(2)), r"heterodyne/dq has 2 values, not 3"),
    "text": (put(f"{OWN}/t", np.array(["x"] * 8, dtype=H5)), r"heterodyne/t must hold numbers"),
    "complex": (
        put(f"{OWN}/dphi", np.zeros(3, complex)),
        r"heterodyne/dphi must hold numbers, not complex128",
    ),
    "boolean": (put(f"{OWN}/t", np.ones(8, bool)), r"heterodyne/t must hold numbers, not bool"),
    "mask short": (put(f"{OWN}/mask", np.ones((2, 8), bool)), r"/mask must be 3 × 8, not of shape \(2, 8\)"),
    "mask long": (put(f"{OWN}/mask", np.ones((3, 9), bool)), r"/mask must be 3 × 8"),
    "mask of numbers": (put(f"{OWN}/mask", np.full((3, 8), 2)), r"/mask must hold true and false"),
    "weight wide": (put(f"{OWN}/weight", np.ones((3, 9))), r"/weight must be 3 × 8, not of shape \(3, 9\)"),
    "weight many": (put(f"{OWN}/weight", np.ones((4, 8))), r"/weight must be 3 × 8"),
    "weight scalar": (put(f"{OWN}/weight", 1.0), r"/weight must be 3 × 8, not of shape \(\)"),
    "pairs": (put(f"{OWN}/bad_pairs", np.zeros((2, 2), int)), r"/bad_pairs must be n × 3"),
    "provenance a list": (put(f"{OWN}/provenance", "[1]"), r"/provenance must be a mapping, not list"),
    "provenance deep": (put(f"{OWN}/provenance", "[" * 20000), r"/provenance is not JSON"),
    "frame time": (
        put("entry/instrument/detector/frame_time", 0.2),
        r"frame_time is 0.2 s, but .*dt is 0.1 s",
    ),
    "link to itself": (
        put(f"{OWN}/age", lambda f, k: f.__setitem__(k, h5py.SoftLink("/" + k))),
        r"age is a link that",
    ),
    "dead link": (
        put(f"{OWN}/age", lambda f, k: f.__setitem__(k, h5py.SoftLink("/no"))),
        r"age is a link to /no, which",
    ),
    "dead link to optional data": (
        put(f"{OWN}/weight", lambda f, k: f.__setitem__(k, h5py.SoftLink("no"))),
        r"weight is a link to no, which does not exist",
    ),
    "link outside": (
        put(Q, lambda f, k: f.__setitem__(k, h5py.ExternalLink("/etc/passwd", "/x"))),
        r"dynamic_q_list is a link to /x in /etc/passwd.*--allow-links",
    ),
    "external storage": (put(Q, external), r"has its values in /etc/hostname.*--allow-links"),
    "source gone": (
        put(Q, virtual("gone.h5", "x", (3,))),
        r"dynamic_q_list is a virtual dataset whose source gone.h5",
    ),
    "source elsewhere": (
        put(Q, virtual("/tmp/gone.h5", "x", (3,))),
        r"whose source /tmp/gone.h5.*--allow-links",
    ),
    "source above": (put(Q, virtual("../gone.h5", "x", (3,))), r"whose source ../gone.h5.*--allow-links"),
    "source pattern": (put(Q, virtual("s%%.h5", "x", (3,))), r"s%%.h5 is a pattern of names"),
    "source absent": (put(Q, virtual(".", "/nothing", (3,))), r"has no /nothing"),
    "own source": (
        put(Q, virtual(".", f"/{Q}", (3,))),
        r"dynamic_q_list is a virtual dataset that is its own source",
    ),
    "own matrix": (
        put(dense("00002"), virtual(".", f"/{C2}/c2_00002", (8, 8))),
        r"c2_00002 .* its own source",
    ),
    "gap": (
        lambda f: f.move(dense("00001"), dense("00009")),
        r"has no matrix 1; c2_00002 comes in its place",
    ),
    "same number": (
        lambda f: f.move(dense("00001"), dense("02")),
        r"c2_00002 and c2_02 .* have the same number",
    ),
    "short name": (lambda f: f.move(dense("00001"), dense("1")), r"c2_1 in .* should be named c2_00001"),
    "another name": (
        lambda f: f.move(dense("00001"), f"{C2}/a_1"),
        r"a_1 and c2_00002 .* are named differently",
    ),
    "no number": (lambda f: f.move(dense("00001"), f"{C2}/first"), r"first in .* is no matrix"),
    "many digits": (lambda f: f.move(dense("00002"), dense("9" * 5000)), r"is no matrix: its name must end"),
    "unit empty": (
        lambda f: f[Q].attrs.__setitem__("units", np.zeros(0)),
        r"dynamic_q_list declares no units",
    ),
    "unit a number": (lambda f: f[Q].attrs.__setitem__("units", 3.0), r"no unit of q named '3.0'"),
    "matrix of texts": (
        put(dense("00001"), np.full((8, 8), "x", dtype=H5)),
        r"c2_00001: .* must hold real numbers",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_one_line_that_names_file_and_place(own, damage):
    change, said = DAMAGES[damage]
    with pytest.raises(DataError, match=said) as error:
        list(het.load(changed(own, change)).c2)
    assert "\n" not in str(error.value)
    assert str(own) in str(error.value)


def test_a_matrix_may_miss_tiles_of_one_half_only(tmp_path):
    matrix = symmetric(300)
    path = TwoTime([matrix], [0.01], [0.0], np.arange(1, 301), 1.0).save(tmp_path / "own.h5")
    np.testing.assert_array_equal(het.load(path).c2[0], matrix)

    def without(*kept):
        def change(file):
            key = dense("00001")
            values = file[key][()]
            del file[key]
            made = file.create_dataset(key, (300, 300), "f8", chunks=(256, 256))
            for rows, columns in kept:
                made[rows, columns] = values[rows, columns]

        return change

    low, high = slice(0, 256), slice(256, 300)
    for kept, said in (
        (((low, low), (high, high)), "frames 1:256 with 257:300 is not in the file"),
        (((low, low), (low, high)), "frames 257:300 with 257:300 is not in the file"),
        ((), "0 of its 4 parts are in the file"),
    ):
        with pytest.raises(DataError, match=rf"c2_00001 is incomplete: .*{said}"):
            het.load(changed(path, without(*kept))).c2[0]


@pytest.mark.parametrize("index", [0, 1])
def test_a_lost_chunk_of_one_matrix_of_a_stack_is_told(tmp_path, index):
    path = tmp_path / "stack.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("c2", (2, 6, 6), "f8", chunks=(1, 6, 6))
        made[0] = symmetric(6)
    matrices = FileMatrices(path, (Place("c2", 0), Place("c2", 1)))
    if index:
        with pytest.raises(DataError, match="incomplete"):
            matrices[index]
    else:
        np.testing.assert_array_equal(matrices[index], symmetric(6))


@pytest.mark.slow
def test_every_damaged_byte_of_an_own_file_is_told_or_changes_nothing(own):
    good = het.load(own)
    content = own.read_bytes()
    told = 0
    for place in np.random.default_rng(0).integers(0, len(content), 150):
        own.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            data = het.load(own)
            for mine, its in zip(data.c2, good.c2, strict=True):
                np.testing.assert_array_equal(mine, its)
        except DataError:
            told += 1
            continue
        for name in ("q", "phi", "t", "mask", "weight", "bad_pairs"):
            np.testing.assert_array_equal(getattr(data, name), getattr(good, name))
    assert told > 50


def test_files_without_checksums_load(own):
    def old(file):
        for key in (Q, f"{OWN}/mask", dense("00001")):
            put(key, file[key][()])(file)
        put(f"{OWN}/provenance", "{}")(file)
        file.attrs["heterodyne_schema"] = "twotime/1"

    before = het.load(own)
    after = het.load(changed(own, old))
    np.testing.assert_array_equal(after.c2[0], before.c2[0])
    np.testing.assert_array_equal(after.q, before.q)


@pytest.mark.parametrize(("at", "count"), [(16, 2048), (80, 512), (0, 4096), (8, 8)])
def test_a_damaged_heap_of_texts_is_an_error_not_an_endless_loop(tmp_path, at, count):
    path = tmp_path / "heap.h5"
    with h5py.File(path, "w") as file:
        file["text"] = np.array(["a", "b", "c"], dtype=H5)
    content = bytearray(path.read_bytes())
    start = content.find(b"GCOL") + at
    content[start : start + count] = bytes(count)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"heap.h5: text cannot be read"), opened(path) as file:
        array(file, "text")


def test_own_files_have_no_heap(own):
    assert b"GCOL" not in own.read_bytes()


def test_other_files_are_read_where_links_are_allowed_and_stand_in_the_provenance(own, tmp_path):
    other = tmp_path / "below" / "other.h5"
    other.parent.mkdir()
    with h5py.File(other, "w") as file:
        file["q"] = [0.1, 0.2, 0.3]
        file["q"].attrs["units"] = "1/angstrom"
    changed(own, put(Q, lambda file, key: file.__setitem__(key, h5py.ExternalLink("below/other.h5", "/q"))))
    with pytest.raises(DataError, match="--allow-links"):
        het.load(own)
    data = het.load(own, allow_links=True)
    assert data.q.tolist() == [0.1, 0.2, 0.3]
    checksum = hashlib.sha256(other.read_bytes()).hexdigest()
    (row,) = data.provenance["linked"]
    assert (row["file"], row["sha256"]) == (str(other), checksum)
    again = het.load(data.save(tmp_path / "copy.h5")).provenance
    assert again["origin"]["linked"][0]["sha256"] == checksum
    assert "linked" not in again


def test_sources_of_virtual_datasets_beside_the_file_are_read(own, tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["x"] = symmetric(8, 5)
    data = het.load(changed(own, put(dense("00001"), virtual("source.h5", "x", (8, 8)))))
    np.testing.assert_array_equal(data.c2[0], symmetric(8, 5))
    assert [Path(row["file"]).name for row in data.provenance["linked"]] == ["source.h5"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: external(f, "x"), "x has its values in /etc/hostname"),
        (
            lambda f: f.__setitem__("x", h5py.ExternalLink("/etc/passwd", "y")),
            "x is a link to y in /etc/passwd",
        ),
        (lambda f: virtual("own.h5", f"/{Q}", (3,))(f, "x"), "without end|own source|leads to itself"),
        (lambda f: f.__setitem__("x", np.zeros(2)), r"holds too little: x has shape \(2,\)"),
        (lambda f: f.create_group("x"), "holds no dataset x"),
        (lambda f: declared((3,), (3,))(f, "x"), "x is incomplete"),
    ],
)
def test_a_source_passes_the_same_rules(own, tmp_path, make, said):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        make(file)
    with pytest.raises(DataError, match=said):
        het.load(changed(own, put(Q, virtual("source.h5", "x", (3,)))))


def test_files_that_are_one_anothers_sources_are_soon_refused(tmp_path):
    for here, there in (("a.h5", "b.h5"), ("b.h5", "a.h5")):
        with h5py.File(tmp_path / here, "w") as file:
            for name in range(9):
                layout = h5py.VirtualLayout((9,), "f8")
                for source in range(9):
                    layout[source] = h5py.VirtualSource(there, f"{source}", (9,))[source]
                file.create_virtual_dataset(f"{name}", layout)
    with opened(tmp_path / "a.h5") as file, pytest.raises(DataError, match="is its own source"):
        array(file, "0")


def test_a_virtual_dataset_that_is_not_covered_is_refused(own, tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["x"] = np.ones(2)

    def half(file, key):
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:2] = h5py.VirtualSource("source.h5", "x", (2,))
        file.create_virtual_dataset(key, layout)

    with pytest.raises(DataError, match="values that have no source"):
        het.load(changed(own, put(Q, half)))


def test_a_file_whose_reading_crashes_the_library_is_refused(tmp_path):
    path = tmp_path / "crash.h5"
    with h5py.File(path, "w") as file:
        file["good"] = np.ones(3)
        virtual(".", "/bad", (3,))(file, "bad")
        virtual(".", "/good", (3,))(file, "view")
    with opened(path) as file, pytest.raises(DataError, match=r"crash.h5 cannot be read: the process"):
        array(file, "view")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["2", "10", "1"], {1: "1", 2: "2", 10: "10"}),
        (["c2_00002", "c2_00010"], {2: "c2_00002", 10: "c2_00010"}),
        (["g2_007"], {7: "g2_007"}),
        (["000"], {0: "000"}),
        ([], {}),
    ],
)
def test_members_are_known_by_their_numbers(tmp_path, names, found):
    with h5py.File(tmp_path / "n.h5", "w") as file:
        group = file.create_group("g")
        for name in names:
            group.create_group(name)
        assert numbered(group) == found


def test_fields_are_what_they_are_asked_for(tmp_path):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["whole"], file["half"], file["one"] = [1.0, 2.0], [1.0, 2.5], [[3]]
        file["large"], file["row"] = np.uint64(2**64 - 1), [[1, 2, 3]]
        file["on"], file["text"] = [[1, 0]], b"\xc3\x85"
        file["words"] = np.array(["a", "b"], dtype=H5)
        file["enum"] = np.zeros(2, dtype=h5py.enum_dtype({"A": 0}, basetype="i1"))
        file.create_dataset("hungry", (1,), "f8", maxshape=(None,), chunks=(2**27,))
    with opened(path) as file:
        assert numbers(file, "whole", int).tolist() == [1, 2]
        assert numbers(file, "row").tolist() == [1, 2, 3]
        assert (number(file, "one"), number(file, "none")) == (3.0, None)
        assert switches(file, "on", (1, 2)).tolist() == [[True, False]]
        assert string(file, "text") == "Å"
        for call, said in (
            (lambda: numbers(file, "half", int), "half must hold whole numbers, not 2.5"),
            (lambda: numbers(file, "large", np.int64), "large must hold whole numbers"),
            (lambda: numbers(file, "enum"), "enum must hold numbers"),
            (lambda: string(file, "words"), "words must be one text"),
            (lambda: number(file, "row"), "row must be one number, not 3"),
            (lambda: array(file, "hungry"), "hungry declares 1.34e"),
            (lambda: file["whole/part"], "has no whole/part"),
        ):
            with pytest.raises(DataError, match=said):
                call()
        assert "whole/part" not in file
        assert file.get("none") is None
        assert file.filename == str(path)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        OSError(5, "I/O"),
        MemoryError(),
        zlib.error("e"),
        RecursionError("deep"),
        NotImplementedError(),
    ],
)
def test_what_a_file_causes_is_one_line_at_the_boundary(error):
    with pytest.raises(DataError, match=r"^run.h5 cannot be read: ."), reading("run.h5"):
        raise error


def test_errors_of_our_own_and_of_the_program_pass_the_boundary():
    with pytest.raises(DataError, match=r"^as it was$"), reading("run.h5"):
        raise DataError("as it was")
    with pytest.raises(AssertionError), reading("run.h5"):
        raise AssertionError


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(DataError, match="is not a file: a pipe or a device is not read"):
        het.load(tmp_path / "pipe.h5")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("q = 0.01 Å⁻¹, φ", "q = 0.01 Å⁻¹, φ"),
        ("\x1b[2J\x07", "\\u001b[2J\\u0007"),
        ("\x9b2J\x7f", "\\u009b2J\\u007f"),
        ("a\nb\tc\r", "a\\u000ab\\u0009c\\u000d"),
        ("\u202eevil\u2028", "\\u202eevil\\u2028"),
        ("bad\udcff", "bad\\udcff"),
        ("\U000e0041", "\\udb40\\udc41"),
    ],
)
def test_control_characters_are_written_out_as_in_json(text, shown):
    assert escaped(text) == shown
    assert json.loads(f'"{shown}"') == text
    assert escaped_lines(f"{text}\nnext") == "\n".join(map(escaped, [*text.split("\n"), "next"]))


def test_names_from_files_cannot_leave_their_line(own):
    evil = "c2_\x1b]0;owned\x07\n00002"
    with pytest.raises(DataError) as error:
        het.load(changed(own, lambda file: file.move(dense("00002"), f"{C2}/{evil}")))
    assert str(error.value).isprintable()
    assert "u001b" in str(error.value)


def test_a_checked_file_is_closed_with_those_it_opened(own, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.ones(3)
    changed(own, lambda file: file.__setitem__("link", h5py.ExternalLink("other.h5", "/x")))
    with CheckedFile(own, allow_links=True) as file:
        found = file["link"]
        assert found[0] == 1.0
    assert not found.id.valid


def test_a_lost_chunk_is_told_among_thousands(tmp_path):
    path, count = tmp_path / "stack.h5", 700
    with h5py.File(path, "w") as file:
        made = file.create_dataset("c2", (count, 6, 6), "f8", chunks=(1, 2, 2))
        made[: count - 1] = symmetric(6)
    matrices = FileMatrices(path, tuple(Place("c2", bin) for bin in range(count)))
    for bin in (0, count - 2):
        np.testing.assert_array_equal(matrices[bin], symmetric(6))
    with pytest.raises(DataError, match="incomplete"):
        matrices[count - 1]
    with h5py.File(path, "r+") as file:
        file["c2"][count - 1] = 2.0 * symmetric(6)
    np.testing.assert_array_equal(matrices[count - 1], 2.0 * symmetric(6))
