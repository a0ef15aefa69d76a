"""Every `heterodyne` command and every Python example in the pages for users runs as it is written."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from program import exit_status

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/getting-started.md", "docs/configuration.md", "docs/real-data.md")
MATRIX = Path("tests/data/two_time_nsls2/test_g2.npy")
ELSEWHERE = ("heterodyne demo",)
"""Commands that a test of their own runs."""


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """The commands of the program on a page, continued lines joined and comments left out."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    stripped = [shlex.join(shlex.split(line, comments=True)) for line in lines]
    return [line for line in stripped if line.startswith("heterodyne ") and line not in ELSEWHERE]


def run(command: str) -> int:
    return exit_status(*shlex.split(command)[1:])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages take for granted: simulated files, a measured one, a configuration."""
    monkeypatch.chdir(tmp_path)
    MATRIX.parent.mkdir(parents=True)
    shutil.copy(ROOT / MATRIX, MATRIX)
    assert run("heterodyne simulate -o run.h5") == 0
    shutil.copy("run.h5", "other.h5")
    (configuration,) = blocks("docs/configuration.md", "yaml")
    Path("fit.yaml").write_text(configuration, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_commands_end_in_success(place: Path, page: str):
    found = commands(page)
    assert found
    for command in found:
        if command.startswith("heterodyne simulate"):
            (place / "run.h5").unlink()
        assert run(command) == 0, command


@pytest.mark.parametrize("page", ["README.md", "docs/getting-started.md"])
def test_python_examples_run_and_converge(place: Path, page: str):
    names: dict[str, object] = {}
    exec("\n".join(blocks(page, "python")), names)
    assert names["fit"].success  # pyright: ignore[reportAttributeAccessIssue]
    assert (place / "out" / "fit.json").is_file()
