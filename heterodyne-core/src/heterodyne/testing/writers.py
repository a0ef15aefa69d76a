"""`WriterConformance`: what every output must keep."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from heterodyne.errors import HeterodyneError
from heterodyne.plugins.manager import resolve
from heterodyne.plugins.outputs import Writer
from heterodyne.plugins.records import writer_key
from heterodyne.result.fit import Fit
from heterodyne.testing.examples import example_fit


class WriterConformance:
    """Tests of a writer: inherit, and state ``writer``, the name under which it is installed.

    ``of`` is the kind of result that it writes. `result` gives one; a writer of what only some results hold, or of
    another kind, overrides it.
    """

    writer: str
    of: str = "fit"

    def result(self) -> Any:
        """What is written."""
        return example_fit()

    def test_it_returns_what_it_wrote_into_the_folder_and_leaves_nothing_else(self, tmp_path: Path) -> None:
        """Files with something in them; nothing beside them, in the folder or outside of it."""
        folder = tmp_path / "out"
        written = self._write(folder)
        assert written, "nothing is written of a result that holds everything"
        assert all(isinstance(path, Path) and path.stat().st_size > 0 for path in written)
        assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file())
        assert list(tmp_path.iterdir()) == [folder]

    def test_a_file_is_replaced_as_a_whole(self, tmp_path: Path) -> None:
        """Written again over an earlier output, which whoever has it open goes on reading as it was."""
        folder = tmp_path / "out"
        earlier = {path: path.read_bytes() for path in self._write(folder)}
        kept = tmp_path / "kept"
        kept.mkdir()
        for number, path in enumerate(earlier):
            path.write_bytes(b"earlier")
            os.link(path, kept / str(number))
        assert set(self._write(folder)) == set(earlier)
        for number, path in enumerate(earlier):
            assert (kept / str(number)).read_bytes() == b"earlier", (
                f"{path.name} is written into, not replaced"
            )
            assert path.stat().st_size > len(b"earlier")

    def test_a_result_without_its_data_is_written_or_refused(self, tmp_path: Path) -> None:
        """One that was read back has no problem in memory: a writer that needs it raises `HeterodyneError`."""
        result = self.result()
        if isinstance(result, Fit):
            with contextlib.suppress(HeterodyneError):
                self._write(tmp_path, replace(result, problem=None, curves=(), posterior=None))

    def _write(self, folder: Path, result: Any = None) -> list[Path]:
        folder.mkdir(exist_ok=True)
        writer = resolve("writer", writer_key(self.of, self.writer), Writer)
        return writer(self.result() if result is None else result, folder)
