"""Files appear whole or not at all."""

from __future__ import annotations

import pytest

from heterodyne.atomic import replacing
from heterodyne.errors import DataError


def test_the_file_appears_with_its_content_and_nothing_else_stays(tmp_path):
    with replacing(tmp_path / "out.txt") as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert not (tmp_path / "out.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    assert (tmp_path / "out.txt").read_text() == "new"


def test_a_failure_leaves_the_old_file_and_no_temporary_one(tmp_path):
    (tmp_path / "out.txt").write_text("old")

    def fail():
        with replacing(tmp_path / "out.txt") as temporary:
            temporary.write_text("half")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(DataError, match=r"there is no folder .*nowhere"),
        replacing(tmp_path / "nowhere" / "x"),
    ):
        pass


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    with pytest.raises(DataError, match="it is a folder"), replacing(tmp_path):
        pass


def test_a_disk_that_refuses_is_one_line(tmp_path):
    with (
        pytest.raises(DataError, match=r"cannot write .*: No space left on device"),
        replacing(tmp_path / "x"),
    ):
        raise OSError(28, "No space left on device")
