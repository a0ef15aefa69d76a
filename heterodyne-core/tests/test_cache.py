"""Matrices in one piece, kept in tiles: the same values, made again when anything changes, never in the way."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

import heterodyne as het
from aps_u_files import write_aps_u
from heterodyne.data.matrices import upper, windows
from heterodyne.loading import cache
from heterodyne.loading.cache import CachedMatrices

pytestmark = pytest.mark.filterwarnings("ignore:.*age.*")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder of the entries."""
    monkeypatch.setenv("HETERODYNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "files"


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """An APS-U file whose matrices, small as they are, count as too large for parts."""
    monkeypatch.setattr("heterodyne.loading.lazy._LARGEST_PART", 10)
    write_aps_u(tmp_path / "run.hdf", frames=30)
    monkeypatch.setattr("heterodyne.data.own_file._CHUNK", 8)
    return tmp_path / "run.hdf"


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*")) if folder.exists() else []


def same(one: het.TwoTime, other: het.TwoTime) -> None:
    for a, b in zip(one.c2, other.c2, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    for name in ("q", "phi", "t", "dq", "dphi", "mask"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_values_are_the_same_and_come_from_the_entry(file, folder):
    plain = het.load(file, frames=(3, 28))
    first, second = (het.load(file, frames=(3, 28), cache=True) for _ in range(2))
    (entry,) = entries(folder)
    for data in (first, second, pickle.loads(pickle.dumps(second))):
        assert isinstance(data.c2, CachedMatrices)
        same(plain, data)
    assert second.provenance == {**plain.provenance, "cache": {"file": str(entry), "of": str(file)}}
    same(plain.bins([1]).cut(slice(2, 9)), second.bins([1]).cut(slice(2, 9)))


def test_parts_are_read_in_tiles(file, folder):
    plain, data = het.load(file), het.load(file, cache=True)
    assert windows(plain.c2, 0).whole
    kept = windows(data.c2, 0)
    assert not kept.whole
    with kept.opened() as read:
        part = upper(read, kept.half(read))(slice(2, 9), slice(12, 25))
    np.testing.assert_array_equal(part, plain.c2[0][2:9, 12:25])


def test_a_selection_and_a_shift_have_entries_of_their_own(file, folder):
    for stated in ({}, {"q": 0.01}, {"baseline": 0.0}, {"frames": (2, 9)}):
        same(het.load(file, **stated), het.load(file, **stated, cache=True))
    assert len(entries(folder)) == 4


def test_a_file_that_changed_is_read_anew(file, folder):
    het.load(file, cache=True)
    status = file.stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    same(het.load(file), het.load(file, cache=True))
    assert len(entries(folder)) == 2


def damaged(entry: Path, how: str) -> None:
    content = bytearray(entry.read_bytes())
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "other":
        het.simulate("static", frames=9).save(entry)
        return
    else:
        content = bytearray(b"no")
    entry.write_bytes(content)


@pytest.mark.parametrize("how", ["cut", "other", "text"])
def test_an_entry_that_is_damaged_is_made_again(file, folder, how):
    plain = het.load(file)
    het.load(file, cache=True)
    (entry,) = entries(folder)
    good = entry.stat().st_size
    damaged(entry, how)
    with pytest.warns(UserWarning, match="is made again"):
        same(plain, het.load(file, cache=True))
    assert abs(entry.stat().st_size - good) < 100


def test_an_entry_that_is_lost_while_it_is_used_costs_nothing(file, folder):
    plain, data = het.load(file), het.load(file, cache=True)
    kept = windows(data.c2, 0)
    (entry,) = entries(folder)
    entry.unlink()
    with pytest.warns(UserWarning, match="cannot be used"):
        same(plain, data)
    with pytest.warns(UserWarning, match="cannot be used"):
        parts_are_right(kept, plain)
    with pytest.warns(UserWarning, match="cannot be used"):
        parts_are_right(windows(data.c2, 0), plain)


def test_a_tile_that_is_spoiled_costs_nothing(file, folder):
    plain, data = het.load(file), het.load(file, cache=True)
    (entry,) = entries(folder)
    with h5py.File(entry) as stored:
        tile = stored["entry/twotime/two_time_corr_func/c2_00001"].id.get_chunk_info_by_coord((8, 16))
    with entry.open("r+b") as stream:  # its checksum tells
        stream.seek(tile.byte_offset + tile.size // 2)
        stream.write(b"\xff\xff\xff\xff")
    with pytest.warns(UserWarning, match="cannot be used"):
        parts_are_right(windows(data.c2, 0), plain)
    assert entries(folder) == []


def parts_are_right(kept, plain: het.TwoTime) -> None:
    with kept.opened() as read:
        half = upper(read, kept.half(read))
        for start in range(0, 30, 6):
            part = half(slice(start, start + 6), slice(start, 30))
            np.testing.assert_array_equal(np.triu(part), np.triu(plain.c2[0][start : start + 6, start:]))


def test_what_can_be_read_in_parts_is_not_kept(tmp_path, folder):
    het.simulate("static", frames=20).save(tmp_path / "own.h5")
    np.savez(tmp_path / "a.npz", c2=np.ones((1, 9, 9)) + np.eye(9), q=[0.01], phi=[0.0], dt=0.1)
    assert not isinstance(het.load(tmp_path / "own.h5", cache=True).c2, CachedMatrices)
    assert entries(folder) == []


def test_the_longest_unused_entry_goes_first(file, folder, monkeypatch):
    for number, frames in enumerate([(1, 20), (2, 21), (3, 22)]):
        het.load(file, frames=frames, cache=True)
        for entry in entries(folder):
            os.utime(entry, (number, number)) if entry.stat().st_mtime > 100 else None
    oldest = min(entries(folder), key=lambda path: path.stat().st_mtime)
    total = sum(path.stat().st_size for path in entries(folder))
    monkeypatch.setattr(cache, "LARGEST", total + 10_000)
    het.load(file, frames=(4, 23), cache=True)
    assert oldest not in entries(folder)


def test_what_is_too_large_or_cannot_be_written_is_read_without(file, folder, monkeypatch):
    folder.parent.write_text("in the way")
    with pytest.warns(UserWarning, match="is read without the cache: nothing can be written"):
        same(het.load(file), het.load(file, cache=True))
    folder.parent.unlink()
    monkeypatch.setattr(cache, "LARGEST", 100)
    with pytest.warns(UserWarning, match="is read without the cache: its matrices take"):
        het.load(file, cache=True)
    monkeypatch.setenv("HETERODYNE_CACHE", "")
    assert not isinstance(het.load(file, cache=True).c2, CachedMatrices)
