"""The program `heterodyne`, run in the process of the tests."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Done:
    """How a run of the program ended."""

    status: int
    out: str
    err: str


def exit_status(*arguments: str) -> int:
    """The exit status of a run with these arguments."""
    from heterodyne_cli.app import main  # which the tests of core alone do without

    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)
