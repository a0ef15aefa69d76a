"""The plugins that docs/plugins.md shows whole do what they say: each passes the tests that stand beside it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from heterodyne.plugins import hookimpl, records

PAGE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")
SECTIONS = {part.split("\n", 1)[0].strip(): part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}


def run(code: str, **names: Any) -> dict[str, Any]:
    """What the code defines."""
    exec(code, names)
    return names


def blocks(hook: str) -> list[str]:
    """The Python of a hook's section."""
    return re.findall(r"```python\n(.*?)```", SECTIONS[hook], flags=re.DOTALL)


@pytest.mark.parametrize(
    ("hook", "module", "mark"),
    [
        ("heterodyne_models", "my_package.exponential", "MODEL = separable("),
        ("heterodyne_loaders", "my_package.shelf", "def load("),
        ("heterodyne_writers", "my_package.csv", "def write("),
    ],
)
def test_what_is_shown_passes_its_tests(
    hook: str,
    module: str,
    mark: str,
    only_plugins: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    offer, target, tests = (
        next(block for block in blocks(hook) if words in block) for words in ("@hookimpl", mark, "class Test")
    )
    home = ModuleType(module)
    vars(home).update(run(target))
    monkeypatch.setitem(sys.modules, module, home)
    offered = run(offer, hookimpl=hookimpl, **vars(records))[hook]
    only_plugins("core", documented=SimpleNamespace(**{hook: offered}))
    (conformance,) = (value for name, value in run(tests).items() if name.startswith("Test"))
    methods = [name for name in dir(conformance) if name.startswith("test_")]
    assert len(methods) > 2
    for number, name in enumerate(methods):
        method = getattr(conformance(), name)
        folder = tmp_path / str(number)
        folder.mkdir()
        method(*[folder] * len(inspect.signature(method).parameters))
