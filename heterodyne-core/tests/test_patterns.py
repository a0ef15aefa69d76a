"""Patterns of file names, where no shell has replaced them."""

from __future__ import annotations

import pytest

from heterodyne.config.files import check_files
from heterodyne.config.schema import create_config
from heterodyne.errors import DataError
from heterodyne.loading.patterns import expanded


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "deep").mkdir(parents=True)
    for name in ("run10.h5", "run2.h5", "run1.txt", "a[1].h5", "deep/run3.h5"):
        (tmp_path / "runs" / name).write_text("x")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["runs/*.h5"], ["runs/a[1].h5", "runs/run2.h5", "runs/run10.h5"]),
        (["runs/run?.h5", "runs/run*.h5"], ["runs/run2.h5", "runs/run10.h5"]),
        (["runs/**/run*.h5"], ["runs/deep/run3.h5", "runs/run2.h5", "runs/run10.h5"]),
        (["runs/a[1].h5"], ["runs/a[1].h5"]),
        (["none.h5", "none.h5"], ["none.h5", "none.h5"]),
    ],
)
def test_a_pattern_stands_for_the_files_that_it_matches(names, found):
    assert list(expanded(names)) == found


def test_a_pattern_without_files_is_refused():
    with pytest.raises(DataError, match=r"no file matches runs/\*\.hdf"):
        expanded(["runs/*.hdf"])
    check_files(create_config({"data": "runs/*.h5"}, "here"))
    with pytest.raises(DataError, match="no file matches"):
        check_files(create_config({"data": "*.h5"}, "here"))
