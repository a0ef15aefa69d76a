"""Text for people: names of files that are not UTF-8."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from heterodyne.config.schema import create_config
from heterodyne.data.two_time import TwoTime
from heterodyne.errors import ConfigError
from heterodyne.loading.load import load
from heterodyne.testing.results import fit_by_hand
from heterodyne.words import as_utf8


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"run.h5", "run.h5"),
        ("Å_α.h5".encode(), "Å_α.h5"),
        (b"bad\xff.h5", r"bad\xff.h5"),
        (b"\xc3\x85\xc3", r"Å\xc3"),
    ],
)
def test_bytes_that_are_not_utf8_are_written_out(name: bytes, text: str):
    assert as_utf8(name.decode("utf-8", "surrogateescape")) == text
    assert as_utf8("\ud800") == r"\ud800"


def test_a_file_may_have_any_name(tmp_path):
    folder = tmp_path / os.fsdecode(b"dir\xff")
    folder.mkdir()
    data = TwoTime(np.ones((1, 4, 4)), [0.01], [0.0], [0.1, 0.2, 0.3, 0.4], 0.1)
    first = load(data.save(folder / os.fsdecode(b"run\xfe.h5")))
    assert first.provenance["file"] == rf"{tmp_path}/dir\xff/run\xfe.h5"
    again = load(first.save(tmp_path / "copy.h5"))
    assert again.provenance["origin"]["file"] == first.provenance["file"]
    fit = fit_by_hand([], provenance={"command": os.fsdecode(b"fit \xfe"), "data": (first.provenance,)})
    (saved,) = fit.save(folder, ["json"])
    assert json.loads(saved.read_bytes().decode("utf-8"))["provenance"]["command"] == r"fit \xfe"


def test_a_configuration_names_any_file():
    name = os.fsdecode(b"run\xfe.h5")
    config = create_config({"data": [name], "output": name, "warm_start": name}, "command line")
    assert (config.data, config.output, config.warm_start) == ((name,), name, name)
    for wrong in ("", "a\0b", 3):
        with pytest.raises(ConfigError, match=r"command line: output: .* is not a name"):
            create_config({"output": wrong}, "command line")
