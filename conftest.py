"""Fixtures that tests of several distributions share; only core is sure to be installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

from heterodyne.plugins import PROJECT
from heterodyne.plugins.manager import manager
from program import Done, exit_status

# none of these is imported yet: their functions check the shapes that annotations state while tests run
install_import_hook(["heterodyne.kernels", "heterodyne.evaluators", "heterodyne.model"], "shapes.checked")


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


@pytest.fixture
def only_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A function that leaves of the installed plugins those named, and adds objects that hold hooks: NAME=object.

    Targets of their records are in a module ``NAME_plugin``, which is that object.
    """
    installed = entry_points(group=PROJECT)

    def only(*names: str, **made: object) -> None:
        points = [point for point in installed if point.name in names]
        for name, plugin in made.items():
            monkeypatch.setitem(sys.modules, f"{name}_plugin", plugin)
            points.append(EntryPoint(name, f"{name}_plugin", PROJECT))
        monkeypatch.setattr("heterodyne.plugins.manager.entry_points", lambda group: points)
        manager.cache_clear()

    yield only
    manager.cache_clear()


@pytest.fixture
def full_after() -> Callable[[int], AbstractContextManager[None]]:
    """A function that gives a block in which no file can grow over so many bytes, as on a full disk."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited
