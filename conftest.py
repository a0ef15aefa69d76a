"""Fixtures that tests of several distributions share; what they need of one is imported when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from program import Done, exit_status


@pytest.fixture
def heterodyne(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Done]:
    """A function that runs the program in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> Done:
        status = exit_status(*arguments)
        return Done(status, *capsys.readouterr())

    return run
